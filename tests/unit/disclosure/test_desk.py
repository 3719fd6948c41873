"""A request from the counter to the package, with real pixels; what a crash between two states leaves behind."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("sqlalchemy")

from services.disclosure.desk import Desk, Office
from services.disclosure.errors import Conflict, Invalid, NotAllowed, Unavailable
from services.disclosure.package import House
from services.disclosure.request import Actor, Correction, Request, Sight
from services.disclosure.states import State
from services.disclosure.store import RequestStore
from services.disclosure.verify import verify
from services.policy.model import Kind
from services.schema import pb
from services.signing import SigningKeys
from tests.support.disclosures import APPROVER, DAY_US, EPOCH, OFFICER, START_US
from tests.support.own_footage import (
    ME,
    SEES,
    SIZE,
    THEM,
    Footage,
    film,
    inside,
    likeness,
    luma,
    me_at,
    pieces,
    segment,
    them_at,
    truth,
)

SECOND = Actor(who="choi", why="helps out")


class Clock:
    at_us = START_US + DAY_US

    def __call__(self) -> int:
        return self.at_us


@pytest.fixture(scope="session")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[pb.AccessUnit]:
    return film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def desk(units: list[pb.AccessUnit], tmp_path: Path, clock: Clock) -> Desk:
    SigningKeys(tmp_path / "keys").create()
    return again(units, tmp_path, clock)


def again(units: list[pb.AccessUnit], folder: Path, clock: Clock, spans: Any = None) -> Desk:
    """The desk of another process: all that it knows is on the disk."""
    footage = Footage({"gate": list(pieces(units, spans or truth()))})
    office = Office(folder / "work", SigningKeys(folder / "keys"), {SEES.fingerprint: SEES}, House("The City"))
    return Desk(RequestStore(f"sqlite:///{folder}/requests.db"), footage, office, clock)


def filed(desk: Desk) -> Request:
    return desk.file(
        OFFICER,
        whose="J. Park",
        cameras=["gate"],
        start_us=EPOCH,
        end_us=EPOCH + 60_000_000,
        legal_basis="GDPR, article 15",
    )


def chosen(desk: Desk) -> str:
    request = filed(desk)
    desk.find(request.id, OFFICER)
    desk.choose(request.id, OFFICER, [sight for sight in desk.listed(request.id).values() if sight.track == ME])
    return request.id


def approved(desk: Desk) -> str:
    request_id = chosen(desk)
    desk.submit(request_id, OFFICER)
    desk.approve(request_id, APPROVER)
    return request_id


def test_a_request_from_the_counter_to_the_package(
    units: list[pb.AccessUnit], desk: Desk, tmp_path: Path, clock: Clock
) -> None:
    """Each step in a process of its own, as on a command line; every one of them could have crashed in between."""
    request = filed(desk)
    assert request.due == date(2026, 10, 22)
    _, found = again(units, tmp_path, clock).find(request.id, OFFICER)
    mine = [one.sight for one in found if one.track == ME]
    again(units, tmp_path, clock).choose(request.id, OFFICER, mine)
    again(units, tmp_path, clock).submit(request.id, OFFICER)
    again(units, tmp_path, clock).approve(request.id, APPROVER)
    again(units, tmp_path, clock).render(request.id, SECOND)
    again(units, tmp_path, clock).review(request.id, APPROVER)
    _, path = again(units, tmp_path, clock).package(request.id, OFFICER)
    again(units, tmp_path, clock).hand_over(request.id, OFFICER)
    final, same = again(units, tmp_path, clock).download(request.id, OFFICER)

    assert same == path
    assert verify(path).holds
    assert final.state is State.HANDED_OVER
    assert [step.who for step in final.history] == ["kim"] * 4 + ["lee", "choi", "lee", "kim", "kim", "kim"]
    assert desk.store.unbroken()
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


def test_nobody_is_seen_while_the_subject_is_looked_for(units: list[pb.AccessUnit], desk: Desk, tmp_path: Path) -> None:
    film(tmp_path / "film.mp4")
    original = luma(tmp_path / "film.mp4")
    request = filed(desk)

    _, found = desk.find(request.id, OFFICER)
    desk.thumbnails(request.id, OFFICER, [1, 2])

    assert [(one.number, one.track, one.kind) for one in found] == [(1, ME, Kind.PERSON), (2, THEM, Kind.PERSON)]
    assert [(one.first_seq, one.last_seq, one.evident) for one in found] == [(0, 74, 75), (0, 74, 75)]
    for one in found:
        (shown,) = luma(desk.folder_of(request, "found") / f"{one.number:04d}.jpg")
        for box in (me_at(one.best.seq), them_at(one.best.seq)):
            assert abs(likeness(original[one.best.seq], shown, inside(box, *SIZE))) < 0.4
        x1, y1, _, y2 = (round(value) for value in one.best.box)
        edge = shown[y1 + 20 : y2 - 20, max(x1 - 1, 0) : x1 + 2]
        assert edge.max() > 180


def test_a_thumbnail_of_an_uncertain_frame_is_closed(
    units: list[pb.AccessUnit], desk: Desk, tmp_path: Path, clock: Clock
) -> None:
    film(tmp_path / "film.mp4")
    original = luma(tmp_path / "film.mp4")
    spans = truth()
    for one in spans:
        one.coverage = pb.INCOMPLETE
    request = filed(desk)

    _, found = again(units, tmp_path, clock, spans).find(request.id, OFFICER)
    assert len(again(units, tmp_path, clock, spans).thumbnails(request.id, OFFICER, [1, 2])) == 2

    for one in found:
        (shown,) = luma(desk.folder_of(request, "found") / f"{one.number:04d}.jpg")
        assert abs(likeness(original[one.best.seq], shown, inside(me_at(one.best.seq), *SIZE))) < 0.35


def test_a_face_is_listed_with_the_body_that_it_belongs_to(
    units: list[pb.AccessUnit], desk: Desk, tmp_path: Path, clock: Clock
) -> None:
    spans = truth()
    for one in spans:
        faces = []
        for seq in (one.first_seq, one.last_seq):
            x1, y1, _, _ = me_at(seq)
            faces.append((x1 + 12, y1 + 4, x1 + 32, y1 + 28))
        one.tracks.append(segment(7, faces[0], faces[1], kind=pb.KIND_FACE))

    _, found = again(units, tmp_path, clock, spans).find(filed(desk).id, OFFICER)

    (face,) = [one for one in found if one.kind is Kind.FACE]
    assert [(other.track, other.kind) for other in found if other.number in face.belongs] == [(ME, Kind.PERSON)]


def test_who_approved_can_not_render_and_who_filed_can_not_approve(desk: Desk) -> None:
    request_id = chosen(desk)
    desk.submit(request_id, OFFICER)
    with pytest.raises(NotAllowed):
        desk.approve(request_id, OFFICER)
    desk.approve(request_id, APPROVER)
    with pytest.raises(NotAllowed):
        desk.render(request_id, APPROVER)
    assert list(desk.folder_of(desk.store.get(request_id), "videos").iterdir()) == []


def test_nothing_is_opened_before_an_approval(desk: Desk) -> None:
    request_id = chosen(desk)
    desk.submit(request_id, OFFICER)
    for step in (desk.render, desk.package, desk.hand_over, desk.download):
        with pytest.raises(NotAllowed):
            step(request_id, OFFICER)


def test_a_crash_between_the_videos_and_the_state_leaves_it_approved(
    units: list[pb.AccessUnit], desk: Desk, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    request_id = approved(desk)

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(desk.store, "change", die)
    with pytest.raises(KeyboardInterrupt):
        desk.render(request_id, SECOND)

    later = again(units, tmp_path, clock)
    assert later.store.get(request_id).state is State.APPROVED
    assert later.render(request_id, SECOND)[0].state is State.RENDERED
    monkeypatch.setattr(desk.store, "change", die)
    with pytest.raises(KeyboardInterrupt):
        desk.package(request_id, SECOND)
    assert later.store.get(request_id).state is State.RENDERED
    _, path = again(units, tmp_path, clock).package(request_id, SECOND)
    assert verify(path).holds


Do = Callable[[Desk, str], object]
STEPS: dict[State, Do] = {
    State.FILED: lambda desk, request_id: desk.find(request_id, OFFICER),
    State.FOUND: lambda desk, request_id: desk.choose(request_id, OFFICER, _mine(desk, request_id)),
    State.SUBMITTED: lambda desk, request_id: desk.approve(request_id, APPROVER),
    State.APPROVED: lambda desk, request_id: desk.render(request_id, SECOND),
    State.RENDERED: lambda desk, request_id: desk.review(request_id, OFFICER),
    State.REVIEWED: lambda desk, request_id: desk.package(request_id, OFFICER),
    State.PACKAGED: lambda desk, request_id: desk.hand_over(request_id, OFFICER),
    State.HANDED_OVER: lambda desk, request_id: desk.download(request_id, OFFICER),
}


def _mine(desk: Desk, request_id: str) -> list[Sight]:
    return [sight for sight in desk.listed(request_id).values() if sight.track == ME]


def test_a_crash_in_any_state_leaves_it_and_the_step_is_done_again(
    units: list[pb.AccessUnit], desk: Desk, tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step dies where it hurts most, behind its files and before it is written down; then it is done again."""
    request_id = filed(desk).id

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    for state, step in STEPS.items():
        dying = again(units, tmp_path, clock)
        before = dying.store.get(request_id)
        assert before.state is state
        monkeypatch.setattr(dying.store, "change", die)
        with pytest.raises(KeyboardInterrupt):
            step(dying, request_id)
        later = again(units, tmp_path, clock)
        assert later.store.get(request_id) == before
        step(later, request_id)
        if state is State.FOUND:
            later.submit(request_id, OFFICER)
    final = again(units, tmp_path, clock)
    assert verify(final.download(request_id, OFFICER)[1]).holds
    assert final.store.unbroken()


