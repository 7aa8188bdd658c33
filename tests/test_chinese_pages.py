"""Pages in Chinese stay level with the English ones: headings, paragraphs, commands, tables, names and figures."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = {
    ROOT / "README_zh.md": ROOT / "README.md",
    **{page: ROOT / "docs" / page.relative_to(ROOT / "docs/zh") for page in sorted((ROOT / "docs/zh").rglob("*.md"))},
}
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e[-+]?\d+)?")
FRACTION = re.compile(r"\d+\.\d+")
SPAN = re.compile(r"`([^`]+)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)]+)\)")


@dataclass
class Section:
    """What stands between two headings. blocks: paragraphs and items of lists; tables: the rows of all tables."""

    level: int = 0
    blocks: int = 0
    code: list[list[str]] = field(default_factory=list)
    rows: list[str] = field(default_factory=list)
    prose: str = ""


def sections(page: Path) -> list[Section]:
    found, in_code, in_block = [Section()], False, False
    for line in page.read_text(encoding="utf-8").splitlines():
        now = found[-1]
        if line.startswith("```"):
            in_code, in_block = not in_code, False
            if in_code:
                now.code.append([line])
        elif in_code:
            now.code[-1].append(re.sub(r"(^|\s+)#.*", "", line))  # comments are translated
        elif heading := re.match("#+(?= )", line):
            found.append(Section(len(heading[0])))
            in_block = False
        elif line.startswith("|"):
            now.rows.append(line)
            now.prose += line + "\n"
            in_block = False
        elif not line or LANGUAGES.search(line):
            in_block = False
        else:
            now.blocks += not in_block or bool(re.match(r"(- |\d\. )", line))
            in_block = True
            now.prose += line + "\n"
    return found


LANGUAGES = re.compile(r"^(English|\[English\]).*简体中文")


def both(page: Path) -> Iterator[tuple[Section, Section]]:
    english, chinese = sections(PAGES[page]), sections(page)
    assert [one.level for one in chinese] == [one.level for one in english]
    yield from zip(english, chinese, strict=True)


def named(text: str) -> set[str]:
    """What is named in the words that one types or reads in files."""
    return {" ".join(span.split()).replace("docs/zh/", "docs/") for span in SPAN.findall(text)}


pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())


def test_the_pages_that_a_newcomer_reads_are_there() -> None:
    assert {"measuring.md", "runtimes.md", "ship/README.md"} <= {
        page.relative_to(ROOT / "docs/zh").as_posix() for page in PAGES if page.name != "README_zh.md"
    }


@pages
def test_paragraphs_and_lists_are_as_many(page: Path) -> None:
    for english, chinese in both(page):
        assert chinese.blocks == english.blocks, (english.prose, chinese.prose)


@pages
def test_commands_are_the_same(page: Path) -> None:
    for english, chinese in both(page):
        assert chinese.code == english.code


@pages
def test_tables_have_the_same_rows_and_numbers(page: Path) -> None:
    for english, chinese in both(page):
        assert len(chinese.rows) == len(english.rows)
        for one, other in zip(english.rows, chinese.rows, strict=True):
            assert other.count("|") == one.count("|"), other
            assert Counter(NUMBER.findall(other)) == Counter(NUMBER.findall(one)), other


@pages
def test_the_same_names_and_figures_are_in_each_section(page: Path) -> None:
    for english, chinese in both(page):
        assert named(chinese.prose) == named(english.prose)
        assert set(FRACTION.findall(chinese.prose)) == set(FRACTION.findall(english.prose))


@pages
def test_links_lead_somewhere_and_to_chinese_where_there_is_some(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    translated = {english.resolve() for english in PAGES.values()}
    for link in LINK.findall(text):
        if "://" in link:
            continue
        target = (page.parent / link.partition("#")[0]).resolve()
        assert target.exists(), link
        assert target not in translated or f"[English]({link})" in text, f"{link} has a Chinese page"


def test_the_reader_is_spoken_to_politely() -> None:
    catalogues = [ROOT / "reports/locale/zh.po", ROOT / "convert/common/locale/zh.po"]
    for file in [*PAGES, *catalogues]:
        assert "你" not in file.read_text(encoding="utf-8"), file
        assert "单元" not in file.read_text(encoding="utf-8"), f"{file}: a cell is a 测试项"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_sentence_stands_twice_in_a_paragraph(page: Path) -> None:
    paragraphs = re.split(r"\n\s*\n", re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL))
    twice = [
        one
        for paragraph in paragraphs
        for one, count in Counter(re.split(r"[。；：\n]", paragraph)).items()
        if count > 1 and len(one) > 20 and not one.startswith("|")
    ]
    assert not twice
