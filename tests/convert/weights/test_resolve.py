"""Which weights `--weights` means."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path
from typing import Any

import pytest

from convert import zoo
from convert.common.errors import InputError
from convert.families.base import ModelSpec
from convert.manifest import WeightsOrigin
from convert.weights import download, seeded
from convert.weights import resolve as weights
from tests.convert.weights.checkpoint_files import BASE, TOY, assert_same, drawn, save


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("", "allowed: auto, pretrained, seeded, seeded:N"),
        ("Auto", "allowed"),
        ("seeded:", "'' is no whole number"),
        ("seeded:-1", "'-1' is no whole number"),
        ("seeded:1.5", "is no whole number"),
        ("seeded:²", "is no whole number"),
        ("weights.foo", "ending in .pdparams, .pdema, .pth, .pt, .pth.tar, .bin, .ckpt, .safetensors, .npz"),
        ("weights.bin", "there is no such file"),
        ("no/such/file.npz", "there is no such file"),
    ],
)
def test_what_weights_may_be(given: str, message: str) -> None:
    for function in (weights.resolve, weights.fingerprint):
        with pytest.raises(InputError) as caught:
            function(given, TOY)
        assert caught.value.message.startswith(f"--weights {given}: ")
        assert message in caught.value.message
        assert caught.value.exit_code == 2


def test_seeded() -> None:
    state = weights.resolve("seeded:9", TOY)
    assert_same(state, drawn())
    assert (state.origin.kind, state.origin.source, state.origin.note) == ("seeded", "seeded:9", "")
    assert state.origin.sha256 == seeded.recipe_sha256(9, TOY.state_shapes())
    assert weights.fingerprint("seeded:9", TOY) == state.origin
    assert weights.fingerprint("seeded:009", TOY) == weights.fingerprint("seeded:9", TOY)
    assert weights.resolve("seeded", TOY).origin.source == "seeded:0"


@pytest.mark.parametrize("spec", [TOY, dataclasses.replace(BASE, class_num=10)])
def test_a_model_of_ones_own_has_no_pretrained_weights(spec: ModelSpec, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "fetch", None)
    for function in (weights.resolve, weights.fingerprint):
        with pytest.raises(InputError, match=r"--weights pretrained: .*PaddleClas publishes"):
            function("pretrained", spec)
        found: Any = function("auto", spec)
        found = getattr(found, "origin", found)
        assert (found.kind, found.source) == ("seeded", "seeded:0")
        assert found.note.startswith(f"pretrained weights of {spec.name} could not be had (")
        assert found.note.endswith("): seeded weights instead, so accuracy means nothing")


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The toy as one of the models that are published, at an address where nobody listens."""
    monkeypatch.setitem(zoo.MODELS, "toy", TOY)
    monkeypatch.setenv("VITBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("VITBENCH_MIRROR", "http://127.0.0.1:9/dygraph")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "toy_pretrained.pdparams"


def test_auto_without_network_is_seeded_and_says_why(published: Path) -> None:
    assert weights.fingerprint("auto", TOY) is None
    assert weights.fingerprint("pretrained", TOY) is None
    state = weights.resolve("auto", TOY, progress=False)
    assert (state.origin.kind, state.origin.source) == ("seeded", "seeded:0")
    assert state.origin.note == (
        "pretrained weights of toy could not be had (http://127.0.0.1:9/dygraph/toy_pretrained.pdparams: "
        "no connection): seeded weights instead, so accuracy means nothing"
    )
    with pytest.raises(InputError, match=r"--weights pretrained: http.*no connection"):
        weights.resolve("pretrained", TOY, progress=False)


@pytest.mark.parametrize("choice", ["auto", "pretrained"])
def test_a_cached_file_is_pretrained(published: Path, choice: str) -> None:
    arrays = drawn()
    sha256 = hashlib.sha256(Path(save(published, arrays)).read_bytes()).hexdigest()
    known = weights.fingerprint(choice, TOY)
    url = f"http://127.0.0.1:9/dygraph/{published.name}"
    assert known == WeightsOrigin(kind="pretrained", source=url, sha256=sha256)
    state = weights.resolve(choice, TOY)
    assert_same(state, arrays)
    assert state.origin == known


def test_a_cached_file_that_changed_is_an_error_and_not_seeded(published: Path) -> None:
    save(published, drawn())
    weights.resolve("auto", TOY)
    save(published, drawn(seed=1))
    with pytest.raises(InputError, match="remove both"):
        weights.resolve("auto", TOY)


def test_a_fingerprint_reads_no_tensors(tmp_path: Path) -> None:
    """300 MiB, sparse, and no checkpoint at all: whoever looks inside ends with an error."""
    with (tmp_path / "a.pdparams").open("wb") as stream:
        stream.truncate(300 << 20)
    known = weights.fingerprint(str(tmp_path / "a.pdparams"), TOY)
    assert known is not None
    assert known.kind == "file"
    with pytest.raises(InputError):
        weights.resolve(str(tmp_path / "a.pdparams"), TOY)
