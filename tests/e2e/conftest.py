"""One real face in a car, 120 frames, with its box in every frame."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from deploy.samples import sample
from services.detect.interface import Detector
from services.inference.load import load_detectors
from services.policy.model import Kind, KindRule, Policy

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
