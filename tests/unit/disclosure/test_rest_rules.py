"""The API's description: who may call what, what it takes, and what it says of values that make no sense."""

import re
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
pytest.importorskip("sqlalchemy")

from fastapi import FastAPI

from services.accounts.model import Role
from services.accounts.web import ROLES_KEY, check_rules
from tests.support.accounts import NAMES
from tests.support.api import FILED, REQUESTS, WHY, City, filed

OFFICER = Role.OFFICER
ID = "20260101-00000000"


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
