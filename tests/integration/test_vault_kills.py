"""kill -9 before every write, commit, fsync, rename and unlink of the vault: nothing acknowledged is lost, nothing is
there twice, and what should be gone can't be read."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.dying_vault import SECONDS
from tests.support.originals import FPS, GROUP

_FRAMES = SECONDS * FPS
_TIMEOUT_S = 1500


def attempts(folder: Path, job: str) -> list[dict[str, Any]]:
    """What each step left, and what became of it."""
    command = ["nice", "-n", "19", sys.executable, "-m", "tests.support.dying_vault", str(folder), job]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=_TIMEOUT_S, env=os.environ | {"PYTHONWARNINGS": "ignore"}
    )
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert found[-1]["lived"], "every step was reached"
    assert not any(each["lived"] for each in found[:-1])
    return found


@pytest.mark.timeout(_TIMEOUT_S)
def test_a_crash_while_storing_loses_nothing_acknowledged_and_leaves_nothing_readable(tmp_path: Path) -> None:
    found = attempts(tmp_path, "store")
    assert len(found) > 20
    halfway = 0
    for each in found:
        after, recovered = each["after"], each["recovered"]
        # Whatever is acknowledged can be read, and nothing else is known of but as a draft.
        assert after["frames"] == list(range(len(after["frames"])))
        assert after["acknowledged"] <= len(after["frames"]) + 1, "the last message is the epoch's end"
        assert after["readable"] == 0, "the salt of what is not live is nowhere"
        halfway += 0 < len(after["frames"]) < _FRAMES
        # The next process goes on where this one was, and clears up.
        assert recovered["frames"] == list(range(_FRAMES))
        assert recovered["spans"] == [[first, first + GROUP - 1] for first in range(0, _FRAMES, GROUP)]
        assert recovered["acknowledged"] == _FRAMES + 1
        assert recovered["states"] == ["live"] * 4
        assert (recovered["files"], recovered["unknown"]) == (4, [])
    assert halfway, "some kills fall between two segments"


@pytest.mark.timeout(_TIMEOUT_S)
def test_a_crash_while_purging_leaves_all_or_nothing_readable_and_is_finished(tmp_path: Path) -> None:
    found = attempts(tmp_path, "purge")
    assert len(found) > 8
    for each in found:
        after, recovered = each["after"], each["recovered"]
        # Keys of all of it go at once: either it was never purged, or no file is of any use, however many are left.
        assert len(after["frames"]) in (0, _FRAMES)
        assert after["readable"] == 0
        if after["files"] < 4:
            assert not after["frames"], "the key goes before the bytes"
        assert (recovered["frames"], recovered["files"], recovered["states"]) == ([], 0, ["gone"] * 4)
        assert recovered["proven"] == [True]
    assert any(each["after"]["frames"] for each in found)
    assert any(not each["after"]["frames"] and each["after"]["files"] == 4 for each in found)
