"""From where a topic is read and until when: words of a person into a start and an end."""

import re
from dataclasses import dataclass
from datetime import datetime

from services.bus.interface import Start

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|[smhd])")


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a topic.

    Attributes:
        start: its first record.
        until_us: end, microseconds since 1970 on the broker's clock; None for no end.
        span_us: where the end is not known yet: so long after reading begins, or from the past, after the first record.
    """

    start: Start
    until_us: int | None = None
    span_us: int | None = None


def parse_window(start: str, until: str | None, span: str | None, now_us: int) -> Window:
    """Reads --from, --until and --for. Raises ValueError with a sentence."""
    first = parse_start(start, now_us)
    if until is not None and span is not None:
        raise ValueError("--until and --for both say when to end: give one of them")
    if until is not None:
        until_us = parse_moment(until, now_us)
        began = {"time": first.value, "newest": now_us}.get(first.at)
        if began is not None and until_us <= began:
            raise ValueError("--until lies before --from: nothing could be read")
        return Window(first, until_us)
    if span is None:
        return Window(first)
    span_us = parse_duration(span)
    if first.at == "time":
        return Window(first, first.value + span_us)
    return Window(first, span_us=span_us)


def parse_start(text: str, now_us: int) -> Start:
    """Reads oldest, newest, an offset, or a moment. Raises ValueError with a sentence."""
    if text == "oldest":
        return Start("oldest")
    if text == "newest":
        return Start("newest")
    if text.isdecimal():
        return Start("offset", int(text))
    try:
        return Start("time", parse_moment(text, now_us))
    except ValueError as error:
        raise ValueError(f"{text!r} is no start: say oldest, newest, an offset, -10m or 2025-11-12T14:03") from error


def parse_moment(text: str, now_us: int) -> int:
    """Reads now, -10m, or an ISO 8601 time, local unless it says otherwise. Microseconds since 1970."""
    if text == "now":
        return now_us
    if text.startswith("-"):
        return now_us - parse_duration(text[1:])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"{text!r} is no time: say now, -10m or 2025-11-12T14:03") from error
    return round(moment.timestamp() * 1_000_000)


def parse_duration(text: str) -> int:
    """Reads 500ms, 90s, 10m, 1.5h, 2d, or several of them: 1h30m. Microseconds."""
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is no duration: say 30s, 10m, 1h30m or 2d")
    seconds = sum(float(number) * (0.001 if unit == "ms" else _UNITS_S[unit]) for number, unit in parts)
    if not seconds:
        raise ValueError("a duration of nothing reads nothing")
    return round(seconds * 1_000_000)
