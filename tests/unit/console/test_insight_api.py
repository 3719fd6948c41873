"""Statistics, a camera's page and health over HTTP: what an account may not see, it does not hear of."""

import io
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import httpx
import pyarrow.parquet
import pytest
from fastapi import FastAPI

from services.accounts.accounts import Accounts
from services.accounts.routes import account_routes
from services.accounts.settings import AccountSettings
from services.accounts.web import Gate, check_rules, install
from services.console.camera_api import camera_router
from services.console.closures import Closures, Why
from services.console.health_api import HealthBook, HealthSettings, health_router
from services.console.insight_api import insight_router
from services.console.places import Place
from services.console.server import served
from services.console.settings import ConsoleSettings
from services.insight.database import open_database
from services.insight.reading import InsightReader
from services.insight.store import InsightStore
from services.policy.model import Policy
from services.schema import pb
from tests.support.insights import HOUR_US, MINUTE_US, NOON_US, quiet, settings_in, stats, track

PASSWORD = "correct horse battery"
STORE = Policy.model_validate(
    {
        "name": "store",
        "sector": "retail",
        "kinds": ["person", "plate"],
        "zones": [
            {"name": "door", "polygon": [[0, 0], [0.5, 0], [0.5, 1]]},
            {"name": "till", "polygon": [[0.5, 0], [1, 0], [1, 1]]},
        ],
        "lines": [{"name": "in", "start": [0, 0.5], "end": [1, 0.5]}],
    },
)
STREET = Policy.model_validate({"name": "street", "sector": "public", "kinds": ["face"]})
PLACES = {
    "gate": Place("gate", "corner shop", STORE),
    "hall": Place("hall", "corner shop", STORE),
    "street": Place("street", "town", STREET),
}
RANGE = {"from_us": NOON_US, "to_us": NOON_US + 3 * HOUR_US}
MORE = "&".join(f"{name}={value}" for name, value in RANGE.items())
Told = list[tuple[str, str, dict[str, str]]]


@pytest.fixture(scope="module")
def accounts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Accounts]:
    folder = tmp_path_factory.mktemp("accounts")
    made = Accounts(AccountSettings(database=f"sqlite:///{folder / 'accounts.db'}"))
    made.add("test", "all", PASSWORD, ["viewer"], sites=["*"])
    made.add("test", "hall-only", PASSWORD, ["viewer"], cameras=["hall"])
    made.add("test", "shop", PASSWORD, ["viewer"], sites=["corner shop"])
    made.add("test", "clerk", PASSWORD, ["approver"], sites=["*"])
    yield made
    made.close()


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InsightReader]:
    settings = settings_in(tmp_path_factory.mktemp("insight"))
    database = open_database(settings)
    store = InsightStore(database, settings)
    store.take([stats("gate", entered=30, zones={"door": 20, "till": 12}, lines={"in": (9, 3)})])
    store.take([stats("hall", entered=2), stats("hall", at_us=NOON_US + HOUR_US, entered=8)])
    store.take([stats("street", entered=7, kind=pb.KIND_FACE)])
    store.take([track(number, zones=("door", "till")) for number in range(10)])
    store.take([track(number, dwell_s=90) for number in range(10, 30)])
    for camera in PLACES:
        store.take(quiet(camera, start_us=NOON_US + 10 * MINUTE_US, end_us=NOON_US + 200 * MINUTE_US))
    yield InsightReader(database, settings)
    database.close()


@pytest.fixture(scope="module")
def told() -> Told:
    return []


@pytest.fixture(scope="module")
def closures() -> Closures:
    return Closures(NOON_US)


@pytest.fixture(scope="module")
def app(reader: InsightReader, accounts: Accounts, told: Told, closures: Closures) -> Iterator["Server"]:
    made = FastAPI()
    install(made, Gate(accounts, secure=False))

    def tell(action: str, who: str, details: Mapping[str, str]) -> None:
        told.append((action, who, dict(details)))

    book = HealthBook(HealthSettings(folders=(Path(),), certificates=(Path("none.pem"),)), own=True)
    for router in (
        account_routes(),
        insight_router(reader, PLACES, tell),
        camera_router(reader, PLACES, closures, clock=lambda: NOON_US + 3 * HOUR_US),
        health_router(book, PLACES),
    ):
        made.include_router(router)
    check_rules(made)
    with served(made, ConsoleSettings(port=0)) as at, closing(Server(at.address.rstrip("/"))) as server:
        yield server


