"""What every test needs: logging as it was before, and logs of its own."""

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(autouse=True, scope="session")
def _own_state(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Audit logs and accounts that nobody has named go there, and not among those of whoever runs the tests."""
    folder = tmp_path_factory.mktemp("state")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(folder))
        yield folder


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
