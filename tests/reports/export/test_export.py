from __future__ import annotations

import gzip
import json
import platform
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import given
from hypothesis import strategies as st

from convert.common.errors import InputError
from reports.export import __main__ as export
from reports.export.anonymous import Cleaner
from reports.load import reading, results
from tests.reports import runs

SECRETS = ("alice", "asmith", "buildbox7", "corp.example", "secret", "holiday", "mallory", "192.168.7.12")
PATHS = ("/home/alice/secret/net.pdparams", "/data/secret/val", "C:\\Users\\mallory\\secret\\x.onnx", "~asmith/secret")


def planted() -> list[dict[str, Any]]:
    """Records with names and paths wherever a text may stand."""
    weights = {
        "kind": "file",
        "source": "/home/alice/secret/net.pdparams",
        "sha256": "1" * 64,
        "note": "of alice@corp.example",
    }
    about: dict[str, Any] = {
        "model_info": {
            "weights": weights,
            "macs": {"total": 1},
            "notes": ["read from 'secret folder/of alice/x.toml'"],
        },
        "settings": {"cache": "/data/secret/cache", "/home/alice": "C:\\Users\\mallory\\secret\\x.onnx"},
        "command": "python -m runtimes.bench --model /home/alice/secret.toml --artifacts '/data/secret a/b' --batch 4 "
        "--option cache=/data/secret --inputs secret-photos --threads 2",
        "unknown_field": "secret",
    }
    failed = {
        "status": "failed",
        "reason": "BuildBox7 (192.168.7.12): file:///data/secret/net.onnx: no such file; 43.3 images/s; ../secret/log",
        "passed": False,
        "failure_folder": "failures/secret",
    }
    accuracy = {
        "dataset": "secret/val_list.txt",
        "dataset_sha256": "2" * 64,
        "unreadable_images": ["holiday.jpg"],
        "ranked": "accuracy/secret.top5",
    }
    timed = runs.latency([[100.0, 101.0], [100.5, 99.0]], **about)
    timed["effective"]["details"] = {
        "nested": {"/home/alice": ["/usr/lib/secret.so"]},
        "hostname": "buildbox7",
        "version": "10.3.0.26",
    }
    return [
        timed,
        runs.common("parity", **{**about, **failed}, inputs={"source": "8 of ~asmith/secret", "sha256": "3" * 64}),
        runs.common("accuracy", top1=0.5, outcomes="10", **about, **accuracy),
    ]


