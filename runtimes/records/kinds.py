"""Records: what each kind holds, and which fields make two of them the same cell. Fields are declared nowhere else.

A field that is null was not measured, is not known, or means nothing for this record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from convert.common.typed import about
from runtimes.records.contender import Contender
from runtimes.records.energy import Energy
from runtimes.records.parts import (
    NOT_REPORTED,
    DeviceMedians,
    Disturbance,
    Effective,
    FlipInfo,
    ImagePreprocessing,
    InputsInfo,
    Interval,
    IntervalMethod,
    LoadGenInfo,
    Memory,
    ModelInfo,
    Process,
    SearchPoint,
    ServerPoint,
    ServerTimes,
    ToleranceInfo,
)
from runtimes.records.samples import LatencySummary

# 2: latencies of several processes. A record without a number is of format 1; one of a newer format is refused.
FORMAT = 2
Status = Literal["ok", "failed", "refused", "unavailable", "unstable"]
MEASURED = ("ok", "unstable")  # a record of such a status has numbers
ASKED_FOR = "as asked for"  # of a server's bound, that was not its own choice
_SUBJECT = ("model", "runtime", "precision", "device", "settings")


@dataclass(frozen=True, kw_only=True)
class Record:
    """What every record has, whatever it measures."""

    # The later record of a cell replaces the earlier one.
    CELL: ClassVar[tuple[str, ...]]
    # What must be equal for two records, of two runs, to be held against each other.
    COMPARED: ClassVar[tuple[str, ...]]

    kind: Annotated[str, about("what was measured")] = ""
    model: str
    precision: Annotated[str, about("asked for")]
    runtime: str
    device: Annotated[str | None, about("asked for")]
    artifact: Annotated[str | None, about("sha256 over the hashes of the artifact's files")]
    status: Status
    reason: Annotated[str | None, about("a sentence where the status is not ok")]
    effective: Annotated[Effective | None, about("as read back from the runtime")]
    command: Annotated[str, about("makes the record again")]
    format: Annotated[int, about("2; a record without it is of format 1, one of a newer format is refused")] = 1
    runtime_version: str | None = None
    streams: Annotated[int | None, about("inferences at once; mode throughput: as found")] = None
    settings: Annotated[Mapping[str, str], about("`--option`s of the runtime")] = field(default_factory=dict)
    time_utc: str | None = None
    model_info: Annotated[ModelInfo | None, about("what reports need of the manifest")] = None
    machine: Annotated[
        str | None, about("label of the machine, once records of several are together", private=True)
    ] = None
    run: Annotated[str | None, about("name of the run, likewise", private=True)] = None

    @property
    def measured(self) -> bool:
        """Whether it has numbers."""
        return self.status in MEASURED

    @property
    def elsewhere(self) -> bool:
        """Whether a server computed that is not seen on this machine, whose speed is then not this machine's."""
        effective = self.effective
        return bool(effective and effective.device == NOT_REPORTED and not effective.details.get("processes_seen"))


@dataclass(frozen=True, kw_only=True)
class TimedRecord(Record):
    """What latency, throughput and server have in common: a speed, measured in processes of their own."""

    key: Annotated[
        str | None, about("hash of all that can change the number: artifact, runtime, options, batch, mode, machine")
    ] = None
    batch: Annotated[int | None, about("images in one request; mode throughput: as found")] = None
    threads: Annotated[int | None, about("asked for")] = None
    threads_readback: Annotated[int | None, about("as the runtime tells them")] = None
    cores: Annotated[tuple[int, ...] | None, about("that the process might run on", private=True)] = None
    load_ms: Annotated[float | None, about("median over the processes")] = None
    first_ms: Annotated[float | None, about("the first inference, median over the processes")] = None
    peak_memory_bytes: int | None = None
    memory: Memory | None = None
    server_times: Annotated[ServerTimes | None, about("by the statistics of the server that computed")] = None
    energy: Annotated[Energy | None, about("null in older records and of mode server")] = None
    disturbance: Disturbance | None = None
    disturbed: Annotated[str | None, about("what makes the number doubtful; then the status is unstable")] = None
    foreign_load: Annotated[float | None, about("the worst over the processes")] = None
    processes: Annotated[tuple[Process, ...] | None, about("in the order of their samples")] = None
    interval: IntervalMethod | None = None
    crashes: Annotated[tuple[str, ...], about("why a process ended that another one replaced")] = ()


@dataclass(frozen=True, kw_only=True)
class Latency(LatencySummary, TimedRecord):
    """One request at a time, from images in memory to logits in memory; milliseconds of the whole batch."""

    CELL: ClassVar[tuple[str, ...]] = (*_SUBJECT, "batch", "threads", "streams")
    COMPARED: ClassVar[tuple[str, ...]] = CELL

    kind: Literal["latency"] = "latency"
    target: Annotated[float | None, about("half of run_ci95_ms over the median that was asked for")] = None
    device_times_ms: DeviceMedians | None = None

    def __post_init__(self) -> None:
        """ValueError for a record that says it was measured and has no median."""
        _check_interval(self, "ci95_ms", "run_ci95_ms")
        if self.measured and not (self.median_ms and self.median_ms > 0):
            raise ValueError(f"status {self.status} with median_ms = {self.median_ms!r}")


