"""A request goes from state to state by its rules only: nothing skips approval, and never with one pair of eyes."""

from datetime import date
from typing import Any

import pytest

from services.disclosure import steps
from services.disclosure.errors import DisclosureError, Invalid, NotAllowed
from services.disclosure.events import audit_event
from services.disclosure.request import Actor, Correction, Request, Sight
from services.disclosure.states import Action, State
from services.policy.model import Kind
from tests.support.disclosures import ADMIN, APPROVER, DAY_US, EPOCH, FACE, OFFICER, START_US, brought_to, filed

AT_US = START_US + 2 * DAY_US
OTHER = Actor(who="choi", why="a third person")
CLOSING = Correction(camera="gate", epoch=EPOCH, first_seq=1, last_seq=2, why="a mirror")

ACTIONS: dict[Action, Any] = {
    Action.FIND: lambda now: steps.find(now, OTHER, AT_US, 3),
    Action.SUGGEST: lambda now: steps.suggest(now, OTHER, AT_US, 1, 7),
    Action.CHOOSE: lambda now: steps.choose(now, OTHER, AT_US, (FACE,)),
    Action.SUBMIT: lambda now: steps.submit(now, OTHER, AT_US),
    Action.RETURN: lambda now: steps.send_back(now, OTHER, AT_US),
    Action.APPROVE: lambda now: steps.approve(now, OTHER, AT_US),
    Action.RENDER: lambda now: steps.rendered(now, OTHER, AT_US, {"a": "b"}),
    Action.LOOK: lambda now: steps.look(now, OTHER, AT_US),
    Action.CORRECT: lambda now: steps.correct(now, OTHER, AT_US, (CLOSING,)),
    Action.REVIEW: lambda now: steps.review(now, OTHER, AT_US),
    Action.PACKAGE: lambda now: steps.packaged(now, OTHER, AT_US, {"a": "b"}),
    Action.HAND_OVER: lambda now: steps.hand_over(now, OTHER, AT_US, AT_US + DAY_US),
    Action.DOWNLOAD: lambda now: steps.download(now, OTHER, START_US + DAY_US + 1),
    Action.EXPIRE: lambda now: steps.expire(now, OTHER, AT_US + DAY_US),
    Action.POSTPONE: lambda now: steps.postpone(now, OTHER, AT_US, date(2026, 11, 30)),
    Action.RESUME: lambda now: steps.resume(now, OTHER, AT_US),
    Action.REFUSE: lambda now: steps.refuse(now, OTHER, AT_US),
    Action.WITHDRAW: lambda now: steps.withdraw(now, OTHER, AT_US),
}

# By hand, not from the code's own table.
ALLOWED = {
    State.FILED: "find postpone refuse withdraw",
    State.FOUND: "find suggest choose submit postpone refuse withdraw",
    State.SUBMITTED: "return approve postpone refuse withdraw",
    State.APPROVED: "return render postpone withdraw",
    State.RENDERED: "return look correct review package postpone withdraw",
    State.REVIEWED: "return look correct package postpone withdraw",
    State.PACKAGED: "return look hand_over postpone withdraw",
    State.HANDED_OVER: "download expire",
    State.EXPIRED: "",
    State.POSTPONED: "resume refuse withdraw",
    State.REFUSED: "",
    State.WITHDRAWN: "",
}


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("action", [action for action in Action if action is not Action.FILE])
def test_only_what_the_state_allows_is_done(state: State, action: Action) -> None:
    request = brought_to(state)
    if state is State.FOUND:
        request = steps.choose(request, OFFICER, START_US + DAY_US, (FACE,))

    if action.value in ALLOWED[state].split():
        after = ACTIONS[action](request)
        assert after.history[:-1] == request.history
        step = after.history[-1]
        assert (step.action, step.who, step.why, step.before, step.after) == (
            action,
            OTHER.who,
            OTHER.why,
            state,
            after.state,
        )
    else:
        with pytest.raises(NotAllowed):
            ACTIONS[action](request)
    assert (action in steps.possible(request)) == (action.value in ALLOWED[state].split())