def test_of_two_officers_at_once_the_second_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    request_id = chosen(desk)
    get = desk.store.get
    stale = get(request_id)
    desk.submit(request_id, OFFICER)
    monkeypatch.setattr(desk.store, "get", lambda _: stale)

    with pytest.raises(Conflict, match="kim was faster"):
        desk.submit(request_id, SECOND)


def test_a_video_that_was_exchanged_is_not_packed_and_a_package_that_was_is_not_given(desk: Desk) -> None:
    request_id = approved(desk)
    request, _ = desk.render(request_id, SECOND)
    video = desk.folder_of(request, "videos") / "video-1.mp4"
    content = video.read_bytes()
    video.write_bytes(content + b"x")
    with pytest.raises(Invalid, match="video-1"):
        desk.package(request_id, OFFICER)
    video.write_bytes(content)
    account = video.with_name("account.json")
    account.write_bytes(account.read_bytes().replace(b'"gate"', b'"yard"'))
    with pytest.raises(Invalid, match="account"):
        desk.package(request_id, OFFICER)
    desk.render(desk.correct(request_id, OFFICER, [_closing()]).id, SECOND)
    _, path = desk.package(request_id, OFFICER)
    desk.hand_over(request_id, OFFICER)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(Unavailable, match="handed over"):
        desk.download(request_id, OFFICER)


