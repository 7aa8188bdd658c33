"""The tables inside records. A field may be null or absent where a record is older, or where nothing was measured."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from convert.common.typed import about
from convert.families.spec import PER_LEVEL
from convert.manifest import RecipeInfo
from convert.precision.portability import Saturation

Interval = tuple[float, float]  # low, high
# Of a precision or device that nobody but a server knows, and it has no words for it: parity is the evidence.
NOT_REPORTED = "not reported by the server"


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """What a model's multiply-accumulates ran in. Counted for each operator; those whose precision or size a runtime
    does not tell are in no share, so that these may sum to less than 1."""

    shares: Annotated[Mapping[str, float] | None, about("of all multiply-accumulates, by precision, 0 to 1")] = None
    higher: Annotated[
        tuple[str, ...], about("operators in another precision than the lowest one, the largest ten, with their share")
    ] = ()
    reason: Annotated[str | None, about("why shares is null")] = None


@dataclass(frozen=True)
class Effective:
    """What really ran, as read back from the runtime: never an echo of what was asked for."""

    precision: Annotated[
        str | None,
        about(
            f"the lowest precision that any layer computed in; `{NOT_REPORTED}`: parity in FP32 is the evidence, and "
            "in lower precisions nothing is"
        ),
    ] = None
    device: Annotated[
        str | None, about("where it ran, in OpenVINO's spelling: CPU, GPU, GPU.1; or `not reported by the server`")
    ] = None
    details: Annotated[
        Mapping[str, Any],
        about("where it was read and what else was found there: providers, precisions of layers, passes, threads"),
    ] = field(default_factory=dict)
    arithmetic: Annotated[
        Arithmetic | None, about("how much ran in which precision; null in older records and where all is FP32")
    ] = None


@dataclass(frozen=True, kw_only=True)
class CountsInfo:
    """Multiply-accumulates for one image, or parameters."""

    published: Annotated[int | None, about("counted as PaddleClas' page counts")] = None
    total: Annotated[int | None, about("all of them")] = None
    computed: Annotated[int | None, about("of the ONNX graph as it was written; multiply-accumulates only")] = None


@dataclass(frozen=True, kw_only=True)
class WeightsInfo:
    """Where the weights come from."""

    kind: Annotated[str | None, about("pretrained, file or seeded")] = None
    source: Annotated[str | None, about("URL, path or seeded:N")] = None
    sha256: Annotated[str | None, about("of the file; of the recipe where they are seeded")] = None
    note: Annotated[str | None, about("why other weights than the best were taken")] = None


@dataclass(frozen=True, kw_only=True)
class ImagePreprocessing:
    """How an image becomes the model's input."""

    resize_short: Annotated[int | None, about("pixels of the short side after resizing")] = None
    crop: Annotated[int | None, about("pixels of the centre crop's sides; of its width beside `height`")] = None
    interpolation: str | None = None
    mean: Annotated[tuple[float, ...] | None, about("of each channel in RGB order, of values in [0, 1]")] = None
    std: Annotated[tuple[float, ...] | None, about("likewise")] = None
    keep_ratio: Annotated[bool, about("false: both sides were resized to resize_short")] = True
    backend: Annotated[str, about("what resized: cv2 or pil")] = "cv2"
    pixel_scale: Annotated[
        float, about("what pixels of 0 to 255 were multiplied with first; only the last bits depend on it")
    ] = PER_LEVEL
    height: Annotated[int | None, about("pixels of the crop's height, where it is no square")] = None

    @property
    def shape(self) -> tuple[int, int] | None:
        """Height and width in pixels; None where they are not known."""
        return (self.height or self.crop, self.crop) if self.crop else None


@dataclass(frozen=True, kw_only=True)
class CalibrationInfo:
    """The images that int8 was calibrated on."""

    source: Annotated[str | None, about("what they are, in words", private=True)] = None
    images: Annotated[int | None, about("how many")] = None
    sha256: Annotated[str | None, about("of the preprocessed images")] = None


