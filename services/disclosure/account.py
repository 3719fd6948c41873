"""What is told of each frame of a video, beside it in a file: when it was taken, what was masked, and why.

One line of JSON a frame. It stays in the request's folder and goes with it; nobody gets it with the package.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from services.disclosure.draw import Frame
from services.disclosure.errors import Invalid, Unavailable
from services.disclosure.unveil import Mask, Why
from services.policy.model import Kind


@dataclass(frozen=True, slots=True)
class Told:
    """One frame of a video.

    Attributes:
        number: in the video, from 0.
        at_ms: where it begins in the video.
        seq: its number in the epoch.
        captured_us: when it was taken, microseconds since 1970.
        why: why it is closed, one sentence; empty where it is not.
        subject: the subject is in it, and was left as it is.
        masks: what covers what, and why; none on a closed frame, which is covered whole.
    """

    number: int
    at_ms: int
    seq: int
    captured_us: int
    why: str
    subject: bool
    masks: tuple[Mask, ...]


def account_of(video: Path) -> Path:
    """Where the frames of a video are told of."""
    return video.with_suffix(".frames")


class AccountWriter:
    """Writes the account of one video. Raises Unavailable."""

    def __init__(self, video: Path) -> None:
        self._path = account_of(video)
        self._hash = hashlib.sha256()
        try:
            self._file = self._path.open("wb")
        except OSError as error:
            raise Unavailable(f"{self._path.name}: can't be written ({error.strerror}).") from None

    def add(self, frame: Frame, at_ms: int) -> None:
        """Tells of the next frame."""
        masks = [[*mask.box, mask.kind, mask.why, mask.correction] for mask in frame.masks]
        line = [at_ms, frame.seq, frame.captured_us, frame.why, frame.subject, masks]
        content = json.dumps(line, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"
        self._hash.update(content)
        try:
            self._file.write(content)
        except OSError as error:
            raise Unavailable(f"{self._path.name}: can't be written ({error.strerror}).") from None

    def finish(self) -> str:
        """Completes the file; returns its SHA-256 in hex."""
        self._file.close()
        return self._hash.hexdigest()

    def abort(self) -> None:
        """Leaves nothing behind."""
        self._file.close()
        self._path.unlink(missing_ok=True)


def frames_of(video: Path, first: int = 0, last: int | None = None) -> Iterator[Told]:
    """What is told of a video's frames from number `first` on, `last` left out. Raises Invalid where that is lost."""
    try:
        with account_of(video).open("rb") as file:
            for number, line in enumerate(islice(file, first, last), first):
                yield _told(number, json.loads(line))
    except (OSError, ValueError, TypeError):
        raise Invalid("There is no account of the video's frames: render it again.") from None


def _told(number: int, line: list[Any]) -> Told:
    at_ms, seq, captured_us, why, subject, masks = line
    read = tuple(
        Mask((x1, y1, x2, y2), None if kind is None else Kind(kind), Why(reason), correction)
        for x1, y1, x2, y2, kind, reason, correction in masks
    )
    return Told(number, at_ms, seq, captured_us, why, subject, read)
