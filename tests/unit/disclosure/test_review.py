"""Looking at the result frame by frame: only what would be handed over is seen, and every correction masks more."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sqlalchemy")

from services.disclosure.desk import Desk, Office
from services.disclosure.errors import Conflict, Invalid, NotAllowed, Unknown
from services.disclosure.package import House
from services.disclosure.request import Actor, Correction
from services.disclosure.store import RequestStore
from services.disclosure.unveil import Why
from services.policy.model import Kind
from services.schema import pb
from services.signing import SigningKeys
from tests.support.disclosures import APPROVER, DAY_US, EPOCH, OFFICER, START_US
from tests.support.own_footage import (
    ME,
    SEES,
    SIZE,
    Footage,
    film,
    inside,
    likeness,
    luma,
    me_at,
    pieces,
    them_at,
    truth,
)

SECOND = Actor(who="choi", why="helps out")
FRAMES = 50


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[pb.AccessUnit]:
    return film(tmp_path_factory.mktemp("film") / "film.mp4", FRAMES)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> list[NDArray[np.uint8]]:
    path = tmp_path_factory.mktemp("original") / "film.mp4"
    film(path, FRAMES)
    return luma(path)


def at_desk(folder: Path, footage: Footage | None) -> Desk:
    office = Office(folder / "work", SigningKeys(folder / "keys"), {SEES.fingerprint: SEES}, House("The City"))
    return Desk(RequestStore(f"sqlite:///{folder}/requests.db"), footage, office, lambda: START_US + DAY_US)


@pytest.fixture
def request_id(units: list[pb.AccessUnit], tmp_path: Path) -> str:
    """A request that is rendered."""
    SigningKeys(tmp_path / "keys").create()
    spans = truth(FRAMES)
    for one in spans[6:8]:  # frames 30 to 39
        one.coverage = pb.INCOMPLETE
    desk = at_desk(tmp_path, Footage({"gate": list(pieces(units, spans))}))
    request = desk.file(
        OFFICER,
        whose="J. Park",
        cameras=["gate"],
        start_us=EPOCH,
        end_us=EPOCH + 60_000_000,
        legal_basis="GDPR, article 15",
    )
    desk.find(request.id, OFFICER)
    desk.choose(request.id, OFFICER, [one.sight for one in desk.found(request.id) if one.track == ME])
    desk.submit(request.id, OFFICER)
    desk.approve(request.id, APPROVER)
    desk.render(request.id, SECOND)
    return request.id


@pytest.fixture
def desk(tmp_path: Path, request_id: str) -> Desk:
    """A desk that can't open an original: a review needs none."""
    return at_desk(tmp_path, None)


def picture(jpeg: bytes) -> NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert decoded is not None
    return decoded.astype(np.uint8)


def test_a_frame_is_what_would_be_handed_over_with_what_covers_what(
    desk: Desk, request_id: str, original: list[NDArray[np.uint8]]
) -> None:
    video = luma(desk.video(request_id, OFFICER, "video-1.mp4"))
    for number in (0, 1, 13, 24, 25, 49):
        look = desk.look(request_id, OFFICER, "video-1.mp4", number)
        shown = picture(look.jpeg)
        assert np.abs(shown.astype(int) - video[number]).mean() < 4
        assert (look.told.number, look.told.seq, look.told.captured_us) == (number, number, EPOCH + number * 40_000)
        assert abs(likeness(original[number], shown, inside(them_at(number), *SIZE))) < 0.35
        (mask,) = look.told.masks
        assert (mask.kind, mask.why) == (Kind.PERSON, Why.OTHER)
        x1, y1, x2, y2 = (min(max(value, 0), side) for value, side in zip(them_at(number), SIZE * 2, strict=True))
        assert np.all(np.array(mask.box[:2]) <= (x1, y1))
        assert np.all(np.array(mask.box[2:]) >= (x2, y2))
        assert look.told.subject


def test_a_closed_frame_says_why_and_shows_nothing(
    desk: Desk, request_id: str, original: list[NDArray[np.uint8]]
) -> None:
    look = desk.look_at(request_id, OFFICER, "video-1.mp4", 33 * 40)
    assert look.told.seq == 33
    assert "not certain" in look.told.why
    assert look.told.masks == ()
    assert abs(likeness(original[33], picture(look.jpeg), inside(me_at(33), *SIZE))) < 0.35


