"""What a detail zone finds that the usual look does not, and what it costs: `python -m tests.eval.detail`.

Street pictures whose faces are marked by hand (`../shared/data/faces/street`) are laid side by side on pictures of
1920×1080. One look at the size that the policy chooses by itself, beside the same look with all tiles of a detail zone
over the whole picture: what a zone costs in one round of its tiles, which the policy's `detection.detail` spreads over
as many looks as it takes.
"""

import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from services.decoder.details import Tile, compose, tiles
from services.detect.interface import Boxes, Detector
from services.inference.load import load_detectors
from services.inference.views import joined, whole_view
from services.policy.model import Kind, Policy, Zone
from services.schema import pb
from tests.support.scene_sources import SHARED_DATA

_WIDTH, _HEIGHT = 1920, 1080
_CELL = (480, 360)
_PICTURES = 120
_BANDS = ((8, 12), (12, 16), (16, 24), (24, 48))
"""Heights in pixels of the large picture."""
_COVERED = 0.7
_DEADLINE_S = 60.0

Picture = NDArray[np.uint8]
Truth = list[tuple[float, float, float, float]]


def main() -> int:
    folder = SHARED_DATA / "faces" / "street"
    if not folder.is_dir():
        print(f"The pictures are not there: {folder}", file=sys.stderr)
        return 2
    policy = Policy(name="detail", kinds=[Kind.FACE])  # type: ignore[arg-type]
    detector = load_detectors(["face"])["face"]
    zone = Zone(name="all", polygon=((0, 0), (1, 0), (1, 1), (0, 1)), use="detail")
    faces = dict.fromkeys(_BANDS, 0)
    hidden = {"usual look": dict(faces), "with the zone": dict(faces)}
    took = dict.fromkeys(hidden, 0.0)
    for picture, truth in _large_pictures(folder):
        for name, parts in (("usual look", []), ("with the zone", tiles(zone, _WIDTH, _HEIGHT))):
            began = time.process_time()
            found = _look(picture, parts, policy, detector)
            took[name] += time.process_time() - began
            for band, box in _banded(truth):
                hidden[name][band] += _is_hidden(box, found, policy)
        for band, _ in _banded(truth):
            faces[band] += 1
    table = Table("faces by height", "number", *hidden)
    for (low, high), number in faces.items():
        table.add_row(f"{low}–{high} px", str(number), *(f"{hidden[name][low, high] / number:.0%}" for name in hidden))
    table.add_row("CPU of detection", "", *(f"{took[name] / took['usual look']:.1f} ×" for name in hidden))
    Console().print(table)
    return 0


def _look(picture: Picture, parts: Sequence[Tile], policy: Policy, detector: Detector) -> Boxes:
    """What a detector finds, as the decoder composes and inference joins it; in pixels of the picture."""
    side = policy.detection.side_for(_WIDTH, _HEIGHT)
    overview = cv2.resize(picture, (side, side * _HEIGHT // _WIDTH), interpolation=cv2.INTER_AREA).astype(np.uint8)
    cut = [(part, picture[part.y : part.y + part.height, part.x : part.x + part.width]) for part in parts]
    composed, views = compose(overview, cut, _WIDTH, _HEIGHT)
    frame = pb.DetectFrame(
        width=composed.shape[1], height=composed.shape[0], source_width=_WIDTH, source_height=_HEIGHT, views=views
    )
    seen = list(frame.views) or [whole_view(frame)]
    images = [np.ascontiguousarray(composed[v.y : v.y + v.height, v.x : v.x + v.width]) for v in seen]
    return joined(list(zip(seen, detector.detect(images, _DEADLINE_S), strict=True)), frame)


def _is_hidden(box: tuple[float, float, float, float], found: Boxes, policy: Policy) -> bool:
    """True if one padded find over the policy's threshold covers most of the face."""
    rule = policy.rule(Kind.FACE)
    for x1, y1, x2, y2 in found.xyxy[found.score >= rule.threshold]:
        dx, dy = rule.padding * (x2 - x1), rule.padding * (y2 - y1)
        width = max(0.0, min(box[2], x2 + dx) - max(box[0], x1 - dx))
        height = max(0.0, min(box[3], y2 + dy) - max(box[1], y1 - dy))
        if width * height >= _COVERED * (box[2] - box[0]) * (box[3] - box[1]):
            return True
    return False


def _banded(truth: Truth) -> Iterator[tuple[tuple[int, int], tuple[float, float, float, float]]]:
    for box in truth:
        for low, high in _BANDS:
            if low <= box[3] - box[1] < high:
                yield (low, high), box


def _large_pictures(folder: Path) -> Iterator[tuple[Picture, Truth]]:
    marked = json.loads((folder / "truth.json").read_text())
    across, down = _WIDTH // _CELL[0], _HEIGHT // _CELL[1]
    for names in _groups(sorted(marked)[:_PICTURES], across * down):
        large = np.zeros((_HEIGHT, _WIDTH, 3), np.uint8)
        truth: Truth = []
        for number, name in enumerate(names):
            x, y = number % across * _CELL[0], number // across * _CELL[1]
            picture = cv2.imread(str(folder / name))
            assert picture is not None, name
            scale = min(_CELL[0] / picture.shape[1], _CELL[1] / picture.shape[0], 1.0)
            small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            large[y : y + small.shape[0], x : x + small.shape[1]] = small[..., ::-1]
            for face in marked[name]:
                x1, y1, x2, y2 = (value * scale for value in face["box"])
                truth.append((x + x1, y + y1, x + x2, y + y2))
        yield large, truth


def _groups(names: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), size):
        yield names[first : first + size]


if __name__ == "__main__":
    sys.exit(main())
