"""The programs that are compared, each as a function that masks one video into another."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import yaml

from services.detect.interface import Detector, Image
from services.inference.load import load_detectors
from services.policy.loader import load_policy
from services.policy.model import Mode, Policy, Profile
from tests.support.scenes import VideoWriter

KINDS = ("face", "plate")
_DEADLINE_S = 3600.0


@dataclass(frozen=True)
class Program:
    """One program under test.

    Attributes:
        mask: masks the first video into the second.
        kinds: what it claims to mask.
        cuts: leaves out frames at the end.
    """

    name: str
    mask: Callable[[Path, Path], None]
    kinds: frozenset[str]
    cuts: bool = False


def rules(profile: Profile, folder: Path, kinds: Sequence[str] = KINDS) -> Policy:
    """The policy that all figures are taken with: every other key is at its default."""
    return load_policy(write_policy(folder / f"{profile.value}.yaml", profile, kinds))


def veil(
    profile: Profile,
    kinds: Sequence[str] = KINDS,
    mode: Mode | None = None,
    models: Mapping[str, str] | None = None,
    name: str = "",
) -> Program:
    """`veil redact` with the default policy of a profile; with another mode, or other models by detector, if given."""

    def mask(source: Path, output: Path) -> None:
        policy = write_policy(output.with_suffix(".yaml"), profile, kinds, mode)
        chosen = ",".join(f"{kind}={model}" for kind, model in (models or {}).items())
        run(veil_command(source, output, policy, "--quiet", "--overwrite"), {"VEIL_INFERENCE_MODELS": chosen})

    return Program(name or f"veil {profile.value}", mask, frozenset(kinds))


def veil_command(source: Path, output: Path, policy_file: Path, *options: str) -> list[str]:
    """The command line of `veil redact`."""
    return [
        str(Path(sys.executable).with_name("veil")),
        *("redact", str(source), str(output), "--policy", str(policy_file), *options),
    ]


def write_policy(path: Path, profile: Profile, kinds: Sequence[str] = KINDS, mode: Mode | None = None) -> Path:
    """A policy file with every key at its default but the profile, the kinds, and the mode if one is given."""
    keys = {"name": "eval", "profile": profile.value, "kinds": list(kinds)}
    path.write_text(yaml.safe_dump(keys | ({"mode": mode.value} if mode else {})))
    return path


def run(command: list[str], settings: Mapping[str, str] | None = None) -> None:
    """Runs one program to its end, with these variables. Raises RuntimeError with its last words if it fails."""
    given = {name: value for name, value in (settings or {}).items() if value}
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", **given}
    done = subprocess.run(command, capture_output=True, text=True, timeout=_DEADLINE_S, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name} ended with {done.returncode}: {done.stderr[-800:]}")


def per_frame(policy: Policy) -> Program:
    """Detection alone: the same detectors, size, threshold and padding on every frame, and black boxes."""
    detectors = load_detectors(policy.detectors)

    def mask(source: Path, output: Path) -> None:
        with av.open(str(source)) as reader:
            video = reader.streams.video[0]
            rate = Fraction(video.average_rate or 25)
            with VideoWriter(output, video.width, video.height, rate, crf=23) as writer:
                for frame in reader.decode(video):
                    picture = frame.to_ndarray(format="rgb24")
                    for x1, y1, x2, y2 in detected(picture, detectors, policy):
                        picture[max(y1, 0) : max(y2, 0), max(x1, 0) : max(x2, 0)] = 0
                    writer.write(picture)

    return Program("per-frame detection", mask, frozenset(policy.detectors))


def detected(picture: Image, detectors: dict[str, Detector], policy: Policy) -> list[tuple[int, int, int, int]]:
    """Padded boxes of what reaches the policy's threshold in one picture, in its own pixels."""
    height, width, _ = picture.shape
    scale = policy.detection.side_for(width, height) / max(width, height)
    size = (round(width * scale), round(height * scale))
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA) if scale < 1 else picture
    regions = []
    for kind in policy.kinds:
        rule = policy.rule(kind)
        found = detectors[kind.value].detect([small], timeout_s=30.0)[0]
        boxes = found.xyxy[found.score >= rule.threshold] / scale
        margin = (boxes[:, 2:] - boxes[:, :2]) * rule.padding
        padded = np.hstack([np.floor(boxes[:, :2] - margin), np.ceil(boxes[:, 2:] + margin)]).astype(int)
        regions += [tuple(box) for box in padded.tolist()]
    return regions
