"""A pure function of the stored results."""

import convert  # noqa: F401 - Ctrl-C is quiet from the first import on