@dataclass(frozen=True, kw_only=True)
class Throughput(TimedRecord):
    """Requests back to back on as many streams, and of as large a batch, as pay."""

    # What a search chose is a result; it does not make another cell (see `identity.cell`).
    CELL: ClassVar[tuple[str, ...]] = (*_SUBJECT, "threads", "batch", "streams")
    COMPARED: ClassVar[tuple[str, ...]] = (*_SUBJECT, "threads")

    kind: Literal["throughput"] = "throughput"
    images_per_s: float | None = None
    ci95_images_per_s: Annotated[Interval | None, about("where another run would find it")] = None
    run_ci95_images_per_s: Annotated[Interval | None, about("of this run alone")] = None
    duration_s: Annotated[float | None, about("measured time over all processes")] = None
    searched: Annotated[tuple[SearchPoint, ...] | None, about("each point that was looked at")] = None

    def __post_init__(self) -> None:
        _check_interval(self, "ci95_images_per_s", "run_ci95_images_per_s")


@dataclass(frozen=True, kw_only=True)
class ServerCurve:
    """What a server answers at random moments, rate by rate: what a visit finds, and its record keeps."""

    points: tuple[ServerPoint, ...] | None = None
    qps_max: Annotated[float | None, about("the highest completed rate that kept the bound; null where none did")] = (
        None
    )
    percentile: Annotated[int | None, about("of the latencies that is bound")] = None
    latency_bound_ms: float | None = None
    bound: Annotated[str | None, about("where the bound is from")] = None
    capacity_qps: Annotated[float | None, about("what it answers back to back", private=True)] = None
    unloaded_ms: Annotated[float | None, about("median of one request at a time", private=True)] = None
    loadgen: LoadGenInfo | None = None

    @property
    def uncarried(self) -> list[ServerPoint]:
        """The rates that had too few requests for the percentile."""
        return [point for point in self.points or () if point.valid is False]

    @property
    def unknown(self) -> bool:
        """Whether it is open which rate keeps the bound: none is known to, and at some nothing could be told."""
        return self.qps_max is None and bool(self.uncarried)


@dataclass(frozen=True, kw_only=True)
class Server(ServerCurve, TimedRecord):
    """Requests of one image at random moments: the highest rate whose latency keeps a bound."""

    CELL: ClassVar[tuple[str, ...]] = (*_SUBJECT, "threads", "streams", "bound", "percentile")
    COMPARED: ClassVar[tuple[str, ...]] = CELL

    kind: Literal["server"] = "server"


@dataclass(frozen=True, kw_only=True)
class Parity(Record):
    """Logits of a runtime held against the Paddle model in float64."""

    CELL: ClassVar[tuple[str, ...]] = (*_SUBJECT, "runtime_version", "inputs", "batches")
    COMPARED: ClassVar[tuple[str, ...]] = (*_SUBJECT, "inputs", "batches")

    kind: Literal["parity"] = "parity"
    reference: str | None = None
    inputs: InputsInfo | None = None
    batches: Annotated[tuple[int, ...] | None, about("batch sizes that were checked; null: not told, so all")] = None
    max_abs: Annotated[float | None, about("the largest difference of a logit")] = None
    mean_abs: float | None = None
    p50_abs: float | None = None
    p99_abs: float | None = None
    p999_abs: float | None = None
    max_rel: Annotated[float | None, about("relative to the reference's logit")] = None
    mean_rel: float | None = None
    p50_rel: float | None = None
    p99_rel: float | None = None
    p999_rel: float | None = None
    cosine: Annotated[float | None, about("the lowest over the images")] = None
    snr_db: Annotated[float | None, about("signal to noise, the lowest over the images")] = None
    kl: Annotated[float | None, about("Kullback-Leibler divergence of the softmax in nats, the highest")] = None
    top1_agreement: Annotated[float | None, about("share of images with the same first class")] = None
    top5_agreement: Annotated[float | None, about("mean share of the first five classes that are the same")] = None
    top1_flips: Annotated[int | None, about("images with another first class")] = None
    top1_ties: Annotated[int | None, about("... that are ties")] = None
    flips: Annotated[tuple[FlipInfo, ...] | None, about("each of them", private=True)] = None
    nonfinite: Annotated[int | None, about("logits that are NaN or infinite")] = None
    nan: int | None = None
    inf: int | None = None
    worst_image: str | None = None
    batch_invariant: Annotated[bool | None, about("an image's logits do not depend on its batch")] = None
    batch_max_abs: Annotated[float | None, about("how far they move with it")] = None
    passed: bool | None = None
    failure_folder: Annotated[str | None, about("reproduces a failure; relative to the results", private=True)] = None
    tolerance: ToleranceInfo | None = None


