"""Measures how well the auditor sees: `python -m tests.eval.auditor [--pictures N] [--only PART …] [--sets SET …]`.

recall: of the faces (24 pixels high and more) and plates on pictures with truth, the share that one look finds, surely
or at all; what is not sure counts as a suspect once it is there in two looks.
leaks: pictures in which everything is masked but one subject, as a video of two looks; the share that becomes suspect.
alarms: the same with nothing open; what becomes suspect all the same, as a rate per hour at one look a second: on a
mask, of either kind, and elsewhere, of the kind that the truth is complete for. Where a mode is for bodies, each face
gets one, and that is masked.
--videos: alarms on whole videos that `veil redact` masked, anywhere.

Needs the shared pictures. The section goes into out/eval/eval.json.
"""

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from services.auditor.examine import Examiner
from services.auditor.eyes import Eyes, load_eyes
from services.auditor.settings import AuditorSettings
from services.auditor.suspects import Suspect
from services.auditor.video import audit_file
from services.media.masks import DRAWN, Shades, mask, outer_bounds
from services.media.picture import Picture
from services.policy.model import Mode, Profile
from tests.eval.programs import KINDS, veil
from tests.support.scene_sources import REPOSITORY, SHARED_DATA
from tests.support.scenes import VideoWriter

OUT = REPOSITORY / "out" / "eval"
PARTS = ("recall", "leaks", "alarms")
SETS = {
    "faces/street": "face",
    "faces/group": "face",
    "plates/us": "plate",
    "plates/br": "plate",
    "plates/kr_composite": "plate",
    "plates/web": "plate",
}
"""Folder of pictures → the kind that its truth is complete for."""
MASKED_SETS = ("faces/street", "plates/us", "plates/br")
MODES = ("solid", "mosaic", "blur")
BODY_MODES = ("seal", "silhouette")
VIDEOS = ("bikes.mp4", "bottle-detection.mp4", "vtest.avi", "classroom.mp4", "worker-zone-detection.mp4")

_WIDEST = 1280
_LEAST_PX = {"face": 24.0, "plate": 14.0}
_PADDING = {"face": 0.25, "plate": 0.25, "body": 0.15}
_STEP = 4
"""Pixels that the second look is shifted by: no two pictures of a camera are the same."""
_HOUR = 3600
_TIMEOUT_S = 600.0

Say = Callable[[str], None]


@dataclass(frozen=True)
class Still:
    """A picture with truth; its sides are even."""

    image: NDArray[np.uint8]
    boxes: NDArray[np.float64]

    def visible(self, kind: str) -> list[int]:
        """The subjects that are large enough to be asked for."""
        return [index for index, box in enumerate(self.boxes) if box[3] - box[1] >= _LEAST_PX[kind]]


