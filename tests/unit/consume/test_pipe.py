"""A pipe's reader may be slow, asleep or gone."""

import os
import threading
import time
from collections.abc import Iterator

import pytest

from services.consume.pipe import PipeWriter

Ends = tuple[int, int]


@pytest.fixture
def pipe() -> Iterator[Ends]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_a_slow_reader_gets_everything(pipe: Ends) -> None:
    data = os.urandom(1 << 20)
    got = bytearray()

    def slowly() -> None:
        while len(got) < len(data):
            got.extend(os.read(pipe[0], 100_000))
            time.sleep(0.001)

    reader = threading.Thread(target=slowly)
    reader.start()
    assert PipeWriter(pipe[1], threading.Event()).write(data) == len(data)
    reader.join(10)
    assert bytes(got) == data


def test_a_reader_that_left_breaks_the_pipe(pipe: Ends) -> None:
    os.close(pipe[0])
    with pytest.raises(BrokenPipeError):
        PipeWriter(pipe[1], threading.Event()).write(b"x")


def test_a_reader_that_sleeps_does_not_keep_us_when_we_must_leave(pipe: Ends) -> None:
    stop = threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(BrokenPipeError):
        PipeWriter(pipe[1], stop, patience_s=0.3).write(bytes(1 << 20))
    assert 0.4 < time.monotonic() - began < 3


def test_after_a_stop_what_is_left_is_still_said_to_a_reader_that_takes_it(pipe: Ends) -> None:
    stop = threading.Event()
    stop.set()
    assert PipeWriter(pipe[1], stop).write(b"trailer") == 7
    assert os.read(pipe[0], 100) == b"trailer"
