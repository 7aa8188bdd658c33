"""What a record knows of energy: that of whole processors or of a GPU, by the counter of the hardware."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from convert.common.typed import about
from runtimes.records.parts import Interval

EnergySource = Literal["rapl", "nvml"]


@dataclass(frozen=True, kw_only=True)
class Energy:
    """Energy for an image, by a counter of the hardware: of whole processors or a GPU, and of no one program."""

    joules_per_image: Annotated[float | None, about("over all windows; null where `reason` says why")] = None
    range_joules: Annotated[Interval | None, about("its lowest and highest process; null for a single one")] = None
    watts: Annotated[float | None, about("mean power in the windows")] = None
    seconds: Annotated[float | None, about("of all windows together")] = None
    source: Annotated[
        EnergySource | None, about("rapl: all packages of the machine's processors; nvml: the GPU's whole board")
    ] = None
    reason: Annotated[str | None, about("why joules_per_image is null")] = None

    def __post_init__(self) -> None:
        """ValueError for energy that is none."""
        if self.joules_per_image is not None and not 0 < self.joules_per_image < math.inf:
            raise ValueError(f"joules_per_image = {self.joules_per_image}")