def stills(name: str, count: int) -> Iterator[Still]:
    """Every so many of a folder's pictures, at most 1280 wide."""
    folder, kind = SHARED_DATA / name, SETS[name]
    labels = json.loads((folder / "truth.json").read_text())
    for file in sorted(labels)[:: max(1, len(labels) // count)][:count]:
        image = cv2.cvtColor(cv2.imread(str(folder / file)), cv2.COLOR_BGR2RGB)
        scale = min(1.0, _WIDEST / max(image.shape[:2]))
        if scale < 1:
            image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        height, width = (side - side % 2 for side in image.shape[:2])
        boxes = [entry["box"] for entry in labels[file] if entry["kind"] == kind]
        yield Still(np.ascontiguousarray(image[:height, :width]), np.array(boxes, np.float64).reshape(-1, 4) * scale)


def recall(eyes: Eyes, settings: AuditorSettings, pictures: int, sets: Sequence[str], say: Say) -> dict[str, object]:
    """Set of pictures → subjects, and how many of them one look finds surely, and at all."""
    figures: dict[str, object] = {}
    for name in sets:
        kind = SETS[name]
        subjects = sure = found = 0
        for still in stills(name, pictures):
            finds = [find for find in eyes.look(_planes(still.image), still.image) if find.kind == kind]
            for index in still.visible(kind):
                score = max((find.score for find in finds if hits(kind, find.box, still.boxes[index])), default=0.0)
                subjects += 1
                sure += score >= settings.sure[kind]
                found += score >= settings.least[kind]
        figures[name] = {"kind": kind, "subjects": subjects, "sure": sure, "found": found}
        say(f"recall: {name}, {found} of {subjects}, {sure} surely")
    return figures


def leaks(eyes: Eyes, settings: AuditorSettings, pictures: int, sets: Sequence[str], say: Say) -> dict[str, object]:
    """Set of pictures → leaks, one a picture, and how many of them became suspect at their place."""
    figures: dict[str, object] = {}
    for name in (name for name in MASKED_SETS if name in sets):
        kind, tried, found = SETS[name], 0, 0
        for number, still in enumerate(stills(name, pictures)):
            if not (visible := still.visible(kind)):
                continue
            leak = visible[number % len(visible)]
            seen = audited(still, kind, MODES[number % len(MODES)], eyes, settings, leak)
            tried += 1
            found += any(one.kind == kind and hits(kind, one.box, _moved(still.boxes[leak], one.seq)) for one in seen)
        figures[name] = {"kind": kind, "leaks": tried, "found": found}
        say(f"leaks: {name}, {found} of {tried}")
    return figures


def alarms(eyes: Eyes, settings: AuditorSettings, pictures: int, sets: Sequence[str], say: Say) -> dict[str, object]:
    """Set of pictures and mode → looks, and suspects on masks and elsewhere; masked is what the truth says."""
    figures: dict[str, object] = {}
    for name in (name for name in MASKED_SETS if name in sets):
        kind = SETS[name]
        for mode in (*MODES, *(BODY_MODES if kind == "face" else ())):
            shown = list(stills(name, pictures))
            on_masks = elsewhere = 0
            for still in shown:
                masks = hidden_boxes(still, mode)
                for one in audited(still, kind, mode, eyes, settings):
                    on_mask = any(hits("plate", one.box, _moved(box, one.seq)) for box in masks)
                    on_masks += on_mask
                    elsewhere += one.kind == kind and not on_mask
            figures[f"{name}, {mode}, on masks"] = _rate("any", 2 * len(shown), on_masks)
            figures[f"{name}, {mode}, elsewhere"] = _rate(kind, 2 * len(shown), elsewhere)
            say(f"alarms: {name}, {mode}, {on_masks} on masks, {elsewhere} elsewhere in {2 * len(shown)} looks")
    return figures


def video_alarms(eyes: Eyes, settings: AuditorSettings, say: Say) -> dict[str, object]:
    """Kind and mode → looks and suspects on videos that Veil masked; people too where the mode is for bodies."""
    figures: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="veil-eval-") as folder:
        for mode in (*MODES, *BODY_MODES):
            kinds = (*KINDS, "person") if mode in BODY_MODES else KINDS
            program = veil(Profile.EVIDENCE, kinds, Mode(mode))
            looks, suspects = 0, dict.fromkeys(KINDS, 0)
            for name in VIDEOS:
                masked = Path(folder) / f"{mode}-{Path(name).stem}.mp4"
                program.mask(SHARED_DATA / "video" / name, masked)
                audit = audit_file(masked, Examiner(eyes, settings.sure, evidence=False), 1.0)
                looks += audit.looks
                for one in audit.suspects:
                    suspects[one.kind] += 1
            for kind, count in suspects.items():
                figures[f"videos, {kind}, {mode}"] = _rate(kind, looks, count)
            say(f"alarms: videos, {mode}, {suspects} in {looks} looks")
    return figures


def audited(
    still: Still, kind: str, mode: str, eyes: Eyes, settings: AuditorSettings, leak: int | None = None
) -> Sequence[Suspect]:
    """The suspects in a video of two pictures with everything masked but the leak."""
    hidden = np.array([index for index in range(len(still.boxes)) if index != leak], np.int64)
    masked = hidden_boxes(still, mode)[hidden]
    height, width, _ = still.image.shape
    with tempfile.TemporaryDirectory(prefix="veil-eval-") as folder:
        path, shades = Path(folder) / "masked.mp4", Shades()
        with VideoWriter(path, width, height, Fraction(2), crf=23) as writer:
            for seq in range(2):
                move = np.array([[1, 0, _STEP * seq], [0, 1, 0]], np.float32)
                picture = _planes(cv2.warpAffine(still.image, move, (width, height), borderMode=cv2.BORDER_REPLICATE))
                _mask(picture, _moved(masked, seq), kind, mode, hidden.tolist(), shades)
                writer.write(cv2.cvtColor(picture.data, cv2.COLOR_YUV2RGB_I420))
        return audit_file(path, Examiner(eyes, settings.sure, evidence=False), 0.5).suspects


def hidden_boxes(still: Still, mode: str) -> NDArray[np.float64]:
    """What is masked for each subject: the box of its body where the mode is for bodies."""
    return _bodies(still.boxes) if mode in DRAWN else still.boxes


def hits(kind: str, box: Sequence[float], true: Sequence[float]) -> bool:
    """True where a find is of this subject. A line of text is only a part of its plate, or a little more."""
    corners = np.array([box, true], np.float64)
    common = float(np.clip(corners[:, 2:].min(axis=0) - corners[:, :2].max(axis=0), 0, None).prod())
    areas = (corners[:, 2:] - corners[:, :2]).prod(axis=1)
    if kind == "plate":
        return common >= 0.5 * float(areas.min())
    return common >= 0.3 * (float(areas.sum()) - common)


def _mask(
    picture: Picture, boxes: NDArray[np.float64], kind: str, mode: str, tracks: Sequence[int], shades: Shades
) -> None:
    padding = np.full(len(boxes), _PADDING["body" if mode in DRAWN else kind])
    bounds = outer_bounds(boxes, padding, picture.width, picture.height)
    mask(picture, bounds, tracks, [mode] * len(boxes), 1.0, shades, boxes)


def _bodies(faces: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes of the people whose faces these are, an upright person being seven and a half heads high."""
    width, height = faces[:, 2] - faces[:, 0], faces[:, 3] - faces[:, 1]
    middle = (faces[:, 0] + faces[:, 2]) / 2
    top = faces[:, 1] - 0.25 * height
    return np.stack([middle - 1.5 * width, top, middle + 1.5 * width, top + 7.5 * 1.25 * height], axis=1)


def _moved(boxes: NDArray[np.float64], seq: int) -> NDArray[np.float64]:
    return boxes + np.array([_STEP * seq, 0, _STEP * seq, 0], np.float64)


def _planes(image: NDArray[np.uint8]) -> Picture:
    return Picture(np.ascontiguousarray(cv2.cvtColor(image, cv2.COLOR_RGB2YUV_I420)))


def _rate(kind: str, looks: int, suspects: int) -> dict[str, object]:
    per_hour = round(_HOUR * suspects / looks, 1) if looks else None
    return {"kind": kind, "looks": looks, "suspects": suspects, "per_hour": per_hour}


def tables(section: Mapping[str, Any]) -> Iterator[Table]:
    """One table for each part that was measured."""
    for part, columns in {
        "recall": ("subjects", "sure", "found"),
        "leaks": ("leaks", "found"),
        "alarms": ("looks", "suspects", "per_hour"),
    }.items():
        if part not in section:
            continue
        made = Table(title=f"Auditor, {part}")
        made.add_column("on")
        for column in ("kind", *columns):
            made.add_column(column.replace("_", " "), justify="right")
        for name, figures in section[part].items():
            made.add_row(name, *(str(figures[column]) for column in ("kind", *columns)))
        yield made


def main(arguments: Sequence[str] | None = None) -> dict[str, object]:
    """Measures, prints, and keeps the section without touching the others."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.eval.auditor", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=60, metavar="N", help="of each folder, at most (60)")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS, metavar="PART", help="these parts")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=tuple(SETS), metavar="SET", help="these folders")
    parser.add_argument("--videos", action="store_true", help="alarms on videos masked by Veil too, which takes long")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of eval.json")
    options = parser.parse_args(arguments)
    console = Console(width=120)
    if not SHARED_DATA.is_dir():
        console.print("auditor: the shared data is absent")
        return {}
    cv2.setNumThreads(1)
    settings = AuditorSettings()
    eyes = load_eyes(KINDS, settings.least, _TIMEOUT_S)
    path = options.out / "eval.json"
    whole = json.loads(path.read_text()) if path.is_file() else {}
    section: dict[str, Any] = whole.get("auditor", {})
    measures = {"recall": recall, "leaks": leaks, "alarms": alarms}
    for part in options.only:
        section[part] = section.get(part, {}) | measures[part](
            eyes, settings, options.pictures, options.sets, console.print
        )
    if options.videos:
        section["alarms"] = section.get("alarms", {}) | video_alarms(eyes, settings, console.print)
    for table in tables(section):
        console.print(table)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**whole, "auditor": section}, indent=2, ensure_ascii=False) + "\n")
    return section


if __name__ == "__main__":
    main()
