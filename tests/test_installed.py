"""What a wheel installs is one package, and works in a folder whose files have the names of ours."""

from __future__ import annotations

import json
import os
import runpy
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
BUILD = runpy.run_path(str(ROOT / "setup.py"))
HOSTILE = ("convert.py", "runtimes.py", "validate.py", "reports/__init__.py", "click.py", "statistics.py", "setup.py")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel of this checkout has; its libraries are those of the tests."""
    source, place = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("installed")
    for name in ("vitbench", "convert", "runtimes", "validate", "reports"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    words = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(source / "dist")]
    subprocess.run([sys.executable, "-m", "pip", *words, str(source)], check=True, cwd=source, timeout=300)
    (wheel,) = (source / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(place)
    return place


def test_one_package_is_installed_with_all_of_its_files(installed: Path) -> None:
    packages = {path.name for path in installed.iterdir() if path.suffix != ".dist-info"}
    assert packages == {"vitbench"}
    floors = installed / "vitbench" / "floors"
    for name in ("convert", "runtimes", "validate", "reports"):
        ours = {path.relative_to(ROOT) for path in (ROOT / name).rglob("*.*") if "__pycache__" not in path.parts}
        assert ours <= {path.relative_to(floors) for path in (floors / name).rglob("*.*")}


def test_every_command_works_in_a_folder_of_our_names(installed: Path, toy_toml: Path, tmp_path: Path) -> None:
    for name in HOSTILE:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("raise RuntimeError('a file of the user was imported')\n")
    shutil.copy(toy_toml, tmp_path / "toy.toml")

    def vitbench(*words: str) -> str:
        start = "import sys; sys.argv[0] = 'vitbench'; del sys.path[0]; from vitbench.command import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", start, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
            timeout=600,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert vitbench("--version").startswith("vitbench, version ")
    made: dict[str, Any] = json.loads(vitbench("convert", "toy.toml", "--weights", "seeded:1", "--json"))
    assert made["command"].startswith("vitbench convert toy.toml ")
    one = ["--model", "toy.toml", "--runtime", "ort-cpu"]
    effort = ["--processes", "1", "--min-seconds", "0", "--min-count", "1", "--max-seconds", "1", "--patience", "0"]
    vitbench("parity", *one, "--batch", "1", "--out", "run")
    vitbench("bench", *one, "--batch", "1", *effort, "--repeats", "0", "--out", "run")
    records = [json.loads(line) for line in (tmp_path / "run" / "results.jsonl").read_text().splitlines()]
    assert [record["command"].split()[:2] for record in records] == [["vitbench", "parity"], ["vitbench", "bench"]]
    vitbench("report", "run", "--format", "md,html", "--lang", "zh")
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
    assert json.loads(vitbench("compare", "run", "run", "--json"))["cells"]
    assert "  vitbench parity --model ViT_base_patch32_384" in vitbench("parity", "--help")


def test_importing_it_leaves_the_users_names_alone(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "convert.py").write_text("mine = True\n")
    code = "import vitbench, convert; print(vitbench.convert.__module__, convert.mine)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "vitbench.api True\n", done.stderr


def test_imports_and_commands_are_changed_and_nothing_else() -> None:
    rest = "if convert_it:\n    from {}reports.load import (\n        a,\n    )\n"
    code = f'"""é `python -m validate.parity --x`"""\nimport convert\n{rest.format("")}'
    assert BUILD["installed"](code) == (
        f'"""é `vitbench parity --x`"""\nimport vitbench.floors.convert\n{rest.format("vitbench.floors.")}'
    )
    assert BUILD["commands"]("python -m runtimes.records") == "python -m vitbench.floors.runtimes.records"


@pytest.mark.parametrize(
    "code", ["import convert.cli\nconvert.cli.find()\n", "import os, convert\n", "import convert, reports\n"]
)
def test_an_import_that_would_mean_something_else_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match="line 1: `import convert"):
        BUILD["installed"](code)
