"""A model behind a server: what is asked, what is believed, and what is refused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes import registry
from runtimes.base import Effective, Options, Session, UnavailableError, discrepancy
from runtimes.records.parts import NOT_REPORTED
from runtimes.served.address import AUTHORIZATION
from tests.runtimes.served.fake_server import Answer, FakeServer, serving

SERVED = registry.get("served")


@pytest.fixture
def server(toy_artifact: Artifact) -> Iterator[FakeServer]:
    with serving(FakeServer(toy_artifact)) as found:
        yield found


def session(server: FakeServer, *batches: int, **options: Any) -> Session:
    extra = {"url": server.url, **options.pop("extra", {})}
    return SERVED.open(server.artifact, Options(batches=batches, extra=extra, **options))


def test_logits_come_over_one_connection_and_nothing_is_claimed(
    server: FakeServer, images: np.ndarray, expected: np.ndarray
) -> None:
    with session(server, 1, 5) as opened:
        first = opened.run(images)
        np.testing.assert_allclose(first, expected, atol=2e-5 * np.abs(expected).max())
        kept = first.copy()
        assert opened.run(images[:2] + 1).shape == (2, 7)
        np.testing.assert_array_equal(first, kept)
        effective = opened.effective()
    assert (effective.precision, effective.device) == (NOT_REPORTED, NOT_REPORTED)
    details = effective.details
    told = {"server": "fake", "server_version": "1.2", "model_version": "1", "url": server.url, "threads": 1}
    assert {name: details[name] for name in told} == told
    assert discrepancy("served", effective, Options()) is None
    assert len(server.clients) == 2, "one to see whether it is ready, and one that is kept"


@pytest.mark.parametrize(
    ("ran", "asked", "reason"),
    [
        (NOT_REPORTED, "fp32", None),
        (NOT_REPORTED, "int8", "x does not report its precision, and nothing else shows that it computed in int8"),
        ("bf16", "fp32", "x computed in bf16 instead of fp32"),
    ],
)
def test_parity_shows_fp32_and_no_other_precision(ran: str, asked: str, reason: str | None) -> None:
    assert discrepancy("x", Effective(ran, NOT_REPORTED), Options(asked, "GPU")) == reason


def tensor(server: FakeServer, what: str, **changed: Any) -> None:
    server.metadata[what][0].update(changed)


def grouped(server: FakeServer, kind: str) -> None:
    assert server.config
    server.config["instance_group"] = [{"kind": kind, "count": 2}]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: tensor(s, "inputs", shape=[-1, 3, 64, 64]), r"takes FP32 x \[-1, 3, 64, 64\], and the artifact's"),
        (lambda s: tensor(s, "inputs", name="pixels"), r"takes FP32 pixels .* it is another model"),
        (lambda s: tensor(s, "inputs", datatype="FP16"), "takes FP16 x"),
        (lambda s: tensor(s, "outputs", shape=[-1, 10]), r"gives FP32 logits \[-1, 10\], and the artifact's gives"),
        (lambda s: tensor(s, "outputs", name="softmax"), "gives FP32 softmax"),
        (lambda s: s.metadata["inputs"].append(dict(s.metadata["inputs"][0], name="y")), "has 2 inputs: x, y"),
        (lambda s: tensor(s, "inputs", shape=[2, 3, 32, 32]), "takes batches of 2 only"),
        (lambda s: tensor(s, "inputs", shape="wide"), "what is not of the protocol"),
        (lambda s: s.config.update(max_batch_size=2), "takes batches of 2 at most .*, and 4 was asked for"),
        (lambda s: grouped(s, "KIND_GPU"), "instances of KIND_GPU, and CPU was asked for: give --device GPU"),
        (lambda s: setattr(s, "ready", False), "does not say that it is ready"),
        (lambda s: setattr(s, "artifact", replace(s.artifact, manifest=replace(s.artifact.manifest, model="b"))), None),
    ],
)
def test_another_model_is_refused(
    server: FakeServer, toy_artifact: Artifact, change: Callable[[FakeServer], object], reason: str | None
) -> None:
    change(server)
    with pytest.raises(UnavailableError, match=reason or "no model toy that is ready: --option served.model=… names"):
        SERVED.open(toy_artifact, Options(batches=(1, 4), extra={"url": server.url}))


def test_a_server_that_tells_little_is_checked_by_its_answers(server: FakeServer, images: np.ndarray) -> None:
    server.metadata, server.config, server.counts = {"name": "toy"}, None, False
    server.change = lambda answer: answer.told.update(model_version=None)  # as KServe's SDK has it
    with session(server, 1, 64) as opened:
        assert opened.run(images).shape == (5, 7)
        assert opened.counts() is None
        details = opened.effective().details
    assert (details["tensors_told"], details["max_batch_size"], details["threads"]) == ([], None, None)
    assert details["model_version"] == ""


def lying(shape: list[int]) -> Callable[[Answer], None]:
    return lambda answer: answer.told["outputs"][0].update(shape=shape)


def plain(status: int, **said: str) -> Callable[[Answer], None]:
    def change(answer: Answer) -> None:
        answer.status, answer.told, answer.tensor, answer.binary = status, said, b"", False

    return change


def ended(answer: Answer) -> None:
    raise ConnectionError


def elsewhere(answer: Answer) -> None:
    plain(302)(answer)
    answer.headers["Location"] = "http://127.0.0.1:9/v2"


def wider(answer: Answer) -> None:
    logits = np.zeros((1, 8), np.float32)
    answer.told["outputs"][0].update(shape=[1, 8], parameters={"binary_data_size": logits.nbytes})
    answer.tensor = logits.tobytes()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (plain(422, detail="no"), r"refuses binary tensors \(422\): it speaks JSON only, as MLServer does over HTTP"),
        (plain(400, error="unexpected shape\n\x1b[31m"), r"of toy at batch 1 \(400\): unexpected shape\\n"),
        (plain(401), f"wants a login .401.: {AUTHORIZATION} in the environment"),
        (plain(200, outputs="[]"), "answers in JSON although binary tensors were asked for"),
        (elsewhere, r"sends elsewhere \(302\): only the address that was given is asked"),
        (ended, "gives no answer"),
        (lying([2, 7]), r"FP32 logits \[2, 7\] for a batch of 1"),
        (lying([1, 14]), "28 bytes of tensor, and 28 were told"),
        (lambda answer: setattr(answer, "tensor", answer.tensor[:-4]), "24 bytes of tensor, and 28 were told"),
        (lambda answer: setattr(answer, "told", [1]), "answers otherwise than the protocol says"),
        (wider, "answers 8 classes, and the artifact has 7: it is another model"),
    ],
)
def test_an_answer_that_is_none_is_refused(
    server: FakeServer, images: np.ndarray, change: Callable[[Answer], None], reason: str
) -> None:
    with session(server) as opened:
        opened.run(images)
        server.change = change
        with pytest.raises(UnavailableError, match=reason):
            opened.run(images[:1])


@pytest.mark.parametrize(
    ("extensions", "said", "reason"),
    [
        ([], {}, r"refuses binary tensors \(500\): it speaks JSON only"),
        ([], {"error": "KeyError : 'image'"}, r"of toy at batch 1 \(500\): KeyError : 'image'"),  # a model of KServe
        (["binary_tensor_data"], {"error": "x"}, r"of toy at batch 1 \(500\): x"),
    ],
)
def test_a_fault_without_words_of_a_server_that_names_no_binary_tensors_is_what_mlserver_does(
    server: FakeServer, images: np.ndarray, extensions: list[str], said: dict[str, str], reason: str
) -> None:
    server.extensions, server.change = extensions, plain(500, **said)
    with session(server) as opened, pytest.raises(UnavailableError, match=reason):
        opened.run(images[:1])


def test_a_server_that_is_too_slow_is_not_waited_for(server: FakeServer, images: np.ndarray) -> None:
    server.change = lambda _: time.sleep(1.5)
    with (
        session(server, extra={"timeout_s": "1"}) as opened,
        pytest.raises(UnavailableError, match=r"did not answer within 1 s \(--option served\.timeout_s=…\)"),
    ):
        opened.run(images)


def test_nobody_but_the_given_address_is_asked(
    server: FakeServer, images: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv(AUTHORIZATION, "Bearer secret")
    with session(server, extra={"model": "toy"}) as opened:
        opened.run(images)
        assert "secret" not in str(opened.effective())
    assert all(headers["Authorization"] == "Bearer secret" for headers in server.headers)


def test_a_connection_that_the_server_ended_while_idle_is_made_again(server: FakeServer, images: np.ndarray) -> None:
    with session(server) as opened:
        server.keep_alive = False
        for _ in range(3):
            opened.run(images)
            time.sleep(0.1)


def test_requests_of_others_are_told_from_ours(server: FakeServer, images: np.ndarray) -> None:
    with session(server) as opened, session(server) as other:
        opened.run(images)
        twin = opened.twin()
        assert twin
        with twin:
            before = opened.counts()
            for one in (opened, twin, twin):
                one.run(images)
            between = opened.counts()
            for _ in range(4):
                other.run(images)
            after = opened.counts()
    assert before
    assert between
    assert after
    times = between.times_since(before)
    assert times
    assert (times.requests, times.compute_ms, between.foreign_since(before)) == (3, 2.0, 0)
    assert after.foreign_since(before) == 4
    assert before.times_since(after) is None, "the server began anew"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("127.0.0.1:8000", "http://HOST:PORT is needed"),
        ("ftp://127.0.0.1", "http://HOST:PORT is needed"),
        ("http://[::1", "http://HOST:PORT is needed"),
        ("http://127.0.0.1:99999", "http://HOST:PORT is needed"),
        ("http://user:secret@127.0.0.1:8000", f"leave user and password out; {AUTHORIZATION} in the environment"),
        ("http://127.0.0.1:9", r"the server at http://127\.0\.0\.1:9 gives no answer \(Connection refused\)"),
    ],
)
def test_an_address_that_is_none_is_unavailable(url: str, reason: str) -> None:
    said = SERVED.unavailable(Options(extra={"url": url}))
    assert said
    assert "secret" not in said
    with pytest.raises(UnavailableError, match=reason):
        raise UnavailableError(said)


def test_without_an_address_the_doctor_says_what_to_give() -> None:
    state = registry.examine(["served"])["served"]
    assert state["reason"] == "give --option served.url=http://HOST:PORT, the address of a server"
    assert state["options"]["url"].startswith("a word without blanks (default none): http://HOST:PORT of the server")


def test_a_server_that_is_there_makes_the_runtime_available(server: FakeServer) -> None:
    (found,) = registry.available(["served"], settings={"served": {"url": server.url}})
    assert found == SERVED
    server.ready = False
    with pytest.raises(InputError, match=r"runtime served is not available: the server at .* does not say that"):
        registry.available(["served"], settings={"served": {"url": server.url}})
