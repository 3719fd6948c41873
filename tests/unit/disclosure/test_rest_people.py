"""Who acts, over the API: one person with several accounts, and several people at once."""

import threading
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
pytest.importorskip("sqlalchemy")

from services.accounts.model import Role
from services.disclosure.request import Actor
from tests.support.accounts import NAMES, PASSWORD, browser
from tests.support.api import FILED, REQUESTS, WHY, City, act, chosen, city, filed, waited

OFFICER, APPROVER = Role.OFFICER, Role.APPROVER


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
