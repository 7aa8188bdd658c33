"""The search: blocks first, then the operators of the first bad one, each judged by what it made of its own inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from convert.artifact import Artifact
from convert.common.disk import scratch
from convert.common.disk.files import writing
from convert.common.errors import InputError
from convert.images.inputs import Inputs
from convert.precision.table import FP32
from runtimes.base import Options, Runtime
from runtimes.records.parts import Effective
from validate.bisect import alignment, graph_differences, locations, onnx_graph, paddle_program
from validate.bisect.alignment import Alignment
from validate.bisect.fault import Evidence, Fault
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

    blocks: list[JudgedTensor]
    operators: list[JudgedTensor] = field(default_factory=list)
    opened: str | None = None
    fault: Fault | None = None
    effective: Effective | None = None
    sessions: int = 0


def bisect(
    artifact: Artifact, runtime: Runtime, options: Options, inputs: Inputs, onnx: Path | None, say: Say
) -> BisectionResult:
    """Hold an ONNX model's tensors on a runtime against the artifact's Paddle program, until one leaves its bound.

    onnx: the model's file, the artifact's own when None. inputs: go through as one batch. CheckFailed when Paddle or
    the runtime does not run it, InputError when the ONNX model is not one of that program.
    """
    with scratch.folder() as folder, writing(folder):
        folders = [folder / part for part in ("onnx", "paddle")]
        for folder in folders:
            folder.mkdir()
        model = onnx_graph.read(onnx or artifact.onnx, folders[0])
        base = artifact.base  # a lower precision is held against the same program
        sides = alignment.align(model, paddle_program.read(base.paddle_program))
        paddle = PaddleActivations(base, folders[1], options.thread_count())
        return Bisection(sides, paddle, OnnxActivations(model, artifact, runtime, options, inputs.images)).run(say)


@dataclass
class Bisection:
    """All that a search needs. Its files lie in the folders of both sides, which must outlive it."""

    alignment: Alignment
    paddle: PaddleActivations
    onnx: OnnxActivations

    def run(self, say: Say) -> BisectionResult:
        """Find the first operator that leaves its bound. CheckFailed when Paddle or the runtime does not run."""
        artifact = self.onnx.artifact
        say(f"{artifact.model}: blocks on {self.onnx.runtime.name}")
        found = BisectionResult(self.all_blocks())
        bad = next((row for row in found.blocks if row.judgement.bad), None)
        # On paper is where an operator may differ by too little to show at the end of its block.
        suspects = {self.location(tensor).block for tensor in self.differences}
        for block in self.blocks:
            if block in suspects or (bad and block == bad.name):
                say(f"{artifact.model}: operators of {block}")
                found.opened, (found.operators, found.fault) = block, self._open(block)
            if found.fault or (bad and block == bad.name):
                break
        # What differs on paper alone is no more than that, unless nothing is out of bounds.
        if not found.fault and bad:
            evidence = Evidence(self.alignment, self.onnx, bad.tensor, [], bad.judgement)
            found.fault = evidence.whole(self.location(bad.tensor))
        elif not found.fault and self.differences and artifact.precision == FP32:
            tensor, paper = next(iter(self.differences.items()))
            found.fault = Evidence(self.alignment, self.onnx, tensor, paper).fault(self.location(tensor))
        found.effective, found.sessions = self.onnx.effective, self.onnx.sessions
        return found

    @cached_property
    def locations(self) -> dict[int, Location]:
        """The index of an operator of Paddle's program -> where it stands."""
        return locations.locate(self.alignment.program, self.onnx.artifact.spec)

    @cached_property
    def differences(self) -> dict[str, list[str]]:
        """What is not Paddle's on paper, see `graph_differences.find`."""
        return graph_differences.find(self.alignment, self.paddle.artifact)

    @cached_property
    def blocks(self) -> list[str]:
        return list(dict.fromkeys(location.block for location in self.locations.values()))

    def location(self, tensor: str) -> Location:
        """Where the operator stands that a tensor comes from; for one that Paddle has not, what follows it counts."""
        program, values = self.alignment.program, self.alignment.values
        maker = program.maker.get(values[tensor])
        here = self.locations[maker.index] if maker else None
        if here and tensor in self.alignment.own:
            return here
        followers = [name for node in self.alignment.graph.nodes if tensor in node.inputs for name in node.outputs]
        for name in followers:
            if name in values:
                block = self.location(name).block
                return here if here and here.block == block else Location(block, block)
        return here or Location(self.blocks[0], self.blocks[0])

    @cached_property
    def ends(self) -> dict[str, list[str]]:
        """Block -> the tensors that leave it."""
        program = self.alignment.program
        found: dict[str, list[str]] = {block: [] for block in self.blocks}
        for tensor, operator in self.alignment.own.items():
            value, block = self.alignment.values[tensor], self.locations[operator.index].block
            users = [self.locations[one.index] for one in program.users.get(value, ()) if one.index in self.locations]
            if any(user.block != block for user in users) or value == program.output:
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

    def all_blocks(self) -> list[JudgedTensor]:
        """Each block by the worst of the tensors that leave it."""
        tensors = [name for names in self.ends.values() for name in names]
        with self.onnx.capture(tensors) as captured:
            judged, _ = self._judge(tensors, captured, whole=True)
        rows = []
        for block, names in self.ends.items():
            if names:
                worst = max(names, key=lambda name: -1.0 if (e := judged[name].excess) is None else e)
                rows.append(JudgedTensor(block, worst, judged[worst]))
        return rows

    def _open(self, block: str) -> tuple[list[JudgedTensor], Fault | None]:
        """The operators of a block, and the first of them that is out of bounds."""
        sides, graph = self.alignment, self.alignment.graph
        tensors = [
            name
            for node in graph.nodes
            for name in node.outputs
            if (name in sides.own or (name in sides.passing and node.kind != "Cast"))
            and self.location(name).block == block
        ]
        inputs = [name for tensor in tensors for name in (*sides.sources(tensor), *sides.inputs(tensor))]
        wanted = dict.fromkeys(name for name in [*inputs, *tensors] if name != graph.input)
        with self.onnx.capture(list(wanted)) as captured:
            judged, truth = self._judge(tensors, captured, whole=False)
            names = [f"{self.location(one).layer} {sides.name(one)}" for one in tensors]
            rows = [JudgedTensor(name, one, judged[one]) for name, one in zip(names, tensors, strict=True)]
            for row in rows:
                if row.judgement.bad:
                    everything = {**captured, graph.input: self._images}
                    tensor, paper = row.tensor, self.differences.get(row.tensor, [])
                    evidence = Evidence(sides, self.onnx, tensor, paper, row.judgement, truth[tensor], everything)
                    return rows, evidence.fault(self.location(tensor))
            return rows, None

    def _judge(
        self, tensors: Collection[str], captured: Mapping[str, Path], whole: bool
    ) -> tuple[dict[str, Judgement], dict[str, np.ndarray]]:
        """Each tensor against what Paddle makes of the other captured ones, and that truth. whole: they end blocks."""
        sides = self.alignment
        for name, file in captured.items():
            sides.learn(name, np.load(file, mmap_mode="r").shape)
        given = {sides.values[name]: self._whole(name, file) for name, file in captured.items() if name in sides.own}
        given[sides.program.input] = self._images
        truth, paddle = self.paddle.compute(given, [sides.values[name] for name in tensors if name in sides.own])
        judged: dict[str, Judgement] = {}
        truths: dict[str, np.ndarray] = {}
        for name in tensors:
            operator = sides.own.get(name)
            if operator:
                reference, noisy = (sides.part(name, side[sides.values[name]]) for side in (truth, paddle))
            else:  # it hands on what it gets
                source = sides.before(name, captured)
                reference = np.load(captured.get(source, self._images), mmap_mode="r")
                noisy = reference = reference if source in sides.parts else sides.part(name, reference)
            kind = None if whole else operator.kind if operator else ""
            before = [judged[one] for one in sides.sources(name) if one in judged]
            found, precision = np.load(captured[name], mmap_mode="r"), self.onnx.options.precision
            try:
                judged[name] = judge(found, reference, noisy, precision, kind, before)
            except ValueError as error:
                what = f"{name} on {self.onnx.runtime.name}"
                raise InputError(f"{what} cannot be held against Paddle's: {error}") from None
            truths[name] = reference
        return judged, truths

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
