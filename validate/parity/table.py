"""Parity records as a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table

from convert.common.console import plain, print_table, printer
from convert.precision.table import LARGEST_LOGIT, LEAST_ERROR, ONNX_ERROR, PADDLE_ERROR
from runtimes.records.kinds import Parity
from runtimes.records.parts import ToleranceInfo

_UNITS: dict[str, str] = {
    PADDLE_ERROR: "×",
    ONNX_ERROR: "× ONNX Runtime's",
    LEAST_ERROR: "× least",
    LARGEST_LOGIT: "of largest",
}


def show(made: Iterable[Parity]) -> None:
    """Print a line for each record to standard error, as all that is no result."""
    table = Table(
        "model", "runtime", "precision", "max abs", "Paddle's FP32", "needed", "allowed", "cosine", "top-1 agreement"
    )
    table.add_column("verdict")
    for record in made:
        bounds = record.tolerance or ToleranceInfo()
        of = _UNITS.get(bounds.unit or "", "")
        columns = [
            ("{:.2g}", record.max_abs),
            ("{:.2g}", bounds.paddle_max_abs),
            ("{:.2g} " + of, bounds.needed),
            ("{:g} " + of, bounds.factor),
            ("{:.9f}", record.cosine),
        ]
        shown = ["-" if value is None else form.format(value) for form, value in columns]
        reason, style = plain(f": {record.reason}"), "yellow" if record.passed is None else "red"
        alone = record.model_info is not None and record.model_info.unvouched
        passed = plain("agrees, nothing vouches for it") if alone else plain("passed", "green")
        verdict = passed if record.passed else plain(record.status, style).append_text(reason)
        runtime = " ".join([record.runtime, *(f"{key}={value}" for key, value in record.settings.items())])
        table.add_row(*map(plain, (record.model, runtime, record.precision)), *shown, _top1(record), verdict)
    print_table(printer(), table, ("verdict",))


def _top1(record: Parity) -> str:
    if record.top1_agreement is None:
        return "-"
    told = f" ({record.top1_flips} flipped, {record.top1_ties} of them a tie)" if record.top1_flips else ""
    return f"{record.top1_agreement:.0%}{told}"
