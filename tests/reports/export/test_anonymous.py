"""What is replaced in a text, by its form alone: no list of names is needed for it."""

from __future__ import annotations

import pytest

from reports.export.anonymous import ADDRESS, PATH, Cleaner

NOBODY = Cleaner.of([], [])


@pytest.mark.parametrize(
    "name",
    [
        *("wedding.jpg", "IMG_2031.HEIC", "kim-net.pdparams", "kim.pth.tar", "best.onnx.data", "kim.safetensors"),
        *("our_model.toml", "visitors.csv", "shard-00001.parquet", "backup.tar.gz"),
    ],
)
@pytest.mark.parametrize("text", ["{}", "cannot read {}: broken", "({}, line 3)", "at {}.", "images={}"])
def test_a_file_is_replaced_without_a_slash_too(name: str, text: str) -> None:
    assert NOBODY.text(text.format(name)) == text.format(PATH)
    assert NOBODY.text(f"'a {name}' is left out") == f"'{PATH}' is left out"


@pytest.mark.parametrize("name", ["model.onnx", "inference.pdiparams", "manifest.json", "libnvinfer.so.10", "v1.31.0"])
def test_files_that_everybody_has_stay(name: str) -> None:
    assert NOBODY.text(f"{name}: cannot be read") == f"{name}: cannot be read"


@pytest.mark.parametrize("slash", ["/", "\\", "%2F", "%2f", "%252F", "%5C", "%255c"])
def test_a_path_is_one_as_a_url_writes_it_too(slash: str) -> None:
    path = slash.join(["", "home", "ottilie", "net"])
    cleaner = Cleaner.of([f"file:{path}"], [])
    assert cleaner.text(f"file:{path} of Ottilie") == f"{PATH} of NAME"
    assert NOBODY.text(f"open('srv{slash}secret x')") == f"open('{PATH}')"


@pytest.mark.parametrize(
    "address",
    [
        *("::1", "fe80::1", "fe80::a:b%eth0", "2001:db8::5", "2001:db8:0:0:0:0:2:1", "::ffff:10.20.30.40", "10.1.2.3"),
        *("10.1.2.3:8080", "02:42:ac:11:00:02", "fd00::"),
    ],
)
@pytest.mark.parametrize("text", ["{}", "of {}, again", "at [{}]:80", "peer={}"])
def test_an_address_is_replaced_however_short(address: str, text: str) -> None:
    assert NOBODY.text(text.format(address)) == text.format(ADDRESS)


@pytest.mark.parametrize(
    "text", ["std::vector", "at::Tensor::add_", "ov::hint", "a :: b", "12:34:56", "2026-11-24T08:00:00Z", "::operator"]
)
def test_colons_alone_are_no_address(text: str) -> None:
    assert NOBODY.text(text) == text


@pytest.mark.parametrize("value", ["net.bin", "net.pth.tar", "a%2Fb", "net.onnx", "kim.NPZ"])
def test_no_file_stays_in_a_command(value: str) -> None:
    said = NOBODY.command(f"python -m runtimes.bench --weights {value} --batch 4")
    assert said == f"python -m runtimes.bench --weights {PATH} --batch 4"


@pytest.mark.parametrize("letters", ["a", ".", "é", "a.", "1.", "~", "%2", ":", "a@", "'/", "/home/", "::"])
def test_a_long_text_takes_no_longer_than_it_is(letters: str) -> None:
    """A pattern whose steps grow with the square of the length would take minutes here."""
    long, short = (letters * (length // len(letters)) for length in (60_000, 60))
    assert (NOBODY.text(long) == long) == (NOBODY.text(short) == short)


def test_addresses_side_by_side() -> None:
    assert "@" not in NOBODY.text("a@b.org+d@e.org, c.d@e, " + "x" * 300 + "@f.org")
