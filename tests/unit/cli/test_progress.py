"""Progress: plain lines where there is no terminal, a bar where there is one."""

import io

from rich.console import Console

from services.cli.progress import ProgressShow, words
from services.embedded.redact import Progress

_PROGRESS = Progress(30, 100, 60.0, {"plate": 4, "face": 25}, 2, 75.0)


def test_words_tell_frames_speed_time_left_and_masks() -> None:
    assert words(_PROGRESS) == "30/100 frames · 60 fps · 1:15 left · 25 face masks · 4 plate masks · 2 closed"
    assert words(Progress(30, None, 60.0, {}, 0, None)) == "30 frames · 60 fps"
    assert words(Progress(120, 100, 60.0, {}, 0, 0.0)) == "120/120 frames · 60 fps · 0:00 left"


def test_without_a_terminal_a_plain_line_comes_every_few_seconds() -> None:
    now = 0.0
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=False, width=40)
    with ProgressShow("in [1].mp4", console=console, now=lambda: now) as show:
        for _ in range(12):
            show(_PROGRESS)
            now += 1.0
    assert stream.getvalue().splitlines() == [f"in [1].mp4: {words(_PROGRESS)}"] * 2


def test_a_terminal_gets_a_bar() -> None:
    stream = io.StringIO()
    with ProgressShow("in.mp4", console=Console(file=stream, force_terminal=True, width=140)) as show:
        show(_PROGRESS)
    assert "30/100 frames" in stream.getvalue()
    assert "30 %" in stream.getvalue()


def test_quiet_shows_nothing() -> None:
    stream = io.StringIO()
    with ProgressShow("in.mp4", quiet=True, console=Console(file=stream, force_terminal=True)) as show:
        show(_PROGRESS)
    assert stream.getvalue() == ""
