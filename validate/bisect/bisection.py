"""The search: blocks first, then the operators of the first bad one, each judged by what it made of its own inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from convert.artifact import Artifact
from convert.common.errors import InputError
from runtimes.records.parts import Effective
from validate.bisect import graph_differences, paddle_activations
from validate.bisect.alignment import Alignment
from validate.bisect.fault import Fault, describe
from validate.bisect.graph_differences import GraphDifference
from validate.bisect.judgement import Judgement, judge
from validate.bisect.locations import Location
from validate.bisect.onnx_activations import OnnxActivations
from validate.bisect.paddle_activations import PaddleActivations

Say = Callable[[str], None]


@dataclass(frozen=True)
class JudgedTensor:
    """One line of a table: a block, or an operator of one."""

    name: str
    tensor: str
    judgement: Judgement


@dataclass
class BisectionResult:
    """What the search saw. operators: of the block that was opened last."""

    blocks: list[JudgedTensor] = field(default_factory=list)
    operators: list[JudgedTensor] = field(default_factory=list)
    opened: str | None = None
    fault: Fault | None = None
    effective: Effective | None = None
    sessions: int = 0


@dataclass
class Bisection:
    """All that a search needs. Its files lie in the folder of `paddle`, which must outlive it."""

    artifact: Artifact
    alignment: Alignment
    locations: Mapping[int, Location]
    paddle: PaddleActivations
    onnx: OnnxActivations

    def run(self, say: Say) -> BisectionResult:
        """Find the first operator that leaves its bound. CheckFailed when Paddle or the runtime does not run."""
        say(f"{self.artifact.model}: blocks on {self.onnx.runtime.name}")
        found = BisectionResult()
        found.blocks = self._all_blocks() if self.onnx.runtime.intermediate else self._bisected(say)
        bad = [row.name for row in found.blocks if row.judgement.bad][:1]
        # On paper is where an operator may differ by too little to show at the end of its block.
        suspects = [self.location(difference.tensor).block for difference in self.differences]
        order = [row for row in self.blocks if row in (*bad, *suspects)]
        for block in order[: order.index(bad[0]) + 1] if bad else order:
            say(f"{self.artifact.model}: operators of {block}")
            found.opened, (found.operators, found.fault) = block, self._open(block)
            if found.fault:
                break
        # What differs on paper alone is no more than that, unless nothing is out of bounds.
        if not found.fault and bad:
            found.fault = self._describe(next(row for row in found.blocks if row.name == bad[0]), whole=True)
        elif not found.fault and self.differences and self.artifact.precision == "fp32":
            tensor = self.differences[0].tensor
            found.fault = self._describe(JudgedTensor("", tensor, Judgement({}, {}, 0, None, 0.0)))
        found.effective, found.sessions = self.onnx.effective, self.onnx.sessions
        return found

    @cached_property
    def differences(self) -> list[GraphDifference]:
        return graph_differences.find(self.alignment, self.artifact)

    @cached_property
    def blocks(self) -> list[str]:
        """The blocks, in order."""
        return list(dict.fromkeys(location.block for location in self.locations.values()))

    def location(self, tensor: str) -> Location:
        """Where the operator stands that a tensor comes from; for one that Paddle has not, what follows it counts."""
        program, graph, value = self.alignment.program, self.alignment.graph, self.alignment.values[tensor]
        if self.alignment.is_own(tensor):
            return self.locations[program.maker[value].index]
        followers = [name for node in graph.nodes if tensor in node.inputs for name in node.outputs]
        for name in followers:
            if name in self.alignment.values and self.alignment.values[name] != value:
                following = self.location(name)
                maker = program.maker.get(value)
                here = self.locations[maker.index] if maker else None
                return here if here and here.block == following.block else Location(following.block, following.block)
        for name in followers:
            if name in self.alignment.values:
                return self.location(name)
        return self.locations[program.maker[value].index]

    @cached_property
    def ends(self) -> dict[str, list[str]]:
        """Block -> the tensors that leave it."""
        program = self.alignment.program
        found: dict[str, list[str]] = {block: [] for block in self.blocks}
        for tensor in self.alignment.own():
            value, block = self.alignment.values[tensor], self.location(tensor).block
            users = {
                self.locations[one.index].block for one in program.users.get(value, ()) if one.index in self.locations
            }
            if users - {block} or value == program.output:
                found[block].append(tensor)
        if self.alignment.graph.output not in found[self.blocks[-1]]:  # nothing comes after it that would show it
            found[self.blocks[-1]].append(self.alignment.graph.output)
        known = sum(bool(tensors) for tensors in found.values())
        if 2 * known <= len(found):
            raise InputError(
                f"the ONNX model and the Paddle program do not belong together: of {len(found)} blocks, the outputs of"
                f" {known} are found in both"
            )
        return found

    def judge(
        self, tensors: Sequence[str], captured: Mapping[str, Path], whole: bool
    ) -> tuple[dict[str, Judgement], dict[str, np.ndarray]]:
        """Each tensor against what Paddle makes of the other captured ones, and that truth. whole: they end blocks."""
        values, own = self.alignment.values, [name for name in tensors if self.alignment.is_own(name)]
        given = {
            values[name]: self._whole(name, file) for name, file in captured.items() if self.alignment.is_own(name)
        }
        given[self.alignment.program.input] = self._images
        wanted = [values[name] for name in own]
        truth, paddle = self._compute(given, wanted)
        judged: dict[str, Judgement] = {}
        truths: dict[str, np.ndarray] = {}
        for name in tensors:
            if name in own:
                reference, noisy = (self.alignment.part(name, side[values[name]]) for side in (truth, paddle))
            else:  # it hands on what it gets
                source = self.alignment.before(name, captured)
                reference = np.load(captured.get(source, self._images), mmap_mode="r")
                noisy = reference = (
                    reference if source in self.alignment.parts else self.alignment.part(name, reference)
                )
            truths[name] = reference
            found = np.load(captured[name], mmap_mode="r")
            before = [judged[one] for one in self.alignment.sources(name) if one in judged]
            judged[name] = self._judged(name, found, reference, noisy, whole, before)
        return judged, truths

    def _judged(
        self,
        name: str,
        found: np.ndarray,
        truth: np.ndarray,
        paddle: np.ndarray,
        whole: bool = True,
        before: Sequence[Judgement] = (),
    ) -> Judgement:
        maker = self.alignment.program.maker.get(self.alignment.values[name])
        kind = maker.kind if maker and self.alignment.is_own(name) else ""
        try:
            return judge(found, truth, paddle, self.onnx.options.precision, None if whole else kind, before)
        except ValueError as error:
            raise InputError(f"{name} on {self.onnx.runtime.name} cannot be held against Paddle's: {error}") from None

    def _compute(
        self, given: Mapping[int, Path], wanted: Sequence[int]
    ) -> tuple[Mapping[int, np.ndarray], Mapping[int, np.ndarray]]:
        threads = self.onnx.options.thread_count()
        return paddle_activations.compute(self.paddle, given, wanted, threads) if wanted else ({}, {})

    def _whole(self, name: str, file: Path) -> Path:
        """The file of what Paddle is given for a captured tensor: itself, but for those that are a part of a value."""
        if name not in self.alignment.parts:
            return file
        whole = file.with_suffix(".whole.npy")
        np.save(whole, self.alignment.whole(name, np.load(file)))
        return whole

    @cached_property
    def _images(self) -> Path:
        file = self.paddle.folder / "images.npy"
        np.save(file, self.onnx.images)
        return file

    def _all_blocks(self) -> list[JudgedTensor]:
        tensors = [name for block in self.blocks for name in self.ends[block]]
        with self.onnx.capture(tensors) as captured:
            judged, _ = self.judge(tensors, captured, whole=True)
        return [_worst(block, {name: judged[name] for name in ends}) for block, ends in self.ends.items() if ends]

    def _bisected(self, say: Say) -> list[JudgedTensor]:
        """One session per probe: halve the blocks by the error at their end, counted from the input on.

        When not even the last one is out of bounds, each block is probed and judged by its own input.
        """
        blocks = [block for block in self.blocks if self.ends[block]]
        tensors = {block: self.ends[block][-1] for block in blocks}
        wanted = [self.alignment.values[name] for name in tensors.values()]
        given = {self.alignment.program.input: self._images}
        truth, paddle = self._compute(given, wanted)
        rows: dict[str, JudgedTensor] = {}

        def bad(block: str) -> bool:
            name = tensors[block]
            say(f"{self.artifact.model}: probe at the end of {block}")
            with self.onnx.capture([name]) as captured:
                value = self.alignment.values[name]
                reference, noisy = (self.alignment.part(name, side[value]) for side in (truth, paddle))
                judgement = self._judged(name, np.load(captured[name]), reference, noisy)
            rows[block] = JudgedTensor(block, name, judgement)
            return judgement.bad

        if not bad(blocks[-1]):
            return self._all_blocks()
        low, high = 0, len(blocks) - 1
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if bad(blocks[middle]) else (middle + 1, high)
        return [rows[block] for block in blocks if block in rows]

    def _open(self, block: str) -> tuple[list[JudgedTensor], Fault | None]:
        graph, values = self.alignment.graph, self.alignment.values
        tensors = []
        for node in graph.nodes:
            for name in node.outputs:
                passing = name in values and node.kind != "Cast" and self.alignment.passes(node) is not None
                if (self.alignment.is_own(name) or passing) and self.location(name).block == block:
                    tensors.append(name)
        inputs = (
            name
            for tensor in tensors
            for name in (*self.alignment.sources(tensor), *self.alignment.inputs(tensor))
            if name != graph.input
        )
        with self.onnx.capture(list(dict.fromkeys([*inputs, *tensors]))) as captured:
            judged, truth = self.judge(tensors, captured, whole=False)
            names = [f"{self.location(one).layer} {self.alignment.name(one)}" for one in tensors]
            rows = [JudgedTensor(name, one, judged[one]) for name, one in zip(names, tensors, strict=True)]
            first = next((row for row in rows if row.judgement.bad), None)
            if first is None:
                return rows, None
            everything = {**captured, graph.input: self._images}
            return rows, self._describe(first, truth[first.tensor], everything)

    def _describe(
        self,
        row: JudgedTensor,
        truth: np.ndarray | None = None,
        captured: Mapping[str, Path] | None = None,
        whole: bool = False,
    ) -> Fault:
        paper = [one.text for one in self.differences if one.tensor == row.tensor]
        judgement = row.judgement if row.judgement.bad else None
        location = self.location(row.tensor)
        return describe(self.alignment, self.onnx, location, row.tensor, judgement, truth, captured or {}, paper, whole)


def _worst(block: str, judged: Mapping[str, Judgement]) -> JudgedTensor:
    name = max(judged, key=lambda one: -1.0 if (excess := judged[one].excess) is None else excess)
    return JudgedTensor(block, name, judged[name])
