"""What a conversion imports."""

from __future__ import annotations

import subprocess
import sys


def test_what_a_conversion_has_no_use_for_is_not_imported() -> None:
    code = (
        "import sys, convert.__main__, convert.export.assemble\n"
        "print(*({'cv2', 'requests', 'sympy.core', 'convert.datasets.load'} & set(sys.modules)))\n"
        "from onnx_ir import SymbolicDim; print((SymbolicDim('n') + 1).value, 'sympy.core' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.splitlines() == ["", "n + 1 True"]
