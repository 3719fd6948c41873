"""Photographs with truth as short videos: each is held for a second under a slow pan."""

import json
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from tests.eval.exposure import BANDS
from tests.support.scene_sources import SHARED_DATA
from tests.support.scenes import TrueBox, Truth, VideoWriter, truth_path

_FOLDERS = {"faces/street": 14, "faces/group": 6, "plates/us": 10, "plates/br": 10}
_WIDTH, _HEIGHT, _FPS = 768, 576, 25
_ZOOM = 1.08  # the pan moves over what is left outside the frame


def picture_videos(folder: Path) -> Iterator[Path]:
    """Writes one video with truth for each set of pictures; returns their paths."""
    for name, count in _FOLDERS.items():
        path = folder / f"pictures-{name.replace('/', '-')}.mp4"
        _write(path, SHARED_DATA / name, count)
        yield path


def _write(path: Path, source: Path, count: int) -> None:
    labels = json.loads((source / "truth.json").read_text())
    names = sorted(labels)[:: max(1, len(labels) // count)][:count]
    frames: list[tuple[TrueBox, ...]] = []
    with VideoWriter(path, _WIDTH, _HEIGHT, _FPS) as writer:
        for index, name in enumerate(names):
            picture = cv2.cvtColor(cv2.imread(str(source / name)), cv2.COLOR_BGR2RGB)
            scale = min(_WIDTH / picture.shape[1], _HEIGHT / picture.shape[0]) * _ZOOM
            for step in range(_FPS):
                slide = (step / (_FPS - 1) - 0.5) * (_ZOOM - 1) * 0.8
                corner = (
                    np.array([_WIDTH * (1 + slide), _HEIGHT * (1 + slide)]) - np.array(picture.shape[1::-1]) * scale
                )
                move = np.array([[scale, 0, corner[0] / 2], [0, scale, corner[1] / 2]], np.float32)
                writer.write(cv2.warpAffine(picture, move, (_WIDTH, _HEIGHT), flags=cv2.INTER_AREA))
                boxes = (_moved(1000 * index + i, entry, move) for i, entry in enumerate(labels[name]))
                frames.append(tuple(box for box in boxes if box.height >= BANDS[box.kind][0]))
    Truth(_WIDTH, _HEIGHT, _FPS, tuple(frames)).save(truth_path(path))


def _moved(number: int, entry: dict[str, object], move: np.ndarray) -> TrueBox:
    corners = np.array(entry["box"], np.float64).reshape(2, 2) * move[0, 0] + move[:, 2]
    x1, y1, x2, y2 = (float(v) for v in corners.ravel())
    seen = max(min(x2, _WIDTH) - max(x1, 0), 0) * max(min(y2, _HEIGHT) - max(y1, 0), 0)
    visible = seen / max((x2 - x1) * (y2 - y1), 1)
    return TrueBox(number, str(entry["kind"]), (x1, y1, x2, y2), visible, y2 - y1, blur=0.0, brightness=0.0)
