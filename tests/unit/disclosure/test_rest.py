"""The API: the whole way of a request over HTTP, who may do what, and what two people at once see."""

import io
import re
import threading
import time
import zipfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
pytest.importorskip("sqlalchemy")

from fastapi import FastAPI

from services.accounts.model import Role
from services.accounts.web import ROLES_KEY, check_rules
from services.disclosure.request import Actor
from services.disclosure.rest.jobs import Jobs, Stopped
from services.disclosure.verify import verify
from services.schema import pb
from tests.support.accounts import NAMES, PASSWORD, browser
from tests.support.api import FILED, REQUESTS, WHY, City, act, chosen, city, filed, packaged, waited
from tests.support.own_footage import ME, SIZE, THEM, film, inside, likeness, luma, me_at, them_at

OFFICER, APPROVER = Role.OFFICER, Role.APPROVER
ID = "20260101-00000000"


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[pb.AccessUnit]:
    return film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture
def house(tmp_path: Path, units: list[pb.AccessUnit]) -> Iterator[City]:
    with city(tmp_path, units) as made:
        yield made


def test_a_request_from_filing_to_verified_package(house: City, tmp_path: Path) -> None:
    """Pixels: the subject is seen in the video that was downloaded, the other person is not, before or after."""
    film(tmp_path / "film.mp4")
    original = luma(tmp_path / "film.mp4")
    with house.clients(OFFICER, APPROVER) as (officer, approver):
        request_id = filed(officer)
        chosen(officer, request_id)
        found = approver.get(f"{REQUESTS}/{request_id}/found").json()
        assert found["total"] == 2
        for each in found["found"]:
            picture = approver.get(each["picture"])
            assert picture.headers["content-type"] == "image/jpeg"
            (tmp_path / "shown.jpg").write_bytes(picture.content)
            (shown,) = luma(tmp_path / "shown.jpg")
            for seq in range(each["first_seq"], each["last_seq"] + 1):
                for box in (me_at(seq), them_at(seq)):
                    assert abs(likeness(original[seq], shown, inside(box, *SIZE))) < 0.6
        assert act(approver, request_id, "approve").json()["state"] == "approved"
        job = waited(officer, act(officer, request_id, "render"))
        assert (job["state"], job["progress"], job["error"]) == ("done", 1.0, "")
        (video,) = officer.get(f"{REQUESTS}/{request_id}/videos").json()["videos"]
        frame = officer.get(f"{REQUESTS}/{request_id}/videos/{video['name']}/frames/30").json()
        assert frame["subject"]
        assert {mask["why"] for mask in frame["masks"]} >= {"other"}
        jpeg = officer.get(frame["picture"])
        assert jpeg.content[:2] == b"\xff\xd8"
        part = officer.get(f"{REQUESTS}/{request_id}/videos/{video['name']}", headers={"Range": "bytes=0-99"})
        assert (part.status_code, len(part.content)) == (206, 100)
        assert act(approver, request_id, "review").status_code == 200
        assert waited(officer, act(officer, request_id, "package"))["state"] == "done"
        assert officer.get(f"{REQUESTS}/{request_id}/verify").json()["holds"]
        assert act(officer, request_id, "hand-over", days=3).json()["state"] == "handed_over"
        package = officer.post(f"{REQUESTS}/{request_id}/download", json={"why": "posted to J. Park"})

    (tmp_path / "package.zip").write_bytes(package.content)
    assert verify(tmp_path / "package.zip").holds
    with zipfile.ZipFile(io.BytesIO(package.content)) as files:
        files.extract(video["name"], tmp_path)
    pictures = luma(tmp_path / video["name"])
    assert len(pictures) == 75
    seen = [likeness(original[seq], pictures[seq], inside(me_at(seq), *SIZE)) for seq in (5, 10)]
    others = [abs(likeness(original[seq], pictures[seq], inside(them_at(seq), *SIZE))) for seq in range(5, 70, 5)]
    assert min(seen) > 0.9
    assert max(others) < 0.4
    last = house.desk.store.get(request_id).history[-1]
    assert (last.action, last.who, last.why) == ("download", NAMES[OFFICER], "posted to J. Park")


