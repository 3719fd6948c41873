"""Figures that are easy to reckon with, for tests of the planner."""

from services.planning.calibration import Calibration

FLAT = {"each": 1.0, "per_megapixel": 0.0}


def figures(**stages: object) -> Calibration:
    """Every stage takes 1 ms for a frame or look, every network 10 ms; nothing beside it."""
    names = ("decoder", "look", "inference", "tracker", "renderer", "encoder", "fused_renderer", "fused_encoder")
    idle = dict.fromkeys(("decoder", "inference", "tracker", "renderer", "encoder", "renderer-encoder"), 0.0)
    return Calibration.model_validate(
        {
            "machine": {
                "cpu": "test",
                "vnni": False,
                "cores": 1,
                "memory_gb": 1,
                "system": "Linux",
                "python": "3",
                "packages": {},
            },
            "measured": {"command": "-", "date": "2026-01-01", "clip": "-", "load": 0},
            "stages": dict.fromkeys(names, FLAT) | stages,
            "detectors": {name: {"each": 10.0, "per_megapixel": 0.0} for name in ("face", "plate")},
            "bytes": {
                "source_overhead": 100,
                "look_per_megapixel": 100_000,
                "detections": 200,
                "redactions": 200,
                "metadata_per_look": 10,
                "rendered_per_megapixel": 100_000,
                "redacted_per_megapixel": 20_000,
            },
            "processes": {
                "idle_ms_per_s": idle,
                "per_frame_ms": {},
                "per_look_ms": {},
                "broker_idle_ms_per_s": 100,
                "broker_per_frame_ms": 1,
                "hop_ms": {"p50": 10, "p95": 20},
                "command": "-",
                "date": "2026-01-01",
            },
        }
    )
