"""One real face in a car, 120 frames, with its box in every frame."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from playwright.sync_api import Browser

from deploy.samples import sample
from services.detect.interface import Detector
from services.inference.load import load_detectors
from services.policy.model import Kind, KindRule, Policy
from tests.support.browser import browser
from tests.support.web import installed

TRUTH = Path(__file__).parents[1] / "support" / "carphone_faces.json"


@pytest.fixture(scope="session")
def carphone() -> Path:
    return sample("carphone_pristine.mp4")


@pytest.fixture(scope="session")
def faces() -> NDArray[np.float64]:
    """(120, 4): x1, y1, x2, y2 of the face in each frame, checked by eye."""
    return np.array(json.loads(TRUTH.read_text()))


@pytest.fixture(scope="session")
def detectors() -> Mapping[str, Detector]:
    return load_detectors(("face", "plate"))


@pytest.fixture
def policy() -> Policy:
    return Policy(name="test")


@pytest.fixture
def face_policy() -> Policy:
    return Policy(name="test", kinds={Kind.FACE: KindRule()})


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser; not for longer than a module, since it keeps an event loop in this thread."""
    with browser() as started:
        yield started


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe, which finds faults that keep people from using a page."""
    folder = installed(tmp_path_factory.mktemp("axe"))
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()
