"""Messages in Chinese: a catalogue of what the source says, and finished lines that are found in it again."""

from __future__ import annotations

import ast
import errno
import functools
import inspect
import os
import re
import string
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from convert.common import language
from convert.common.boundary import BoundedCommand
from convert.common.console import say
from convert.common.errors import InputError
from convert.common.language import translated

ROOT = Path(language.__file__).parents[2]
PACKAGES = ("convert", "runtimes", "validate", "reports", "vitbench")
FILE = Path(language.__file__).parent / "locale" / "zh.po"
CATALOGUE = language.catalogue(FILE)
WORDS = language.catalogue(FILE, language.ALONE)
LETTER = re.compile("[A-Za-z]")


def fixed(text: ast.Constant | ast.JoinedStr) -> tuple[str, ...]:
    """What stands before, between and after the places of a text in the source; places side by side are one."""
    parts = [""]
    for value in [text] if isinstance(text, ast.Constant) else text.values:
        if isinstance(value, ast.Constant):
            parts[-1] += str(value.value)
        elif len(parts) == 1 or parts[-1]:
            parts.append("")
    return tuple(parts)


@functools.cache
def source_texts() -> set[tuple[str, ...]]:
    files = [file for package in PACKAGES for file in (ROOT / package).rglob("*.py")]
    nodes: Iterator[ast.AST] = (
        node for file in files for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    )
    ours = {fixed(node) for node in nodes if isinstance(node, (ast.Constant, ast.JoinedStr))}
    system = [os.strerror(code) for code in errno.errorcode]
    others = [*system, *map(str.lower, system), "[Errno {}] {}: {}"]  # the last is how Python shows an error of these
    for module in (click.core, click.exceptions, click.parser, click.types):
        tree = ast.parse(inspect.getsource(module))
        others += [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is str]
    return ours | {_formatted(text) for text in others}


def _formatted(text: str) -> tuple[str, ...]:
    """What stands before, between and after the places of a text that `format` fills in, without the last full stop."""
    try:
        return language.fixed_parts(text.rstrip("."))[0]
    except ValueError:  # it is none
        return (text,)


@pytest.mark.parametrize("text", [*CATALOGUE, *WORDS])
def test_an_entry_is_what_the_source_says(text: str) -> None:
    parts, _ = language.fixed_parts(text)
    inner = [part for part in parts[1:-1] if part]
    assert (parts[0], *inner, parts[-1]) in source_texts() or (len(parts) == 1 and parts in source_texts())


