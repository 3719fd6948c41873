"""What waits for a viewer is bounded: who is too slow loses whole groups of pictures, and nobody else does."""

import json
from collections.abc import Sequence

import pytest

from services.console.channel import Channel
from services.console.closures import Why
from services.console.fragments import Fragmenter, Part, PartKind
from services.console.viewer import HEAD, TooSlow, ViewerQueue
from tests.support.console import units

_FRAGMENTER = Fragmenter()
PARTS = [part for unit in units("hall", 60) for part in _FRAGMENTER.add(unit)]
SIZE = sum(len(part.data) + HEAD.size for part in PARTS)


def channel(name: str = "hall", parts: Sequence[Part] = ()) -> Channel:
    made = Channel(name, 8 << 20, 5, 0)
    for part in parts:
        made.take(part)
    return made


def taken(queue: ViewerQueue) -> tuple[list[dict[str, object]], list[tuple[int, bool]]]:
    """Words, and kind and keyframe flag of the parts that a viewer who takes everything at once would get."""

    words, parts = [], []
    while (what := queue.ready()) is not None:
        if isinstance(what, str):
            words.append(json.loads(what))
            continue
        at = 0
        while at < len(what):
            length, kind, flags, *_ = HEAD.unpack_from(what, at)
            parts.append((kind, bool(flags & 1)))
            at += HEAD.size + length
    return words, parts


def test_who_comes_gets_the_newest_group_of_pictures_at_once() -> None:
    queue = ViewerQueue(8 << 20, 8 << 20)
    queue.watch([channel(parts=PARTS)])
    words, parts = taken(queue)
    assert words[0] == {"feed": 1, "camera": "hall"}
    assert str(words[1]["codec"]).startswith("avc1.")
    assert [kind for kind, _ in parts] == [PartKind.START] + [PartKind.FRAGMENT] * 10
    assert [keyframe for _, keyframe in parts] == [False, True] + [False] * 9


def test_i7_what_waits_for_a_viewer_who_says_nothing_is_bounded() -> None:
    queue = ViewerQueue(most_bytes=SIZE // 4, window_bytes=1)
    queue.watch([channel()])
    for part in PARTS[:5]:
        queue.give("hall", part)
    assert len(taken(queue)[1]) == 5
    for part in PARTS[5:10]:
        queue.give("hall", part)
    assert queue._bytes > 0
    assert taken(queue)[1] == [], "nothing goes out until what was sent is said to have come"
    for part in PARTS[10:]:
        queue.give("hall", part)
        assert queue._bytes <= SIZE // 4
    assert queue.skipped > 0
    queue.came(queue._sent)
    assert PARTS[-10].keyframe
    for part in PARTS[-10:]:
        queue.give("hall", part)
    assert taken(queue)[1][0] == (PartKind.FRAGMENT, True), "it goes on where a decoder can begin"


def test_after_a_skip_nothing_comes_before_the_next_keyframe() -> None:
    biggest = max(len(part.data) + HEAD.size for part in PARTS)
    queue = ViewerQueue(most_bytes=3 * biggest, window_bytes=1 << 30)
    queue.watch([channel()])
    for part in PARTS:
        queue.give("hall", part)
    parts = taken(queue)[1]
    fragments = [keyframe for kind, keyframe in parts if kind == PartKind.FRAGMENT]
    assert not fragments or fragments[0], "the first that comes is a keyframe"


def test_another_feed_of_a_slow_viewer_takes_turns() -> None:
    queue = ViewerQueue(8 << 20, 8 << 20)
    queue.watch([channel("hall"), channel("gate")])
    for part in PARTS:
        queue.give("hall", part)
    for part in PARTS:
        queue.give("gate", part)
    _, parts = taken(queue)
    assert len(parts) == 2 * len(PARTS)
    assert parts[0] == parts[1]


def test_what_is_watched_no_more_is_given_no_more() -> None:
    queue = ViewerQueue(8 << 20, 8 << 20)
    queue.watch([channel(parts=PARTS)])
    queue.watch([])
    queue.give("hall", PARTS[1])
    assert taken(queue)[1] == []
    assert queue._bytes == 0


def test_a_viewer_who_takes_no_words_is_given_up() -> None:
    queue = ViewerQueue(8 << 20, 8 << 20)
    for number in range(5000):
        queue.say({"pong": number})
    with pytest.raises(TooSlow):
        queue.ready()


@pytest.mark.parametrize("total", [-1, 1, 10**12])
def test_more_cant_have_come_than_was_sent(total: int) -> None:
    with pytest.raises(ValueError, match="more came"):
        ViewerQueue(1 << 20, 1 << 20).came(total)


def test_a_group_of_pictures_that_is_too_long_is_not_kept() -> None:
    kept = Channel("hall", SIZE // 8, 5, 0)
    most = 0
    for part in PARTS:
        kept.take(part)
        most = max(most, sum(len(each.data) for each in kept.group))
    assert most <= SIZE // 8


def test_a_camera_is_live_closed_lost_and_live_again() -> None:
    second = 1_000_000
    camera = Channel("hall", 8 << 20, 5, 0)
    assert not camera.look(60 * second)
    assert camera.condition.state == "waiting"
    assert camera.heard(61 * second, None)
    why = Why("Detector face failed at frame 7.", "detector_failed", "face")
    assert camera.heard(62 * second, why)
    assert (camera.condition.state, camera.condition.why) == ("closed", why)
    later = Why("Detector face failed at frame 8.", "detector_failed", "face")
    assert not camera.heard(62 * second + 5, later), "the same reason at another frame is no news"
    assert not camera.heard(62 * second + 10, None), "one open frame is no reason to say that all is well"
    assert camera.look(64 * second)
    assert camera.condition.state == "live"
    for part in PARTS:
        camera.take(part)
    assert camera.look(68 * second)
    assert (camera.condition.state, camera.condition.since_us) == ("lost", 62 * second + 10)
    assert camera.group == [], "what is old is shown to nobody as if it were new"
    assert camera.heard(70 * second, None)
    assert camera.condition.state == "live"
    assert camera.ended(71 * second, "ended", "")
    assert not camera.look(99 * second)
