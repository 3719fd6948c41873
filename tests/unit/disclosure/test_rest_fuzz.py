"""Whatever the API's own description allows, and what it doesn't, is answered as described: by an account of each role.

`VEIL_FUZZ_EXAMPLES=200 python -m pytest tests/unit/disclosure/test_rest_fuzz.py` looks longer than the usual run does.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("argon2")
pytest.importorskip("schemathesis")

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.accounts.model import Role
from services.accounts.web import ROLES_KEY
from services.schema import pb
from tests.support.api import REQUESTS, City, city, filed, packaged
from tests.support.own_footage import film

EXAMPLES = int(os.environ.get("VEIL_FUZZ_EXAMPLES", "2"))
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[City]:
    folder = tmp_path_factory.mktemp("fuzzed")
    units: list[pb.AccessUnit] = film(folder / "film.mp4")
    with city(folder, units) as made:
        yield made


@pytest.fixture(scope="module")
def known(house: City) -> list[str]:
    """Requests in several states, so that what is sent meets something."""
    with house.clients(Role.OFFICER, Role.APPROVER) as (officer, approver):
        return [filed(officer), packaged(officer, approver)]


def _operations(house: City) -> list[Any]:
    schema = schemathesis.openapi.from_dict(house.app.openapi())
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("role", [None, *Role])
def test_answers_are_as_described(house: City, known: list[str], role: Role | None) -> None:
    for operation in _operations(house):
        allowed = operation.definition.raw[ROLES_KEY]
        mine = "anyone" in allowed or (role is not None and ("anybody" in allowed or role.value in allowed))
        if (operation.method, operation.path) == ("delete", "/api/v1/session") or operation.path.endswith("/oidc"):
            continue
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE) if mine else (GenerationMode.POSITIVE,):
            _look(house, role, operation, mode, known, EXAMPLES if mine else 1)


def _look(
    house: City, role: Role | None, operation: Any, mode: GenerationMode, known: list[str], examples: int
) -> None:
    with house.client(role) as client:

        @settings(
            max_examples=examples,
            deadline=None,
            database=None,
            derandomize=examples < 10,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def sends(case: Any) -> None:
            if case.path.startswith(REQUESTS) and case.path_parameters and hash(str(case.body)) % 2:
                case.path_parameters["request_id"] = known[hash(str(case.body)) % len(known)]
            answer = case.call(base_url=house.address, headers=dict(client.headers), cookies=dict(client.cookies))
            case.validate_response(answer, checks=CHECKS)

        try:
            sends()
        except Exception as error:
            if "Unsatisfiable" in type(error).__name__ or "cannot be negated" in str(error):
                return
            raise


def test_it_looked_at_everything(house: City) -> None:
    assert len(_operations(house)) > 40


def test_files_stay_where_they_are(house: City, tmp_path: Path) -> None:
    """Nothing that is sent names a path."""
    with house.client(Role.OFFICER) as officer:
        for place in ("..%2f..%2fkeys", "%2e%2e", "20260101-0000000g", "....//", "%00"):
            for path in (f"{REQUESTS}/{place}", f"{REQUESTS}/{place}/videos/video-1.mp4", f"{REQUESTS}/{place}/found"):
                answer = officer.get(path)
                assert answer.status_code in (404, 422), path
