"""Where a reading begins and ends, from what a person writes."""

from datetime import UTC, datetime

import pytest

from services.bus.interface import Start
from services.consume.window import Window, parse_duration, parse_moment, parse_start, parse_window

NOW = 1_763_000_000_000_000
MINUTE = 60_000_000


@pytest.mark.parametrize(
    ("text", "start"),
    [
        ("oldest", Start("oldest")),
        ("newest", Start("newest")),
        ("0", Start("offset", 0)),
        ("12345", Start("offset", 12345)),
        ("-10m", Start("time", NOW - 10 * MINUTE)),
        ("-1h30m", Start("time", NOW - 90 * MINUTE)),
        ("now", Start("time", NOW)),
        ("1970-01-01T00:01:00Z", Start("time", MINUTE)),
        ("1970-01-01T01:01:00+01:00", Start("time", MINUTE)),
    ],
)
def test_starts(text: str, start: Start) -> None:
    assert parse_start(text, NOW) == start


def test_a_time_without_zone_is_local() -> None:
    local = datetime(2025, 11, 12, 14, 3)  # noqa: DTZ001, that is the point
    assert parse_moment("2025-11-12T14:03", NOW) == round(local.astimezone(UTC).timestamp() * 1e6)


@pytest.mark.parametrize("text", ["", "latest", "-10", "--10m", "-", "10m", "12:30", "1.5"])
def test_what_is_no_start_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no start: say oldest"):
        parse_start(text, NOW)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("1.5h", 5400), ("2d", 172800)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == round(seconds * 1e6)


@pytest.mark.parametrize("text", ["", "10", "s", "0s", "5x", "-5s", "1m30"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="duration"):
        parse_duration(text)


def test_an_end_counts_from_the_start_or_from_the_first_record() -> None:
    assert parse_window("newest", None, "10m", NOW) == Window(Start("newest"), span_us=10 * MINUTE)
    assert parse_window("-1h", None, "10m", NOW) == Window(Start("time", NOW - 60 * MINUTE), NOW - 50 * MINUTE)
    assert parse_window("oldest", None, "10m", NOW) == Window(Start("oldest"), span_us=10 * MINUTE)
    assert parse_window("oldest", "-5m", None, NOW) == Window(Start("oldest"), NOW - 5 * MINUTE)
    assert parse_window("77", None, None, NOW) == Window(Start("offset", 77))


@pytest.mark.parametrize(
    ("start", "until", "span", "told"),
    [
        ("-5m", "-10m", None, "nothing could be read"),
        ("newest", "now", None, "nothing could be read"),
        ("oldest", "now", "5m", "give one of them"),
        ("oldest", "soon", None, "'soon' is no time"),
    ],
)
def test_windows_that_make_no_sense(start: str, until: str | None, span: str | None, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse_window(start, until, span, NOW)
