"""Stages whose threads end with the test."""

from collections.abc import Iterator

import pytest

from services.detect.interface import Detector
from services.envelope import Opener
from services.inference import InferenceSettings, InferenceStage
from tests.unit.inference.harness import Make


@pytest.fixture
def make() -> Iterator[Make]:
    """Makes stages and ends their threads."""
    made: list[InferenceStage] = []

    def make_stage(*detectors: Detector, opener: Opener | None = None, **settings: object) -> InferenceStage:
        named = {detector.name: detector for detector in detectors}
        stage = InferenceStage(InferenceSettings(**settings), named, opener=opener)
        made.append(stage)
        return stage

    yield make_stage
    for stage in made:
        stage.close()
        stage.join(2)
