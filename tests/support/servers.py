"""What becomes of a test whose server can't be had on this machine."""

import os
from typing import NoReturn

import pytest


def required() -> bool:
    """Whether every server has to be there: what can be built for it is built then."""
    return bool(os.environ.get("CI") or os.environ.get("VEIL_REQUIRE_SERVERS"))


def absent(reason: str) -> NoReturn:
    """Leaves the test out; fails it where every server has to be there."""
    if required():
        pytest.fail(reason)
    pytest.skip(reason)
