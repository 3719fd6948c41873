"""Labels by other networks for pictures that nobody labelled: CenterFace (MIT), YuNet and the SSD (Apache-2.0).

`python -m deploy.models.train.teachers --data FOLDER --lessons FILE` asks them once; training reads the file.
What two teachers of faces agree on is taken for a face, what one of them believes counts neither way.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from deploy.models.train.evaluate import ious
from deploy.models.train.lessons import Lessons, Opinion
from deploy.models.train.pictures import (
    Array,
    Picture,
    Rgb,
    clip_frames,
    further,
    street_faces,
    web_plates,
)
from services.detect.catalogue import default_models_dir, read_model
from services.detect.centerface import FaceDetector
from services.detect.onnx_runtime import OnnxSession
from services.detect.person import PersonDetector

_LONG_SIDE = 800
_TIMEOUT_S = 30.0
_AGREE = 0.35
"""IoU from which two teachers mean the same face."""
_SURE_FACE, _PERHAPS_FACE = 0.5, 0.3
_SURE_PERSON, _PERHAPS_PERSON = 0.4, 0.15
"""The SSD's scores run low."""


class Teachers:
    """Gives opinions on pictures; `yunet` is the path of its ONNX file."""

    def __init__(self, yunet: Path) -> None:
        models = default_models_dir()
        self._faces = FaceDetector(OnnxSession(read_model("face", models)), "", _PERHAPS_FACE)
        self._persons = PersonDetector(OnnxSession(read_model("person", models)), "", 0.1)
        self._yunet = cv2.FaceDetectorYN.create(str(yunet), "", (320, 320), _PERHAPS_FACE, 0.3, 5000)

    def opinion(self, picture: Picture) -> Opinion:
        """Faces and persons."""
        rgb = picture.rgb()
        return {"face": self._on_faces(rgb), "person": self._on_persons(rgb)}

    def _on_faces(self, rgb: Rgb) -> tuple[Array, Array]:
        factor = _LONG_SIDE / max(rgb.shape[:2])
        scaled = np.asarray(cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR), np.uint8)
        (first,) = self._faces.detect([scaled], _TIMEOUT_S)
        self._yunet.setInputSize(scaled.shape[1::-1])
        _, rows = self._yunet.detect(np.ascontiguousarray(scaled[:, :, ::-1]))
        rows = np.zeros((0, 15), np.float32) if rows is None else rows
        second = np.concatenate([rows[:, :2], rows[:, :2] + rows[:, 2:4]], axis=1).astype(np.float32)
        agree = ious(first.xyxy, second).max(axis=1, initial=0) >= _AGREE
        sure = agree & (first.score >= _SURE_FACE)
        only_second = ious(second, first.xyxy[sure]).max(axis=1, initial=0) < _AGREE
        unsure = np.concatenate([first.xyxy[~sure], second[only_second]])
        return first.xyxy[sure] / np.float32(factor), (unsure / factor).astype(np.float32)

    def _on_persons(self, rgb: Rgb) -> tuple[Array, Array]:
        (found,) = self._persons.detect([rgb], _TIMEOUT_S)
        sure = found.score >= _SURE_PERSON
        return found.xyxy[sure], found.xyxy[~sure & (found.score >= _PERHAPS_PERSON)]


def main() -> None:
    """Asks the teachers about every picture that they have not seen."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.teachers", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="with faces/, plates/, video/, models/"
    )
    parser.add_argument("--pictures", type=Path, help="folder of further pictures with a manifest.json")
    parser.add_argument("--lessons", type=Path, required=True, help="JSON file of their answers, read and written")
    given = parser.parse_args()
    lessons = Lessons(given.lessons)
    teachers = Teachers(given.data / "models" / "yunet_n_dynamic.onnx")
    pictures = [*clip_frames(given.data), *web_plates(given.data), *street_faces(given.data)]
    pictures += further(given.pictures) if given.pictures else []
    for number, picture in enumerate(pictures):
        if picture not in lessons:
            lessons.learn(picture, teachers.opinion(picture))
        if number % 100 == 0:
            print(f"{number} of {len(pictures)} pictures", flush=True)  # noqa: T201
    lessons.keep()


if __name__ == "__main__":
    main()
