"""The claims of README and docs, one after another: what they say, what this machine says, and whether it holds.

    python scripts/check_claims.py                     # all of them: some hours on two cores
    python scripts/check_claims.py --only variants,own-tools
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

import math
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import click

sys.path.insert(0, str(Path(__file__).parents[1]))  # the folder of `scripts`, which is not installed

from convert import cli
from convert.build import ARTIFACTS
from convert.common import isolate
from convert.common.errors import InputError, listing
from convert.zoo import DEFAULT_MODEL
from runtimes.options import words
from scripts import adapter_overhead, compare_conversion, compare_graphs, compare_variants, own_tools, repeatability
from scripts.common import Finding, conclude, named, show
from scripts.interleaved import LEAST_ROUNDS, Repetition

Claim = Callable[[bool, Path], Iterable[Finding]]

_QUICK = Repetition(3, seconds=0.5, slowdown=math.inf)
_QUICK_RUNS = ("--batch", "1", "--processes", "2", "--min-seconds", "0.5", "--max-seconds", "1", "--patience", "1")


def _overhead(quick: bool, root: Path) -> Iterable[Finding]:
    (artifact,) = cli.artifacts(DEFAULT_MODEL, None, "fp32", root).values()
    return adapter_overhead.find(artifact, seconds=2 if quick else 20)


def _own_tools(quick: bool, root: Path) -> Iterable[Finding]:
    (artifact,) = cli.artifacts(DEFAULT_MODEL, None, "fp32", root).values()
    return own_tools.find(artifact, _QUICK if quick else Repetition(8, 4.0))


def _variants(quick: bool, root: Path) -> Iterable[Finding]:
    claim = compare_variants.VariantClaim(at_least=compare_variants.AT_LEAST, stated=compare_variants.STATED)
    repetition = _QUICK if quick else Repetition(10, 2.0)
    return compare_variants.find([DEFAULT_MODEL], None, root, claim, repetition)


def _graphs(quick: bool, root: Path) -> Iterable[Finding]:
    cells = compare_graphs.possible("fp32", compare_graphs.RUNTIMES)
    models = named(DEFAULT_MODEL if quick else "all")
    return compare_graphs.find(models, None, root, cells, _QUICK if quick else Repetition(8, 4.0))


def _conversion(quick: bool, root: Path) -> Iterable[Finding]:
    models = [DEFAULT_MODEL] if quick else named(compare_conversion.MODELS)
    return compare_conversion.find(models, LEAST_ROUNDS if quick else 3)


def _repeatability(quick: bool, root: Path) -> Iterable[Finding]:
    runtimes = ("--runtime", repeatability.RUNTIMES)
    if quick:
        return repeatability.find(Path(f"{repeatability.OUT}-quick"), 3, 1, 0, (*runtimes, *_QUICK_RUNS))
    return repeatability.find(repeatability.OUT, 10, 3, 3, (*runtimes, *repeatability.EFFORT))


CLAIMS: Mapping[str, Claim] = {
    "overhead": _overhead,
    "own-tools": _own_tools,
    "variants": _variants,
    "graphs": _graphs,
    "conversion": _conversion,
    "repeatability": _repeatability,
}


def check(name: str, quick: bool, root: Path) -> list[Finding]:
    """The findings of one claim; where it ends with an error, that is the last one, so that the others go on."""
    findings: list[Finding] = []
    cli.say(f"{name} ...")
    try:
        for finding in CLAIMS[name](quick, root):
            cli.say(f"{finding.subject}: {finding.found} ({finding.interval}) {finding.verdict}")
            findings.append(finding)
    except (click.ClickException, isolate.JobError, OSError, subprocess.SubprocessError) as error:
        findings.append(Finding(name, "", "", str(error), verdict="cannot tell"))
    return findings


@click.command(help=__doc__)
@click.option("--only", help="Claims, comma-separated. [default: all]")
@click.option(
    "--quick", is_flag=True, help="Three rounds of half a second, one model, however busy the machine: a look."
)
@click.option("--artifacts", "root", type=click.Path(path_type=Path), default=ARTIFACTS, show_default=True)
def main(only: str | None, quick: bool, root: Path) -> None:
    names = list(CLAIMS) if only is None else words(only)
    unknown = [name for name in names if name not in CLAIMS]
    if unknown or not names:
        raise InputError(f"--only {listing(unknown) or '(nothing)'}: choose from {', '.join(CLAIMS)}")
    findings = [finding for name in names for finding in check(name, quick, root)]
    show(findings)
    conclude(findings)


if __name__ == "__main__":
    main()
