"""Sealed payloads: what opens, what is refused, and when keys come and go."""

import logging
import os
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE
from services.envelope import KeyFolder, Opener, Sealer, SealError, context
from services.envelope.context import framed
from services.schema import pb
from tests.support.keys import add_key

_PLAIN = b"\xff\xd8\xff a picture \xff\xd9" * 50
_PLACE = context(VIDEO_SOURCE, "gate", 7, 3)


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class CountingKeys(KeyFolder):
    """Counts what a key service would be asked, and fails when told to."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.calls: Counter[str] = Counter()
        self.away = False
        self.entered: Callable[[], None] = lambda: None

    def wrap(self, name: str, key: bytes, aad: bytes) -> bytes:
        self.calls["wrap"] += 1
        self.entered()
        if self.away:
            raise SealError("The key service does not answer.")
        return super().wrap(name, key, aad)

    def unwrap(self, name: str, wrapped: bytes, aad: bytes) -> bytes:
        self.calls["unwrap"] += 1
        self.entered()
        return super().unwrap(name, wrapped, aad)


@pytest.fixture
def keys(tmp_path: Path) -> CountingKeys:
    add_key(tmp_path, "2024")
    return CountingKeys(tmp_path)


def test_what_is_sealed_opens_in_its_place_only_and_holds_no_plaintext(keys: KeyFolder) -> None:
    sealed = Sealer(keys).seal("gate", _PLACE, _PLAIN)
    assert Opener(keys).open("gate", _PLACE, sealed) == _PLAIN
    assert b"picture" not in sealed.SerializeToString()
    assert len(sealed.ciphertext) == len(_PLAIN) + 16
    assert (len(sealed.nonce), sealed.wrapped_by, sealed.key_id.split("/")[0]) == (12, "2024", "gate")


@pytest.mark.parametrize(
    "place",
    [
        context(FRAMES_DETECT, "gate", 7, 3),
        context(VIDEO_SOURCE, "yard", 7, 3),
        context(VIDEO_SOURCE, "gate", 8, 3),
        context(VIDEO_SOURCE, "gate", 7, 4),
        context(VIDEO_SOURCE, "gate", 7, 3, "sound"),
        b"",
    ],
)
def test_it_opens_in_no_other_place(keys: KeyFolder, place: bytes) -> None:
    sealed = Sealer(keys).seal("gate", _PLACE, _PLAIN)
    with pytest.raises(SealError, match="belongs to another frame"):
        Opener(keys).open("gate", place, sealed)


def test_places_are_never_alike() -> None:
    assert context(VIDEO_SOURCE, "a", 1, 2) != context(VIDEO_SOURCE, "a", 2, 1)
    assert framed("ab", "c") != framed("a", "bc") != framed("abc")


def test_another_cameras_key_opens_nothing(keys: KeyFolder) -> None:
    sealed = Sealer(keys).seal("gate", _PLACE, _PLAIN)
    with pytest.raises(SealError, match="changed on its way"):
        Opener(keys).open("yard", _PLACE, sealed)


@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("name", ["key_id", "nonce", "ciphertext", "wrapped_key", "wrapped_by"])
def test_no_field_can_be_changed(keys: KeyFolder, name: str, cached: bool) -> None:
    add_key(keys.path, "2023")
    sealed = Sealer(keys).seal("gate", _PLACE, _PLAIN)
    opener = Opener(keys)
    if cached:
        opener.open("gate", _PLACE, sealed)
    value = getattr(sealed, name)
    flips = range(len(value)) if len(value) < 100 else (0, len(value) // 2, len(value) - 1)
    for at in flips:
        changed = pb.Sealed.FromString(sealed.SerializeToString())
        if isinstance(value, str):
            setattr(changed, name, value[:at] + chr(ord(value[at]) ^ 1) + value[at + 1 :])
        else:
            setattr(changed, name, value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :])
        with pytest.raises(SealError):
            opener.open("gate", _PLACE, changed)
    for other in ("2023" if isinstance(value, str) else b"", value[:-1], value * 200):
        changed = pb.Sealed.FromString(sealed.SerializeToString())
        setattr(changed, name, other)
        with pytest.raises(SealError):
            opener.open("gate", _PLACE, changed)


def test_nothing_sealed_at_all_is_refused(keys: KeyFolder) -> None:
    with pytest.raises(SealError):
        Opener(keys).open("gate", _PLACE, pb.Sealed())


def test_each_camera_and_each_process_has_a_key_of_its_own_and_no_nonce_comes_twice(keys: KeyFolder) -> None:
    one, again = Sealer(keys), Sealer(keys)
    sealed = [sealer.seal(camera, _PLACE, b"x") for sealer in (one, again) for camera in ("a", "b") for _ in range(50)]
    assert len({message.wrapped_key for message in sealed}) == 4 == len({message.key_id for message in sealed})
    assert len({message.nonce for message in sealed}) == len(sealed)


def test_data_keys_rotate_by_time_and_by_count(keys: CountingKeys) -> None:
    clock = Clock()
    sealer = Sealer(keys, 3600, messages_per_key=5, clock=clock)
    first = [sealer.seal("gate", _PLACE, b"x").key_id for _ in range(6)]
    assert [first.count(key_id) for key_id in dict.fromkeys(first)] == [5, 1]
    clock.now += 3599
    assert sealer.seal("gate", _PLACE, b"x").key_id == first[-1]
    clock.now += 1
    assert sealer.seal("gate", _PLACE, b"x").key_id not in first
    assert keys.calls["wrap"] == 3


def test_a_new_key_encryption_key_counts_from_the_next_data_key_on_and_needs_no_restart(keys: KeyFolder) -> None:
    clock = Clock()
    sealer, opener = Sealer(keys, 60, clock=clock), Opener(keys)
    old = sealer.seal("gate", _PLACE, _PLAIN)
    add_key(keys.path, "2025")
    clock.now += 60
    new = sealer.seal("gate", _PLACE, _PLAIN)
    assert (old.wrapped_by, new.wrapped_by) == ("2024", "2025")
    assert opener.open("gate", _PLACE, old) == opener.open("gate", _PLACE, new) == _PLAIN


def test_i8_without_its_key_encryption_key_a_payload_is_unreadable_after_the_cache_time(keys: KeyFolder) -> None:
    clock = Clock()
    sealed = Sealer(keys).seal("gate", _PLACE, _PLAIN)
    opener = Opener(keys, cache_s=300, clock=clock)
    opener.open("gate", _PLACE, sealed)
    keys.file("2024").unlink()
    with pytest.raises(SealError, match="There is no key 2024"):
        Opener(keys).open("gate", _PLACE, sealed)
    clock.now += 299
    assert opener.open("gate", _PLACE, sealed) == _PLAIN
    clock.now += 1
    with pytest.raises(SealError, match="There is no key 2024"):
        opener.open("gate", _PLACE, sealed)


def test_data_keys_are_unwrapped_once_and_the_cache_is_bounded(keys: CountingKeys) -> None:
    sealer, opener = Sealer(keys), Opener(keys, cache_size=2)
    sealed = {camera: sealer.seal(camera, _PLACE, _PLAIN) for camera in "abc"}
    for camera in "ababba":
        opener.open(camera, _PLACE, sealed[camera])
    assert keys.calls["unwrap"] == 2
    opener.open("c", _PLACE, sealed["c"])  # displaces b, the one not used for longest
    opener.open("a", _PLACE, sealed["a"])
    assert keys.calls["unwrap"] == 3
    opener.open("b", _PLACE, sealed["b"])
    assert keys.calls["unwrap"] == 4


def test_refused_keys_are_not_kept(keys: CountingKeys) -> None:
    sealed = Sealer(keys).seal("gate", _PLACE, _PLAIN)
    opener = Opener(keys, cache_size=1)
    opener.open("gate", _PLACE, sealed)
    for number in range(20):
        with pytest.raises(SealError):
            opener.open("gate", _PLACE, pb.Sealed(nonce=bytes(12), wrapped_by="2024", wrapped_key=os.urandom(number)))
    before = keys.calls["unwrap"]
    opener.open("gate", _PLACE, sealed)
    assert keys.calls["unwrap"] == before


def test_an_outage_of_the_key_service_prolongs_a_data_key_but_never_beyond_its_count(
    keys: CountingKeys, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    sealer = Sealer(keys, 60, messages_per_key=4, clock=clock)
    key_id = sealer.seal("gate", _PLACE, b"x").key_id
    keys.away = True
    clock.now += 60
    assert [sealer.seal("gate", _PLACE, b"x").key_id for _ in range(3)] == [key_id] * 3
    assert keys.calls["wrap"] == 2, "it is asked again after a while, not for every payload"
    assert len(caplog.records) == 1
    with pytest.raises(SealError, match="does not answer"):
        sealer.seal("gate", _PLACE, b"x")
    keys.away = False
    assert sealer.seal("gate", _PLACE, b"x").key_id != key_id


def test_threads_share_sealer_and_opener(keys: CountingKeys) -> None:
    sealer, opener = Sealer(keys, messages_per_key=100), Opener(keys)

    def work(number: int) -> tuple[str, bytes]:
        camera, place = f"cam{number % 3}", context(VIDEO_SOURCE, "cam", 1, number)
        sealed = sealer.seal(camera, place, b"%d" % number)
        assert opener.open(camera, place, sealed) == b"%d" % number
        return sealed.key_id, sealed.nonce

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(work, range(1200)))
    assert set(Counter(key_id for key_id, _ in made).values()) == {100}
    assert len({nonce for _, nonce in made}) == 1200


@pytest.mark.parametrize("verb", ["wrap", "unwrap"])
def test_a_slow_key_service_keeps_no_other_camera_waiting(keys: CountingKeys, verb: str) -> None:
    sealer, opener = Sealer(keys), Opener(keys)
    sealed = {camera: sealer.seal(camera, _PLACE, _PLAIN) for camera in ("gate", "yard")}
    opener.open("gate", _PLACE, sealed["gate"])
    asked, answer = threading.Event(), threading.Event()
    keys.entered = lambda: asked.set() or bool(answer.wait(5))  # type: ignore[assignment, return-value]
    work = (
        (lambda: sealer.seal("new", _PLACE, b"x"))
        if verb == "wrap"
        else (lambda: opener.open("yard", _PLACE, sealed["yard"]))
    )
    slow = threading.Thread(target=work)
    slow.start()
    assert asked.wait(5)
    sealer.seal("gate", _PLACE, b"x")
    opener.open("gate", _PLACE, sealed["gate"])
    assert slow.is_alive()
    answer.set()
    slow.join(5)


def test_i3_no_key_and_no_plaintext_is_ever_shown(keys: CountingKeys, caplog: pytest.LogCaptureFixture) -> None:
    secret = keys.file("2024").read_bytes().strip()
    data_keys: list[bytes] = []
    wrap = keys.wrap
    keys.wrap = lambda name, key, aad: data_keys.append(key) or wrap(name, key, aad)  # type: ignore[method-assign, func-returns-value]
    caplog.set_level(logging.DEBUG)
    sealer, opener = Sealer(keys), Opener(keys)
    sealed = sealer.seal("gate", _PLACE, _PLAIN)
    opener.open("gate", _PLACE, sealed)
    shown = [caplog.text, repr(sealer._cameras["gate"]), repr(opener._kept)]
    shown += [repr(thing) + repr(vars(thing)) for thing in (sealer, opener, keys)]
    for place in (b"", _PLACE):
        sealed.nonce = bytes(12)
        with pytest.raises(SealError) as caught:
            opener.open("gate", place, sealed)
        shown.append(repr(caught.value))
    for text in shown:
        assert secret.decode() not in text
        assert "a picture" not in text
        for key in data_keys:
            assert key.hex() not in text
            assert repr(key)[2:-1] not in text