class Server:
    """A server, and who has logged in there."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.clients: dict[str, httpx.Client] = {}

    def client(self, name: str) -> httpx.Client:
        """A program that is logged in."""
        if name not in self.clients:
            made = self.clients[name] = httpx.Client(
                base_url=self.address, headers={"Origin": self.address}, timeout=60
            )
            answer = made.post("/api/v1/session", json={"name": name, "password": PASSWORD})
            made.headers["X-Veil-CSRF"] = answer.json()["csrf"]
        return self.clients[name]

    def close(self) -> None:
        for each in self.clients.values():
            each.close()


def test_series_by_camera_site_and_sector(app: Server) -> None:
    asked = app.client("all")
    answers = {}
    for by in ("camera", "site", "sector"):
        got = asked.get("/api/v1/insight/series", params={"of": "people", "level": "hour", "by": by, **RANGE})
        assert got.status_code == 200, got.text
        answers[by] = {each["name"]: [point["value"] for point in each["points"]] for each in got.json()["groups"]}
    assert answers["camera"] == {"gate": [30, None, None], "hall": [None, 8, None], "street": [7, None, None]}
    assert answers["site"] == {"corner shop": [30, 8, None], "town": [7, None, None]}
    assert answers["sector"] == {"public": [7, None, None], "retail": [30, 8, None]}


def test_the_two_of_the_hall_are_in_no_answer(app: Server) -> None:
    """32 people came to the shop; whoever may see one camera, or all, can't have the difference."""
    asked = app.client("all")
    params = {"of": "people", "level": "hour", "by": "site", **RANGE}
    (shop, _) = asked.get("/api/v1/insight/series", params=params).json()["groups"]
    assert (shop["points"][0]["value"], shop["points"][0]["hidden"], shop["points"][0]["whole"]) == (30, 1, False)
    flows = asked.get("/api/v1/insight/flows", params={"of": "people", **RANGE}).json()
    assert {each["camera"]: each["value"] for each in flows["cameras"]} == {"gate": 30, "hall": 8, "street": 7}


def test_dwell_flows_and_hours(app: Server) -> None:
    asked = app.client("all")
    dwell = asked.get("/api/v1/insight/dwell", params={"of": "people", "camera": "gate", **RANGE}).json()
    told = {(each["least_s"], each["most_s"]): each["value"] for each in dwell["bins"] if each["value"] is not None}
    assert told == {(2, 5): 10, (60, 120): 20}
    assert [each["share"] for each in dwell["quantiles"]] == [0.25, 0.5, 0.75]
    flows = asked.get("/api/v1/insight/flows", params={"of": "people", **RANGE}).json()
    assert flows["flows"] == [{"camera": "gate", "origin": "door", "target": "till", "value": 10}]
    lines = {each["camera"]: (each["forward"], each["backward"]) for each in flows["lines"]}
    assert lines == {"gate": (9, None), "hall": (None, None)}
    busiest = asked.get("/api/v1/insight/busiest", params={"of": "people", "camera": "gate", **RANGE}).json()
    assert {each["hour"]: each["mean"] for each in busiest["hours"] if each["days"]} == {12: 30}


def test_vehicles_are_plates(app: Server) -> None:
    got = app.client("all").get("/api/v1/insight/series", params={"of": "vehicles", "level": "hour", **RANGE}).json()
    assert {each["name"] for each in got["groups"]} == {"gate", "hall", "street"}
    assert {point["value"] for each in got["groups"] for point in each["points"]} == {None}


@pytest.mark.parametrize("name", ["hall-only", "shop"])
def test_an_account_gets_its_own_cameras(app: Server, name: str) -> None:
    asked = app.client(name)
    own = {"hall-only": {"hall"}, "shop": {"gate", "hall"}}[name]
    assert {each["id"] for each in asked.get("/api/v1/insight").json()["cameras"]} == own
    params = {"of": "people", "level": "hour", **RANGE}
    assert {each["name"] for each in asked.get("/api/v1/insight/series", params=params).json()["groups"]} == own
    flows = asked.get("/api/v1/insight/flows", params={"of": "people", **RANGE}).json()
    assert {each["camera"] for kind in ("cameras", "zones", "lines", "flows") for each in flows[kind]} <= own
    text = asked.post(
        "/api/v1/insight/export", json={"format": "csv", "level": "hour", "purpose": "a report", **RANGE}
    ).text
    assert {line.split(",")[0] for line in text.splitlines()[2:]} <= own


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/insight/series?of=people&level=hour&camera=street",
        "/api/v1/insight/dwell?of=people&camera=street",
        "/api/v1/insight/flows?of=people&camera=street",
        "/api/v1/insight/busiest?of=people&camera=street",
        "/api/v1/cameras/street/heat?x=1",
        "/api/v1/cameras/street/policy?x=1",
        "/api/v1/cameras/street/timeline?x=1",
    ],
)
def test_no_other_camera_whether_it_is_there_or_not(app: Server, path: str) -> None:
    asked = app.client("shop")
    there, absent = (asked.get(f"{each}&{MORE}") for each in (path, path.replace("street", "nowhere")))
    assert (there.status_code, there.json()) == (absent.status_code, absent.json())
    assert there.status_code == 403
    assert there.json() == {"error": "Your account may not see this camera."}


def test_statistics_are_for_viewers(app: Server) -> None:
    assert app.client("clerk").get("/api/v1/insight").status_code == 403
    assert httpx.get(f"{app.address}/api/v1/insight").status_code == 401


