"""The golden figures: what a short run may not be worse than."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.eval.exposure import Exposure
from tests.eval.report import exposed_share

PATH = Path(__file__).with_name("golden.json")

_SLACK = 0.02
"""8-bit arithmetic differs between processors: the golden figures are the worst of those seen, and this beside it."""

_SLACK_NAMED = 0.01
"""Of rank-1: arithmetic in floating point breaks near ties one way or the other."""

_SLACK_WORTH = 0.1
"""Of the share of precision that one training on seal keeps: one tree that splits otherwise changes all after it."""


def write(groups: Mapping[str, Mapping[str, Exposure]], whole: Mapping[str, Any]) -> None:
    """Keeps the figures of one short run; sections that it did not measure stay as they were."""
    golden = json.loads(PATH.read_text()) if PATH.is_file() else {}
    golden |= {"slack": _SLACK, "slack_named": _SLACK_NAMED, "slack_worth": _SLACK_WORTH}
    if groups:
        golden["groups"] = {group: _exposed(results) for group, results in groups.items()}
    if "attack_short" in whole:
        golden["attack"] = {name: _named(figures["treatments"]) for name, figures in whole["attack_short"].items()}
    if "many_frames_short" in whole:
        golden["many_frames"] = {
            name: {cover: _named(counts) for cover, counts in figures["covers"].items()}
            for name, figures in whole["many_frames_short"].items()
        }
    if "plates_readable_short" in whole:
        golden["plates_readable"] = {
            name: {"read": figures["read"], "masks": _readable(figures["masks"])}
            for name, figures in whole["plates_readable_short"].items()
        }
    if "seal_short" in whole:
        golden["seal"] = {name: whole["seal_short"][name] for name in ("map_ratio", "naive_rank1", "parrot_rank1")}
    PATH.write_text(json.dumps(golden, indent=2) + "\n")


def _exposed(results: Mapping[str, Exposure]) -> dict[str, object]:
    """What Veil left exposed at and above the goal's height, and what it masked for nothing."""
    return {
        name: {
            "exposed_share": {
                kind: round(exposed_share(exposure.total(kind, goal=True)), 4) for kind in ("face", "plate")
            },
            "over_masked": round(exposure.over_masked, 4),
        }
        for name, exposure in results.items()
        if name.startswith("veil")
    }


def _named(figures: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    """Rank-1 of each way to attack."""
    return {name: {way: figure[way] for way in ("naive", "parrot", "linked")} for name, figure in figures.items()}


def _readable(masks: Mapping[str, Mapping[str, int]]) -> dict[str, int]:
    return {name: figure["readable"] for name, figure in masks.items()}
