"""The README's picture and those of all sizes and schemes, taken of the stored example."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from reports import html
from reports.load import results
from reports.tables import report as tables
from scripts import screenshot_report

EXAMPLE = Path(__file__).parents[1] / "reports" / "data" / "example"

pytestmark = pytest.mark.skipif(
    not (shutil.which("chromium") or shutil.which("google-chrome")),
    reason="no browser: neither chromium nor google-chrome is on the PATH",
)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    found = results.load(EXAMPLE)
    file = tmp_path / "report.html"
    file.write_text(html.render(tables.build(found), found), encoding="utf-8")
    return file


def test_the_picture_of_the_readme_is_light_and_small(report: Path, tmp_path: Path) -> None:
    file = tmp_path / "docs" / "report.png"
    done = CliRunner().invoke(screenshot_report.main, [str(report), "--picture", str(file)])
    assert done.exit_code == 0, done.output
    assert file.stat().st_size <= 150_000
    with Image.open(file) as picture:
        assert picture.width == screenshot_report.PICTURE[0]
        assert 400 < picture.height <= screenshot_report.PICTURE[1]
        shades = picture.convert("L").getcolors(256)
    assert shades
    assert max(shades)[1] > 250  # most of it is the light page


def test_every_size_and_scheme(report: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(screenshot_report.main, [str(report), str(tmp_path / "all"), "--height", "600"])
    assert done.exit_code == 0, done.output
    sizes = {}
    for file in (tmp_path / "all").iterdir():
        with Image.open(file) as picture:
            sizes[file.stem] = (*picture.size, picture.convert("L").getpixel((2, 2)) > 128)
    assert sizes == {
        "desktop-light": (1280, 600, True),
        "desktop-dark": (1280, 600, False),
        "phone-light": (720, 1200, True),
        "phone-dark": (720, 1200, False),
    }


def test_nothing_to_do(report: Path) -> None:
    done = CliRunner().invoke(screenshot_report.main, [str(report)])
    assert (done.exit_code, done.stderr.startswith("error: nothing to do")) == (2, True)
