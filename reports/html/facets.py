"""What the filters of the page go by: the model, runtime, precision, status and machine that something is about."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from reports.load.results import Results, machine_of
from reports.tables.standing import SLOWER
from reports.tables.table import Facet, Subject, TablePart, TableRow
from runtimes.records.kinds import Status

SHOWN_STATUSES = (*get_args(Status), "unproven", SLOWER)

Tags = dict[str, str]  # facet -> places in the facet's list of values, separated by spaces


@dataclass(frozen=True)
class Facets:
    """values: facet -> what can be chosen, in the report's order."""

    values: Mapping[str, list[str]]

    @classmethod
    def of(cls, results: Results) -> Facets:
        """Models, runtimes, precisions, statuses and machines of some results."""
        named = {
            name: list(dict.fromkeys(getattr(record, name) for record in results.records))
            for name in ("model", "runtime", "precision")
        }
        return cls({**named, "status": list(SHOWN_STATUSES), "machine": machines(results)})

    def tags(self, subject: Subject) -> Tags:
        """What a subject is about; no facet of which it says nothing."""
        one_each = ("runtime", "precision", "status", "machine")
        said = {"model": subject.models, **{name: (getattr(subject, name),) for name in one_each}}
        places = {facet: [v.index(one) for one in said[facet] if one in v] for facet, v in self.values.items()}
        return {facet: " ".join(map(str, found)) for facet, found in places.items() if found}

    def of_row(self, block: TablePart, row: TableRow) -> Tags:
        """What a row of a table is about: it has a status where the table shows one."""
        tags = self.tags(row.subject)
        if not any(column.facet is Facet.STATUS for column in block.columns):
            tags.pop("status", None)
        return tags


def machines(results: Results) -> list[str]:
    """The labels of the machines where there are several; one alone needs no name."""
    found = list(dict.fromkeys(map(machine_of, results.records)))
    return found if len(found) > 1 else []
