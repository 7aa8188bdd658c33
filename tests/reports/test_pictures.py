"""Thumbnails of the photos on which runtimes disagree: only where they are asked for, and of no other photos."""

from __future__ import annotations

import base64
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner, Result

from convert.datasets import load as load_set
from reports import pictures
from reports.__main__ import main
from reports.export.__main__ import main as export
from reports.load import results
from runtimes.records import reading
from validate.accuracy.tables import disagreements_file

URI = re.compile(r"data:image/jpeg;base64,([A-Za-z0-9+/=]+)")
IMAGES = 30


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Drawn photos of 400 x 200 pixels; one has a name that a spreadsheet would compute."""
    folder = tmp_path / "photos"
    folder.mkdir()
    lines = []
    for number in range(IMAGES):
        name = "=one.png" if number == 0 else f"{number}.png"
        cv2.imwrite(str(folder / name), np.full((200, 400, 3), (0, 0, 8 * number), np.uint8))
        lines.append(f"{name} {number % 3}\n")
    (folder / "val_list.txt").write_text("".join(lines))
    return folder


Measured = Callable[..., Path]


@pytest.fixture
def measured(make: Any, folder: Any, photos: Path) -> Measured:
    """A results folder whose runtimes disagree on the first `count` photos."""

    def written(count: int = 2, **fields: Any) -> Path:
        command = f"python -m validate.accuracy --images {photos} --limit 9 --runtime paddle,ort-cpu"
        common = {"dataset": "photos, 30 images", "dataset_sha256": load_set(photos).sha256, "command": command}
        common |= {"ranked": "accuracy/answers.top5", **fields}
        records = [make.accuracy(runtime=runtime, **common) for runtime in ("ort-cpu", "paddle")]
        run = Path(folder(*records))
        accuracy: Any = reading.from_table(records[0])
        file = run / disagreements_file(accuracy)
        file.parent.mkdir(exist_ok=True)
        names = ["'=one.png", *(f"{number}.png" for number in range(1, IMAGES))][:count]
        rows = "".join(f"{name},{number % 3},{7 if number else ''},5\n" for number, name in enumerate(names))
        file.write_text(f"image,label,ort-cpu fp32,paddle fp32\n{rows}")
        return run

    return written


def report(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words])


def page(run: Path, *words: object) -> str:
    result = report(run, "--format", "html", *words)
    assert result.exit_code == 0, result.stderr
    return (run / "report.html").read_text(encoding="utf-8")


def test_only_where_they_are_asked_for(measured: Measured) -> None:
    run = measured()
    assert not URI.search(page(run))
    text = page(run, "--with-images")
    found = [np.asarray(cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), 1)) for one in URI.findall(text)]
    assert [one.shape for one in found] == [(80, 160, 3)] * 2
    assert abs(int(found[1][40, 80, 2]) - 8) < 4  # it is the second photo, and no other
    assert 'alt="1.png"' in text
    said = text[text.index('alt="1.png"') :]
    answers = re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", said[: said.index("</dl>")])
    assert answers == [("label", "1"), ("paddle fp32", "5"), ("ort-cpu fp32", "7")]
    first = text[text.index("one.png") : text.index('alt="1.png"')]
    assert ("ort-cpu fp32", "not finite") in re.findall(r"<dt>(.*?)</dt><dd>(.*?)</dd>", first)


def test_no_more_than_a_page_can_hold(measured: Measured) -> None:
    text = page(measured(count=IMAGES), "--with-images")
    assert len(URI.findall(text)) == pictures.MOST
    assert f"and {IMAGES - pictures.MOST} more" in text


def test_a_set_without_disagreements_says_so(measured: Measured) -> None:
    text = page(measured(count=0), "--with-images")
    assert "All runtimes agree on every photo." in text


def test_photos_that_are_gone_are_said(measured: Measured, photos: Path) -> None:
    run = measured()
    (photos / "1.png").write_bytes(b"no image")
    text = page(run, "--with-images")
    assert len(URI.findall(text)) == 1
    assert "the photo cannot be decoded" in text
    shutil.rmtree(photos)
    result = report(run, "--format", "html", "--with-images")
    assert result.exit_code == 0
    assert "its photos cannot be shown" in result.stderr
    assert "its photos cannot be shown" in (run / "report.html").read_text(encoding="utf-8")


def test_another_set_is_not_shown_in_its_place(measured: Measured, photos: Path) -> None:
    run = measured()
    (photos / "val_list.txt").write_text("=one.png 1\n1.png 0\n")
    result = report(run, "--format", "html", "--with-images")
    assert "is another set by now" in result.stderr
    assert not URI.search((run / "report.html").read_text(encoding="utf-8"))


def test_a_runtime_of_another_command_is_named(measured: Measured, make: Any, folder: Any) -> None:
    run = measured()
    known = results.load(run).records
    file = run / "results.jsonl"
    line = file.read_text().splitlines()[0].replace('"ort-cpu"', '"openvino"')
    file.write_text(f"{file.read_text()}{line}\n")
    assert len(results.load(run).records) == len(known) + 1
    assert "another command measured them: openvino fp32" in page(run, "--with-images")


def test_an_exported_file_has_none(measured: Measured, tmp_path: Path) -> None:
    file = tmp_path / "shared.vitbench.json.gz"
    result = CliRunner().invoke(export, [str(measured()), "--out", str(file)])
    assert result.exit_code == 0, result.stderr
    assert b"data:image" not in file.read_bytes()
    result = report(file, "--format", "html", "--with-images", "--out", tmp_path / "out")
    assert "an exported file has none" in result.stderr
    assert not URI.search((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))


def test_only_html_has_pictures(measured: Measured) -> None:
    result = report(measured(), "--format", "md", "--with-images")
    assert (result.exit_code, "add --format html" in result.stderr) == (2, True)


def test_results_that_say_nothing_of_it(make: Any, folder: Any) -> None:
    result = report(folder(make.accuracy(ranked="accuracy/one.top5")), "--format", "html", "--with-images")
    assert (result.exit_code, "no photos to show" in result.stderr) == (0, True)
