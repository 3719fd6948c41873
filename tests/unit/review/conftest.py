"""A review folder as an export leaves it, of 100 frames with a face and a plate, made without any video."""

from pathlib import Path

import pytest

from services.policy.model import Kind, Mode, Policy
from services.review.folder import GT, write_export
from services.review.model import FORMAT, Closed, MaskedVideo, Review, Track, Video
from services.review.mot import row
from tests.support.reviewed import Edit

POLICY = Policy(name="test")


def review() -> Review:
    return Review(
        format=FORMAT,
        video=Video(name="in.mp4", size=9, sha256="a" * 64, width=320, height=240, frames=100, frame_rate=25),
        masked=MaskedVideo(name="masked.mp4", sha256="b" * 64, started="2026-01-05T10:00:00+00:00"),
        veil="0",
        policy=POLICY,
        policy_fingerprint=POLICY.fingerprint,
        looks=10,
        tracks={1: Track(kind=Kind.FACE, mode=Mode.MOSAIC), 2: Track(kind=Kind.PLATE, mode=Mode.MOSAIC)},
        closed_frames=(Closed(first=50, last=59, why="Detector plate failed at frame 49."),),
    )


@pytest.fixture
def edit(tmp_path: Path) -> Edit:
    folder = tmp_path / "review"
    (folder / GT).parent.mkdir(parents=True)
    lines = []
    for frame in range(1, 101):
        lines.append(row(frame, 1, (10 + frame, 20, 40 + frame, 60), Kind.FACE))
        if frame <= 30:
            lines.append(row(frame, 2, (200, 150.25, 240, 170), Kind.PLATE))
    (folder / GT).write_text("".join(lines))
    write_export(folder, review())
    return Edit(folder)