def environment() -> dict[str, Any]:
    machine = runs.ENVIRONMENT["machine"] | {"hostname": "buildbox7", "cpu": "AMD EPYC on buildbox7"}
    variables = {"LD_LIBRARY_PATH": "/home/alice/lib", "OMP_NUM_THREADS": "2"}
    return runs.ENVIRONMENT | {"machine": machine, "variables": variables, "login": "alice"}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This machine is buildbox7, and asmith works on it."""
    monkeypatch.setattr(platform, "node", lambda: "buildbox7.corp.example")
    monkeypatch.setenv("USER", "asmith")


@pytest.fixture
def secret_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "alice-secret-run"
    folder.mkdir()
    (folder / "results.jsonl").write_text("".join(json.dumps(record) + "\n" for record in planted()), encoding="utf-8")
    (folder / "environment.json").write_text(json.dumps(environment()), encoding="utf-8")
    return folder


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(export.main, [str(argument) for argument in arguments])


@pytest.mark.usefixtures("here")
def test_no_name_and_no_path_leaves(secret_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vitbench.json.gz"
    assert run(secret_folder, "--out", out).exit_code == 0
    text = gzip.decompress(out.read_bytes()).decode()
    for secret in SECRETS:
        assert secret not in text.lower(), text[max(0, text.lower().index(secret) - 80) :][:200]
    document = json.loads(text)
    timed, parity, accuracy = document["runs"][0]["records"]
    assert timed["command"] == (
        "python -m runtimes.bench --model PATH --artifacts PATH --batch 4 --option PATH --inputs PATH --threads 2"
    )
    assert timed["samples_ms"] == [100.0, 101.0, 100.5, 99.0]
    assert timed["effective"]["details"]["version"] == "10.3.0.26"
    assert "43.3 images/s" in parity["reason"]
    assert accuracy["dataset"] == "data set 22222222"
    assert document["runs"][0]["environment"]["packages"] == {"onnxruntime": "1.31.0"}


@pytest.mark.usefixtures("here")
def test_what_was_exported_is_merged_like_a_folder(secret_folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.vitbench.json.gz"
    run(secret_folder, "--out", out)
    alone, folder = results.load(out), results.load(secret_folder)
    assert [(one.kind, getattr(one, "median_ms", None), one.artifact) for one in alone.records] == [
        (one.kind, getattr(one, "median_ms", None), one.artifact) for one in folder.records
    ]
    assert len(results.load([out, secret_folder]).records) == 2 * len(folder.records) - 0 * len(alone.records)
    again = tmp_path / "again.vitbench.json.gz"
    assert run(out, "--out", again).exit_code == 0
    assert json.loads(gzip.decompress(again.read_bytes())) == json.loads(gzip.decompress(out.read_bytes()))


def test_half_a_surrogate_pair_in_a_record_is_exported(secret_folder: Path, tmp_path: Path) -> None:
    """As a path that is no UTF-8 leaves them."""
    file, out = secret_folder / "results.jsonl", tmp_path / "out.json.gz"
    first, *rest = file.read_text(encoding="utf-8").splitlines()
    table = {**json.loads(first), "reason": "it is \udcff"}
    file.write_text("\n".join([json.dumps(table), *rest, ""]), encoding="utf-8")
    result = run(secret_folder, "--out", out)
    assert result.exit_code == 0, result.output
    assert json.loads(gzip.decompress(out.read_bytes()))["runs"][0]["records"][0]["reason"] == "it is \udcff"


def test_the_same_results_give_the_same_bytes(secret_folder: Path, tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("one.json.gz", "two.json.gz")]
    for file in files:
        run(secret_folder, "--out", file)
    assert files[0].read_bytes() == files[1].read_bytes()
    flags, mtime = files[0].read_bytes()[3], files[0].read_bytes()[4:8]
    assert (flags, mtime) == (0, bytes(4))  # neither a file's name nor the time


@given(
    st.sampled_from(PATHS),
    st.sampled_from(["", "(", "at ", "file://", "'", '"', "x=", "cannot open: "]),
    st.text("ab c", max_size=5),
)
def test_a_path_is_replaced_wherever_it_stands(path: str, before: str, after: str) -> None:
    cleaned = Cleaner.of({"reason": path}, ["asmith"]).text(f"{before}{path} {after}")
    assert not [secret for secret in SECRETS if secret in cleaned]


@given(
    st.recursive(
        st.sampled_from(PATHS), lambda inside: st.lists(inside) | st.dictionaries(st.sampled_from(PATHS), inside)
    )
)
def test_and_however_deep(value: Any) -> None:
    text = json.dumps(Cleaner.of(value, ["asmith"]).field("settings", value))
    assert not [secret for secret in SECRETS if secret in text]


def test_what_names_nobody_stays() -> None:
    cleaner = Cleaner.of([], ["asmith", "ort"])
    for text in (
        "other processes took 14 % of the cores",
        "43.3 images/s at 21.5 GB/s",
        "logits differ by up to 0.31; 0.00032 is allowed (8 times Paddle's own FP32 error)",
        "2026-11-24T08:00:00Z",
        "https://paddle-imagenet-models-name.bj.bcebos.com/dygraph/ViT_base_patch16_224_pretrained.pdparams",
    ):
        assert cleaner.text(text) == text
    assert cleaner.text("sorted by Asmith_2") == "sorted by NAME_2"


def write(path: Path, document: Any) -> Path:
    path.write_bytes(gzip.compress(json.dumps(document).encode()))
    return path


def document(*records: Any, **fields: Any) -> dict[str, Any]:
    return {"vitbench_export": 1, "runs": [{"name": "x", "environment": {}, "records": list(records)}], **fields}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "not a table"),
        ({}, "does not say so"),
        (document(vitbench_export=2), "reads up to 1: update it"),
        (document(runs=[]), "holds no run"),
        (document(runs=[7]), "no table"),
        (document(), "name, environment and records are needed"),
        (document(7), "record 1: damaged"),
        (document({"format": 3}), "record 1: a record of format 3; this vitbench reads up to 2: update it"),
        (document({"kind": "latency"}), "fields are missing"),
        (document(runs.common("latency", median_ms="fast")), "median_ms: expected float"),
        (document(runs.common("spell")), "kind 'spell'"),
    ],
)
def test_a_foreign_file_is_one_line(tmp_path: Path, content: Any, words: str) -> None:
    with pytest.raises(InputError, match=words) as error:
        results.load(write(tmp_path / "x.json.gz", content))
    assert str(tmp_path / "x.json.gz") in error.value.message


def test_damage_is_one_line(tmp_path: Path) -> None:
    good = gzip.compress(json.dumps(document(runs.common("parity"))).encode())
    flipped = bytearray(good)
    flipped[len(good) // 2] ^= 0xFF
    deep = gzip.compress(b"[" * 200_000)
    for content in (
        b"",
        b"plain text",
        good[: len(good) // 2],
        bytes(flipped),
        gzip.compress(b"\xff{"),
        deep,
        gzip.compress(b'{"a": NaN}'),
    ):
        (tmp_path / "x.gz").write_bytes(content)
        with pytest.raises(InputError, match=r"x\.gz"):
            results.load(tmp_path / "x.gz")


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.gz").write_bytes(gzip.compress(b" " * 10**6))
    monkeypatch.setattr(reading, "UNPACKED_LIMIT", 10**5)
    with pytest.raises(InputError, match="once unpacked"):
        results.load(tmp_path / "x.gz")
    monkeypatch.setattr(reading, "PACKED_LIMIT", 10)
    with pytest.raises(InputError, match=r"larger than \d+ MiB\)"):
        results.load(tmp_path / "x.gz")


def test_out_is_checked(secret_folder: Path, tmp_path: Path) -> None:
    for arguments in ((secret_folder, "--out", tmp_path), (tmp_path / "none", "--out", tmp_path / "x")):
        result = run(*arguments)
        assert result.exit_code == 2
        assert result.stderr.startswith("error: ")
