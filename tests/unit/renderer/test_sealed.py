"""Sealed payloads: opened where the key is there and everything fits, closed in every other case (I1)."""

from pathlib import Path

import pytest

from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE, Topic
from services.envelope import KeyFolder, Opener, Sealer, context
from services.renderer.payloads import Payloads
from services.schema import pb
from tests.support.keys import add_key
from tests.unit.renderer.harness import CAMERA, EPOCH, Harness, make_policy, make_stream
from tests.unit.renderer.test_own_decoding import HEIGHT, WIDTH, Unit, encode, number


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> KeyFolder:
    return folder(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def sealer(keys: KeyFolder) -> Sealer:
    return Sealer(keys)


def folder(path: Path) -> KeyFolder:
    add_key(path, "k1")
    return KeyFolder(path)


@pytest.fixture(scope="module")
def units() -> list[Unit]:
    return encode(16, b_frames=0)


def sealed_unit(
    sealer: Sealer,
    unit: Unit,
    *,
    topic: Topic = VIDEO_SOURCE,
    camera: str = CAMERA,
    epoch: int = EPOCH,
    seq: int | None = None,
) -> bytes:
    """An access unit, its payload bound to what the keys say, or to its own place."""
    place = context(topic, camera, epoch, unit.seq if seq is None else seq)
    body = pb.AccessUnit(
        camera_id=CAMERA,
        epoch=EPOCH,
        seq=unit.seq,
        keyframe=unit.keyframe,
        pts=unit.seq,
        duration=1,
        stream=make_stream(width=WIDTH, height=HEIGHT) if unit.keyframe else None,
        sealed=sealer.seal(camera, place, unit.payload),
    )
    return pb.SourceMessage(unit=body).SerializeToString()


def shown(opener: Opener | None, values: list[bytes]) -> Harness:
    harness = Harness(shared=False, opener=opener)
    harness.span(0, len(values))
    for value in values:
        harness.send(VIDEO_SOURCE, value)
    harness.end(len(values))
    return harness.run()


def test_sealed_units_are_opened_and_shown(keys: KeyFolder, sealer: Sealer, units: list[Unit]) -> None:
    harness = shown(Opener(keys), [sealed_unit(sealer, unit) for unit in units])
    assert [number(out) for out in harness.out] == list(range(16))
    assert not any(out.message.closed for out in harness.out)


@pytest.mark.parametrize("other_keys", [False, True])
def test_i1_what_can_not_be_opened_is_closed(
    sealer: Sealer, units: list[Unit], tmp_path: Path, other_keys: bool
) -> None:
    opener = Opener(folder(tmp_path)) if other_keys else None
    harness = shown(opener, [sealed_unit(sealer, unit) for unit in units])
    assert harness.seqs == list(range(16))
    assert all(out.message.closed for out in harness.out)
    assert {out.message.why for out in harness.out if out.message.seq in (0, 8)} == {
        "The sealed payload can't be opened."
    }


@pytest.mark.parametrize(
    "place", [{"topic": FRAMES_DETECT}, {"camera": "other"}, {"epoch": EPOCH + 1}, {"seq": 4}], ids=str
)
def test_i1_a_payload_from_another_place_closes_all_up_to_the_next_keyframe(
    keys: KeyFolder, sealer: Sealer, units: list[Unit], place: dict[str, object]
) -> None:
    values = [sealed_unit(sealer, unit, **(place if unit.seq == 3 else {})) for unit in units]  # type: ignore[arg-type]
    harness = shown(Opener(keys), values)
    assert [out.message.seq for out in harness.out if out.message.closed] == [3, 4, 5, 6, 7]
    assert [number(out) for out in harness.out[8:]] == list(range(8, 16))


def test_i1_a_changed_payload_is_closed(keys: KeyFolder, sealer: Sealer, units: list[Unit]) -> None:
    values = [sealed_unit(sealer, unit) for unit in units]
    body = pb.SourceMessage.FromString(values[8])
    body.unit.sealed.ciphertext = body.unit.sealed.ciphertext[:-1] + b"\0"
    harness = shown(Opener(keys), [*values[:8], body.SerializeToString(), *values[9:]])
    assert [out.message.seq for out in harness.out if out.message.closed] == list(range(8, 16))


def test_sealed_sound_is_opened_or_dropped(keys: KeyFolder, sealer: Sealer) -> None:
    harness = Harness(policy=make_policy(sound="keep"), opener=Opener(keys))
    harness.frame(0)
    harness.span(0, 0)
    for index, content in enumerate(("sound", "picture")):
        place = context(VIDEO_SOURCE, CAMERA, EPOCH, index, content)  # type: ignore[arg-type]
        unit = pb.AudioUnit(camera_id=CAMERA, epoch=EPOCH, index=index, sealed=sealer.seal(CAMERA, place, b"pcm"))
        position = harness.send(VIDEO_SOURCE, pb.SourceMessage(audio=unit).SerializeToString())
    harness.run()
    assert [(unit.index, unit.inline) for unit in harness.sounds] == [(0, b"pcm")]
    assert not harness.sounds[0].HasField("sealed")
    assert position in harness.done, "what can't be opened holds nobody up"


def test_a_unit_without_any_payload_has_none(keys: KeyFolder) -> None:
    payloads = Payloads(CAMERA, EPOCH, Opener(keys))
    assert payloads.picture(pb.AccessUnit(reference=pb.Reference(uri="s3://x"))) is None
    assert payloads.sound(pb.AudioUnit()) is None
