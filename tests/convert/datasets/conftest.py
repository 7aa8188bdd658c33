"""Photos for the tests of labelled sets."""

from __future__ import annotations

import pytest

from tests.convert.datasets.written_sets import Photos, make_photos


@pytest.fixture(scope="session")
def photos() -> Photos:
    return make_photos(24)
