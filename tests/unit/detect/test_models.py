"""The installed models on real pictures: they find what is there, at what the catalogue's notes promise."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from deploy.samples import sample
from services.detect.catalogue import catalogue
from services.detect.interface import Detector, Image
from services.inference import InferenceSettings, load_detectors
from services.policy.model import KIND_DEFAULTS, Kind, KindRule, Policy

pytestmark = pytest.mark.models

_SHARED = Path(__file__).parents[4] / "shared" / "data"


def _detector(name: str) -> Detector:
    return load_detectors([name])[name]


def _video(path: Path, every: int, count: int) -> Iterator[Image]:
    with av.open(str(path)) as container:
        for i, frame in enumerate(container.decode(video=0)):
            if i >= every * count:
                return
            if i % every == 0:
                yield frame.to_ndarray(format="rgb24")


def test_the_one_face_of_carphone_is_found_in_every_picture() -> None:
    detector = _detector("face")
    for image in _video(sample("carphone_pristine.mp4"), every=20, count=6):
        (boxes,) = detector.detect([image], timeout_s=10)
        assert (boxes.score >= 0.5).sum() == 1
        x1, y1, x2, y2 = boxes.xyxy[boxes.score.argmax()]
        assert 30 < x2 - x1 < 80
        assert 40 < y2 - y1 < 100


@pytest.mark.parametrize("name", ["face", "plate", "person", "text"])
def test_there_is_nothing_in_grey_and_any_shape_is_taken(name: str) -> None:
    detector = _detector(name)
    for shape in ((17, 33), (64, 64), (360, 640), (641, 33)):
        (boxes,) = detector.detect([np.full((*shape, 3), 128, np.uint8)], timeout_s=10)
        assert not (boxes.score >= 0.3).any()


@pytest.mark.parametrize("name", ["face", "plate", "person", "text"])
def test_a_detector_states_what_the_catalogue_states(name: str) -> None:
    detector = _detector(name)
    assert (detector.name, detector.model) == (name, catalogue().entry(name).model)
    assert detector.version == catalogue().entry(name).stamp


def test_a_real_model_keeps_its_deadline() -> None:
    with pytest.raises(TimeoutError):
        _detector("face").detect([np.zeros((1080, 1920, 3), np.uint8)], timeout_s=0.01)


def test_the_score_floor_is_a_setting() -> None:
    (low, high) = (load_detectors(["person"], InferenceSettings(score_floor=floor))["person"] for floor in (0.02, 0.6))
    image = np.random.default_rng(1).integers(0, 255, (300, 300, 3)).astype(np.uint8)
    assert len(high.detect([image], 10)[0]) < len(low.detect([image], 10)[0])


def _recall(detector: Detector, folder: Path, names: Sequence[str], threshold: float, covered: float) -> float:
    """Share of true boxes of which at least `covered` lies inside one detection."""
    truth = json.loads((folder / "truth.json").read_text())
    found = total = 0
    for name in names:
        image = cv2.imread(str(folder / name), cv2.IMREAD_COLOR_RGB)
        scale = min(1, 640 / max(image.shape[:2]))
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        (boxes,) = detector.detect([image], timeout_s=10)
        kept = boxes.xyxy[boxes.score >= threshold]
        for entry in truth[name]:
            x1, y1, x2, y2 = np.array(entry["box"]) * scale
            wide = np.minimum(kept[:, 2], x2) - np.maximum(kept[:, 0], x1)
            high = np.minimum(kept[:, 3], y2) - np.maximum(kept[:, 1], y1)
            share = np.clip(wide, 0, None) * np.clip(high, 0, None) / ((x2 - x1) * (y2 - y1))
            found += bool((share >= covered).any())
            total += 1
    return found / total


@pytest.mark.shared_data
@pytest.mark.parametrize(
    ("kind", "folder", "threshold", "covered", "least"),
    [
        ("face", "faces/group", 0.3, 0.7, 0.97),
        ("plate", "plates/us", 0.1, 0.7, 0.88),
        ("plate", "plates/br", 0.1, 0.7, 0.9),
        ("plate", "plates/kr_composite", 0.1, 0.7, 0.9),
    ],
)
def test_recall_on_pictures_with_truth(kind: str, folder: str, threshold: float, covered: float, least: float) -> None:
    path = _SHARED / folder
    if not path.is_dir():
        pytest.skip("the evaluation pictures are not here")
    names = sorted(json.loads((path / "truth.json").read_text()))
    assert _recall(_detector(kind), path, names[:: max(1, len(names) // 40)], threshold, covered) >= least


def _hidden(detector: Detector, image: Image, words: Sequence[Sequence[float]]) -> int:
    """How many of the words are covered to 70 % by the boxes that a policy would mask, padded as it says."""
    rule = Policy(name="test", kinds={Kind.TEXT: KindRule(**KIND_DEFAULTS[Kind.TEXT])}).rule(Kind.TEXT)
    (boxes,) = detector.detect([image], timeout_s=30)
    masked = np.zeros(image.shape[:2], bool)
    for x1, y1, x2, y2 in boxes.xyxy[boxes.score >= rule.threshold]:
        wide, high = (x2 - x1) * rule.padding, (y2 - y1) * rule.padding
        masked[max(0, round(y1 - high)) : round(y2 + high), max(0, round(x1 - wide)) : round(x2 + wide)] = True
    return sum(masked[round(y1) : round(y2), round(x1) : round(x2)].mean() >= 0.7 for x1, y1, x2, y2 in words)


@pytest.mark.parametrize("width", [640, 960])
def test_every_word_on_signs_of_many_sizes_is_found(width: int) -> None:
    image = cv2.resize(next(_video(sample("bikes.mp4"), 1, 1)), (width, width * 9 // 16)).astype(np.uint8)
    words = []
    for number, height in enumerate((10, 12, 16, 22, 30, 40)):
        text, scale = f"Room {number}4{number} closed", cv2.getFontScaleFromHeight(cv2.FONT_HERSHEY_DUPLEX, height, 1)
        (wide, high), below = cv2.getTextSize(text, cv2.FONT_HERSHEY_DUPLEX, scale, max(1, height // 12))
        x, y = 20 + 15 * number, 40 + 52 * number
        cv2.rectangle(image, (x - 8, y - high - 8), (x + wide + 8, y + below + 4), (240, 240, 230), -1)
        cv2.putText(
            image, text, (x, y), cv2.FONT_HERSHEY_DUPLEX, scale, (20, 30, 90), max(1, height // 12), cv2.LINE_AA
        )
        words.append((x, y - high, x + wide, y))
    assert _hidden(_detector("text"), image, words) == len(words)


@pytest.mark.shared_data
def test_words_on_street_pictures_are_hidden() -> None:
    folder = _SHARED / "text" / "icdar2015_toy" / "det_toy_dataset"
    if not folder.is_dir():
        pytest.skip("the evaluation pictures are not here")
    detector = _detector("text")
    hidden = total = 0
    for entry in json.loads((folder / "textdet_test.json").read_text())["data_list"]:
        image = cv2.imread(str(folder / entry["img_path"]), cv2.IMREAD_COLOR_RGB)
        scale = 960 / max(image.shape[:2])
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.uint8)
        words = [np.array(word["bbox"]) * scale for word in entry["instances"] if not word["ignore"]]
        hidden += _hidden(detector, image, words)
        total += len(words)
    assert total == 21
    assert hidden >= 19
