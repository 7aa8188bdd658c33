"""Texts held against golden files.

Where a report is meant to change, this writes the files anew; read what changed in them as the report's reader would:

    UPDATE_GOLDEN=1 .venv/bin/python -m pytest tests/reports/test_report_golden.py tests/reports/test_compare_comment.py
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
UPDATE = "UPDATE_GOLDEN"
DIFFERENCES = 60  # lines shown of a difference


def check(text: str, golden: Path) -> None:
    """Hold a text against its golden file; what differs is shown line by line."""
    if os.environ.get(UPDATE):
        golden.write_text(text, encoding="utf-8")
    kept = golden.read_text(encoding="utf-8") if golden.is_file() else ""
    if text != kept:
        sides = (kept.splitlines(), text.splitlines())
        lines = list(difflib.unified_diff(*sides, f"golden {golden.name}", "report", lineterm="", n=1))
        more = len(lines) - DIFFERENCES
        shown = [*lines[:DIFFERENCES], *([f"... and {more} lines more"] if more > 0 else [])]
        pytest.fail("\n".join([f"the report is not {golden.name} ({UPDATE}=1 writes it anew):", *shown]), pytrace=False)
