"""A layer is in the block that its names say, or what stands around it, or in none; no time is lost on the way."""

from __future__ import annotations

from convert.artifact import Artifact
from runtimes.base import Effective
from runtimes.profiled.layers import LayerTime
from runtimes.profiled.profile import LayerProfile
from validate.profile import blocks
from validate.profile.blocks import NOT_ATTRIBUTED, ModelBlocks, attribute
from validate.profile.rows import CellTimes, rows

MODEL = ModelBlocks(
    order=("embedding", "blocks.0", "blocks.1", "head"),
    nodes={"Conv.0": "embedding", "MatMul.7": "blocks.0", "Add.7": "blocks.0", "MatMul.72": "blocks.1"},
    tensors={"Add.7": "blocks.1", "logits": "head"},
    norms=("blocks.0", "blocks.0", "blocks.1", "blocks.1", "head"),
    macs={"embedding": 1_000_000, "blocks.0": 2_000_000, "blocks.1": 2_000_000, "head": 10},
    program_macs=None,
)


def layer(
    name: str, ms: float = 1.0, nodes: tuple[str, ...] = (), tensors: tuple[str, ...] = (), feeds: tuple[str, ...] = ()
) -> LayerTime:
    return LayerTime(name, "MatMul", ms, "fp32", nodes, tensors, feeds)


def of(*layers: LayerTime) -> list[str]:
    return attribute(layers, MODEL)


def table(*layers: LayerTime, peak: float | None = None) -> CellTimes:
    wall = sum(one.ms for one in layers) + 0.25
    return rows(LayerProfile(layers, wall, 1.0, 1, 1, Effective("fp32", "CPU", {})), MODEL, MODEL.macs, 2, peak)


def test_by_name() -> None:
    assert of(layer("a", nodes=("MatMul.7/MatMulAddFusion",)), layer("b", nodes=("MatMul.72",))) == [
        "blocks.0",
        "blocks.1",
    ]


def test_a_name_that_begins_alike_is_another() -> None:
    for name in ("MatMul.721", "MatMul", "MatMul.7_0", "MatMul.7Fusion"):
        assert of(layer("a", nodes=(name,))) == [NOT_ATTRIBUTED], name


def test_nodes_and_tensors_of_one_name_are_two_things() -> None:
    assert of(layer("a", nodes=("Add.7",)), layer("b", tensors=("Add.7",))) == ["blocks.0", "blocks.1"]


def test_by_who_reads_it() -> None:
    """OpenVINO's own part of a LayerNorm stands behind the last block and belongs to the next."""
    found = of(
        layer("x", nodes=("MatMul.7",), feeds=("MVN_1",)),
        layer("MVN_1", feeds=("scale",)),
        layer("scale", feeds=("y",)),
        layer("y", nodes=("MatMul.72",)),
    )
    assert found == ["blocks.0", "blocks.1", "blocks.1", "blocks.1"]


def test_by_who_reads_it_though_that_took_no_time() -> None:
    """OpenVINO does not list a layer of less than a microsecond."""
    found = of(layer("x", nodes=("MatMul.7",)), layer("MVN_1", feeds=("MatMul.72",)), layer("y", nodes=("Conv.0",)))
    assert found == ["blocks.0", "blocks.1", "embedding"]


def test_between_two_of_a_block() -> None:
    found = of(
        layer("first"),
        layer("a", nodes=("MatMul.7",)),
        layer("BiasGelu"),
        layer("b", nodes=("Add.7",)),
        layer("stray"),
        layer("c", nodes=("MatMul.72",)),
    )
    assert found == [NOT_ATTRIBUTED, "blocks.0", "blocks.0", "blocks.0", NOT_ATTRIBUTED, "blocks.1"]


def test_without_names_a_block_begins_with_its_norm() -> None:
    words = [
        "conv2d",
        "add",
        "layer_norm",
        "fc",
        "softmax",
        "add",
        "layer_norm",
        "fc",
        "add",
        "layer_norm",
        "fc",
        "layer_norm",
        "fc",
        "layer_norm",
        "fc",
    ]
    layers = [LayerTime(word, f"onednn_op.{word}", 1.0) for word in words]
    found = attribute(layers, MODEL)
    assert found == ["embedding"] * 2 + ["blocks.0"] * 7 + ["blocks.1"] * 4 + ["head"] * 2
    fused_away = [one for one in layers if one.name != "layer_norm"]
    assert attribute(fused_away, MODEL) == [NOT_ATTRIBUTED] * len(fused_away)


def test_rows_sum_up_whatever_they_are_of() -> None:
    found = table(
        layer("c", 0.5, nodes=("Conv.0",)),
        layer("a", 2.0, nodes=("MatMul.7",)),
        layer("both", 3.0, nodes=("Add.7", "MatMul.72")),
        layer("stray", 0.125),
        layer("b", 1.0, nodes=("MatMul.72",)),
    )
    ms = {row.block: row.ms for row in found.blocks}
    assert ms == {"embedding": 0.5, "blocks.0": 2.0, "blocks.1": 1.0, "blocks.0 + blocks.1": 3.0, NOT_ATTRIBUTED: 0.125}
    assert list(ms)[-1] == NOT_ATTRIBUTED
    for group in (found.blocks, found.operators):
        assert sum(row.ms for row in group) == found.total.ms == 6.625
        assert sum(row.share for row in group) == 1.0
        assert sum(row.layers for row in group) == 5
    assert found.outside_ms == 0.25


def test_a_rate_is_of_all_that_a_block_took() -> None:
    """Two images; what two blocks took together says of neither how fast it was."""
    found = {row.block: row for row in table(layer("c", 0.5, nodes=("Conv.0",)), peak=16.0).blocks}
    assert (found["embedding"].macs, found["embedding"].gmac_per_s) == (2_000_000, 4.0)
    assert found["embedding"].ceiling_share == 0.5  # an addition for each multiplication
    both = table(layer("a", nodes=("MatMul.7",)), layer("both", nodes=("Add.7", "MatMul.72")))
    assert [row.gmac_per_s for row in both.blocks] == [None, None]


def test_the_blocks_of_a_model(toy_artifact: Artifact) -> None:
    """Every node is in one, and so is every multiplication that the manifest counts."""
    found = blocks.read(toy_artifact)
    assert found.order == ("embedding", "blocks.0", "blocks.1", "head")
    assert set(found.nodes.values()) == set(found.order)
    assert found.macs
    assert sum(found.macs.values()) == toy_artifact.manifest.macs.computed
    assert found.program_macs
    assert sum(found.program_macs.values()) == toy_artifact.manifest.macs.total
    assert found.macs["blocks.1"] < found.program_macs["blocks.1"]  # for the class token alone
    assert found.norms == ("blocks.0", "blocks.0", "blocks.1", "blocks.1", "head")
