"""Inference: runs the detectors that a camera's policy asks for on pictures of detection size."""

from services.inference.load import load_detectors
from services.inference.settings import InferenceSettings
from services.inference.stage import InferenceStage

__all__ = ["InferenceSettings", "InferenceStage", "load_detectors"]
