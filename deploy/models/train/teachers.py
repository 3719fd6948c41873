"""Labels by other networks for pictures that nobody labelled: CenterFace (MIT), YuNet and YOLOX-nano (Apache-2.0).

`python -m deploy.models.train.teachers --data FOLDER --lessons FILE` asks them once; training reads the file.
What two teachers of faces agree on is taken for a face, what one of them believes counts neither way. None of them
knows plates: where nobody labelled them there may be one on every vehicle, and nowhere else.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from deploy.models.train.batches import cell_strides
from deploy.models.train.evaluate import ious
from deploy.models.train.lessons import Lessons, Opinion
from deploy.models.train.pictures import (
    NO_BOXES,
    Array,
    Picture,
    Rgb,
    clip_frames,
    further,
    photographs,
    street_faces,
    web_plates,
)
from services.detect.catalogue import default_models_dir, read_model
from services.detect.cells import centres
from services.detect.centerface import FaceDetector
from services.detect.onnx_runtime import OnnxSession
from services.detect.postprocess import suppress

_LONG_SIDE = 800
_TIMEOUT_S = 30.0
_AGREE = 0.35
"""IoU from which two teachers mean the same face."""
_SURE_FACE, _PERHAPS_FACE = 0.5, 0.3
_SURE, _PERHAPS = 0.5, 0.15
_YOLOX_SIDE, _YOLOX_GREY = 416, 114
_YOLOX_PERSON, _YOLOX_VEHICLES = [0], [2, 3, 5, 7]
"""Numbers among COCO's classes: car, motorcycle, bus, truck."""
_YOLOX_IOU = 0.6


class Teachers:
    """Gives opinions on pictures; `folder` holds YuNet's and YOLOX-nano's ONNX files."""

    def __init__(self, folder: Path) -> None:
        self._faces = FaceDetector(OnnxSession(read_model("centerface", default_models_dir())), "", _PERHAPS_FACE)
        yunet = str(folder / "yunet_n_dynamic.onnx")
        self._yunet = cv2.FaceDetectorYN.create(yunet, "", (320, 320), _PERHAPS_FACE, 0.3, 5000)
        self._yolox = onnxruntime.InferenceSession(folder / "yolox_nano.onnx", providers=["CPUExecutionProvider"])

    def opinion(self, picture: Picture) -> Opinion:
        """Faces, persons, and where plates may be."""
        rgb = picture.rgb()
        persons, vehicles = self._yoloxs(rgb)
        return {"face": self._on_faces(rgb), "person": persons, "plate": (NO_BOXES, np.concatenate(vehicles))}

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

    def _yoloxs(self, rgb: Rgb) -> list[tuple[Array, Array]]:
        """Persons and vehicles, of each the sure ones and the others."""
        factor = _YOLOX_SIDE / max(rgb.shape[:2])
        small = cv2.resize(rgb[:, :, ::-1], None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        padded = np.full((_YOLOX_SIDE, _YOLOX_SIDE, 3), _YOLOX_GREY, np.float32)
        padded[: small.shape[0], : small.shape[1]] = small[:_YOLOX_SIDE, :_YOLOX_SIDE]
        (answers,) = self._yolox.run(None, {"images": padded.transpose(2, 0, 1)[None]})
        found = []
        for classes in (_YOLOX_PERSON, _YOLOX_VEHICLES):
            boxes, score = _yolox(answers[0], classes)
            keep = suppress(boxes, score, _YOLOX_IOU)
            boxes, score = boxes[keep] / np.float32(factor), score[keep]
            found.append((boxes[score >= _SURE], boxes[score < _SURE]))
        return found


def _yolox(answer: Array, classes: Sequence[int]) -> tuple[Array, Array]:
    """Boxes (n, 4) in the network's picture and scores (n,) of what may be of a class; `answer` is (cells, 85)."""
    cells = centres(_YOLOX_SIDE, _YOLOX_SIDE)
    stride = cell_strides(_YOLOX_SIDE, _YOLOX_SIDE)[:, None]
    score = answer[:, 4] * answer[:, 5 + np.array(classes)].max(axis=1)
    # YOLOX counts from a cell's corner, not from its centre.
    middle = cells + (answer[:, :2] - 0.5) * stride
    half = np.exp(answer[:, 2:4]) * stride / 2
    perhaps = score >= _PERHAPS
    boxes = np.concatenate([middle - half, middle + half], axis=1)[perhaps]
    return boxes.astype(np.float32), score[perhaps].astype(np.float32)


def main() -> None:
    """Asks the teachers about every picture that they have not seen."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.teachers", description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="with faces/, plates/, video/, models/"
    )
    parser.add_argument("--pictures", type=Path, help="folder of further pictures with a manifest.json")
    parser.add_argument("--photographs", type=Path, help="folder of photographs of people with a manifest.json")
    parser.add_argument("--lessons", type=Path, required=True, help="JSON file of their answers, read and written")
    given = parser.parse_args()
    lessons = Lessons(given.lessons)
    teachers = Teachers(given.data / "models")
    pictures = [*clip_frames(given.data), *web_plates(given.data), *street_faces(given.data)]
    pictures += further(given.pictures) if given.pictures else []
    pictures += photographs(given.photographs) if given.photographs else []
    for number, picture in enumerate(pictures):
        if picture not in lessons:
            lessons.learn(picture, teachers.opinion(picture))
        if number % 100 == 0:
            print(f"{number} of {len(pictures)} pictures", flush=True)  # noqa: T201
    lessons.keep()


if __name__ == "__main__":
    main()
