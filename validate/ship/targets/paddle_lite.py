"""Paddle Lite's way: the old program, and the `.nb` file for phones where its Python is named."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from convert.artifact import Artifact
from convert.common import paddle
from convert.common.errors import CheckFailed
from runtimes.base import Setting, UnavailableError
from runtimes.lite import interpreter, program
from validate.ship.target import Target, copy_form

_NB = "model.nb"
_SECONDS = 600


class PaddleLiteTarget(Target):
    """`inference.pdmodel` and `inference.pdiparams`, and `model.nb` where the Python with paddlelite is named."""

    name = "paddle-lite"
    purpose = "Paddle Lite on phones"
    runtime = "paddle-lite"
    settings: ClassVar[Mapping[str, Setting]] = {
        "valid_targets": Setting("arm", "what model.nb is for", ("arm", "arm,opencl", "x86"))
    }
    order = 60

    def refusal(self, artifact: Artifact, settings: Mapping[str, str]) -> str | None:
        """See Target: Paddle writes the program of a spec."""
        paddle.need("--to paddle-lite: its program")
        return program.refusal(artifact)

    def write(self, artifact: Artifact, folder: Path, settings: Mapping[str, str]) -> None:
        """Write the program, and have Paddle Lite make `model.nb` of it."""
        copy_form(folder, lambda options: program.written(artifact, options))
        try:
            interpreter.version()
        except UnavailableError:
            return  # README.md has the command
        command = _command(interpreter.path(), folder, folder / "model", settings)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
            said = (done.stdout + done.stderr).strip().splitlines()[-1:]
        except (OSError, subprocess.TimeoutExpired) as error:
            said = [str(error)]
        if not (folder / _NB).is_file():
            raise CheckFailed(f"--to paddle-lite: paddle_lite_opt wrote no {_NB}: {' '.join(said)}")

    def readme(self, artifact: Artifact, settings: Mapping[str, str]) -> str:
        opt = " ".join(_command("", Path(), Path("model"), settings)[1:])
        return f"""\
`{_NB}` is for `{settings["valid_targets"]}`: `MobileConfig::set_model_from_file("{_NB}")` then
`CreatePaddlePredictor<MobileConfig>`; it takes one thread unless `set_threads` says more. Paddle Lite makes it of the
program beside it; where it is missing, by

```sh
{opt}
```

What was proven of it below is the program `inference.pdmodel` on x86. **{_NB} itself was not run: no phone was here.**
`probe.*` are for `vitbench check`, with {interpreter.VARIABLE} naming a Python 3.7 that has paddlelite."""


def _command(python: str, folder: Path, out: Path, settings: Mapping[str, str]) -> list[str]:
    """python: the interpreter beside which paddle_lite_opt is."""
    return [
        python,
        str(Path(python).with_name("paddle_lite_opt")) if python else "paddle_lite_opt",
        f"--model_file={folder / program.PROGRAM}",
        f"--param_file={folder / program.PARAMS}",
        f"--optimize_out={out}",
        f"--valid_targets={settings['valid_targets']}",
    ]


TARGETS = (PaddleLiteTarget(),)
