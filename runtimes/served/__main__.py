"""`python -m runtimes.served`: an artifact behind an inference server on this machine, for a first try."""

from __future__ import annotations

from pathlib import Path

import click

from convert import cli
from convert.common.boundary import BoundedCommand
from convert.common.console import say, say_json
from convert.common.disk import scratch
from convert.common.errors import InputError
from convert.model_options import ModelOptions
from convert.precision.table import FP32
from runtimes.served import start
from runtimes.served.triton import Deployment


@click.command(cls=BoundedCommand)
@cli.model_options
@click.option("--port", type=click.IntRange(1, 65535), default=8000, show_default=True, help="On loopback, for HTTP.")
@click.option("--backend", type=click.Choice(["onnxruntime", "openvino"]), default="onnxruntime", show_default=True)
@click.option(
    "--max-batch", type=click.IntRange(min=1), default=16, show_default=True, help="Images that one inference may have."
)
@click.option("--threads", type=click.IntRange(min=1), help="Inside one operator. [default: the backend's, every core]")
def main(
    models: str,
    chosen: ModelOptions,
    precision: str,
    root: Path,
    as_json: bool,
    port: int,
    backend: str,
    max_batch: int,
    threads: int | None,
) -> None:
    """Serve a model by Triton on loopback until Ctrl-C: `tritonserver` of the PATH, else that of nvidia-pytriton in the
    environment that VITBENCH_TRITON_PYTHON names, which has ONNX Runtime in a Python backend.

    With --json a document says on standard output when it is ready: url, models, and what serves them.

    \b
    python -m runtimes.served --model ViT_base_patch32_384
    python -m validate.parity --runtime served \\
        --option served.url=http://127.0.0.1:8000
    """
    if precision != FP32:
        raise InputError(f"--precision {precision}: what a server computes in can be shown for fp32 only")
    wanted = Deployment(backend, max_batch, threads)
    with scratch.folder() as folder:
        (folder / "backends").mkdir()
        installed = start.find(folder / "backends")
        found = list(cli.artifacts(models, chosen, precision, root).values())
        start.repository(folder / "models", found, wanted)
        with start.running(installed, folder / "models", port, folder / "log") as process:
            url = f"http://{start.LOOPBACK}:{port}"
            names = [artifact.model for artifact in found]
            say(f"{', '.join(names)} at {url}, by {installed.told}; Ctrl-C ends it")
            say(f"try: python -m validate.parity --runtime served --option served.url={url}")
            if as_json:
                say_json({"url": url, "models": names, "server": installed.told, "backend": wanted.backend})
            if status := process.wait():
                raise InputError(f"Triton ended with status {status}: {start.errors(folder / 'log')}")


if __name__ == "__main__":
    main(prog_name="python -m runtimes.served")
