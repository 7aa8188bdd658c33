"""What a set is read for: how many classes the model has, how many images are wanted, and what the user said of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from convert.datasets.tables import Columns


@dataclass(frozen=True)
class SetRequest:
    """See `load.load` for the fields."""

    classes: int | None = None
    limit: int | None = None
    ground_truth: Path | None = None
    synsets: Path | None = None
    root: Path | None = None
    columns: Columns = field(default_factory=Columns)
    own: Sequence[str] | None = None
