"""The page's own words."""

from __future__ import annotations

LANGUAGE = "en"  # as HTML's lang attribute wants it


def say(text: str) -> str:
    """The text in the report's language."""
    return text


# What the page's script says.
IN_SCRIPT = (
    "%1 of %2 cells",
    "Copy",
    "Copied",
    "Copy the command",
    "Model",
    "Batch",
    "Images",
    "sort",
    "active",
    "All",
)