def test_nothing_is_rendered_packed_or_handed_over_without_an_approval_on_every_way_through_the_states() -> None:
    """Walks all ways of up to nine steps."""
    actions = ACTIONS | {
        Action.APPROVE: lambda now: steps.approve(now, APPROVER, AT_US),
        Action.DOWNLOAD: lambda now: steps.download(now, OTHER, AT_US),
    }
    seen: set[tuple[State, bool, int]] = set()
    frontier = [filed()]
    for _ in range(9):
        following = []
        for request in frontier:
            for action in steps.possible(request):
                if action is Action.POSTPONE and request.due >= date(2026, 11, 30):
                    continue
                try:
                    after: Request = actions[action](request)
                except DisclosureError:
                    continue
                approved = after.approved_by is not None
                if after.state in (State.APPROVED, State.RENDERED, State.REVIEWED, State.PACKAGED, State.HANDED_OVER):
                    assert approved
                key = (after.state, approved, len(after.sights))
                if key not in seen:
                    seen.add(key)
                    following.append(after)
        frontier = following
    assert {state for state, _, _ in seen} == set(State)


@pytest.mark.parametrize("who", ["kim", "KIM", " kim "])
def test_who_filed_it_can_not_approve_it(who: str) -> None:
    request = brought_to(State.SUBMITTED)

    with pytest.raises(NotAllowed, match="somebody else"):
        steps.approve(request, Actor(who=who, why="I know best"), AT_US)


@pytest.mark.parametrize("by_another", ["find", "choose", "submit"])
def test_who_had_a_hand_in_it_can_not_approve_it(by_another: str) -> None:
    request = steps.find(filed(), OTHER if by_another == "find" else OFFICER, AT_US, 1)
    request = steps.choose(request, OTHER if by_another == "choose" else OFFICER, AT_US, (FACE,))
    request = steps.submit(request, OTHER if by_another == "submit" else OFFICER, AT_US)

    with pytest.raises(NotAllowed, match="somebody else"):
        steps.approve(request, OTHER, AT_US)
    assert steps.approve(request, APPROVER, AT_US).approved_by == "lee"


def test_a_hand_is_not_forgotten_when_the_request_is_sent_back() -> None:
    request = steps.choose(steps.find(filed(), OFFICER, AT_US, 1), OTHER, AT_US, (FACE,))
    request = steps.send_back(steps.submit(request, OFFICER, AT_US), APPROVER, AT_US)
    request = steps.submit(request, OFFICER, AT_US)

    with pytest.raises(NotAllowed, match="somebody else"):
        steps.approve(request, OTHER, AT_US)


@pytest.mark.parametrize("who", ["lee", "Lee"])
def test_who_approved_it_can_not_render_it(who: str) -> None:
    request = brought_to(State.APPROVED)

    with pytest.raises(NotAllowed, match="somebody else"):
        steps.rendered(request, Actor(who=who, why="quickly"), AT_US, {"a": "b"})
    with pytest.raises(NotAllowed, match="somebody else"):
        steps.may_render(request, Actor(who=who, why="quickly"))


@pytest.mark.parametrize("state", [State.SUBMITTED, State.APPROVED, State.RENDERED, State.REVIEWED, State.PACKAGED])
def test_what_is_sent_back_has_to_be_approved_again(state: State) -> None:
    request = steps.send_back(brought_to(state), OTHER, AT_US)

    assert (request.state, request.approved_by, request.rendered, request.package) == (State.FOUND, None, {}, {})
    with pytest.raises(NotAllowed):
        steps.rendered(request, OFFICER, AT_US, {"a": "b"})


def test_a_correction_has_to_be_rendered_but_not_approved_again() -> None:
    request = steps.correct(brought_to(State.REVIEWED), OTHER, AT_US, (CLOSING,))

    assert (request.state, request.rendered, request.corrections) == (State.APPROVED, {}, (CLOSING,))
    with pytest.raises(NotAllowed):
        steps.packaged(request, OFFICER, AT_US, {"a": "b"})


@pytest.mark.parametrize("state", [State.FILED, State.APPROVED, State.PACKAGED])
def test_what_was_put_off_goes_on_where_it_was(state: State) -> None:
    request = brought_to(state)
    put_off = steps.postpone(request, OFFICER, AT_US, date(2026, 12, 21))

    assert put_off.due == date(2026, 12, 21)
    resumed = steps.resume(put_off, OFFICER, AT_US)
    assert (resumed.state, resumed.due) == (state, date(2026, 12, 21))


def test_nothing_is_put_off_beyond_what_the_rules_allow() -> None:
    with pytest.raises(NotAllowed, match="2026-12-21"):
        steps.postpone(filed(), OFFICER, AT_US, date(2026, 12, 22))
    with pytest.raises(Invalid):
        steps.postpone(filed(), OFFICER, AT_US, date(2026, 10, 21))
    assert steps.postpone(filed(rules="pipa"), OFFICER, AT_US, date(2027, 6, 1)).due == date(2027, 6, 1)


