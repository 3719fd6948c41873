"""Policies over the API: who may see and change them, what is refused and why, and that the audit hears of it first."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.accounts.accounts import Accounts
from services.accounts.routes import account_routes
from services.accounts.settings import AccountSettings
from services.accounts.web import Gate, check_rules, install
from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.topics import METADATA_TRACKS
from services.console.boxes import Boxes
from services.console.facts import Facts
from services.console.places import Places
from services.console.policy_api import Policies
from services.console.server import served
from services.console.settings import ConsoleSettings
from services.policy.site import Site, load_site
from services.schema import pb
from tests.support.accounts import PASSWORD, browser, cheap
from tests.support.console import Told

SITE = (
    "name: shop\npolicy: store\n{changes}cameras:\n  - {{id: hall, source: a.mp4}}\n  - {{id: gate, source: b.mp4}}\n"
)
HALL = "/api/v1/policies/cameras/hall"
ZONE = {"name": "desk", "use": "mask", "polygon": [[0.1, 0.6], [0.4, 0.6], [0.4, 0.9]]}
STAFF = (
    ("all", ["viewer", "admin"], ["*"], []),
    ("hall-only", ["viewer"], [], ["hall"]),
    ("lee", ["admin"], [], ["gate"]),
    ("clerk", ["auditor"], ["*"], []),
)


class Desk:
    """The endpoints, and a browser for each account."""

    def __init__(self, folder: Path, *, changes: bool = True) -> None:
        (folder / "changed").mkdir(exist_ok=True)
        (folder / "site.yaml").write_text(SITE.format(changes="changes: changed\n" if changes else ""))
        self.folder = folder
        self.site: Site = load_site(folder / "site.yaml")
        self.told = Told()
        self.fails = False
        self.boxes = Boxes(lambda: 0.0)
        self.accounts = Accounts(AccountSettings(database=f"sqlite:///{folder / 'accounts.db'}"), passwords=cheap())
        for name, roles, sites, cameras in STAFF:
            self.accounts.add("test", name, PASSWORD, roles, sites=sites, cameras=cameras)
        self.app = FastAPI()
        install(self.app, Gate(self.accounts, secure=False))
        self.app.include_router(account_routes())
        self.app.include_router(Policies(self.site, self._tell, self.boxes, at_once=True, clock=lambda: 7).router)
        check_rules(self.app)
        self.address = ""

    @contextmanager
    def serving(self) -> Iterator["Desk"]:
        """Runs while the block does."""
        settings = ConsoleSettings(port=0)
        with closing(self.accounts), served(self.app, settings) as at, ExitStack() as self.open:
            self.address = at.address.rstrip("/")
            yield self

    def _tell(self, action: str, who: str, details: Mapping[str, str]) -> None:
        if self.fails:
            raise OSError(28, "No space left on device")
        assert self.site.sources["hall"].changes is not None
        self.heard_at = self.site.sources["hall"].changes.newest()
        self.told(action, who, details)

    def browser(self, name: str) -> httpx.Client:
        return self.open.enter_context(browser(self.address, self.accounts, name))


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    with Desk(tmp_path).serving() as made:
        yield made


def save(client: httpx.Client, reason: str = "A desk was moved.", **given: Any) -> httpx.Response:
    now = client.get(HALL).json()
    wanted = {"reason": reason, "number": now.get("number", 0), "before": now.get("before", ""), "keys": {}, **given}
    return client.put(HALL, json=wanted)


def test_a_change_is_in_force_at_once_and_the_audit_heard_of_it_before(desk: Desk) -> None:
    client = desk.browser("all")
    before = desk.site.book.policy_for("hall")
    answer = save(client, keys={"zones": [ZONE], "strength": 0.9})
    assert answer.status_code == 200, answer.text
    after = desk.site.book.policy_for("hall")
    assert after.zones[0].name == "desk"
    assert answer.json() == {"number": 1, "after": after.fingerprint, "at_once": True}
    ((action, who, details),) = desk.told
    assert (action, who, desk.heard_at) == ("policy.change", "all", 0)
    assert details["purpose"] == "A desk was moved."
    assert (details["before"], details["after"]) == (before.fingerprint, after.fingerprint)
    assert (details["changed"], details["shows_more"]) == ("strength, zones.desk", "strength")
    (entry,) = client.get(f"{HALL}/history").json()
    assert (entry["by"], entry["at_us"], entry["reason"]) == ("all", 7, "A desk was moved.")
    assert (entry["before"], entry["after"]) == (before.fingerprint, after.fingerprint)
    assert client.get(f"{HALL}/history/1").json()["keys"]["zones"] == [ZONE]
    assert client.get(f"{HALL}/history/2").status_code == 404


def test_what_the_audit_can_t_be_told_does_not_happen(desk: Desk) -> None:
    client = desk.browser("all")
    desk.fails = True
    answer = save(client, keys={"strength": 2})
    assert answer.status_code == 503
    assert client.get(HALL).json()["number"] == 0
    assert desk.site.sources["hall"].load().strength == 1


@pytest.mark.parametrize(("name", "sees", "changes", "remembers"), [
    ("all", 200, 200, 200), ("hall-only", 200, 403, 403), ("lee", 403, 403, 403), ("clerk", 200, 403, 200),
])  # fmt: skip
def test_who_may_see_and_change_a_policy(desk: Desk, name: str, sees: int, changes: int, remembers: int) -> None:
    client = desk.browser(name)
    assert client.get(HALL).status_code == sees
    assert client.get(f"{HALL}/history").status_code == remembers
    assert client.get(f"{HALL}/boxes").status_code == (200 if name in ("all", "hall-only") else 403)
    for action in ("validate", "preview"):
        assert client.post(f"{HALL}/{action}", json={"keys": {}}).status_code == changes
    if sees == 200:
        assert save(client, keys={"strength": 2}).status_code == changes
    nowhere = client.get("/api/v1/policies/cameras/nowhere")
    assert nowhere.status_code == 403, "nobody learns which cameras there are"
    assert bool(desk.told) == (changes == 200)


def test_nobody_without_a_login_or_the_session_s_token_changes_anything(desk: Desk) -> None:
    assert httpx.get(desk.address + HALL).status_code == 401
    client = desk.browser("all")
    del client.headers["X-Veil-CSRF"]
    assert save(client, keys={"strength": 2}).status_code == 403
    assert desk.told == []


def test_who_may_only_look_is_told_words_and_no_keys(desk: Desk) -> None:
    shown = desk.browser("hall-only").get(HALL).json()
    assert shown.keys() == {"camera", "policy", "unreadable"}
    assert "Faces are mosaicked" in shown["policy"]["described"]


def test_of_two_editors_the_second_is_told_who_was_faster(desk: Desk) -> None:
    client = desk.browser("all")
    now = client.get(HALL).json()
    began = {"number": now["number"], "before": now["before"]}
    assert save(client, keys={"strength": 2}, **began).status_code == 200
    late = save(client, keys={"strength": 3}, **began)
    assert late.status_code == 409
    assert late.json()["error"] == "all changed this policy while you were writing: load it again."
    assert len(desk.told) == 1
    assert desk.site.book.policy_for("hall").strength == 2


@pytest.mark.parametrize(
    ("given", "status", "error"),
    [
        ({"reason": "  "}, 422, "reason"),
        ({"keys": {"strength": 9}}, 422, "strength: must be at most 4.0, is 9."),
        ({"keys": {"stronger": 2}}, 422, "stronger: unknown key"),
        ({"keys": {"name": "mine"}}, 422, "name: can't be changed here."),
        ({"preset": "../../etc"}, 422, "preset: there is no preset of this name."),
        ({"keys": {}}, 409, "Nothing would change."),
        (
            {"keys": {"strength": 2}, "before": "store@000000000000"},
            409,
            "This policy has changed while you were writing",
        ),
        ({"keys": {"kinds": {"face": {}, "person": {}}}}, 409, "No detector is loaded for person"),
        ({"keys": {"zones": [ZONE] * 65}}, 422, "zones: may have at most 64 items."),
        ({"open": 1}, 422, "open"),
    ],
)
def test_what_is_refused_changes_nothing(desk: Desk, given: Any, status: int, error: str) -> None:
    answer = save(desk.browser("all"), **given)
    assert answer.status_code == status, answer.text
    assert error in answer.json()["error"]
    assert desk.told == []
    assert desk.site.sources["hall"].load().fingerprint == desk.site.policies["hall"].fingerprint


def test_a_detector_that_nobody_loaded_may_be_asked_for_knowingly(desk: Desk) -> None:
    client = desk.browser("all")
    keys = {"kinds": {"face": {}, "person": {}}}
    assert client.post(f"{HALL}/validate", json={"keys": keys}).json()["missing"] == ["person"]
    assert save(client, keys=keys, closes=True).status_code == 200


def test_a_preview_says_what_would_be_masked_and_what_shows_more(desk: Desk) -> None:
    draft = {"preset": "bank", "keys": {"kinds": {"plate": {"mode": "blur"}}, "purpose": ""}}
    told = desk.browser("all").post(f"{HALL}/preview", json=draft).json()
    assert told["problems"] == []
    assert told["policy"]["kinds"] == {"plate": "blur"}
    assert told["missing"] == ["plate"]
    shows_more = {each["key"] for each in told["differences"] if each["shows_more"]}
    assert "kinds.face" in shows_more
    assert {"kinds", "purpose"} <= {each["key"] for each in told["cautions"]}
    wrong = desk.browser("all").post(f"{HALL}/preview", json={"keys": {"zones": [{"name": "x", "polygon": []}]}}).json()
    assert wrong["problems"] == [{"key": "zones.0.polygon", "message": "needs at least 3 of its items"}]
    assert wrong["policy"] is None
    assert desk.told == []


def test_a_site_without_a_folder_of_changes_can_be_read_only(tmp_path: Path) -> None:
    with Desk(tmp_path, changes=False).serving() as desk:
        client = desk.browser("all")
        assert client.get(HALL).json()["editable"] is False
        answer = save(client, keys={"strength": 2})
    assert answer.status_code == 409
    assert "changes: FOLDER" in answer.json()["error"]


def test_a_damaged_change_can_be_replaced(desk: Desk) -> None:
    client = desk.browser("all")
    save(client, keys={"strength": 2})
    (desk.folder / "changed" / "hall" / "000001.yaml").write_text("by: nobody\n")
    now = client.get(HALL).json()
    assert now["policy"] is None
    assert "000001.yaml" in now["unreadable"]
    assert desk.browser("hall-only").get(HALL).json()["unreadable"] is True, "no paths for those who look"
    assert client.get(f"{HALL}/history").json() == [{"number": 1, "unreadable": True}]
    assert save(client, keys={"strength": 3}).status_code == 200
    assert desk.site.book.policy_for("hall").strength == 3


def test_presets_are_told_with_what_they_do(desk: Desk) -> None:
    presets = {each["preset"]: each for each in desk.browser("hall-only").get("/api/v1/policies/presets").json()}
    assert len(presets) == 10
    assert presets["bank"]["kinds"]["face"] == "solid"


def test_boxes_are_the_newest_of_each_track_for_a_few_seconds(desk: Desk) -> None:
    now = [0.0]
    boxes = Boxes(lambda: now[0])

    def saw(track: int, box: list[float], **given: Any) -> None:
        record = pb.TrackRecord(
            camera_id="hall", epoch=1, track_id=track, kind=pb.KIND_FACE, box=box,
            source_width=200, source_height=100, **given,
        )  # fmt: skip
        value = Record(METADATA_TRACKS, "hall", record.SerializeToString())
        boxes.take([Message(value, Position(TopicPartition("metadata.tracks", 0), 0), 0)])

    saw(1, [20, 10, 40, 30])
    now[0] = 2
    saw(2, [100, 50, 200, 100])
    saw(1, [30, 10, 50, 30])
    saw(3, [1, 2])
    assert boxes.of("gate") == []
    assert {each["box"] for each in boxes.of("hall")} == {(0.15, 0.1, 0.25, 0.3), (0.5, 0.5, 1.0, 1.0)}
    saw(2, [100, 50, 200, 100], ended=True)
    assert len(boxes.of("hall")) == 1
    now[0] = 9
    assert boxes.of("hall") == []


def test_boxes_are_those_of_the_moment_at_which_a_picture_was_taken() -> None:
    boxes, second = Boxes(lambda: 0.0), 1_000_000

    def saw(left: float, at_s: float, *, track: int = 1, ended: bool = False) -> None:
        record = pb.TrackRecord(
            camera_id="hall", epoch=1, track_id=track, kind=pb.KIND_FACE, box=[left, 0, left + 10, 10],
            source_width=100, source_height=100, last_us=round((100 + at_s) * second), ended=ended,
        )  # fmt: skip
        value = Record(METADATA_TRACKS, "hall", record.SerializeToString())
        boxes.take([Message(value, Position(TopicPartition("metadata.tracks", 0), 0), 0)])

    for at_s in range(5):
        saw(10 * at_s, at_s)
    saw(70, 2, track=2, ended=True)

    def at(seconds: float) -> set[float]:
        return {each["box"][0] for each in boxes.of("hall", round((100 + seconds) * second))}

    assert at(1.2) == {0.1, 0.7}
    assert at(2.8) == {0.3}, "the other was gone"
    assert at(4.4) == {0.4}
    assert at(30) == set(), "nothing is known of then"
    for at_s in range(5, 100):
        saw(10, at_s)
    assert at(1.2) == {0.7}, "of a track that goes on no more is kept than is asked for"


def test_what_the_other_pages_say_of_a_camera_follows_its_policy(desk: Desk) -> None:
    facts, places = Facts(desk.site), Places(desk.site)
    assert facts["hall"]["kinds"] == ["face"]
    assert list(facts) == ["hall", "gate"]
    assert list(places) == ["gate", "hall"]
    save(desk.browser("all"), preset="parking", closes=True)
    assert facts["hall"]["policy"] == "parking"
    assert places["hall"].sector == "parking"
    (desk.folder / "changed" / "hall" / "000001.yaml").write_text("")
    desk.site.book.look_again("hall")
    assert facts["hall"] == {"site": "shop"}
    assert places["hall"].policy is None
    assert "nowhere" not in facts
    assert "nowhere" not in places
