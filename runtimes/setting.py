"""A setting that one runtime alone knows: `--option runtime.key=value`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Setting:
    """A key of `Options.extra`. values: what it may be; None means a whole number, or with text any word."""

    default: str
    help: str
    values: tuple[str, ...] | None = None
    text: bool = False

    def accepts(self, value: str) -> bool:
        if self.text:
            return value.isprintable() and len(value.split()) == 1
        return value in self.values if self.values else value.isascii() and value.isdigit()

    @property
    def choice(self) -> str:
        if self.text:
            return "a word without blanks"
        return "|".join(self.values) if self.values else "a whole number"