def test_a_package_can_not_be_taken_once_it_has_expired_nor_expire_before() -> None:
    request = brought_to(State.HANDED_OVER)
    assert request.expires_us is not None

    steps.download(request, OFFICER, request.expires_us - 1)
    with pytest.raises(NotAllowed, match="expired"):
        steps.download(request, OFFICER, request.expires_us)
    with pytest.raises(NotAllowed, match="not expired yet"):
        steps.expire(request, ADMIN, request.expires_us - 1)


@pytest.mark.parametrize(
    "given",
    [
        {"whose": ""},
        {"cameras": ()},
        {"cameras": ("gate", "gate")},
        {"cameras": ("../gate",)},
        {"end_us": START_US},
        {"end_us": START_US + 32 * DAY_US},
        {"legal_basis": ""},
        {"rules": "whenever"},
    ],
)
def test_a_request_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        filed(**given)


@pytest.mark.parametrize("given", [{"who": ""}, {"who": "  "}, {"why": ""}, {"why": "  . "}])
def test_nothing_is_done_without_a_name_and_a_reason(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"who|why"):
        Actor(**({"who": "kim", "why": "because"} | given))


@pytest.mark.parametrize("kind", [Kind.TEXT, Kind.LOGO])
def test_what_is_nobodys_own_can_not_be_chosen(kind: Kind) -> None:
    with pytest.raises(ValueError, match="nobody's own"):
        Sight(camera="gate", epoch=1, track=1, kind=kind, first_seq=0, last_seq=1)


def test_a_camera_that_was_not_asked_for_can_not_be_chosen() -> None:
    with pytest.raises(Invalid, match="yard"):
        steps.choose(brought_to(State.FOUND), OFFICER, AT_US, (FACE.model_copy(update={"camera": "yard"}),))


def test_steps_stay_in_order_where_the_clock_is_set_back() -> None:
    request = steps.find(filed(), OFFICER, 1, 0)
    assert request.history[1].at_us == request.history[0].at_us


def test_an_event_tells_who_did_what_and_why_but_not_whose_footage_it_is() -> None:
    request = brought_to(State.HANDED_OVER)
    events = [audit_event(request, number) for number in range(len(request.history))]

    assert [event.action.removeprefix("disclosure.") for event in events] == [
        "file",
        "find",
        "choose",
        "submit",
        "approve",
        "render",
        "review",
        "package",
        "hand_over",
    ]
    assert all(event.actor and event.purpose and event.object == request.id for event in events)
    assert b"Park" not in b"".join(event.SerializeToString() for event in events)


def test_who_compared_tracks_can_not_approve() -> None:
    request = steps.suggest(steps.find(filed(), OFFICER, AT_US, 2), OTHER, AT_US, 1, 1)
    request = steps.submit(steps.choose(request, OFFICER, AT_US, (FACE,)), OFFICER, AT_US)
    with pytest.raises(NotAllowed, match="choi took part"):
        steps.approve(request, OTHER, AT_US)


def test_a_look_is_told_once_for_each_person_and_rendering() -> None:
    request = steps.look(brought_to(State.RENDERED), OTHER, AT_US)
    assert steps.look(request, OTHER.model_copy(update={"who": " CHOI"}), AT_US) is request
    assert [step.who for step in steps.look(request, OFFICER, AT_US).history[-2:]] == ["choi", "kim"]
    again = steps.rendered(steps.correct(request, OTHER, AT_US, (CLOSING,)), OFFICER, AT_US, {"a": "b"})
    assert steps.look(again, OTHER, AT_US) is not again


@pytest.mark.parametrize(
    "fields",
    [
        {"epoch": EPOCH + 1},
        {"camera": "yard"},
        {"first_seq": 100, "last_seq": 200},
        {"track": 2, "kind": Kind.FACE},
        {"track": 1, "kind": Kind.PERSON},
    ],
    ids=["epoch", "camera", "frames", "track", "kind"],
)
def test_a_correction_that_would_correct_nothing_is_refused(fields: dict[str, Any]) -> None:
    """A slip of the keyboard would leave somebody seen whom the reviewer wanted masked."""
    one = Correction.model_validate({**dict(CLOSING), **fields})
    with pytest.raises(Invalid):
        steps.correct(brought_to(State.RENDERED), OTHER, AT_US, (CLOSING, one))
    taken = Correction.model_validate({**dict(CLOSING), "track": 1, "kind": Kind.FACE})
    assert steps.correct(brought_to(State.RENDERED), OTHER, AT_US, (taken,)).state is State.APPROVED