@dataclass(frozen=True, kw_only=True)
class Accuracy(Record):
    """Top-1 and top-5 over labelled images, as fractions."""

    CELL: ClassVar[tuple[str, ...]] = (*_SUBJECT, "dataset", "limit", "preprocessing")
    COMPARED: ClassVar[tuple[str, ...]] = CELL

    kind: Literal["accuracy"] = "accuracy"
    dataset: str | None = None
    dataset_sha256: Annotated[str | None, about("of the list file, else of names and labels")] = None
    selection_sha256: Annotated[str | None, about("of the images in use")] = None
    labels: Annotated[
        str | None, about("how it is known which class a label means: proven or assumed, by what, the first classes")
    ] = None
    limit: Annotated[int | None, about("`--limit`")] = None
    subset: Annotated[bool | None, about("not all images of the data set were in use")] = None
    images: Annotated[int | None, about("counted")] = None
    unreadable: int | None = None
    unreadable_images: Annotated[tuple[str, ...], about("their names", private=True)] = ()
    nonfinite: Annotated[int | None, about("images whose logits are not finite")] = None
    top1: float | None = None
    top5: float | None = None
    top1_ci95: Annotated[Interval | None, about("Wilson's")] = None
    top5_ci95: Interval | None = None
    reference_top1: Annotated[float | None, about("Paddle's in FP32, on the same images")] = None
    mcnemar_p: Annotated[float | None, about("of the difference to it")] = None
    keep: Annotated[float | None, about("the part of the reference's top-1 that was asked for")] = None
    published_top1: Annotated[float | None, about("only with pretrained weights on all 50,000 images")] = None
    published_difference: Annotated[float | None, about("likewise")] = None
    doubt: Annotated[
        str | None, about("why it says nothing of the model: top-1 at chance level, and what seems wrong")
    ] = None
    passed: Annotated[
        bool | None, about("it reached the bar on these images; null without a reference, and where in doubt")
    ] = None
    undecided: Annotated[
        bool | None, about("not passed, and by no more than chance explains (McNemar's p): nothing can be said")
    ] = None
    batch: int | None = None
    threads: int | None = None
    preprocessing: ImagePreprocessing | None = None
    preprocessing_is_models: Annotated[bool | None, about("false: `--preprocessing` took another")] = None
    outcomes: Annotated[
        str | None, about("a letter per image: 1 first, 5 among the first five, 0 wrong, x not finite, - unreadable")
    ] = None
    ranked: Annotated[str | None, about("the file with each image's first five classes", private=True)] = None
    machines: Annotated[
        Mapping[str, int] | None,
        about("images by the machine that they ran on, where several kinds took part, or one of which little is known"),
    ] = None

    def __post_init__(self) -> None:
        _check_interval(self, "top1_ci95", "top5_ci95")

    @property
    def reached(self) -> bool:
        """Whether it reached the part of the reference's top-1 that was asked for, in doubt or not."""
        if self.passed is not None or self.doubt is None:
            return bool(self.passed)
        return self.measured and (self.top1 or 0.0) >= (self.keep or 1.0) * (self.reference_top1 or 0.0)


CHOSEN = "chosen"  # the outcome of a contender that was


@dataclass(frozen=True, kw_only=True)
class Choice(Record):
    """What to ship within a budget: the one that was chosen; where none meets it, the nearest, and status failed."""

    CELL: ClassVar[tuple[str, ...]] = ("model", "device", "objective", "budget")
    COMPARED: ClassVar[tuple[str, ...]] = CELL

    kind: Literal["choice"] = "choice"
    objective: Annotated[str | None, about("latency, throughput or cost")] = None
    budget: Annotated[tuple[str, ...], about("as it was given, a part each")] = ()
    price_per_hour: Annotated[
        float | None, about("objective cost: euros that an hour of the machine costs; null in older records")
    ] = None
    smooth: Annotated[float | None, about("int8: strength of the smoothing, 0: none; null in older records")] = None
    threads: int | None = None
    batch: int | None = None
    verdict: Annotated[str | None, about("by how much it beats whom, or with whom it ties and why it is preferred")] = (
        None
    )
    proof: Annotated[tuple[str, ...], about("what was measured of each part of the budget")] = ()
    contenders: Annotated[tuple[Contender, ...], about("everyone who took part, who came furthest first")] = ()
    left_out: Annotated[tuple[str, ...], about("what could not take part, and why")] = ()
    limited: Annotated[tuple[str, ...], about("what the time limit cost")] = ()
    unset: Annotated[
        tuple[str, ...], about("`NAME=VALUE`: what the chosen one was measured with and its folder does not set")
    ] = ()
    seconds: Annotated[float | None, about("that it took; one that was broken off: since it went on")] = None


KINDS: dict[str, type[Record]] = {one.kind: one for one in (Latency, Throughput, Server, Parity, Accuracy, Choice)}


def _check_interval(record: Record, *names: str) -> None:
    for name in names:
        found: Interval | None = getattr(record, name)
        if found and not 0 <= found[0] <= found[1]:
            raise ValueError(f"{name} = {list(found)} is no interval")
