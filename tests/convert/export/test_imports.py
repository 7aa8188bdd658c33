"""What a conversion imports."""

from __future__ import annotations

import subprocess
import sys


def test_what_a_conversion_has_no_use_for_is_not_imported() -> None:
    code = (
        "import sys, convert.__main__, convert.export.assemble\n"
        "print(*({'cv2', 'requests', 'convert.datasets.load'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == [""]
