"""Pedestrians of a real street camera (PETS 2009 S2L1), with the boxes of MOT15 as truth."""

from collections import defaultdict
from itertools import islice
from pathlib import Path

import av

from tests.support.scene_sources import SHARED_DATA
from tests.support.scenes import TrueBox, Truth, VideoWriter, truth_path

_FRAMES = 300
_NAME = "vtest"


def person_video(folder: Path) -> Path:
    """Writes the first half minute with its truth; returns its path."""
    path = folder / f"persons-{_NAME}.mp4"
    with av.open(str(SHARED_DATA / "video" / f"{_NAME}.avi")) as reader:
        stream = reader.streams.video[0]
        width, height, rate = stream.width, stream.height, stream.average_rate or 10
        with VideoWriter(path, width, height, rate) as writer:
            for frame in islice(reader.decode(stream), _FRAMES):
                writer.write(frame.to_ndarray(format="rgb24"))
    Truth(width, height, float(rate), person_truth(width, height)).save(truth_path(path))
    return path


def person_truth(width: int, height: int) -> tuple[tuple[TrueBox, ...], ...]:
    """The persons of each frame, for the video in this size."""
    frames: dict[int, list[TrueBox]] = defaultdict(list)
    for line in (SHARED_DATA / "video" / f"{_NAME}.mot15-gt.txt").read_text().splitlines():
        number, person, x, y, w, h = (float(value) for value in line.split(",")[:6])
        inside = max(min(x + w, width) - max(x, 0), 0) * max(min(y + h, height) - max(y, 0), 0)
        box = TrueBox(int(person), "person", (x, y, x + w, y + h), inside / (w * h), h, blur=0.0, brightness=0.0)
        frames[int(number) - 1].append(box)
    return tuple(tuple(frames[number]) for number in range(_FRAMES))
