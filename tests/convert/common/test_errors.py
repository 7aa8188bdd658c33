from __future__ import annotations

import pytest

from convert.common.console import cell
from convert.common.errors import CheckFailed, InputError, listing, without_passwords


@pytest.mark.parametrize("kind", [InputError, CheckFailed])
def test_what_files_and_servers_say_stays_on_our_line(
    kind: type[InputError] | type[CheckFailed], capsys: pytest.CaptureFixture[str]
) -> None:
    kind("photos/\x1b[2J\nok: converted\r\ud800 \u202e 中文 é: no image").show()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith(r"photos/\x1b[2J\nok: converted\r\ud800 \u202e 中文 é: no image")
    kind(f"{'a' * 5_000_000}: no such file; choose another").show()
    (line,) = capsys.readouterr().err.splitlines()
    assert len(line) < 5000
    assert line.endswith("no such file; choose another")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert cell(text) == f"'{text}"


@pytest.mark.parametrize("value", ["a=1", "1-2", "", -1, -1.5, None, True])
def test_other_cells_are_as_they_are(value: object) -> None:
    assert cell(value) == value


@pytest.mark.parametrize("login", ["me:hush", "hush", "me:hu/sh", "me:h?#sh", "me:hush@x", ":hush"])
def test_a_password_of_a_url_is_in_no_message(login: str, capsys: pytest.CaptureFixture[str]) -> None:
    InputError(f"--weights 'https://{login}@host:80/net.pdparams': no such file (http://host/a@b, x@y.z)").show()
    said = capsys.readouterr().err
    assert said == "error: --weights 'https://host:80/net.pdparams': no such file (http://host/a@b, x@y.z)\n"


@pytest.mark.parametrize("text", ["http://host:80/a@2x.png", "https://[::1]:80/a", "me@corp.example: // x@y"])
def test_what_has_no_password_stays(text: str) -> None:
    assert without_passwords(text) == text


def test_names_in_a_list_are_cut_and_escaped_each() -> None:
    said = listing(["a\nb", "c" * 1_000_000, "last"])
    assert said.startswith(r"a\nb, ccc")
    assert said.endswith("c, last")
    assert len(said) < 1000