def _operations(house: City) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation)
        for path, operations in house.app.openapi()["paths"].items()
        for method, operation in operations.items()
    ]


_BODIES: dict[str, Any] = {
    "FileIn": FILED,
    "ActIn": {"version": 0, "why": WHY},
    "PostponeIn": {"version": 0, "why": WHY, "until": "2026-11-30"},
    "HandOverIn": {"version": 0, "why": WHY},
    "SubjectIn": {"version": 0, "why": WHY, "tracks": [{"number": 1}]},
    "SuggestIn": {"version": 0, "why": WHY, "like": [1]},
    "CorrectionsIn": {
        "version": 0,
        "why": WHY,
        "corrections": [{"camera": "gate", "epoch": 1, "first_seq": 0, "last_seq": 1}],
    },
    "DownloadIn": {"why": WHY},
    "LoginIn": {"name": "nobody", "password": "wrong"},
    "PasswordIn": {"old": "wrong", "new": "short"},
    "NewPasswordIn": {"password": "short"},
    "TokenIn": {"label": "x", "roles": ["admin"], "days": 3000},
    "AccountIn": {"name": "-", "password": "short", "roles": []},
    "ChangeIn": {"version": 10_000, "roles": []},
}
_PLACES = {"request_id": ID, "job_id": "j" + "0" * 16, "number": "1", "name": "video-1.mp4", "token_id": "t1"}


def _sent(client: httpx.Client, method: str, path: str, operation: dict[str, Any]) -> httpx.Response:
    places = _PLACES if path.startswith(REQUESTS) else {**_PLACES, "name": "nobody"}
    address = re.sub(r"{(\w+)}", lambda found: places[found[1]], path)
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    body = _BODIES[content["schema"]["$ref"].rpartition("/")[2]] if content else None
    return client.request(method, address, json=body)


def test_every_route_lets_in_those_roles_and_no_others(house: City) -> None:
    """From the description itself, so that a new route without a rule fails; what it lets in may fail otherwise."""
    operations = _operations(house)
    assert len(operations) > 40
    for role in (None, *Role):
        with house.client(role) as client:
            for method, path, operation in operations:
                if path.endswith(("/session/oidc", "/oidc/callback")) or (method, path) == (
                    "delete",
                    "/api/v1/session",
                ):
                    continue
                allowed = operation[ROLES_KEY]
                answer = _sent(client, method, path, operation)
                says = f"{role} {method} {path}: {answer.status_code} {answer.text[:200]}"
                only = answer.status_code in (401, 403) and re.search(r"That is for|Log in first", answer.text)
                if "anyone" in allowed:
                    assert not only, says
                elif role is None:
                    assert answer.status_code == 401, says
                elif "anybody" in allowed or role.value in allowed:
                    assert answer.status_code != 401 or path.endswith("/password"), says
                    assert not only, says
                else:
                    assert answer.status_code == 403, says
                    assert only, says
                assert answer.status_code < 500, says
                assert answer.status_code == 204 or answer.status_code < 400 or set(answer.json()) == {"error"}, says


def test_roles_are_what_the_issue_says(house: City) -> None:
    rules = {f"{method} {path}": set(operation[ROLES_KEY]) for method, path, operation in _operations(house)}
    of_requests = {key: roles for key, roles in rules.items() if REQUESTS in key}
    assert not any({"viewer", "admin", "anyone", "anybody"} & roles for roles in of_requests.values())
    assert rules[f"post {REQUESTS}/{{request_id}}/approve"] == {"approver"}
    assert rules[f"get {REQUESTS}/events"] == {"auditor"}
    for step in ("find", "render", "package", "hand-over", "download", "submit"):
        assert rules[f"post {REQUESTS}/{{request_id}}/{step}"] == {"officer"}
    assert all(roles == {"admin"} for key, roles in rules.items() if "/api/v1/accounts" in key)


