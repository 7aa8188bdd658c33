"""Models by name that come as an archive: from a server of this process, and unpacked without trusting it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from convert import zoo
from convert.common.errors import InputError
from convert.weights import download
from convert.zoo import HostedModel, inference_tar
from tests.convert.weights.site import HOSTED as TOY
from tests.convert.weights.site import Site, archive, hosting

MODEL = {"a/inference.json": b"{}", "a/inference.pdiparams": b"12", "a/inference.pdiparams.info": b"?"}


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Site]:
    with hosting(monkeypatch, tmp_path / "cache") as running:
        yield running


def special(kind: bytes, name: str = "a/b", target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_an_altered_download_is_no_model(site: Site) -> None:
    site.content = archive(MODEL)
    folder, file = inference_tar.fetch(TOY, progress=False)
    assert sorted(one.name for one in folder.iterdir()) == ["inference.json", "inference.pdiparams"]
    assert inference_tar.unpacked(TOY) == (folder, file)
    file.path.write_bytes(site.content + b"x")
    with pytest.raises(InputError, match="not the file that was downloaded first"):
        inference_tar.unpacked(TOY)


def test_where_nothing_comes_each_place_is_named(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VITBENCH_MIRROR")
    monkeypatch.setattr(zoo, "PLACES", {})
    places = {name: f"{site.url.rsplit('/', 1)[0]}/{name}" for name in ("paddlex", "paddleclas")}
    monkeypatch.setattr(inference_tar, "PLACES", places)
    site.status = 404
    with pytest.raises(
        InputError, match=r"/paddlex/Toy_tiny_32_infer.tar: HTTP status 404; .*/paddleclas/Toy"
    ) as error:
        inference_tar.fetch(TOY, progress=False)
    assert "put Toy_tiny_32_infer.tar into" in error.value.message
    assert len(site.asked) == 2
    assert inference_tar.unpacked(TOY) is None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x1f\x8b" + bytes(1000), "no tar archive"),
        (archive(MODEL)[:700], r"damaged tar archive|no Paddle inference model"),
        (archive({"a/inference.json": b"{}"}), "no Paddle inference model is in it"),
        (archive({**MODEL, "../inference.yml": b""}), "leads out of the folder"),
        (archive({**MODEL, "/inference.yml": b""}), "leads out of the folder"),
        (archive({**MODEL, "b\\..\\inference.yml": b""}), "leads out of the folder"),
        (archive({**MODEL, "b/inference.json": b""}), "inference.json is in it twice"),
        (archive(MODEL, special(tarfile.SYMTYPE, "a/inference.yml", "/etc/passwd")), "is no plain file"),
        (archive(MODEL, special(tarfile.LNKTYPE, "a/inference.yml", "a/inference.json")), "is no plain file"),
        (archive(MODEL, special(tarfile.CHRTYPE)), "is no plain file"),
        (archive(MODEL, special(tarfile.FIFOTYPE)), "is no plain file"),
        (archive({**MODEL, **{f"f{i}": b"" for i in range(1000)}}), "more than 1000 files"),
    ],
)
def test_what_is_no_model_or_hostile_is_refused_and_removed(site: Site, content: bytes, message: str) -> None:
    site.content = content
    with pytest.raises(InputError, match=message):
        inference_tar.fetch(TOY, progress=False)
    assert not [one for one in download.cache_folder().rglob("*") if one.suffix in (".tar", ".json", ".yml")]


def test_a_file_that_says_it_is_larger_than_the_archive(tmp_path: Path) -> None:
    member = tarfile.TarInfo("a/inference.pdiparams")
    member.size = 1 << 40
    (tmp_path / "x.tar").write_bytes(member.tobuf() + bytes(1024))
    with pytest.raises(InputError, match=r"larger than it is itself|damaged tar"):
        inference_tar.members(tmp_path / "x.tar")


def test_a_preprocessing_that_cannot_be_had_is_said(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    from convert import preprocessing
    from convert.models import InferenceFolder

    other = HostedModel("Toy_tiny_32", "Toy", lacks="DecodeImage: to_rgb = False")
    monkeypatch.setitem(zoo.HOSTED, TOY.name, other)
    folder = InferenceFolder(TOY.name, Path("nowhere/inference.json"), Path("nowhere/inference.pdiparams"))
    said = preprocessing.said_by(folder, TOY.name)
    assert said.preprocessing is None
    assert "to_rgb = False, which vitbench does not do" in said.notes[0]
