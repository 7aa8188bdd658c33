"""The claims of README and docs, one after another: what they say, what this machine says, and whether it holds.

\b
    python scripts/check_claims.py                     # all of them: some hours on two cores
    python scripts/check_claims.py --only variants,own-tools
    python scripts/check_claims.py --only variants --model my_vit.toml --cells openvino:fp32,ort-cpu:fp32 --batch 8
    python scripts/check_claims.py --quick             # a look of minutes, with wide intervals

Prints a table; exit status 1 when a claim does not hold, 2 when one could not be decided (a machine that is not quiet,
a tool that is not there). The claims:

\b
overhead       an adapter costs at most 20 µs on a toy and 1 % on a model
own-tools      our latency is that of benchmark_app and of a bare ONNX Runtime loop, within 2 %
variants       the fastest variant is three times as fast as Paddle Inference; README has each
graphs         our graphs are not slower than Paddle2ONNX's own
conversion     python -m convert takes less time and memory than Paddle2ONNX's way
repeatability  equal runs agree, and a model that is 5 % slower is found
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of `scripts`, which is not installed

from convert.artifact import ARTIFACTS
from convert.common import worker
from convert.common.console import say
from convert.common.errors import InputError, listing
from convert.model_options import WEIGHTS_HELP
from runtimes.options import listed
from runtimes.system.speed_probe import TOLERABLE_SLOWDOWN
from scripts import adapter_overhead, conversion, graphs, own_tools, repeatability, variants
from scripts.common import ClaimOptions, Finding, conclude, show
from scripts.interleaved import LEAST_ROUNDS

CLAIMS: Mapping[str, Callable[[ClaimOptions], Iterable[Finding]]] = {
    "overhead": adapter_overhead.find,
    "own-tools": own_tools.find,
    "variants": variants.find,
    "graphs": graphs.find,
    "conversion": conversion.find,
    "repeatability": repeatability.find,
}


def check(name: str, options: ClaimOptions) -> list[Finding]:
    """The findings of one claim; where it ends with an error, that is the last one, so that the others go on."""
    findings: list[Finding] = []
    say(f"{name} ...")
    try:
        for finding in CLAIMS[name](options):
            say(f"{finding.subject}: {finding.found} ({finding.interval}) {finding.verdict}")
            findings.append(finding)
    except (click.ClickException, worker.JobError, OSError, subprocess.SubprocessError) as error:
        findings.append(Finding(name, "", "", str(error), verdict="cannot tell"))
    return findings


@click.command(help=__doc__)
@click.option("--only", help="Claims, comma-separated. [default: all]")
@click.option("--quick", is_flag=True, help="Short rounds, one model, however busy the machine: a look.")
@click.option("--model", "models", help="Comma-separated, or all. [default: each claim's own]")
@click.option("--weights", help=WEIGHTS_HELP)
@click.option("--artifacts", "root", type=click.Path(path_type=Path), default=ARTIFACTS, show_default=True)
@click.option("--cells", help="RUNTIME:PRECISION, comma-separated (variants, graphs). [default: each claim's own]")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True, help="(variants, graphs)")
@click.option(
    "--at-least", type=click.FloatRange(min=0), help="How many times as fast the fastest is to be (variants)."
)
@click.option("--polygraphy", is_flag=True, help="Let paddle2onnx optimise; it installs a package (conversion).")
@click.option("--rounds", type=click.IntRange(min=LEAST_ROUNDS), help="Or runs. [default: each claim's own]")
@click.option("--seconds", type=float, help="Of measuring, of each in each round. [default: each claim's own]")
@click.option(
    "--slowdown", default=TOLERABLE_SLOWDOWN, show_default=True, help="Of the machine in a round that counts."
)
def main(only: str | None, **options: Any) -> None:
    names = list(CLAIMS) if only is None else listed(only)
    unknown = [name for name in names if name not in CLAIMS]
    if unknown or not names:
        raise InputError(f"--only {listing(unknown) or '(nothing)'}: choose from {', '.join(CLAIMS)}")
    findings = [finding for name in names for finding in check(name, ClaimOptions(**options))]
    show(findings)
    conclude(findings)


if __name__ == "__main__":
    main()
