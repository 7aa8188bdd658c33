"""The Dockerfiles: what they copy is there and is sent to the builder, and what they run is a target of the Makefile.

No image is built: that takes a Docker daemon and gigabytes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "scripts" / "docker"
FILES = sorted(FOLDER.glob("*.Dockerfile"))


def instructions(file: Path) -> list[tuple[str, str]]:
    """Instruction and arguments of each line, continued lines joined, comments left out."""
    lines = [line for line in file.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(line.split()[0], " ".join(line.split()[1:])) for line in joined if line.strip()]


def of(file: Path, name: str) -> list[str]:
    return [rest for instruction, rest in instructions(file) if instruction == name]


def copied(file: Path) -> list[str]:
    return [source for rest in of(file, "COPY") for source in rest.split()[:-1]]


def test_there_is_one_for_each_lock() -> None:
    assert [file.name for file in FILES] == ["cpu.Dockerfile", "cuda.Dockerfile"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_it_copies_is_there(file: Path) -> None:
    assert copied(file)
    assert [source for source in copied(file) if not (ROOT / source).exists()] == []


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_it_copies_is_sent_and_nothing_else(file: Path) -> None:
    lines = file.with_name(f"{file.name}.dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    sent = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert sent == {source.split("/")[0] for source in copied(file)}


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_it_runs_are_targets_of_the_makefile(file: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    run = [word for rest in of(file, "RUN") for word in re.findall(r"\bmake ([a-z-]+)", rest)]
    (entry,), (default,) = (map(json.loads, of(file, name)) for name in ("ENTRYPOINT", "CMD"))
    assert entry == ["make"]
    assert default == ["bench"]
    assert {*run, *default} <= targets
    assert "setup" in run


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_is_built_from_the_lock_of_its_name(file: Path) -> None:
    extra = file.name.split(".")[0]
    assert f"requirements/{extra}.lock" in copied(file)
    assert of(file, "ENV")[0].split()[0] == f"EXTRA={extra}"
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "--require-hashes -r requirements/$(EXTRA).lock" in makefile
    assert not any("pip install" in rest for rest in of(file, "RUN"))  # nothing beside the lock


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_has_every_package_that_the_command_imports(file: Path) -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"scripts", "tests"}
    assert packages <= {source.rstrip("/") for source in copied(file)}
