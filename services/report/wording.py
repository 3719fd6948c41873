"""How the report says things: numbers, times, and sentences that promise no more than is true."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.report.summary import ReviewFacts, RunSummary

_KINDS = {
    "face": ("face", "faces"),
    "plate": ("plate", "plates"),
    "person": ("person", "persons"),
    "head": ("head", "heads"),
    "motion": ("moving thing", "moving things"),
    "text": ("sign", "signs"),
    "logo": ("logo", "logos"),
}
_NOT_MASKED = {
    "face": "faces",
    "plate": "number plates",
    "person": "build, clothes and gait",
    "text": "readable signs",
}


def order(name: str) -> int:
    """Faces first, kinds we don't know last."""
    return list(_KINDS).index(name) if name in _KINDS else len(_KINDS)


def kind(name: str) -> str:
    """A kind in the plural."""
    return _KINDS.get(name, (name, name))[1]


def kind_one(name: str) -> str:
    """A kind in the singular."""
    return _KINDS.get(name, (name, name))[0]


def count(value: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def figure(value: float) -> str:
    """A measured figure: three digits are what a measurement is worth."""
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def clock(seconds: float) -> str:
    """0:07, 12:34 or 1:02:03."""
    whole = round(seconds)
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"


def size(value: int) -> str:
    """Bytes in the unit that reads best."""
    amount = float(value)
    for unit in ("B", "KB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "B" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def day(iso: str) -> str:
    """An ISO time as 12 November 2025, 14:03 UTC."""
    at = datetime.fromisoformat(iso)
    zone = at.strftime(" %Z") if at.tzinfo else ""
    return f"{at.day} {at:%B %Y, %H:%M}{zone}"


def verdict(summary: RunSummary) -> str:
    """The one sentence to remember."""
    if not summary.frames:
        return "The video held no frame."
    if summary.review is not None:
        return _reviewed(summary, summary.review)
    if not summary.closed:
        return "Every frame was checked by every detector that the policy asks for."
    which = "frame" if summary.closed == 1 else "frames"
    return f"{count(summary.closed)} of {count(summary.frames)} {which} could not be checked and {_fate(summary)}."


def _reviewed(summary: RunSummary, review: ReviewFacts) -> str:
    made = {0: "no change", 1: "1 change"}.get(len(review.changes), f"{len(review.changes)} changes")
    which = "frame" if review.opened == 1 else "frames"
    opened = f", {count(review.opened)} {which} opened by hand" if review.opened else ""
    closed = f" {count(summary.closed)} of {count(summary.frames)} frames are closed." if summary.closed else ""
    return f"What is masked was reviewed by {review.by}: {made}{opened}.{closed}"


def _fate(summary: RunSummary) -> str:
    if summary.dropped == summary.closed:
        return "left out" if summary.closed == 1 else "were left out"
    verb = "was" if summary.closed == 1 else "were"
    rest = f", {count(summary.dropped)} of them left out" if summary.dropped else ""
    return f"{verb} masked whole{rest}"


def limits(kinds: Sequence[str]) -> tuple[str, ...]:
    """What this page can't promise."""
    shown = [words for name, words in _NOT_MASKED.items() if name not in kinds]
    still = f" This policy leaves visible: {', '.join(shown)}." if shown else ""
    return (
        "A detector finds most, not all; a miss leaves no trace in these figures. Look before you hand it on.",
        "Most likely missed: very small, turned, covered or dark subjects.",
        f"Signs, papers, screens and places can tell who somebody is, too.{still}",
        "Masks are drawn into the picture for good: this file holds nothing from which they could be taken off.",
    )


def settings(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Nested settings as flat rows of key and value."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            rows += [(f"{key}.{inner}", shown) for inner, shown in settings(value)]
        elif value is not None and value != "" and value != [] and value != ():
            rows.append((key, _plain(value)))
    return rows


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(str(item.get("name", item)) if isinstance(item, Mapping) else str(item) for item in value)
    return str(value)