@pytest.mark.parametrize(("text", "said"), [*CATALOGUE.items(), *WORDS.items()])
def test_a_translation_is_chinese_and_fills_in_nothing_else(text: str, said: str) -> None:
    assert re.search("[\u4e00-\u9fff，（]", said)
    assert "你" not in said
    names, used = ({name for _, name, _, _ in string.Formatter().parse(one) if name} for one in (text, said))
    assert used <= names
    # What is taken for a sentence of ours has some words of it.
    assert len(LETTER.findall("".join(language.fixed_parts(text)[0]))) >= 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("parity was not checked at batch 4", "批大小 4 没有做过一致性校验"),
        ("parity failed: logits differ by up to 0.1", "一致性校验失败：logits 最大相差 0.1"),
        (
            "the times did not get steady; other processes took 40% of the processor meanwhile",
            "用时没有趋于稳定；其间其他进程占用了处理器的 40%",
        ),
        ("vit fp32 on ort-cpu: a text of a runtime's own", "vit fp32 on ort-cpu: a text of a runtime's own"),
        ("vit: the times did not get steady", "vit：用时没有趋于稳定"),
        (
            "median 1.2 ms [1.1, 1.3], 30 samples, unstable: it failed",
            "中位数 1.2 ms [1.1, 1.3]，30 个样本，不稳定：它失败了",
        ),
        ("", ""),
        ("{path}: {state}", "{path}: {state}"),
        ("throughput", "吞吐量"),
        ("CANNOT TELL", "无法判断"),
        (
            "error: --budget 'x': no limit; there are memory (memory<1GB), images/s (images/s>=100)",
            "错误：--budget 'x'：不是限制条件；有 memory (memory<1GB), images/s (images/s>=100)",
        ),
        (
            "15,700 GFLOP/s in fp32 by NVIDIA's data sheet of the SXM2 card, 36% of it reached",
            "据 NVIDIA 的数据表，fp32 为 15,700 GFLOP/s，SXM2 卡，达到其 36%",
        ),
        ("round 1 of 2, about 34 s left", "第 1 轮（共 2 轮），约剩 34 s"),
        (
            "a/int8: ok, opset 17, 1.07 GMACs as PaddleClas counts (1.25 in all), 5.68 M parameters (5.72 in all); "
            "84 % of the arithmetic in int8; on AVX2 and AVX512 without VNNI int8 may differ: two products may exceed "
            "16 bits in 9 of 21 output channels in 4 operators, where up to 18 % of an operator's largest output "
            "changed",
            "a/int8：正常，opset 17，按 PaddleClas 的算法计 1.07 GMACs（共 1.25），5.68 M 参数（全部 5.72）；"
            "84 % 的运算为 int8；在没有 VNNI 的 AVX2 与 AVX512 上 int8 的结果可能不同：两个乘积之和可能超过 "
            "16 位，涉及 4 个算子的 21 个输出通道中的 9 个，其中算子最大输出的变化至多为 18 %",
        ),
        (
            "vit: NOTE: kept in FP32: blocks.7.mlp.fc2 (8.1 dB above int8's noise), head (asked for)",
            "vit：注意：保持 FP32：blocks.7.mlp.fc2（高于 int8 噪声 8.1 dB），head（按指定）",
        ),
        (
            "photos.txt: labels assumed: its labels are the model's, counted from 0 (goldfish -> 1)",
            "photos.txt：标签顺序：假定：其标签就是模型的标签，从 0 起编号（goldfish -> 1）",
        ),
        ("val.txt, 60 of 460 images, evenly over its classes", "val.txt, 60 / 460 张图像，在各类别间均匀选取"),
        (
            "vit at batch 1 on mnn fp32: 9.5 ms in layers and 2.9 ms outside of them make a run of 12.4 ms with the "
            "profiler, 0.6 ms (7%) less than the 13.0 ms without it; means of 3 runs",
            "vit，批大小 1 on mnn fp32：各层 9.5 ms，层外 2.9 ms，合为带性能分析器的一次运行 12.4 ms，"
            "比不带时的 13.0 ms 少 0.6 ms（7%）；以上为3 次运行的均值",
        ),
        ("top-1 [95 %]", "top-1 [95 %]"),
        (
            "2 cells, 2 processes each at least: about 20 s, 8 s of it for parity; at the peak 3 MiB of memory;"
            " 1 MiB more on disk",
            "2 个测试项，每项至少 2 个进程：约 20 s，其中一致性校验 8 s；内存峰值 3 MiB；另需磁盘空间 1 MiB",
        ),
        (
            "error: --batch 'x': whole numbers above zero are needed, as in --batch 1,4,8",
            "错误：--batch 'x'：应为大于零的整数，如 --batch 1,4,8",
        ),
        (
            "a fp32 beats b fp32 by 6 % (4 to 8); at 2 euros per hour a million images cost 0.4 euros (0.3 to 0.5)",
            "a fp32 比 b fp32 快 6 %（4 至 8）；按每小时 2 欧元计，一百万张图像需 0.4 欧元（0.3 至 0.5）",
        ),
        ("--mode x: choose from latency, throughput, server", "--mode x：请从 latency, throughput, server 中选择"),
    ],
)
def test_a_finished_line_is_found_again(text: str, said: str) -> None:
    assert translated(text, "zh") == said
    assert translated(text, "en") == text


def test_what_is_filled_in_stays_as_it_is_also_with_braces() -> None:
    assert (
        translated("error: --weights {0}/x.npz: there is no such file", "zh")
        == "错误：--weights {0}/x.npz：没有这个文件"
    )


HOSTILE = ["; " * 1900, ": " * 1900, "error: " * 500, "a, " * 1300, "parity of " * 390 + " on "]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_line_takes_no_time(hostile: str) -> None:
    start = time.process_time()
    translated(hostile, "zh")
    assert time.process_time() - start < 5


@pytest.mark.parametrize(
    ("variables", "spoken"),
    [
        ({}, "en"),
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_MESSAGES": "zh_CN"}, "zh"),
        ({"LANG": "fr_FR.UTF-8"}, "en"),
    ],
)
def test_the_locale_says_which_language(
    variables: dict[str, str], spoken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    language.choose(None)
    assert language.spoken() == spoken
    with language.speaking("zh"):
        assert language.spoken() == "zh"


@click.command(cls=BoundedCommand)
@click.option("--bad", is_flag=True)
def command(bad: bool) -> None:
    say("toy: converted, in artifacts/toy")
    if bad:
        raise InputError("--weights x.npz: there is no such file")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (["--lang", "zh"], 0, "toy：已转换，位于 artifacts/toy\n"),
        (["--bad", "--lang", "zh"], 2, "错误：--weights x.npz：没有这个文件\n"),
        (["--bad", "--lang", "en"], 2, "error: --weights x.npz: there is no such file\n"),
    ],
)
def test_every_command_has_lang(arguments: list[str], status: int, said: str) -> None:
    done = CliRunner().invoke(command, arguments)
    assert done.exit_code == status
    assert done.stderr.endswith(said)
    assert "--lang" in CliRunner().invoke(command, ["--help"]).output
