"""The review folder: what a person may edit, and beside it what was exported, to compare with."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from services.embedded.errors import ExitCode, RunError
from services.policy.model import Kind, Mode
from services.policy.problems import ConfigError, KeyPath, Place, Problem, problems_of
from services.review.identity import same_tracks
from services.review.log import broken_at
from services.review.model import EDITABLE, Review, with_kinds
from services.review.mot import BYTES_MAX, LABELS, MotTrack, labels_text, read_labels, read_mot
from services.review.tracks import Range, ReviewedTrack

REVIEW, GT, LABELS_TXT = "review.json", "gt/gt.txt", "gt/labels.txt"
FILES = (REVIEW, GT, LABELS_TXT)
"""What a person may edit; `export/` holds the same as it was exported."""
EXPORT = "export"
SUMS = "export/SHA256SUMS"
MASKED = "masked.mp4"
CHANGES = "changes.jsonl"

_JSON_MAX = 64 << 20
_USAGE = ExitCode.USAGE


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """One reading of the files.

    Attributes:
        review: of review.json.
        tracks: in the order of gt.txt.
        same: number in gt.txt → number in the export, for tracks that are in both; empty for the export itself.
        hashes: file → SHA-256 of what was read.
    """

    review: Review
    tracks: Mapping[int, ReviewedTrack]
    same: Mapping[int, int]
    hashes: Mapping[str, str]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A review folder: as exported, and as it is now. `export` is the SHA-256 of the export's own sums."""

    path: Path
    base: State
    edited: State
    export: str


def write_export(folder: Path, review: Review) -> None:
    """Writes everything but gt.txt, which is there already. Raises OSError."""
    (folder / REVIEW).write_text(review.text(), encoding="utf-8")
    (folder / LABELS_TXT).write_text(labels_text(), encoding="ascii")
    (folder / EXPORT / "gt").mkdir(parents=True)
    sums = []
    for name in FILES:
        data = (folder / name).read_bytes()
        (folder / EXPORT / name).write_bytes(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
    (folder / SUMS).write_text("".join(sums), encoding="ascii")


def load(path: Path) -> Loaded:
    """Reads a review folder. Raises RunError where it is none, ConfigError with everything that is wrong in it."""
    sums = _read(path, SUMS, 1 << 16)
    was = _sums(sums)
    base, problems = _state(path / EXPORT, None)
    if base is None or problems or base.hashes != was:
        raise RunError(f"{path / EXPORT}: is not as it was exported, so nothing can be compared; export again", _USAGE)
    edited, problems = _state(path, base)
    if edited is None or problems:
        raise ConfigError(problems)
    return Loaded(path, base, edited, hashlib.sha256(sums).hexdigest())


def record_problem(path: Path) -> Problem | None:
    """What is wrong with the record of changes; None where it is whole, or not there yet. Raises RunError."""
    if not (path / CHANGES).exists():
        return None
    line = broken_at(_read(path, CHANGES, _JSON_MAX))
    if line is None:
        return None
    text = "this line does not follow the one before it: something was changed or taken out"
    return Problem(Place(str(path / CHANGES), line, 1), (), text)


def _sums(data: bytes) -> dict[str, str]:
    lines = [line.split("  ", 1) for line in data.decode("utf-8", "replace").splitlines()]
    return {line[1]: line[0] for line in lines if len(line) == 2}


def _read(folder: Path, name: str, most: int) -> bytes:
    path = folder / name
    try:
        if path.stat().st_size > most:
            raise RunError(f"{path}: is larger than {most >> 20} MB", ExitCode.USAGE)
        return path.read_bytes()
    except FileNotFoundError:
        raise RunError(f"{path}: there is no such file; `veil review export` makes a review folder", _USAGE) from None
    except OSError as error:
        reason = (error.strerror or "unknown error").lower()
        raise RunError(f"{path}: can't be read: {reason}", ExitCode.USAGE) from error


def _state(folder: Path, base: State | None) -> tuple[State | None, list[Problem]]:
    """What the files of a folder say, and what is wrong in them; with a base, what must be as it was is checked too."""
    data = {name: _read(folder, name, _JSON_MAX if name == REVIEW else BYTES_MAX) for name in FILES}
    text = data[REVIEW].decode("utf-8", "replace")
    places = _Places(str(folder / REVIEW), text)
    try:
        review = Review.model_validate_json(text, strict=True)
    except ValidationError as error:
        return None, _json_problems(error, places)
    if review.policy.fingerprint != review.policy_fingerprint:
        return None, [places.problem(("policy",), "is not the policy that the video was masked under")]
    problems = [] if base is None else [*_fixed(review, base.review, places), *_stretches(review, places)]
    facts = review.video
    found, wrong = read_mot(
        data[GT],
        str(folder / GT),
        read_labels(data[LABELS_TXT]),
        facts.frames,
        (facts.width, facts.height),
        {kind: rule.padding for kind, rule in with_kinds(review.policy, set(LABELS)).kinds.items()},
    )
    problems += wrong
    tracks: dict[int, ReviewedTrack] = {}
    same: Mapping[int, int] = {}
    if not wrong:
        same = same_tracks(base.tracks, _as_tracks(found)) if base is not None else {}
        for number, one in found.items():
            entry = _entry(number, same, review, base)
            told = _told(entry, one, review, base)
            if isinstance(told, str):
                problems.append(places.problem(("tracks", str(entry)), told))
                continue
            kind, mode, gaps = told
            tracks[number] = track = ReviewedTrack(number, kind, mode, one.frames, one.boxes, gaps, int(one.lines[0]))
            problems += _gap_problems(track, one, str(folder / GT), entry)
        problems += _unknown(review, base, found, places)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in data.items()}
    return State(review, tracks, same, hashes), problems


