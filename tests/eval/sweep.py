"""Tries cadences, sizes and thresholds on the generated scenes: `python -m tests.eval.sweep`."""

import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from services.embedded.redact import RedactJob, redact_file
from services.inference.load import load_detectors
from services.policy.model import Detection, Kind, KindRule, Policy
from tests.eval.comparison import scene_videos
from tests.eval.exposure import Exposure, by_pixels
from tests.eval.report import exposed_share

# every_min, every_max, long_side (None: by the camera's size); threshold and keep_threshold of faces, of plates
_VARIANTS = (
    (3, 8, 640, (0.3, 0.15), (0.15, 0.1)),
    (3, 8, 640, (0.3, 0.15), (0.1, 0.03)),
    (4, 10, 768, (0.2, 0.1), (0.1, 0.03)),
    (5, 10, 768, (0.2, 0.1), (0.1, 0.03)),
    (6, 12, 768, (0.2, 0.1), (0.1, 0.03)),
    (5, 10, None, (0.2, 0.1), (0.1, 0.03)),
)


def main() -> None:
    table = Table(title="scenes, evidence")
    for column in ("looks", "longer side", "faces", "plates", "look every", "faces open", "plates open", "for nothing"):
        table.add_column(column, justify="right")
    detectors = load_detectors(("face", "plate"))
    with tempfile.TemporaryDirectory(prefix="veil-sweep-") as folder:
        videos = list(scene_videos(Path(folder)))
        for least, most, side, face, plate in _VARIANTS:
            policy = Policy(
                name="sweep",
                kinds={Kind.FACE: _rule(face), Kind.PLATE: _rule(plate)},
                detection=Detection(every_min=least, every_max=most, long_side=side),
            )
            total, frames, looks = Exposure(), 0, 0
            for video in videos:
                output = Path(folder) / "masked.mp4"
                summary = redact_file(RedactJob(video.path, output, policy, detectors=detectors))
                frames, looks = frames + summary.frames, looks + summary.looks
                total += by_pixels(video.path, output, video.truth)
            shares = (exposed_share(total.total(kind, goal=True)) for kind in ("face", "plate"))
            table.add_row(
                *(f"{least}–{most}", str(side or "own"), f"{face[0]}, {face[1]}", f"{plate[0]}, {plate[1]}"),
                f"{frames / looks:.1f} frames",
                *(f"{share:.2%}" for share in shares),
                f"{total.over_masked:.2%}",
            )
    Console(width=130).print(table)


def _rule(thresholds: tuple[float, float]) -> KindRule:
    return KindRule(threshold=thresholds[0], keep_threshold=thresholds[1])


if __name__ == "__main__":
    main()