def test_a_preview_is_some_frames_in_order(desk: Desk, request_id: str) -> None:
    assert [look.told.number for look in desk.strip(request_id, OFFICER, "video-1.mp4", every=20)] == [0, 20, 40]
    one, other = desk.strip(request_id, OFFICER, "video-1.mp4", first=7, count=2, every=30)
    assert (one.told.number, other.told.number) == (7, 37)


def test_who_looks_is_told_once_and_before_anything_is_shown(
    desk: Desk, request_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def looks() -> list[str]:
        return [step.who for step in desk.store.get(request_id).history if step.action == "look"]

    for who in (OFFICER, SECOND, OFFICER):
        desk.look(request_id, who, "video-1.mp4", 0)
    assert looks() == ["kim", "choi"]

    def busy(*_: object) -> None:
        raise Conflict("somebody else")

    monkeypatch.setattr(desk.store, "change", busy)
    desk.look(request_id, OFFICER, "video-1.mp4", 0)
    for show in (desk.look, desk.look_at, desk.strip):
        with pytest.raises(Conflict):
            show(request_id, APPROVER, "video-1.mp4", 0)
    with pytest.raises(Conflict):
        desk.video(request_id, APPROVER, "video-1.mp4")


def test_what_is_not_there_or_was_changed_is_not_shown(desk: Desk, request_id: str) -> None:
    for name, number in (("video-2.mp4", 0), ("../video-1.mp4", 0), ("video-1.mp4", FRAMES), ("video-1.mp4", -1)):
        with pytest.raises(Unknown):
            desk.look(request_id, OFFICER, name, number)
    frames = desk.video(request_id, OFFICER, "video-1.mp4").with_suffix(".frames")
    frames.write_bytes(frames.read_bytes().replace(b"other", b"guess"))
    with pytest.raises(Invalid, match="changed"):
        desk.look(request_id, OFFICER, "video-1.mp4", 0)


def test_before_it_is_rendered_there_is_nothing_to_look_at(desk: Desk, request_id: str) -> None:
    desk.send_back(request_id, OFFICER)
    for show in (desk.look, desk.look_at, desk.strip):
        with pytest.raises(NotAllowed):
            show(request_id, OFFICER, "video-1.mp4", 0)


def test_a_box_of_the_subjects_that_is_not_theirs_is_taken_away(
    desk: Desk, request_id: str, units: list[pb.AccessUnit], original: list[NDArray[np.uint8]], tmp_path: Path
) -> None:
    where = {"camera": "gate", "epoch": EPOCH, "why": "it is a twin"}
    taken = Correction(first_seq=10, last_seq=19, track=ME, kind=Kind.PERSON, **where)
    boxed = Correction(first_seq=15, last_seq=24, box=(200, 10, 260, 60), **where)
    desk.correct(request_id, OFFICER, [taken, boxed])
    with_footage = at_desk(tmp_path, Footage({"gate": list(pieces(units, truth(FRAMES)))}))
    request, _ = with_footage.render(request_id, SECOND)

    shown = luma(desk.folder_of(request, "videos") / "video-1.mp4")
    for seq in range(10, 20):
        assert abs(likeness(original[seq], shown[seq], inside(me_at(seq), *SIZE))) < 0.35, seq
    for seq in (9, 20):
        assert likeness(original[seq], shown[seq], inside(me_at(seq), *SIZE)) > 0.9
    whys = [(mask.why, mask.correction) for mask in desk.look(request_id, OFFICER, "video-1.mp4", 15).told.masks]
    assert sorted(whys, key=str) == [(Why.BOX, 1), (Why.OTHER, None), (Why.TAKEN, 0)]


def test_a_box_beside_the_picture_is_refused(desk: Desk, request_id: str) -> None:
    beside = Correction(camera="gate", epoch=EPOCH, first_seq=0, last_seq=9, box=(320, 0, 400, 50), why="a slip")
    with pytest.raises(Invalid, match="outside"):
        desk.correct(request_id, OFFICER, [beside])


def test_no_pixel_of_an_original_is_in_the_account(desk: Desk, request_id: str) -> None:
    """Numbers of frames, times, boxes and reasons: a line of text each."""
    for line in desk.video(request_id, OFFICER, "video-1.mp4").with_suffix(".frames").read_bytes().splitlines():
        assert len(line) < 300