def test_an_export_needs_purpose_and_token_and_is_written_down(app: Server, told: Told) -> None:
    asked, before = app.client("shop"), len(told)
    wish = {"format": "parquet", "level": "hour", "purpose": "monthly report", **RANGE}
    assert asked.post("/api/v1/insight/export", json={**wish, "purpose": ""}).status_code == 422
    assert asked.post("/api/v1/insight/export", json=wish, headers={"X-Veil-CSRF": ""}).status_code == 403
    assert len(told) == before
    got = asked.post("/api/v1/insight/export", json=wish)
    assert got.status_code == 200
    table = pyarrow.parquet.read_table(io.BytesIO(got.content))
    assert set(table["camera"].to_pylist()) == {"gate", "hall"}
    assert b"fewer than" in table.schema.metadata[b"veil"]
    ((action, who, details),) = told[before:]
    assert (action, who, details["purpose"], details["cameras"]) == (
        "insight.export",
        "shop",
        "monthly report",
        "gate, hall",
    )


def test_wrong_questions_get_a_sentence(app: Server) -> None:
    asked = app.client("all")
    swapped = {"from_us": RANGE["to_us"], "to_us": RANGE["from_us"]}
    got = asked.get("/api/v1/insight/series", params={"of": "people", "level": "hour", **swapped})
    assert (got.status_code, got.json()) == (422, {"error": "A range begins before it ends."})
    for path in ("series?level=step&of=people", "dwell?of=people", "flows?of=people", "busiest?of=people"):
        assert asked.get(f"/api/v1/insight/{path}&from_us=1&to_us={1 << 59}").status_code == 422, path


def test_a_cameras_policy_in_parts(app: Server) -> None:
    got = app.client("shop").get("/api/v1/cameras/gate/policy").json()
    assert got["kinds"] == [{"kind": "person", "mode": "mosaic"}, {"kind": "plate", "mode": "mosaic"}]
    assert [each["name"] for each in got["zones"]] == ["door", "till"]
    assert "source" not in str(got)


def test_a_cameras_last_hours(app: Server, closures: Closures) -> None:
    for number in range(3):
        closures.note("gate", NOON_US + number * 40_000, Why(f"no answer at frame {number}", "detector_silent", "face"))
    closures.note("gate", NOON_US + HOUR_US, Why("the policy can't be read"))
    closures.note("street", NOON_US, Why("another camera's"))
    got = app.client("shop").get("/api/v1/cameras/gate/timeline", params={"hours": 4}).json()
    people = next(each for each in got["kinds"] if each["kind"] == "person")
    assert [point["value"] for point in people["points"] if point["value"]] == [30]
    # Sentences that name a frame each are one reason, by its code.
    told = [(each["frames"], each["why"], each["reason"], each["detector"]) for each in got["closures"]]
    assert told == [(3, "no answer at frame 0", "detector_silent", "face"), (1, "the policy can't be read", "", "")]
    assert got["frames"][0] == {"at_us": NOON_US, "frames": 250, "incomplete": 0}


def test_heat_map_tells_no_small_cell(app: Server) -> None:
    got = app.client("shop").get("/api/v1/cameras/gate/heat", params=RANGE).json()
    assert len(got["cells"]) == got["columns"] * got["rows"] == 144
    assert [value for value in got["cells"] if value is not None] == [30]


def test_health_shows_own_cameras_and_what_is_wrong(app: Server) -> None:
    from services.auditor.metrics import SUSPECTS
    from services.runtime.metrics import LAG_S, frame_left

    # Whatever ran in this process before may have counted.
    SUSPECTS.clear()
    frame_left("tracker", "gate", NOON_US, NOON_US + 300_000)
    frame_left("tracker", "street", NOON_US, NOON_US + 300_000)
    LAG_S.labels("tracker", "detections").set(4.5)
    SUSPECTS.labels("gate", "face").inc()
    SUSPECTS.labels("street", "face").inc()
    got = app.client("shop").get("/api/v1/health").json()
    assert {"gate"} <= {each["id"] for each in got["cameras"]}
    assert "street" not in str(got["cameras"])
    gate = next(each for each in got["cameras"] if each["id"] == "gate")
    assert gate["suspects"] == {"face": 1}
    assert gate["stages"]["tracker"]["age_s"] == pytest.approx(0.3)
    (own,) = got["processes"]
    assert (own["name"], own["problem"]) == ("this process", "")
    assert own["lag_s"] >= 4.5
    assert got["disks"][0]["free"] > 0
    assert got["certificates"][0]["problem"] == "no such file or directory"
    everything = app.client("all").get("/api/v1/health").json()
    assert {"gate", "street"} <= {each["id"] for each in everything["cameras"]}


def test_stretches_of_closed_frames_are_bounded() -> None:
    closures = Closures(0)
    for number in range(1000):
        closures.note("gate", number * 10_000_000, Why(f"why {number}"))
    assert len(closures.of("gate")) == 200
    assert closures.of("yard") == []
