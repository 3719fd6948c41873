"""What a person is told meanwhile: figures, silence, and which cameras there are."""

import io

import pytest

from services.bus.memory import MemoryBus
from services.bus.topics import METADATA_TRACKS
from services.consume.lookout import Lookout, absence, cameras_on
from services.consume.outlets import StreamOutlet
from services.consume.progress import Progress, VideoFigures, duration_words
from services.consume.video import VideoTail
from tests.support.consumed import FIRST, fill, film, message, track

SECOND_US = 1_000_000


class Clock:
    """Seconds, or microseconds with `us`."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s

    def us(self) -> int:
        return round(self.s * 1e6)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Sink:
    def write(self, data: bytes) -> int:
        return len(data)


def test_figures_are_frames_a_second_age_and_share_of_closed_frames() -> None:
    tail = VideoTail(StreamOutlet(Sink(), "h264", "-"), print)
    figures = VideoFigures("gate", tail, lambda: FIRST + 49 * 40_000 + 310_000)
    units = film(50, closed=(3,))
    assert figures(1) == "gate: 0 frames · 0.0 fps"
    for unit in units:
        tail.take(message(unit))
    assert figures(2) == "gate: 50 frames · 25.0 fps · age 0.3 s · closed 2 %"
    tail.take(message(units[0]))
    assert figures(1) == "gate: 50 frames · 0.0 fps · age 0.3 s · closed 2 % · left out: 1 sent twice"


def test_elsewhere_than_on_a_terminal_a_line_comes_every_ten_seconds() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, clock)
    progress.figures = lambda seconds: f"after {seconds:.0f}"
    for second in range(31):
        clock.s = second
        progress(heard=second < 12)
    assert stream.getvalue().splitlines() == ["after 10", "after 10 · nothing for 9.0 s", "after 10 · nothing for 19 s"]


def test_on_a_terminal_one_line_renews_itself_and_sentences_stay() -> None:
    clock, stream = Clock(), Terminal()
    progress = Progress(stream, clock)
    progress.figures = lambda seconds: "figures"
    for second in range(3):
        clock.s = second
        progress(heard=True)
    progress.tell("a sentence")
    progress.finish()
    line = "\r\x1b[Kfigures"
    assert stream.getvalue() == f"{line}{line}\na sentence\n{line}\n"


def test_quiet_means_sentences_only() -> None:
    clock, stream = Clock(), io.StringIO()
    progress = Progress(stream, clock)
    clock.s = 60
    progress(heard=False)
    progress.tell("goes on elsewhere")
    progress.finish()
    assert stream.getvalue() == "goes on elsewhere\n"


@pytest.mark.parametrize(
    ("seen", "told"),
    [
        ({}, "dock: nothing yet, nor from any other camera on video.redacted; waiting"),
        (
            {"gate": 5, "yard": 6},
            "dock: nothing yet; the newest of video.redacted are from gate, yard; waiting",
        ),
        ({"dock": 100 * SECOND_US, "gate": 1}, "dock: silent, the newest record is 50 s old; waiting"),
        (
            {f"c{number}": 1 for number in range(100, 120)},
            "dock: nothing yet; the newest of video.redacted are from "
            + ", ".join(f"c{number}" for number in range(100, 112))
            + " and 8 more; waiting",
        ),
    ],
)
def test_who_is_there_instead(seen: dict[str, int], told: str) -> None:
    assert absence(["dock"], "video.redacted", seen, 150 * SECOND_US) == told


def test_the_cameras_among_the_newest_records() -> None:
    clock = Clock()
    bus = MemoryBus(partitions=2, clock=clock.us)
    for second in range(200):
        clock.s = second
        fill(bus, [track(second, "old" if second < 10 else f"camera-{second % 2}")])
    assert cameras_on(bus, METADATA_TRACKS).keys() >= {"camera-0", "camera-1"}
    assert cameras_on(bus, METADATA_TRACKS)["camera-1"] == 199 * SECOND_US


@pytest.mark.parametrize(("wanted", "heard_at", "looks"), [(("dock",), None, 1), (("dock",), 2, 0), ((), None, 0)])
def test_it_looks_around_once_and_only_where_a_camera_is_missed(
    wanted: tuple[str, ...], heard_at: int | None, looks: int
) -> None:
    clock, stream = Clock(), io.StringIO()
    bus = MemoryBus()
    fill(bus, [track(1, "gate")])
    lookout = Lookout(Progress(stream, clock), wanted, bus, METADATA_TRACKS, clock, clock.us)
    for second in range(60):
        clock.s = second
        lookout(heard=second == heard_at)
    assert stream.getvalue().count("the newest of metadata.tracks are from gate") == looks


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-1, "0.0 s"), (0.31, "0.3 s"), (59, "59 s"), (600, "10 min"), (9000, "2 h"), (1e6, "12 days")],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert duration_words(seconds) == words
