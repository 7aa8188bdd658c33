"""What functions of vitbench hand back: whether it holds, tables, and how a prompt and a notebook show them."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from convert.artifact import Artifact
from convert.common.errors import CheckFailed, InputError, told
from reports.compare.judge import Comparison
from runtimes.records.kinds import Parity
from validate.bisect.run import Bisected
from validate.profile.run import ProfiledCell
from validate.search.ladder import Ladder

if TYPE_CHECKING:
    import pandas as pd

_STANDS = {True: "passed", False: "FAILED", None: "no verdict"}
Some = TypeVar("Some", bound="Outcome")


@dataclass(frozen=True, repr=False)
class Outcome:
    """passed: whether what was checked holds; None where nothing was checked, or nothing can be said. problems: why it
    does not hold, or what there is no verdict or number of, a line each."""

    passed: bool | None = None
    problems: tuple[str, ...] = ()

    def require(self: Some) -> Some:
        """Itself, where it passed; else CheckFailed, also where nothing can be said. For a program that stops then."""
        if not self.passed:
            raise CheckFailed("; ".join(self.problems) or _STANDS[self.passed])
        return self

    @property
    def lines(self) -> tuple[str, ...]:
        """What it is, whether it holds, and the problems."""
        return (f"{type(self).__name__}: {_STANDS[self.passed]}", *self.problems)

    def __repr__(self) -> str:
        return f"<{chr(10).join(map(told, self.lines))}>"


@dataclass(frozen=True, repr=False)
class TabledOutcome(Outcome):
    """An outcome with tables of its own. said: sentences. rows: of each table, by its name; the first is the one that
    is shown."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    said: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables, any of which `table` gives."""
        return tuple(self.rows)

    def table(self, name: str | None = None) -> pd.DataFrame:
        """A table with its values as they are, not rounded; without a name the first. InputError for an unknown one."""
        import pandas as pd

        wanted = name or next(iter(self.rows))
        if wanted not in self.rows:
            raise InputError(f"no table {wanted}; there are {', '.join(self.rows)}")
        return pd.DataFrame(list(self.rows[wanted]))

    @property
    def lines(self) -> tuple[str, ...]:
        return (*super().lines, *self.said)

    def _repr_html_(self) -> str:
        shown = [f"<p>{html.escape(told(line))}</p>" for line in self.lines]
        return "\n".join([*shown, self.table().to_html(index=False, border=0, float_format="{:.4g}".format)])


@dataclass(frozen=True, repr=False)
class CompareOutcome(TabledOutcome):
    """Two results held against each other. comparison: each cell with its figures, verdict and notes. markdown: the
    same for a pull request."""

    comparison: Comparison = field(kw_only=True)
    markdown: str = field(kw_only=True)


@dataclass(frozen=True, repr=False)
class BisectOutcome(TabledOutcome):
    """Where a model stops being the same. found: for each runtime its blocks and operators, and the fault if any."""

    found: tuple[Bisected, ...] = field(kw_only=True)


@dataclass(frozen=True, repr=False)
class ProfileOutcome(TabledOutcome):
    """Where the milliseconds go. cells: a model on a runtime at a batch size each. Nothing is judged: `passed` is False
    where a runtime could not be profiled, else None."""

    cells: tuple[ProfiledCell, ...] = field(kw_only=True)


@dataclass(frozen=True, repr=False)
class ExportOutcome(TabledOutcome):
    """Folders to ship, by way out. Each was proven before it was written."""

    folders: Mapping[str, Path] = field(kw_only=True)


@dataclass(frozen=True, repr=False)
class CheckOutcome(TabledOutcome):
    """A folder to ship on this machine. records: of each runtime; none where a file was changed."""

    records: tuple[Parity, ...] = field(kw_only=True)


@dataclass(frozen=True, repr=False)
class SearchOutcome(TabledOutcome):
    """A search for what must stay FP32. artifact: the int8 model that holds, None where none was found. ladder: what
    was tried."""

    artifact: Artifact | None = field(kw_only=True)
    ladder: Ladder = field(kw_only=True)