@dataclass(frozen=True, kw_only=True)
class KeptInfo:
    """An operator of a lower precision that stays FP32."""

    operator: str | None = None
    reason: str | None = None


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What reports say of a model, so that they need no artifact."""

    macs: CountsInfo | None = None
    parameters: CountsInfo | None = None
    preprocessing: ImagePreprocessing | None = None
    opset: int | None = None
    head: Annotated[str | None, about("what the outputs are: logits, multi-label, features or class index")] = None
    unvouched: Annotated[bool, about("an ONNX file from elsewhere, with no Paddle program to hold it against")] = False
    notes: Annotated[tuple[str, ...], about("what the conversion did beyond translating")] = ()
    weights: WeightsInfo | None = None
    calibration: Annotated[CalibrationInfo | None, about("int8 only; null in older records")] = None
    kept_fp32: Annotated[
        tuple[KeptInfo, ...] | None,
        about("of a lower precision that has an artifact of its own; null in older records"),
    ] = None
    saturation: Annotated[Saturation | None, about("int8: is it the same without VNNI? null in older records")] = None
    recipe: Annotated[RecipeInfo | None, about("of a lower precision; null in older records")] = None
    command: Annotated[str | None, about("makes the artifact again; null in older records")] = None
    form: Annotated[str | None, about("of a folder to ship: its way out, as `--to` has it")] = None


@dataclass(frozen=True, kw_only=True)
class Process:
    """One process that measured a cell."""

    count: Annotated[int | None, about("samples kept")] = None
    median_ms: float | None = None
    images_per_s: Annotated[float | None, about("throughput only")] = None
    stream_processes: Annotated[int | None, about("throughput: streams that had a process of their own")] = None
    load_ms: float | None = None
    first_ms: Annotated[float | None, about("the first inference")] = None
    warmup_count: Annotated[int | None, about("inferences before the samples")] = None
    steady: Annotated[bool | None, about("whether the times had settled when the samples began")] = None
    slowdown: Annotated[float | None, about("of the machine by its speed probe: 0.03 is 3 % slower than its best")] = (
        None
    )
    speed_ms: Annotated[tuple[float, ...] | None, about("the speed probe before and after")] = None
    probe_ms: Annotated[tuple[float, ...] | None, about("what early records call speed_ms")] = None
    foreign_load: Annotated[float | None, about("share of the cores that other processes took, 0 to 1")] = None
    disturbed: Annotated[str | None, about("what disturbed it, in a sentence")] = None
    time_utc: str | None = None


@dataclass(frozen=True, kw_only=True)
class Turn:
    """Samples of a cell that were taken side by side with those of other cells, in a fraction of a second each."""

    name: Annotated[str, about("shared by what was measured at that moment; before the dot: by its processes")]
    ms: Annotated[float, about("median, less what waiting for a processor cost")]
    met: Annotated[float, about("mean share of the samples' time that was disturbed (`waited`, `foreign`)")] = 0.0

    def __post_init__(self) -> None:
        """ValueError for a time or a share that is none."""
        if not (0 < self.ms < math.inf and 0 <= self.met < math.inf):
            raise ValueError(f"turn {self.name}: ms = {self.ms}, met = {self.met}")


@dataclass(frozen=True, kw_only=True)
class IntervalMethod:
    """How the run's own 95 % interval was made."""

    method: str | None = None
    between_cv: Annotated[float | None, about("standard deviation of the logarithms of the processes' figures")] = None
    dof: Annotated[int | None, about("degrees of freedom of that")] = None
    processes: int | None = None


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Resident memory, the most over the processes."""

    process_bytes: Annotated[int | None, about("peak, the runtime's import included")] = None
    model_bytes: Annotated[int | None, about("peak less what the process held before it loaded the model")] = None
    loaded_bytes: Annotated[int | None, about("after the first inference, less the same")] = None
    device_bytes: Annotated[int | None, about("in use on the GPU at the end, by whomever")] = None


@dataclass(frozen=True, kw_only=True)
class Frequency:
    """Clocks of the cores."""

    min: Annotated[float | None, about("MHz")] = None
    median: Annotated[float | None, about("MHz")] = None


@dataclass(frozen=True, kw_only=True)
class Disturbance:
    """What the system's own counters say of the time in which a cell was measured, at its worst process."""

    foreign_load: Annotated[float | None, about("share of our cores' time that other processes took, 0 to 1")] = None
    foreign_requests: Annotated[int | None, about("of others that the measured server answered meanwhile")] = None
    own_load: Annotated[
        float | None, about("... that this process took, and a server on this machine that computes for it")
    ] = None
    steal: Annotated[float | None, about("... that the hypervisor gave to others")] = None
    pressure: Annotated[float | None, about("share of the time in which some task waited for a processor")] = None
    slowdown: Annotated[float | None, about("of the machine by its speed probe")] = None
    load_average_1min: float | None = None
    frequency_mhz: Frequency | None = None
    temperature_c: Annotated[float | None, about("the hottest sensor")] = None
    involuntary_switches: int | None = None
    major_faults: int | None = None
    throttled_count: int | None = None
    gpu: Annotated[Mapping[str, Any] | None, about("see runtimes/gpu/nvml.py")] = None
    programs: Annotated[
        Mapping[str, float], about("cores that other programs used, by their names: 0.38 is 38 % of one", private=True)
    ] = field(default_factory=dict)
    unmeasured: Annotated[Mapping[str, str], about("why a value is null")] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class ServerTimes:
    """What a server counted of the model between two readings: means over its requests, in milliseconds."""

    requests: Annotated[int | None, about("answered meanwhile, warm-up and those of others included")] = None
    total_ms: Annotated[float | None, about("inside the server; what is left of the wall time is on the way")] = None
    queue_ms: Annotated[float | None, about("waiting for an instance of the model")] = None
    input_ms: Annotated[float | None, about("making the input ready for the backend")] = None
    compute_ms: Annotated[float | None, about("in the backend")] = None
    output_ms: Annotated[float | None, about("taking the output from it")] = None


