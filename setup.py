"""What is installed is one package, `vitbench`: the build puts the four packages of the checkout below it.

`convert`, `runtimes`, `validate` and `reports` are names that others have too, and a `convert.py` in the folder where
somebody works would be found first. So a wheel has them as `vitbench.floors.convert` and so on, with their imports
changed to that, and texts say `vitbench parity` where the checkout says `python -m validate.parity`. An editable
installation has the checkout as it is.
"""

from __future__ import annotations

import ast
import re
import runpy
import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

_HERE = runpy.run_path(str(Path(__file__).parent / "convert" / "common" / "commands.py"))
_INSIDE = "vitbench.floors"
_COMMAND = re.compile(rf"python -m ((?:{'|'.join(_HERE['FLOORS'])})(?:\.\w+)*)")


def installed(code: str) -> str:
    """The source of a module as it is installed. ValueError for an import that would not mean the same there."""
    lines = code.splitlines(keepends=True)
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found = [alias for alias in node.names if _is_floor(alias.name)]
            bare = {alias.name.partition(".")[0] for alias in found if alias.asname is None}
            used = {name.id for name in ast.walk(tree) if isinstance(name, ast.Name)} & bare
            if used or len(found) not in (0, len(node.names)) or len(found) > 1:
                raise ValueError(f"line {node.lineno}: `import {found[0].name}` has to be `from ... import ...`")
        elif isinstance(node, ast.ImportFrom):
            found = [alias for alias in node.names if not node.level and _is_floor(str(node.module))]
        if isinstance(node, (ast.Import, ast.ImportFrom)) and found:
            line, start = lines[node.lineno - 1], node.col_offset
            word = "from " if isinstance(node, ast.ImportFrom) else "import "
            if not line[start:].startswith(word):
                raise ValueError(f"line {node.lineno}: an import begins with `{word}` and its module in one line")
            place = start + len(word)
            lines[node.lineno - 1] = f"{line[:place]}{_INSIDE}.{line[place:]}"
    return commands("".join(lines))


def commands(text: str) -> str:
    """A text that names commands, as it is installed."""

    def changed(found: re.Match[str]) -> str:
        name = _HERE["NAMES"].get(found[1])
        return f"vitbench {name}" if name else f"python -m {_INSIDE}.{found[1]}"

    return _COMMAND.sub(changed, text)


def _is_floor(module: str) -> bool:
    return module.partition(".")[0] in _HERE["FLOORS"]


class BuildFloors(build_py):
    """Builds the packages as the checkout has them, and moves four of them below `vitbench`."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        package = Path(self.build_lib) / "vitbench"
        inside = package / "floors"
        shutil.rmtree(inside, ignore_errors=True)  # of an earlier build
        inside.mkdir()
        (inside / "__init__.py").write_text('"""The four packages of the checkout, as they are installed."""\n')
        for name in _HERE["FLOORS"]:
            (package.parent / name).rename(inside / name)
        for change, pattern in ((installed, "*.py"), (commands, "*.po")):
            for file in package.rglob(pattern):
                file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    setup(cmdclass={"build_py": BuildFloors})
