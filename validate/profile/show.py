"""The tables of a profile for people: blocks of several cells side by side, operators of each, and what they mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from rich.table import Table

from convert.common.console import plain, print_table, printer
from convert.common.errors import told
from runtimes.profiled.profile import LayerProfile
from validate.profile.blocks import NOT_ATTRIBUTED
from validate.profile.rows import BlockTime, CellTimes


def show(title: str, cells: Mapping[str, CellTimes]) -> None:
    """title: of the model and the batch. cells: by what they are called."""
    _blocks(f"{title}: by block", cells)
    for name, cell in cells.items():
        _operators(f"{name}: by operator", cell)
    for name, cell in cells.items():
        printer().print(plain(f"{title} on {name}: {sentence(cell)}"), soft_wrap=True)


def sentence(cell: CellTimes) -> str:
    """What the sum of the layers is beside a run's wall time, with and without the profiler."""
    found, plain_ms = cell.profile, cell.profile.plain_ms
    cost = found.run_ms - plain_ms
    more = f"{abs(cost):.2f} ms ({abs(cost) / plain_ms:.0%}) {'more' if cost >= 0 else 'less'}"
    told = (
        f"{cell.total.ms:.2f} ms in layers and {cell.outside_ms:.2f} ms outside of them make a run of"
        f" {found.run_ms:.2f} ms with the profiler, {more} than the {plain_ms:.2f} ms without it; means of {_of(found)}"
    )
    lost = next((row for row in cell.blocks if row.block == NOT_ATTRIBUTED), None)
    if lost:
        told += f"; {lost.ms:.2f} ms are of no known block, so that a block's own time may be longer"
    return told


def _of(profile: LayerProfile) -> str:
    if profile.kept == profile.runs:
        return f"{profile.runs} runs" if profile.runs > 1 else "one run"
    return f"the {profile.kept} of {profile.runs} runs in the middle"


def _blocks(title: str, cells: Mapping[str, CellTimes]) -> None:
    """As many cells side by side as the terminal has room for."""
    console, names = printer(), list(cells)
    for count in range(len(names), 0, -1):
        chunks = [names[start : start + count] for start in range(0, len(names), count)]
        tables = [_side_by_side(title, {name: cells[name] for name in chunk}) for chunk in chunks]
        wide = console.options.update(width=10_000)
        if count == 1 or all(console.measure(table, options=wide).maximum <= console.width for table in tables):
            break
    for table in tables:
        print_table(console, table)


def _side_by_side(title: str, cells: Mapping[str, CellTimes]) -> Table:
    rows = {name: {row.block: row for row in cell.blocks} for name, cell in cells.items()}
    table = Table(title=plain(title), title_justify="left")
    table.add_column("block")
    columns = {name: _columns(cell) for name, cell in cells.items()}
    for name, found in columns.items():
        for number, head in enumerate(found):
            table.add_column(plain(name if number == 0 else "").append(f"\n{told(head)}"), justify="right")

    def add(name: str, found: Mapping[str, BlockTime | None], end: bool = False) -> None:
        texts = [text(row) if (row := found[cell]) else "-" for cell in cells for text in columns[cell].values()]
        table.add_row(plain(name), *texts, end_section=end)

    blocks = list(dict.fromkeys(block for found in rows.values() for block in found))
    blocks.sort(key=NOT_ATTRIBUTED.__eq__)  # it is the last one
    for block in blocks:
        add(block, {cell: rows[cell].get(block) for cell in cells}, block == blocks[-1])
    add("total", {name: cell.total for name, cell in cells.items()}, True)
    for head, value in _WALL.items():
        texts = [f"{value(cells[cell]):.2f}" if column == "ms" else "-" for cell in cells for column in columns[cell]]
        table.add_row(plain(head), *texts)
    return table


_WALL: dict[str, Callable[[CellTimes], float]] = {
    "outside of layers": lambda cell: cell.outside_ms,
    "run with profiler": lambda cell: cell.profile.run_ms,
    "run without it": lambda cell: cell.profile.plain_ms,
}


def _columns(cell: CellTimes) -> dict[str, Callable[[BlockTime], str]]:
    """Only those that have something in them."""
    found: dict[str, Callable[[BlockTime], str]] = {
        "ms": lambda row: f"{row.ms:.2f}",
        "share": lambda row: f"{row.share:.1%}",
    }
    if any(row.gmac_per_s for row in cell.blocks):
        found["MMAC"] = lambda row: "-" if row.macs is None else f"{row.macs / 1e6:.1f}"
        found["GMAC/s"] = lambda row: "-" if row.gmac_per_s is None else f"{row.gmac_per_s:.1f}"
    if any(row.ceiling_share for row in cell.blocks):
        found["of ceiling"] = lambda row: "-" if row.ceiling_share is None else f"{row.ceiling_share:.0%}"
    return found


def _operators(title: str, cell: CellTimes) -> None:
    table = Table(title=plain(title), title_justify="left")
    for head in ("operator", "precision"):
        table.add_column(head)
    for head in ("layers", "ms", "share"):
        table.add_column(head, justify="right")
    for row in cell.operators:
        table.add_row(
            plain(row.operator), plain(row.precision or "-"), str(row.layers), f"{row.ms:.2f}", f"{row.share:.1%}"
        )
    print_table(printer(), table)
