"""What the page's script says, in the report's language."""

from __future__ import annotations

from reports.language import mark, say

IN_SCRIPT = (
    mark("%1 of %2 cells"),
    mark("Copy"),
    mark("Copied"),
    mark("Copy the command"),
    mark("Model"),
    mark("Batch"),
    mark("Images"),
)


def in_script() -> dict[str, str]:
    """Text as it stands in the script -> what it says there."""
    return {text: say(text) for text in IN_SCRIPT}
