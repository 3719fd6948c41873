"""Pictures to train on: folds, and the truth that has to be mended."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from deploy.models.train.pictures import (
    HELD_OUT_EVERY,
    Picture,
    folds,
    further,
    photographs,
    road_plates,
    web_plates,
)


def _write(path: Path, seed: int, size: tuple[int, int] = (90, 160)) -> None:
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(coarse, size[::-1], interpolation=cv2.INTER_LINEAR))


def _picture(seed: int, name: str = "") -> Picture:
    coarse = np.random.default_rng(seed).integers(0, 255, (9, 9, 3), np.uint8)
    _, encoded = cv2.imencode(".png", cv2.resize(coarse, (90, 90), interpolation=cv2.INTER_LINEAR))
    return Picture(name or str(seed), "none", encoded.ravel(), {})


def test_no_picture_is_trained_on_and_held_out() -> None:
    seeds = [*range(12), 0, 4, 20]  # copies of two that are held out
    train, held = folds([_picture(seed) for seed in seeds])
    assert [picture.name for picture in held] == ["0", "4", "8", "0"]
    assert not {picture.name for picture in train} & {"0", "4", "8"}
    assert len(held) == -(-len(seeds) // HELD_OUT_EVERY)
    assert "20" in {picture.name for picture in train}


def test_what_carries_an_agency_s_mark_is_not_trained_on() -> None:
    train, held = folds(
        [_picture(0, "street/0007.jpg"), _picture(1, "street/0021.jpg"), _picture(2, "street/0002.jpg")]
    )
    assert [picture.name for picture in train] == ["street/0002.jpg"]
    assert [picture.name for picture in held] == ["street/0007.jpg"]


def test_crowds_on_photographs_count_neither_way_and_nothing_is_known_of_plates(tmp_path: Path) -> None:
    _write(tmp_path / "one.png", 1)
    shown = {"file": "one.png", "licence": "CC BY 2.0"}
    entries = [{**shown, "people": [[1, 2, 3, 4]], "crowd": [[5, 6, 7, 8]]}, {**shown, "people": None}]
    (tmp_path / "manifest.json").write_text(json.dumps({"pictures": entries}))
    known, unknown = photographs(tmp_path)
    assert known.boxes["person"].tolist() == [[1, 2, 3, 4]]
    assert known.ignored["person"].tolist() == [[5, 6, 7, 8]]
    assert "plate" not in known.boxes
    assert "person" not in unknown.boxes


def test_boxes_of_the_web_folder_are_mended(tmp_path: Path) -> None:
    folder = tmp_path / "plates" / "web"
    folder.mkdir(parents=True)
    _write(folder / "0000.jpg", 1, size=(208, 832))
    (folder / "truth.json").write_text(json.dumps({"0000.jpg": [{"kind": "plate", "box": [100, 50, 200, 60]}]}))
    (picture,) = web_plates(tmp_path)
    assert picture.boxes["plate"].tolist() == [[50, 100, 100, 120]]


def test_large_pictures_of_roads_are_shrunk_with_their_boxes(tmp_path: Path) -> None:
    images, annotations = (tmp_path / "dataset" / "train" / part for part in ("images", "annots"))
    images.mkdir(parents=True)
    annotations.mkdir()
    _write(images / "ride.mp4#t=1.jpg", 1, size=(1080, 1920))
    box = "<xmin>200</xmin><ymin>100</ymin><xmax>300</xmax><ymax>140</ymax>"
    (annotations / "ride.mp4#t=1.xml").write_text(f"<annotation><object><bndbox>{box}</bndbox></object></annotation>")
    (picture,) = road_plates(tmp_path)
    assert picture.rgb().shape == (540, 960, 3)
    assert picture.boxes["plate"].tolist() == [[100, 50, 150, 70]]


def test_only_negatives_are_known_to_hold_no_face(tmp_path: Path) -> None:
    _write(tmp_path / "one.png", 1)
    fits = (["negatives"], ["persons"], ["look first", "negatives"])
    entries = [{"file": "one.png", "licence": "CC0-1.0", "fit": fit} for fit in fits]
    (tmp_path / "manifest.json").write_text(json.dumps({"pictures": entries}))
    empty, people = further(tmp_path)
    assert set(empty.boxes) == {"plate", "face", "person"}
    assert set(people.boxes) == {"plate"}


def test_what_is_no_picture_says_so() -> None:
    with pytest.raises(ValueError, match="broken is not a picture"):
        Picture("broken", "none", np.zeros(9, np.uint8), {}).rgb()