def _closing() -> Correction:
    return Correction(camera="gate", epoch=EPOCH, first_seq=0, last_seq=1, why="a mirror")


def test_what_has_expired_or_ended_leaves_nothing_behind(desk: Desk, tmp_path: Path, clock: Clock) -> None:
    request_id = approved(desk)
    desk.render(request_id, SECOND)
    desk.package(request_id, OFFICER)
    desk.hand_over(request_id, OFFICER, days=2)
    refused = filed(desk)
    desk.find(refused.id, OFFICER)
    desk.refuse(refused.id, OFFICER)
    clock.at_us += 2 * DAY_US

    with pytest.raises(NotAllowed, match="expired"):
        desk.download(request_id, OFFICER)
    (done,) = desk.expire(Actor(who="veil", why="its time is over", role="service"))

    assert (done.id, done.state) == (request_id, State.EXPIRED)
    assert [path for path in (tmp_path / "work").rglob("*") if path.is_file()] == []


def test_a_request_about_the_future_is_refused(desk: Desk, clock: Clock) -> None:
    with pytest.raises(Invalid, match="past"):
        desk.file(
            OFFICER,
            whose="J. Park",
            cameras=["gate"],
            start_us=clock.at_us,
            end_us=clock.at_us + 1,
            legal_basis="GDPR, article 15",
        )
