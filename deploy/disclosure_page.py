"""Walks one request from the counter to the package and fills docs/disclosure.md: `python -m deploy.disclosure_page`.

Every block on the page is a command and what it said, on a sample video that Veil's own demo uses. The pictures beside
it are what the commands made. It runs in a folder of its own, which is removed afterwards.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from deploy.samples import sample
from services.disclosure.account import Told, frames_of
from services.policy.reference import with_tables

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "disclosure.md"
PICTURES = {"found": ROOT / "docs" / "disclosure-found.jpg", "result": ROOT / "docs" / "disclosure-result.jpg"}
VIDEO = "bikes.mp4"

POLICY = """\
kinds: [person, face]
purpose: traffic safety
legal_basis: GDPR, article 6(1)(e)
originals: keep
retention_hours: 720
"""
SITE = """\
name: town
policy: policies/street.yaml
cameras:
  - id: gate
    source: street.mp4
    outputs: {mp4: masked.mp4}
"""
ENVIRONMENT = {
    "VEIL_KEYS_FOLDER": "keys",
    "VEIL_VAULT_STORE": "originals",
    "VEIL_DISCLOSURE_FOLDER": "disclosure",
    "VEIL_DISCLOSURE_KEYS": "signing",
    "VEIL_DISCLOSURE_POLICIES": "policies",
    "VEIL_DISCLOSURE_HOUSE": "City of Example",
}
_KIM, _LEE, _CHOI = "--who kim", "--who lee", "--who choi"
_TIMEOUT_S = 1800
_HEIGHTS = 80, 220  # pixels
_LONGEST = 16  # lines of an answer; of more, those in the middle are left out


class Walk:
    """Runs commands in a folder and keeps what they said."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blocks: dict[str, list[str]] = {}

    def veil(self, block: str, command: str, status: int = 0) -> str:
        """Runs `veil COMMAND` for a block of the page; returns what it said. Raises ValueError on another status."""
        models = str(ROOT / ".cache" / "models")
        environment = {"VEIL_MODELS": models, **os.environ, **ENVIRONMENT, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
        done = subprocess.run(  # noqa: S603, commands of this file
            [sys.executable, "-m", "services", *shlex.split(command)],
            cwd=self._folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
        errors = "".join(line + "\n" for line in done.stderr.splitlines() if line.startswith("error:"))
        said = "\n".join(line.rstrip() for line in (done.stdout + errors).splitlines())
        if done.returncode != status:
            raise ValueError(f"veil {command}: ended with {done.returncode}: {done.stderr}")
        self._blocks.setdefault(block, []).append(f"$ veil {command}\n{_shortened(said)}".rstrip())
        return said

    def blocks(self) -> Mapping[str, str]:
        """Name → block of the page."""
        return {name: "```console\n" + "\n".join(parts) + "\n```\n" for name, parts in self._blocks.items()}


def walk(folder: Path) -> Mapping[str, str]:
    """Runs all steps; the blocks of the page. Leaves `found.jpg` and `result.jpg` in the folder."""
    (folder / "policies").mkdir()
    (folder / "policies" / "street.yaml").write_text(POLICY)
    (folder / "site.yaml").write_text(SITE)
    shutil.copy(sample(VIDEO), folder / "street.mp4")
    steps = Walk(folder)
    began = datetime.now(UTC) - timedelta(minutes=1)
    steps.veil("vault", "keys create keys")
    steps.veil("vault", "run site.yaml --vault originals --quiet")
    steps.veil("vault", "vault list --purpose 'weekly check'")
    steps.veil("keys", "disclose keys create signing")
    times = f"--from {began:%Y-%m-%dT%H:%M}Z --to {datetime.now(UTC):%Y-%m-%dT%H:%M:%S}Z"
    said = steps.veil(
        "file",
        f"disclose file --whose 'J. Park' --camera gate {times} --basis 'GDPR, article 15' {_KIM} "
        "--why 'asked at the counter, identity checked'",
    )
    request = said.split()[1]
    steps.veil("find", f"disclose find {request} {_KIM} --why 'to find J. Park'")
    numbers = _subject(folder / "disclosure" / request / "found" / "found.json")
    shutil.copy(folder / "disclosure" / request / "found" / f"{numbers[0]:04d}.jpg", folder / "found.jpg")
    steps.veil("suggest", f"disclose suggest {request} {numbers[0]} --most 3 {_KIM} --why 'seen again later?'")
    chosen = " ".join(map(str, numbers))
    steps.veil("choose", f"disclose choose {request} {chosen} {_KIM} --why 'as J. Park says'")
    steps.veil("choose", f"disclose submit {request} {_KIM} --why 'it is complete'")
    steps.veil("approve", f"disclose approve {request} {_KIM} --why 'it is urgent'", 2)
    steps.veil("approve", f"disclose approve {request} {_LEE} --why 'the pictures show who asked'")
    steps.veil("render", f"disclose render {request} {_KIM} --why 'for J. Park'")
    seconds = _shown_at(folder / "disclosure" / request / "videos" / "video-1.mp4")
    looked = steps.veil(
        "look", f"disclose look {request} video-1.mp4 --at {seconds:g} --to result.jpg {_CHOI} --why 'to check'"
    )
    match = re.search(r"frame (\d+) of (\S+)", looked)
    if match is None:
        raise ValueError("look did not say which frame it shows")
    frames = f"{match[1]}-{int(match[1]) + 10}"
    steps.veil(
        "correct",
        f"disclose correct {request} --video {match[2]} --frames {frames} --box 20,20,120,120 {_CHOI} "
        "--why 'a shop window mirrors somebody'",
    )
    steps.veil("correct", f"disclose render {request} {_KIM} --why 'for J. Park, corrected'")
    steps.veil("correct", f"disclose review {request} {_CHOI} --why 'nobody else is seen'")
    steps.veil("package", f"disclose package {request} {_KIM} --why 'for J. Park'")
    steps.veil("package", f"disclose hand-over {request} --days 14 {_KIM} --why 'J. Park was told'")
    steps.veil("package", f"disclose download {request} --to park.zip {_KIM} --why 'J. Park came for it'")
    steps.veil("verify", "verify park.zip")
    content = (folder / "park.zip").read_bytes()
    (folder / "park.zip").write_bytes(content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :])
    steps.veil("changed", "verify park.zip", 1)
    steps.veil("show", f"disclose show {request}")
    return steps.blocks()


def _subject(found: Path) -> Sequence[int]:
    """Whom the walk is about: of the people that are neither far away nor all over the picture, who stays longest."""
    listed = json.loads(found.read_bytes())
    people = [one for one in listed if one["kind"] == "person"]
    chosen = max(people, key=lambda one: (_HEIGHTS[0] <= _height(one) <= _HEIGHTS[1], one["evident"]))
    return [chosen["number"], *chosen["belongs"]]


def _shown_at(video: Path) -> float:
    """The clearest time of the video: the subject is seen, somebody else is masked, and little else is covered."""
    shown = [told for told in frames_of(video) if told.subject]
    return min(shown, key=lambda told: (not told.masks, _covered(told))).at_ms / 1000


def _covered(told: Told) -> float:
    """Pixels under masks, where masks overlap more than once."""
    boxes = (mask.box for mask in told.masks)
    return sum((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes)


def _height(one: Mapping[str, Any]) -> float:
    _, top, _, bottom = one["best"]["box"]
    return float(bottom - top)


def _shortened(said: str) -> str:
    lines = said.splitlines()
    if len(lines) <= _LONGEST:
        return said
    left_out = len(lines) - _LONGEST + 1
    return "\n".join([*lines[:10], f"… ({left_out} lines)", *lines[11 - _LONGEST :]])


def main() -> None:
    """Fills the page and its pictures."""
    with tempfile.TemporaryDirectory() as scratch:
        blocks = walk(Path(scratch))
        page = PAGE.read_text(encoding="utf-8")
        PAGE.write_text(with_tables(page, blocks), encoding="utf-8")
        for name, path in PICTURES.items():
            shutil.copy(Path(scratch) / f"{name}.jpg", path)


if __name__ == "__main__":
    main()
