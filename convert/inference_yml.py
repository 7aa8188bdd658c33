"""`inference.yml`, which PaddleClas and PaddleX write beside an inference model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

FILE = "inference.yml"


def model_name(folder: Path) -> str | None:
    """`Global.model_name`, as PaddleX writes it; None where there is none, or the file cannot be read."""
    file = folder / FILE
    if not file.is_file():
        return None
    import yaml

    try:
        table: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        name = table["Global"]["model_name"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError, yaml.YAMLError):
        return None
    return name if isinstance(name, str) else None
