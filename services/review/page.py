"""The check's page: what was changed, with pictures from the masked video where something becomes visible."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

import cv2
import numpy as np
from jinja2 import Environment, StrictUndefined, Template

from services.embedded.errors import ExitCode, RunError
from services.embedded.redact import file_facts
from services.report.files import write_whole
from services.report.thumbnails import thumbnails
from services.review.changes import Change
from services.review.folder import MASKED, Loaded

_PICTURES_MAX = 40
_LINE = (45, 55, 200)  # BGR
_QUALITY = 80


@dataclass(frozen=True, slots=True)
class Shown:
    """A change, and a JPEG of the masked video with the mask framed that goes; empty where there is none."""

    change: Change
    jpeg: bytes = field(default=b"", repr=False)


def masked_video(loaded: Loaded, given: Path | None) -> Path | None:
    """The masked video of the first run: the one given, or the folder's own; None where there is none.

    Raises RunError for any other video: what is shown must be masked.
    """
    path = given or loaded.path / MASKED
    if given is None and not path.exists():
        return None
    try:
        digest = file_facts(path).sha256
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise RunError(f"{path}: can't be read: {reason}", ExitCode.INPUT) from error
    if digest != loaded.base.review.masked.sha256:
        raise RunError(f"{path}: is not the masked video of this review, so no picture is taken of it", ExitCode.INPUT)
    return path


def pictures(loaded: Loaded, made: Sequence[Change], masked: Path | None) -> list[Shown]:
    """The changes, those that reveal something with a picture of what is still masked there."""
    shown = []
    left = _PICTURES_MAX if masked is not None else 0
    for change in made:
        jpeg = b""
        if change.reveals and left:
            left -= 1
            jpeg = _picture(loaded, change, masked)
        shown.append(Shown(change, jpeg))
    return shown


def write_page(path: Path, loaded: Loaded, shown: Sequence[Shown]) -> None:
    """Writes the page. Raises OSError; a half-written page never has the name."""
    rows = [(one.change, base64.b64encode(one.jpeg).decode()) for one in shown]
    text = _template().render(video=loaded.base.review.video, masked=loaded.base.review.masked, rows=rows)
    write_whole(path, text.encode())


def _picture(loaded: Loaded, change: Change, masked: Path | None) -> bytes:
    facts = loaded.base.review.video
    if masked is None or not facts.frame_rate:
        return b""
    # A quarter of a frame early: times are rounded, and the picture taken is the first one that is not earlier.
    found = thumbnails(masked, [max(0.0, (change.example - 1.25) / facts.frame_rate)])
    if not found or change.box is None:
        return found[0].jpeg if found else b""
    pixels = cv2.imdecode(np.frombuffer(found[0].jpeg, np.uint8), cv2.IMREAD_COLOR)
    if pixels is None:
        return b""
    scale = pixels.shape[1] / facts.width
    x1, y1, x2, y2 = (round(min(max(value * scale, -1e4), 1e4)) for value in change.box)
    cv2.rectangle(pixels, (x1, y1), (x2, y2), _LINE, 2)
    done, jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
    return jpeg.tobytes() if done else b""


@cache
def _template() -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string((resources.files("services.review") / "check.html.j2").read_text(encoding="utf-8"))
