"""Kills a vault at every step of its work: `python -m tests.support.dying_vault FOLDER store|purge`.

Each attempt is a process of its own that kills itself (SIGKILL) right before its n-th writing statement, commit, fsync,
rename or unlink; another one then looks at what it left, and a third one, which lives, finishes the work. It prints one
JSON object for each step.
"""

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, event, select

from services.bus.interface import Position
from services.runtime.ledger import Ledger
from services.vault import VaultError
from services.vault.events import Actor
from services.vault.tables import SEGMENTS
from services.vault.vault import Vault
from tests.support.originals import (
    START_US,
    Bus,
    end,
    feed,
    files,
    make_stage,
    make_vault,
    minutes,
    opened,
    pieces,
    seqs,
    stop,
)

SECONDS = 6
SETTINGS: dict[str, object] = {"segment_s": 4, "threads": 1}
HOUR_US = 3600 * 1_000_000
MOST_STEPS = 400


class Steps:
    """Counts what this process does, and ends it at the n-th."""

    def __init__(self, last: int) -> None:
        self.left = last
        self.taken = 0

    def __call__(self, *_: Any, **__: Any) -> None:
        self.taken += 1
        if self.taken == self.left:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self, vault: Vault) -> None:
        event.listen(vault.database.engine, "before_cursor_execute", self._statement)
        event.listen(vault.database.engine, "commit", self._commit)
        for name in ("fsync", "replace", "unlink", "mkdir"):
            setattr(os, name, self._counted(getattr(os, name)))

    def _statement(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        """To die before a statement that only reads is to die after what came before it."""
        if not statement.startswith(("SELECT", "BEGIN", "PRAGMA")):
            self()

    def _commit(self, connection: Connection) -> None:
        if not connection.get_execution_options().get("only_reads"):
            self()

    def _counted(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*args: Any, **kwargs: Any) -> Any:
            self()
            return call(*args, **kwargs)

        return counted


def bus() -> Bus:
    """What there is to store; the same every time."""
    made = Bus()
    frames = minutes(made, SECONDS)
    made.put(end(frames=frames))
    return made


def store(folder: Path, steps: Steps) -> None:
    """Stores what is not committed yet, and commits as a runner does, into a file."""
    vault = make_vault(folder, **SETTINGS)
    steps.watch(vault)
    stage = make_stage(vault)
    waiting = [message for message in bus().messages if message.position.offset >= _committed(folder, message.position)]
    ledger = Ledger()
    for message in waiting:
        ledger.deliver(message.position)
    ledger.finish(feed(stage, waiting))
    _commit(folder, ledger)
    ledger.finish(stop(stage))
    _commit(folder, ledger)
    steps()


def purge(folder: Path, steps: Steps) -> None:
    """Purges everything, or finishes what was begun."""
    vault = make_vault(folder, **SETTINGS)
    steps.watch(vault)
    vault.purger.resume()
    if not vault.purger.purges():
        vault.purger.order("gate", START_US, START_US + HOUR_US, Actor("kim", "a test"))
    steps()


def look(folder: Path) -> dict[str, Any]:
    """What can be read, what was acknowledged, and what lies about."""
    vault = make_vault(folder, **SETTINGS)
    with vault.database.read() as connection:
        rows = connection.execute(select(SEGMENTS.c.name, SEGMENTS.c.state, SEGMENTS.c.salt)).all()
    live = {row.name for row in rows if row.state == "live"}
    there = {str(path.relative_to(folder / "vault")) for path in files(folder / "vault")}
    try:
        parts = list(opened(vault))
    except VaultError:
        parts = []
    acknowledged = [
        message for message in bus().messages if message.position.offset < _committed(folder, message.position)
    ]
    return {
        "frames": [seq for _, seq in seqs(parts)],
        "spans": sorted({(each.first_seq, each.last_seq) for piece in pieces(parts) for each in piece.spans}),
        "acknowledged": sum(message.position.source.topic == "video.source" for message in acknowledged),
        "files": len(there),
        "unknown": sorted(there - {row.name for row in rows}),
        "readable": sum(row.salt is not None for row in rows if row.name not in live),
        "states": sorted(row.state for row in rows),
        "proven": [each.holds for each in (vault.purger.prove(p.id, Actor("a", "b")) for p in vault.purger.purges())],
    }


def in_a_process(work: Callable[[], Any]) -> Any:
    """What `work` returns in a child of this process; None where it was killed."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        try:
            answer = json.dumps(work()).encode()
            with os.fdopen(into, "wb") as pipe:
                pipe.write(answer)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None
    assert os.WEXITSTATUS(status) == 0
    return json.loads(answer)


def main(folder: Path, job: str) -> None:
    """Every step of a job, until it comes to its end alive."""
    begun = folder / "begun"
    in_a_process(lambda: store(begun, Steps(0)) if job == "purge" else make_vault(begun, **SETTINGS).close())
    work = store if job == "store" else purge
    for step in range(1, MOST_STEPS):
        place = folder / str(step)
        shutil.copytree(begun, place)
        lived = in_a_process(lambda place=place, step=step: work(place, Steps(step)) or True)
        after = in_a_process(lambda place=place: look(place))
        recovered = in_a_process(lambda place=place: work(place, Steps(0)) or look(place))
        result = {"step": step, "lived": bool(lived), "after": after, "recovered": recovered}
        sys.stdout.write(f"{json.dumps(result)}\n")
        sys.stdout.flush()
        if lived:
            return


def _committed(folder: Path, position: Position) -> int:
    file = folder / "committed.json"
    offsets = json.loads(file.read_text()) if file.exists() else {}
    return int(offsets.get(position.source.topic, 0))


def _commit(folder: Path, ledger: Ledger) -> None:
    file = folder / "committed.json"
    offsets = json.loads(file.read_text()) if file.exists() else {}
    offsets |= {source.topic: commit.next_offset for source, commit in ledger.take_commits().items()}
    part = folder / "committed.part"
    part.write_text(json.dumps(offsets))
    part.rename(file)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
