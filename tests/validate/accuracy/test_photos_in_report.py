"""What an accuracy run leaves is what the report needs to show the photos on which its runtimes disagree."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from click.testing import CliRunner, Result

from reports.__main__ import main


def test_the_report_shows_the_photos_of_a_run(
    run: Callable[..., Result],
    make_set: Callable[..., Path],
    make_runtime: Callable[..., Any],
    best: Callable[[int], np.ndarray],
    identity: Callable[[int], np.ndarray],
    tmp_path: Path,
) -> None:
    folder = make_set([0, 1, 2, 3], [0, 1, 2, 3])
    runtimes = [
        make_runtime("paddle", identity),
        make_runtime("ort-cpu", lambda number: best(9 if number == 2 else number)),
    ]
    out = tmp_path / "out"
    run("--images", str(folder), "--limit", "3", "--keep", "0.1", "--out", str(out), runtimes=runtimes)
    result = CliRunner().invoke(main, [str(out), "--format", "html", "--with-images"])
    assert result.exit_code == 0, result.stderr
    text = (out / "report.html").read_text(encoding="utf-8")
    shown = text[text.index('<section id="pictures">') :]
    shown = shown[: shown.index("</section>")]
    assert shown.count("data:image/jpeg;base64,") == 1
    answers = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", shown)
    assert answers == [("label", "2"), ("paddle fp32", "2"), ("ort-cpu fp32", "9")]
