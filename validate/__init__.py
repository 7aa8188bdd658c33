"""Is it the same model, and is it still as good?"""

import convert  # noqa: F401 - Ctrl-C is quiet from the first import on