def test_an_app_with_a_route_without_a_rule_is_refused() -> None:
    app = FastAPI()
    app.get("/open")(lambda: None)
    with pytest.raises(ValueError, match="GET /open"):
        check_rules(app)


def test_every_route_says_what_it_takes_and_gives(house: City) -> None:
    for method, path, operation in _operations(house):
        assert operation.get("description"), f"{method} {path}"
        assert any(status.startswith(("2", "3")) for status in operation["responses"]), f"{method} {path}"
        schema = operation["responses"]["422"]["content"]["application/json"]["schema"]
        assert schema["$ref"].endswith("/ErrorOut"), f"{method} {path}"


@pytest.mark.parametrize("own", ["approver", "officer"])
def test_two_accounts_of_one_person_are_one(house: City, own: str) -> None:
    """The same person by a second account: by single sign-on or with a password makes no difference."""
    house.accounts.change("test", NAMES[OFFICER], person="kim@city.example")
    house.accounts.change("test", NAMES[APPROVER], person="KIM@city.example")
    house.accounts.add("test", "another", PASSWORD, [own], sites=["*"])
    with (
        house.clients(OFFICER, APPROVER) as (officer, approver),
        browser(house.address, house.accounts, "another") as another,
    ):
        request_id = filed(officer)
        chosen(officer, request_id)
        answer = act(approver, request_id, "approve")
        assert answer.status_code == 403
        assert "somebody else has to approve" in answer.json()["error"]
        if own == "approver":
            assert act(another, request_id, "approve").status_code == 200
            assert waited(officer, act(officer, request_id, "render"))["state"] == "done"
    assert house.desk.store.get(request_id).state == ("rendered" if own == "approver" else "submitted")


def test_who_approved_does_not_render_by_another_account(house: City) -> None:
    house.accounts.add("test", "kim", PASSWORD, ["officer"], person="lee@city.example", sites=["*"])
    house.accounts.change("test", NAMES[APPROVER], person="lee@city.example")
    with house.clients(OFFICER, APPROVER) as (officer, approver), browser(house.address, house.accounts, "kim") as same:
        request_id = filed(officer)
        chosen(officer, request_id)
        assert act(approver, request_id, "approve").status_code == 200
        answer = act(same, request_id, "render")
        assert answer.status_code == 403
        assert "somebody else has to render" in answer.json()["error"]
        assert waited(officer, act(officer, request_id, "render"))["state"] == "done"


def test_one_account_with_both_roles_is_one_person(house: City) -> None:
    house.accounts.change("test", NAMES[OFFICER], roles=["officer", "approver"])
    with house.client(OFFICER) as both:
        request_id = filed(both)
        chosen(both, request_id)
        assert act(both, request_id, "approve").status_code == 403
        # Nor once they have another name.
        house.accounts.change("test", NAMES[OFFICER], person="somebody@else.example")
    with house.client(OFFICER) as both:
        assert act(both, request_id, "approve").status_code == 403
    assert house.desk.store.get(request_id).state == "submitted"


def test_where_there_is_single_sign_on_an_account_without_a_person_takes_no_part(tmp_path: Path) -> None:
    more = {"oidc_issuer": "https://id.example", "oidc_client": "veil", "oidc_roles": {"g": "officer"}}
    with city(tmp_path, None, oidc_redirect="https://veil.example/back", **more) as house:
        with house.client(OFFICER) as officer:
            answer = officer.post(REQUESTS, json=FILED)
            assert answer.status_code == 403
            assert "veil accounts person" in answer.json()["error"]
        house.accounts.change("test", NAMES[OFFICER], person="kim@city.example")
        with house.client(OFFICER) as officer:
            assert filed(officer)
        assert [request.filed_by for request in house.desk.store.list()] == ["kim@city.example"]


