"""Prints what a network is worth: `python -m deploy.models.train.tables NET.onnx --data FOLDER`.

Pictures are fitted into 640×360, as at the decoder. R.5 and R.3 are recall at IoU .5 and .3, cov70 the share of objects
at least 70 % of which lie under the boxes as they are, P.3 the precision at IoU .3. CPU times are of one thread.
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

import onnx

from deploy.models.train.evaluate import (
    Finder,
    Found,
    Judged,
    at_precision,
    face_sets,
    false_alarms,
    figures,
    judged,
    milliseconds,
    own,
    person_sets,
    plate_sets,
)
from deploy.models.train.pictures import Picture, Rgb
from services.detect.catalogue import default_models_dir, read_model
from services.detect.centerface import FaceDetector
from services.detect.network import NetworkDetector
from services.detect.onnx_runtime import OnnxSession
from services.detect.person import PersonDetector
from services.detect.plate import PlateDetector

_THRESHOLDS = (0.2, 0.3, 0.4, 0.5)
_PRECISE = 0.7
_STREET = "vtest.avi"
_NOTHING = "bottle-detection.mp4"
_TIMEOUT_S = 30.0
_INSTALLED: Mapping[str, type[NetworkDetector]] = {
    "plate": PlateDetector,
    "face": FaceDetector,
    "person": PersonDetector,
}
USUAL = {"plate": 0.1, "face": 0.3, "person": 0.25}
"""Thresholds at which the installed models are used."""


def installed(kind: str, floor: float = 0.1) -> Finder:
    """The installed model of a kind, with boxes from the score `floor` on."""
    session = OnnxSession(read_model(_INSTALLED[kind].model, default_models_dir()))
    detector = _INSTALLED[kind](session, "", floor)

    def find(rgb: Rgb) -> Found:
        (boxes,) = detector.detect([rgb], _TIMEOUT_S)
        return boxes.xyxy, boxes.score

    return find


def measured(model: bytes, kind: str, sets: Mapping[str, Sequence[Picture]], data: Path) -> dict[str, object]:
    """All figures of one kind, and prints them."""
    ours, theirs = own(model, kind), installed(kind)
    times = dict(zip(("ours", "installed"), milliseconds([ours, theirs], data / "video" / _STREET), strict=True))
    say(f"\n{kind}: {times['ours']:.1f} ms, {times['ours'] / times['installed']:.2f} of the installed model's")
    alarms = false_alarms(ours, data / "video" / _NOTHING, _THRESHOLDS)
    say(f"  boxes a frame of {_NOTHING}: " + ", ".join(f"{t}: {n:.2f}" for t, n in alarms.items()))
    found: dict[str, object] = {"ms": times, "alarms": alarms}
    for name, pictures in sets.items():
        found[name] = _on_set(name, judged(ours, kind, pictures), judged(theirs, kind, pictures), USUAL[kind])
    return found


def _on_set(name: str, ours: Sequence[Judged], theirs: Sequence[Judged], usual: float) -> dict[str, object]:
    say(f"  {name}: {sum(len(each.truth) for each in ours)} in {len(ours)} pictures")
    rows = {f"at {t}": figures(ours, t) for t in _THRESHOLDS}
    rows[f"installed at {usual}"] = theirs_usual = figures(theirs, usual)
    for label, precision in (("as precise", theirs_usual.precision), (f"P.3 {_PRECISE}", _PRECISE)):
        threshold, same = at_precision(ours, precision)
        rows[f"{label}, at {threshold:.2f}"] = same
    for label, row in rows.items():
        numbers = f"{row.recall_5:.3f}  R.3 {row.recall_3:.3f}  cov70 {row.covered:.3f}  P.3 {row.precision:.3f}"
        say(f"    {label:22} R.5 {numbers}")
    return {label: asdict(row) for label, row in rows.items()}


def main() -> None:
    """Measures every kind that the network finds and the data has truth for."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.tables", description=__doc__)
    parser.add_argument("net", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="with faces/, plates/, video/")
    parser.add_argument("--plates", type=Path, nargs="*", default=[], help="more folders with a truth.json")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    given = parser.parse_args()
    model = given.net.read_bytes()
    kinds = [output.name for output in onnx.load_from_string(model).graph.output]
    sets = {
        "plate": lambda: plate_sets(given.data, {folder.name: folder for folder in given.plates}),
        "face": lambda: face_sets(given.data),
        "person": lambda: person_sets(given.data),
    }
    found = {kind: measured(model, kind, sets[kind](), given.data) for kind in kinds if kind in sets}
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))


def say(line: str) -> None:
    """One line of a table, at once."""
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
