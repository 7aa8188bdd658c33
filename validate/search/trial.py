"""One rung: int8 with some operators in FP32 is made, its accuracy measured on each runtime."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from convert.artifact import Artifact
from convert.build import Request, variant
from convert.common.console import say
from convert.common.errors import CheckFailed, InputError
from runtimes import registry
from runtimes.base import Runtime
from runtimes.records import store
from runtimes.records.kinds import Accuracy
from validate.accuracy import run
from validate.accuracy.console import Reporter
from validate.accuracy.evaluation import REFERENCE, REFERENCE_PRECISION, Settings, make
from validate.datasets import LabelledSet
from validate.search.ladder import Rung

_FOLDER = "trial"  # in the results folder


@dataclass(frozen=True)
class Trials:
    """Where and on what the rungs are tried. request: of the int8 artifact, with its calibration."""

    request: Request
    runtimes: Sequence[Runtime]
    dataset: LabelledSet
    settings: Settings
    folder: Path
    report: Reporter

    @property
    def target(self) -> Path:
        """The model being tried."""
        return self.folder / _FOLDER

    def reference(self, base: Artifact) -> Accuracy:
        """Paddle's accuracy in FP32: what the verdicts are held against."""
        (record,) = self._measure(base, [registry.get(REFERENCE)], REFERENCE_PRECISION)
        return record

    def rung(self, kept: tuple[str, ...]) -> Rung:
        """Try it. What was measured before an interruption is taken from the results folder.

        CheckFailed or InputError when a runtime gives no accuracy: then there is no verdict either way.
        """
        artifact, _ = variant(replace(self.request, keep_fp32=kept), self.target, say)
        records = self._measure(artifact, self.runtimes, self.request.precision)
        top1 = {record.runtime: record.top1 or 0.0 for record in records}
        lowered = artifact.manifest.multiplying.lowered if artifact.manifest.multiplying else 0
        return Rung(kept, lowered, artifact.sha256, top1, all(record.passed for record in records))

    def newest(self, rung: Rung) -> None:
        """Make a rung's records the newest of the results folder, which is what reports show of an evaluation."""
        measured = [
            record
            for record in store.read(self.folder)
            if isinstance(record, Accuracy) and record.precision == self.request.precision
        ]
        wanted = {record.runtime: record for record in measured if record.artifact == rung.artifact}
        newest = {record.runtime: record for record in measured}
        for name, record in wanted.items():
            if newest[name].artifact != rung.artifact:
                store.append(self.folder, record)

    def _measure(self, artifact: Artifact, runtimes: Iterable[Runtime], precision: str) -> list[Accuracy]:
        evaluations = [
            make(artifact, self.request.model, runtime, precision, self.dataset, self.settings) for runtime in runtimes
        ]
        records = list(run.measure(evaluations, self.settings, run.Storage(self.folder, resume=True), self.report))
        for record in records:
            if record.status != "ok":
                kind = InputError if record.status in ("refused", "unavailable") else CheckFailed
                raise kind(f"{record.model} {precision} on {record.runtime} {record.status}: {record.reason}")
        return records