def test_of_two_officers_at_once_the_second_is_told(house: City) -> None:
    house.accounts.add("test", "choi", PASSWORD, ["officer"], sites=["*"])
    with house.client(OFFICER) as first, browser(house.address, house.accounts, "choi") as second:
        request_id = filed(first)
        seen = first.get(f"{REQUESTS}/{request_id}").json()["version"]
        answers: list[httpx.Response] = []
        threads = [
            threading.Thread(
                target=lambda client=client: answers.append(act(client, request_id, "refuse", version=seen))
            )
            for client in (first, second)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(answer.status_code for answer in answers) == [200, 409]
        late = act(second, request_id, "withdraw", version=seen)
        assert late.status_code == 409
        assert "look at it again" in late.json()["error"]
    assert len(house.desk.store.get(request_id).history) == 2


def test_a_change_between_look_and_step_is_never_passed_over(house: City, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step is done on what was looked at, also where another comes between the check and the step."""
    with house.client(OFFICER) as officer:
        request_id = filed(officer)
        real = house.desk.store.get
        calls: list[str] = []

        def get(asked: str) -> Any:
            request = real(asked)
            calls.append(asked)
            if len(calls) == 2:
                house.desk.postpone(request_id, Actor(who="choi", why=WHY), date(2026, 11, 1))
            return request

        monkeypatch.setattr(type(house.desk.store), "get", lambda self, asked: get(asked))
        answer = act(officer, request_id, "withdraw", version=0)
        monkeypatch.undo()
    assert answer.status_code == 409
    assert house.desk.store.get(request_id).state == "postponed"


def test_filing_again_under_a_key_files_once(house: City) -> None:
    house.accounts.add("test", "choi", PASSWORD, ["officer"], sites=["*"])
    with house.client(OFFICER) as officer, browser(house.address, house.accounts, "choi") as other:
        officer.headers["Idempotency-Key"] = other.headers["Idempotency-Key"] = "mail-17"
        first = officer.post(REQUESTS, json=FILED)
        again = officer.post(REQUESTS, json=FILED)
        assert (first.status_code, again.status_code) == (201, 201)
        assert first.json()["id"] == again.json()["id"]
        assert officer.post(REQUESTS, json=FILED | {"whose": "M. Lee"}).status_code == 409
        assert other.post(REQUESTS, json=FILED).json()["id"] != first.json()["id"]
        officer.headers["Idempotency-Key"] = "mail-18"
        assert officer.post(REQUESTS, json=FILED | {"rules": "nothing"}).status_code == 422
        assert officer.post(REQUESTS, json=FILED | {"rules": "pipa"}).status_code == 201
    assert len(house.desk.store.list()) == 3


def test_cameras_that_are_not_for_an_account_are_not_there(house: City) -> None:
    with house.client(OFFICER) as officer:
        request_id = filed(officer)
    house.accounts.change("test", NAMES[OFFICER], sites=[], cameras=["hall"])
    with house.client(OFFICER) as officer:
        assert officer.get(REQUESTS).json()["requests"] == []
        for method, path, operation in _operations(house):
            if "{request_id}" in path and "officer" in operation[ROLES_KEY]:
                path = path.replace("{request_id}", request_id)
                answer = _sent(officer, method, path, operation)
                assert answer.status_code == 404, f"{method} {path}: {answer.text}"
                assert answer.json() == {"error": f"There is no request {request_id}."}
        assert officer.post(REQUESTS, json=FILED).status_code == 422
    assert len(house.desk.store.get(request_id).history) == 1


def test_a_range_of_which_nothing_is_kept_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with city(tmp_path, None) as house, house.client(OFFICER) as officer:
        request_id = filed(officer)
        job = waited(officer, act(officer, request_id, "find"))
        assert job["state"] == "failed"
        assert "it has expired" in job["error"]
        assert officer.get(f"{REQUESTS}/{request_id}").json()["state"] == "filed"


def test_downloads_are_logged_and_end(house: City) -> None:
    with house.clients(OFFICER, APPROVER, Role.AUDITOR) as (officer, approver, auditor):
        request_id = packaged(officer, approver)
        assert officer.post(f"{REQUESTS}/{request_id}/download", json={"why": WHY}).status_code == 403
        assert act(officer, request_id, "hand-over", days=2).status_code == 200
        for why in ("for the first time", "once more"):
            assert officer.post(f"{REQUESTS}/{request_id}/download", json={"why": why}).status_code == 200
        events = auditor.get(f"{REQUESTS}/{request_id}/events").json()
        assert events["unbroken"]
        downloads = [each for each in events["events"] if each["action"] == "disclosure.download"]
        assert [(each["actor"], each["purpose"]) for each in downloads] == [
            (NAMES[OFFICER], "for the first time"),
            (NAMES[OFFICER], "once more"),
        ]
        assert "J. Park" not in auditor.get(f"{REQUESTS}/events").text
        house.clock.pass_s(2 * 24 * 3600)
    with house.client(OFFICER) as officer:
        late = officer.post(f"{REQUESTS}/{request_id}/download", json={"why": WHY})
        assert (late.status_code, late.json()["error"]) == (403, "The package has expired.")


def test_a_package_that_was_changed_is_not_handed_out(house: City) -> None:
    with house.clients(OFFICER, APPROVER) as (officer, approver):
        request_id = packaged(officer, approver)
        assert act(officer, request_id, "hand-over").status_code == 200
        request = house.desk.store.get(request_id)
        path = house.desk.folder_of(request, "package") / next(iter(request.package))
        path.write_bytes(path.read_bytes()[:-9] + b"123456789")
        assert not officer.get(f"{REQUESTS}/{request_id}/verify").json().get("holds")
        assert officer.post(f"{REQUESTS}/{request_id}/download", json={"why": WHY}).status_code == 503


def test_after_a_restart_a_job_is_done_again(tmp_path: Path, units: list[pb.AccessUnit]) -> None:
    with city(tmp_path, units) as house, house.client(OFFICER) as officer:
        request_id = filed(officer)
        job = act(officer, request_id, "find").json()
    with city(tmp_path, units) as house, house.client(OFFICER) as officer:
        answer = officer.get(f"{REQUESTS}/{request_id}/jobs/{job['id']}")
        assert answer.status_code == 404
        assert "asked for again" in answer.json()["error"]
        assert waited(officer, act(officer, request_id, "find"))["state"] == "done"


def test_jobs_are_bounded_and_one_at_a_time_of_a_request(house: City) -> None:
    hold = threading.Event()
    begun = threading.Event()

    def slow(_: Any) -> None:
        begun.set()
        hold.wait(60)

    house.jobs.begin("other", "find", "test", slow)
    assert begun.wait(30)
    try:
        with house.client(OFFICER) as officer:
            request_id = filed(officer)
            first = act(officer, request_id, "find")
            assert first.json()["state"] == "waiting"
            assert act(officer, request_id, "find").status_code == 409
            answers = [act(officer, filed(officer), "find").status_code for _ in range(15)]
            assert answers == [202] * 14 + [503]
    finally:
        hold.set()


def test_a_stop_ends_what_runs() -> None:
    jobs = Jobs()
    began = threading.Event()
    ended: list[type[BaseException]] = []

    def reads(job: Any) -> None:
        try:
            for step in range(10_000):
                job.came_to(step / 10_000)
                began.set()
                time.sleep(0.01)
        except Stopped:
            ended.append(Stopped)
            raise

    job = jobs.begin("a", "render", "test", reads)
    waiting = jobs.begin("b", "render", "test", reads)
    assert began.wait(30)
    jobs.close()
    assert ended == [Stopped]
    assert (job.state, job.error) == ("failed", "It was interrupted: do it again.")
    assert waiting.state == "waiting"


def test_refusal_and_postponement_are_letters(house: City) -> None:
    with house.client(OFFICER) as officer:
        request_id = filed(officer)
        assert act(officer, request_id, "postpone", until="2027-11-01").status_code == 403
        assert act(officer, request_id, "postpone", until="2026-11-01").json()["due"] == "2026-11-01"
        assert act(officer, request_id, "resume").json()["state"] == "filed"
        assert act(officer, request_id, "refuse").json()["state"] == "refused"
        page = officer.get(f"{REQUESTS}/{request_id}/letter")
        assert WHY in page.text
        assert "sandbox" in page.headers["content-security-policy"]
        assert officer.get(REQUESTS, params={"due_within": 100}).json()["requests"] == []
        assert len(officer.get(REQUESTS, params={"state": "refused"}).json()["requests"]) == 1


def test_a_correction_masks_more_and_needs_no_new_approval(house: City, tmp_path: Path) -> None:
    film(tmp_path / "film.mp4")
    original = luma(tmp_path / "film.mp4")
    with house.clients(OFFICER, APPROVER) as (officer, approver):
        request_id = filed(officer)
        chosen(officer, request_id)
        assert act(approver, request_id, "approve").status_code == 200
        assert waited(officer, act(officer, request_id, "render"))["state"] == "done"
        (video,) = officer.get(f"{REQUESTS}/{request_id}/videos").json()["videos"]
        more = {"camera": "gate", "epoch": video["epoch"], "first_seq": 0, "last_seq": 20, "box": [0, 40, 320, 192]}
        assert act(officer, request_id, "corrections", corrections=[more | {"box": [9, 9, 1, 1]}]).status_code == 422
        assert act(officer, request_id, "corrections", corrections=[more]).json()["state"] == "approved"
        assert waited(officer, act(officer, request_id, "render"))["state"] == "done"
        (tmp_path / "again.mp4").write_bytes(officer.get(f"{REQUESTS}/{request_id}/videos/video-1.mp4").content)
    pictures = luma(tmp_path / "again.mp4")
    for seq in (5, 15):
        assert abs(likeness(original[seq], pictures[seq], inside(me_at(seq), *SIZE))) < 0.4


def test_tracks_are_suggested_by_a_job(house: City) -> None:
    with house.client(OFFICER) as officer:
        request_id = filed(officer)
        assert waited(officer, act(officer, request_id, "find"))["state"] == "done"
        job = waited(officer, act(officer, request_id, "suggest", like=[1]))
        assert job["state"] == "done"
        assert all(set(each) == {"number", "likeness"} for each in job["result"])
        assert waited(officer, act(officer, request_id, "suggest", like=[77]))["state"] == "failed"


def test_values_that_make_no_sense_are_told_and_never_repeated(house: City) -> None:
    with house.client(OFFICER) as officer:
        for bad in (
            {"whose": "  "},
            {"cameras": []},
            {"cameras": ["../etc"]},
            {"start": "2026-09-21T14:13:20"},
            {"end": "2026-09-21T14:13:20Z"},
            {"end": "2099-09-21T14:13:20Z"},
            {"received": "2030-01-01"},
            {"why": "x"},
            {"secret": "hunter2-hunter2"},
            {"whose": "x" * 300},
        ):
            answer = officer.post(REQUESTS, json=FILED | bad)
            assert answer.status_code == 422, bad
            assert set(answer.json()) == {"error"}
            assert "hunter2-hunter2" not in answer.text
        assert (
            officer.post(REQUESTS, content=b"{" * 2_000_000, headers={"Content-Type": "application/json"}).status_code
            == 413
        )
        assert officer.post(REQUESTS, content=b"{", headers={"Content-Type": "application/json"}).status_code == 422
        assert officer.get(f"{REQUESTS}/../../etc/passwd").status_code == 404
    assert house.desk.store.list() == []
    assert {ME, THEM} == {1, 2}
