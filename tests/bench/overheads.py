"""What a process on Kafka takes beside its stage, from the figures of `make bench-stack`.

The stack is measured there with one and with four cameras: the straight line through both is what a process takes
however little it does, and what each frame or look takes. What the stage by itself takes of that is known; the rest is
the client of the broker, and everything around it.
"""

from collections.abc import Mapping
from typing import Any

from tests.chaos.truth import HEIGHT, RATE, WIDTH

# tests/bench/stack_cost.py: live cameras at this rate look as often as `gap_max_s` says.
_LOOKS_PER_CAMERA = 2.0
_FEW, _MANY = 1, 4
_PER_FRAME = ("decoder", "renderer", "encoder")
_PER_LOOK = ("inference", "tracker")
_FUSED = "renderer-encoder"
_FUSED_RATE = 2 * 15.0


def overheads(units: Mapping[str, Any], stack: Mapping[str, Any], date: str) -> dict[str, Any]:
    """The section `processes` of a calibration.

    Args:
        units: the section `stages`.
        stack: what stack.json holds.
    """
    few, many = (stack["latency_ms"][str(cameras)]["cpu_ms_per_frame"] for cameras in (_FEW, _MANY))
    size = WIDTH * HEIGHT / 1e6

    def own(name: str) -> float:
        """What the stage takes of a frame or look by itself, at the size of the stack's cameras."""
        return float(units[name]["each"] + units[name]["per_megapixel"] * size)

    idle: dict[str, float] = {}
    slopes: dict[str, float] = {}
    for name in (*_PER_FRAME, *_PER_LOOK, "kafka-1"):
        low, high = RATE * _FEW * few[name], RATE * _MANY * many[name]
        slopes[name] = max(0.0, (high - low) / (RATE * (_MANY - _FEW)))
        idle[name] = max(0.0, low - RATE * _FEW * slopes[name])
    looks = _LOOKS_PER_CAMERA / RATE
    idle[_FUSED] = max(idle["renderer"], idle["encoder"])
    fused = stack["cpu_over_embedded"]["fused_ms_per_frame"][_FUSED] - idle[_FUSED] / _FUSED_RATE
    per_frame = {
        "decoder": slopes["decoder"] - own("decoder") - looks * own("look"),
        "renderer": slopes["renderer"] - own("renderer"),
        "encoder": slopes["encoder"] - own("encoder"),
        _FUSED: fused - own("fused_renderer") - own("fused_encoder"),
    }
    per_look = {name: slopes[name] / looks - own(name) for name in _PER_LOOK}
    hops = stack["latency_ms"][str(_FEW)]["hops"]["bus: decoder → renderer"]
    return {
        "command": "make bench-stack, then python -m tests.bench.calibrate --stack out/bench/stack.json",
        "date": date,
        "idle_ms_per_s": {name: round(idle[name], 1) for name in (*_PER_FRAME, *_PER_LOOK, _FUSED)},
        "per_frame_ms": {name: round(max(0.0, value), 3) for name, value in per_frame.items()},
        "per_look_ms": {name: round(max(0.0, value), 3) for name, value in per_look.items()},
        "broker_idle_ms_per_s": round(idle["kafka-1"], 1),
        "broker_per_frame_ms": round(slopes["kafka-1"], 3),
        "hop_ms": {"p50": hops["p50"], "p95": hops["p95"]},
    }
