"""The devkit's meta.mat: sound ones, unsound ones, damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from convert.common.errors import InputError
from convert.datasets.labels.meta import parse_meta
from tests.convert.datasets.written_sets import IDS, SYNSETS, write_meta


def test_meta_holds_classes_alone(tmp_path: Path) -> None:
    by_id = dict(zip(IDS, SYNSETS, strict=True))
    data = write_meta(tmp_path / "meta.mat", by_id, parents=4).read_bytes()
    assert parse_meta(data, "meta.mat") == by_id


@pytest.mark.parametrize(
    "by_id",
    [
        {1: SYNSETS[0], 3: SYNSETS[1]},
        {0: SYNSETS[0], 1: SYNSETS[1]},
        {2: SYNSETS[0], 3: SYNSETS[1]},
        {1: SYNSETS[0], 2: SYNSETS[0]},
        {1: SYNSETS[0], 2: "goldfish"},
        {1: SYNSETS[0], 2: "n0144076"},
        {},
    ],
)
def test_meta_that_is_unsound(tmp_path: Path, by_id: dict[int, str]) -> None:
    data = write_meta(tmp_path / "meta.mat", by_id).read_bytes()
    with pytest.raises(InputError, match=r"meta\.mat: its classes are not numbered 1 to N"):
        parse_meta(data, "meta.mat")


def test_meta_with_other_contents(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "meta.mat", {"other": 3})
    with pytest.raises(InputError, match=r"not the meta\.mat of the ILSVRC 2012 devkit"):
        parse_meta((tmp_path / "meta.mat").read_bytes(), "meta.mat")


@pytest.mark.parametrize("kept", [0.0, 0.01, 0.3, 0.9])
def test_meta_cut_off(tmp_path: Path, kept: float) -> None:
    data = write_meta(tmp_path / "meta.mat", dict(zip(IDS, SYNSETS, strict=True))).read_bytes()
    with pytest.raises(InputError, match=r"^meta\.mat: not the meta\.mat of"):
        parse_meta(data[: int(kept * len(data))], "meta.mat")


def test_meta_that_crashes_its_reader(tmp_path: Path) -> None:
    """A number whose type is none: SciPy 1.17.1 reads beyond its table of types and ends in SIGSEGV."""
    data = bytearray(write_meta(tmp_path / "meta.mat", dict(zip(IDS, SYNSETS, strict=True))).read_bytes())
    double_of_eight_bytes = bytes([9, 0, 0, 0, 8, 0, 0, 0])
    data[data.index(double_of_eight_bytes, 128)] = 130
    with pytest.raises(InputError, match=r"^meta\.mat: not the meta\.mat of"):
        parse_meta(bytes(data), "meta.mat")