def _as_tracks(found: Mapping[int, MotTrack]) -> dict[int, ReviewedTrack]:
    """Tracks as gt.txt alone tells them."""
    return {
        number: ReviewedTrack(number, one.kind, Mode.MOSAIC, one.frames, one.boxes, (), int(one.lines[0]))
        for number, one in found.items()
    }


def _entry(number: int, same: Mapping[int, int], review: Review, base: State | None) -> int | None:
    """The number under which review.json tells of a track of gt.txt; None where it tells of another one there."""
    if base is None or number not in base.tracks:
        return number if number in review.tracks or number not in same else same[number]
    return same.get(number, None if number in same.values() else number)


def _told(
    number: int | None, one: MotTrack, review: Review, base: State | None
) -> tuple[Kind, Mode, tuple[Range, ...]] | str:
    """Kind, mode and gaps of a track, or what is wrong with them.

    The kind may be changed in either file: the one that differs from the export counts.
    """
    entry = None if number is None else review.tracks.get(number)
    was = None if base is None or number is None else base.review.tracks.get(number)
    kind = one.kind
    if entry is not None and entry.kind is not kind:
        if was is not None and entry.kind is not was.kind and kind is was.kind:
            kind = entry.kind
        elif was is None or entry.kind is not was.kind:
            return f"it is a {entry.kind} here and a {kind} in gt.txt"
    mode = entry.mode if entry is not None else with_kinds(review.policy, {kind}).mode_of(kind)
    if mode.shows_body and not kind.is_body:
        return f"{mode} keeps the shape of a body: a {kind} needs another mode"
    return kind, mode, tuple(gap.pair for gap in entry.gaps) if entry is not None else ()


def _gap_problems(track: ReviewedTrack, one: MotTrack, source: str, entry: int | None) -> list[Problem]:
    """Lines inside gaps: it can't be both."""
    found = []
    for a, b in track.gaps:
        inside = (one.frames >= a) & (one.frames <= b)
        if inside.any():
            line = int(one.lines[inside][0])
            there = "" if entry == track.track_id else f", where it is track {entry},"
            text = f"track {track.track_id} has a box here, but review.json{there} has a gap in frames {a}–{b}"
            found.append(Problem(Place(source, line, 1), (), text))
    return found


def _unknown(review: Review, base: State | None, found: Mapping[int, MotTrack], places: "_Places") -> list[Problem]:
    """Tracks of review.json that have no line and never had one."""
    known = set() if base is None else set(base.tracks)
    return [
        places.problem(("tracks", str(number)), "gt.txt has no line of this track")
        for number in review.tracks
        if number not in found and number not in known
    ]


def _fixed(review: Review, base: Review, places: "_Places") -> list[Problem]:
    """Changes to what only tells where the export came from."""
    problems = [
        places.problem((key,), "can't be changed here; only tracks, opened_frames and frames_to_close can")
        for key in Review.model_fields
        if key not in EDITABLE and getattr(review, key) != getattr(base, key)
    ]
    for number, track in review.tracks.items():
        was = base.tracks.get(number)
        if track.origins != (was.origins if was is not None else ()):
            problems.append(places.problem(("tracks", str(number), "origins"), "can't be changed: it tells what was"))
    return problems


def _stretches(review: Review, places: "_Places") -> list[Problem]:
    """Frames to open that were not closed, and frames beyond the video's end."""
    problems = []
    closed = sorted(one.pair for one in review.closed_frames)
    for index, one in enumerate(review.opened_frames):
        left = _outside(one.pair, closed)
        if left is not None:
            problems.append(places.problem(("opened_frames", index), f"frame {left} is not among closed_frames"))
    for index, one in enumerate(review.frames_to_close):
        if one.last > review.video.frames:
            text = f"there is no frame {one.last}: the video has {review.video.frames}"
            problems.append(places.problem(("frames_to_close", index), text))
    return problems


def _outside(wanted: Range, closed: list[Range]) -> int | None:
    """The first frame of a stretch that lies in none of these, None if all do."""
    at = wanted[0]
    for a, b in closed:
        if a <= at <= b:
            at = b + 1
        if at > wanted[1]:
            return None
    return at


def _json_problems(error: ValidationError, places: "_Places") -> list[Problem]:
    try:
        json.loads(places.text)
    except json.JSONDecodeError as wrong:
        return [Problem(Place(places.source, wrong.lineno, wrong.colno), (), f"not JSON: {wrong.msg.lower()}")]
    except RecursionError:
        return [Problem(Place(places.source), (), "not JSON that anybody wrote: nested too deeply")]
    return problems_of(error, places.of, Review)[:20]


class _Places:
    """Finds the line of a key, as well as it can be told without a parser that counts lines."""

    def __init__(self, source: str, text: str) -> None:
        self.source = source
        self.text = text

    def of(self, path: KeyPath) -> Place:
        """The place of a key path; the item's in a list."""
        at = 0
        for part in path:
            if isinstance(part, int):
                found = self._item(at, part)
            else:
                match = re.compile(rf'"{re.escape(part)}"\s*:').search(self.text, at)
                found = None if match is None else match.end()
            if found is None:
                break
            at = found
        line = self.text.count("\n", 0, at) + 1
        return Place(self.source, line, at - self.text.rfind("\n", 0, at))

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at a key path."""
        return Problem(self.of(path), path, message)

    def _item(self, at: int, index: int) -> int | None:
        """Behind the opening brace of an item of the list that begins after `at`."""
        for _ in range(index + 1):
            at = self.text.find("{", at) + 1
            if not at:
                return None
        return at
