"""`make` hands on what it is given, whatever characters are in it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[1] / "Makefile"
ODD = 'it\'s, "mine" & (more)'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder where `make` finds everything set up, and a Python that prints its arguments, one a line."""
    if shutil.which("make") is None:
        pytest.skip("no make")
    shutil.copy(MAKEFILE, tmp_path)
    (tmp_path / "requirements").mkdir()
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    for name in ("pyproject.toml", "requirements/cpu.lock", ".venv/.ready-cpu"):
        (tmp_path / name).touch()
    python = tmp_path / ".venv" / "bin" / "python"
    python.write_text("#!/bin/sh\nprintf '%s\\n' \"$@\"\n")
    python.chmod(0o755)
    return tmp_path


def made(folder: Path, *arguments: str) -> list[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    result = subprocess.run(["make", *arguments], cwd=folder, env=clean, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.mark.parametrize(
    ("target", "options"),
    [
        ("convert", {"MODEL": None, "WEIGHTS": "--weights", "CALIBRATION": "--calibration", "OUT": "--out"}),
        ("convert", {"KEEP": "--keep", "IMAGES": "--images", "MODEL": "--model"}),
        ("bench", {"MODEL": "--model", "RUNTIME": "--runtime", "BATCH": "--batch", "OUT": "--out"}),
        ("parity", {"MODEL": "--model", "IMAGES": "--inputs", "LIMIT": "--limit", "OUT": "--out"}),
        ("export", {"MODEL": "--model", "TO": "--to", "IMAGES": "--inputs", "LIMIT": "--limit", "OUT": "--out"}),
        ("serve", {"MODEL": "--model", "WEIGHTS": "--weights", "PORT": "--port"}),
        ("bisect", {"MODEL": "--model", "IMAGES": "--inputs", "OUT": "--out"}),
        ("profile", {"MODEL": "--model", "RUNTIME": "--runtime", "BATCH": "--batch", "PRECISION": "--precision"}),
        (
            "accuracy",
            {"MODEL": "--model", "IMAGES": "--images", "LIMIT": "--limit", "OUT": "--out", "PRECISION": "--precision"},
        ),
        ("report", {"OUT": None, "FORMAT": "--format"}),
        ("check-claims", {"ONLY": "--only"}),
    ],
)
def test_any_character_reaches_the_command(folder: Path, target: str, options: dict[str, str | None]) -> None:
    given = {name: f"{name} {ODD}" for name in options}
    words = made(folder, target, *(f"{name}={value}" for name, value in given.items()))
    for name, option in options.items():
        place = words.index(given[name])
        assert option is None or words[place - 1] == option


def test_what_is_not_given_is_left_out(folder: Path) -> None:
    assert made(folder, "report") == ["-m", "reports", "--format", "md,html"]
    assert made(folder, "convert") == ["-m", "convert", "ViT_base_patch32_384", "--precision", "fp32"]


@pytest.mark.parametrize(("target", "module"), [("bench", "vitbench"), ("accuracy", "validate.accuracy")])
def test_images_to_calibrate_on_make_the_int8_artifact_first(folder: Path, target: str, module: str) -> None:
    words = made(folder, target, "CALIBRATION=photos", "IMAGES=val", "OUT=here", "MODEL=m", "PRECISION=fp32,int8")
    assert words[:7] == ["-m", "convert", "m", "--precision", "int8", "--calibration", "photos"]
    assert words[7:9] == ["-m", module]
    assert words[words.index("--precision", 8) + 1] == "fp32,int8"


def test_help_shows_the_model(folder: Path) -> None:
    assert f"[MODEL={ODD}]" in made(folder, "help", f"MODEL={ODD}")[0]