@dataclass(frozen=True, kw_only=True)
class DeviceMedians:
    """Medians by the device's own events."""

    h2d_ms: Annotated[float | None, about("copy to the device")] = None
    compute_ms: float | None = None
    d2h_ms: Annotated[float | None, about("copy from the device")] = None


@dataclass(frozen=True, kw_only=True)
class SearchPoint:
    """A batch and a number of streams that mode throughput looked at."""

    batch: int | None = None
    streams: int | None = None
    images_per_s: float | None = None
    reason: Annotated[str | None, about("why it failed")] = None


@dataclass(frozen=True, kw_only=True)
class ServerPoint:
    """A rate of requests that mode server tried."""

    qps_target: Annotated[float | None, about("requests per second that were asked for")] = None
    qps: Annotated[float | None, about("... that were completed")] = None
    qps_scheduled: float | None = None
    p50_ms: float | None = None
    p90_ms: Annotated[float | None, about("null where the count does not carry it")] = None
    p99_ms: Annotated[float | None, about("likewise")] = None
    count: int | None = None
    valid: Annotated[bool | None, about("the count carries the percentile that is bound")] = None
    met: Annotated[bool | None, about("that percentile is within the bound")] = None
    loadgen_valid: Annotated[bool | None, about("LoadGen's own verdict")] = None


@dataclass(frozen=True, kw_only=True)
class LoadGenInfo:
    """What drove the requests."""

    version: str | None = None
    seeds: Any = None


@dataclass(frozen=True, kw_only=True)
class InputsInfo:
    """The images that logits were compared on."""

    source: str | None = None
    count: int | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class ToleranceInfo:
    """The bounds of a parity check: `max_abs` is `factor` times a unit."""

    max_abs: float | None = None
    cosine: Annotated[float | None, about("the lowest of an image that is allowed")] = None
    factor: int | float | None = None
    unit: str | None = None
    reason: Annotated[str | None, about("why that factor")] = None
    needed: Annotated[float | None, about("the smallest factor that would have passed")] = None
    paddle_max_abs: Annotated[float | None, about("Paddle's own FP32 error on the same images")] = None
    largest_logit: float | None = None
    floor: Annotated[float | None, about("the least that is taken for Paddle's own error")] = None


@dataclass(frozen=True, kw_only=True)
class FlipInfo:
    """An image whose first class is another than the reference's."""

    image: str | None = None
    expected: int | None = None
    found: int | None = None
    margin: Annotated[float | None, about("of the reference's logits between the two classes")] = None
    tie: Annotated[bool | None, about("the margin is within what rounding explains")] = None
