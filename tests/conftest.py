"""What every test needs: logging as it was before."""

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """The command and the log tests set logging up for a process of their own."""
    root, kafka = logging.getLogger(), logging.getLogger("kafka")
    handlers, levels, disabled = root.handlers[:], (root.level, kafka.level), root.manager.disable
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    kafka.setLevel(levels[1])
    logging.disable(disabled)
