"""TLS as browsers and the console see it: the real processes, a certificate, and clients who check it."""

import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from deploy.stack.certificates import make_certificates
from deploy.stack.process import StartError
from services.accounts.model import Role
from tests.support.api import FILED, REQUESTS
from tests.support.processes import Api, client_of, logged_in, make_house

_NO_BROKER = {"VEIL_KAFKA_BOOTSTRAP": "127.0.0.1:9"}


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A house with a certificate for this machine, and the authority of somebody else."""
    folder = tmp_path_factory.mktemp("house")
    make_house(folder)
    make_certificates(folder / "tls", "server")
    make_certificates(folder / "elsewhere", "server")
    return folder


def believing(house: Path, authority: str = "tls") -> ssl.SSLContext:
    return ssl.create_default_context(cafile=house / authority / "ca.pem")


def secure(house: Path, prefix: str) -> dict[str, str]:
    pem = str(house / "tls" / "server.pem")
    return {f"{prefix}CERTIFICATE": pem, f"{prefix}CERTIFICATE_KEY": pem}


@pytest.fixture(scope="module")
def disclosure(house: Path) -> Iterator[Api]:
    """The API, whose only way in is TLS."""
    api = Api(house, secure(house, "VEIL_API_"))
    try:
        api.start()
        api.wait_answers(believing(house))
        yield api
    finally:
        api.kill()


def consoles(house: Path, disclosure: Api, authority: str) -> Api:
    """A console that passes requests on to disclosure, which it knows by an authority."""
    env = {
        **_NO_BROKER,
        **secure(house, "VEIL_CONSOLE_"),
        "VEIL_CONSOLE_DISCLOSURE_URL": f"https://127.0.0.1:{disclosure.api_port}",
        "VEIL_CONSOLE_DISCLOSURE_CA_FILE": str(house / authority / "ca.pem"),
        "VEIL_INSIGHT_DATABASE": f"sqlite:///{house}/insight.db",
    }
    return Api(house, env, "console")


@pytest.fixture(scope="module")
def console(house: Path, disclosure: Api) -> Iterator[Api]:
    api = consoles(house, disclosure, "tls")
    try:
        api.start()
        api.wait_answers(believing(house))
        yield api
    finally:
        api.kill()


@pytest.fixture(params=["disclosure", "console"])
def server(request: pytest.FixtureRequest) -> Api:
    made: Api = request.getfixturevalue(request.param)
    return made


def test_who_knows_the_authority_works_over_tls(server: Api, house: Path) -> None:
    with logged_in(server, Role.OFFICER, believing(house)) as officer:
        (cookie,) = officer.cookies.jar
        assert cookie.secure, "the session is never sent without TLS"
        filed = officer.post(REQUESTS, json=FILED)
        assert filed.status_code == 201, filed.text
        listed = officer.get(REQUESTS)
        assert filed.json()["id"] in listed.text


def test_who_knows_another_authority_refuses_the_server(server: Api, house: Path) -> None:
    for context in (believing(house, "elsewhere"), ssl.create_default_context()):
        with (
            client_of(server, context) as client,
            pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            client.get("/api/v1/session")


def test_a_certificate_for_another_name_is_refused(server: Api, house: Path) -> None:
    with client_of(server, believing(house)) as client, pytest.raises(httpx.ConnectError, match="ismatch"):
        client.get("/api/v1/session", extensions={"sni_hostname": "another.example"})


def test_nothing_is_said_without_tls_or_by_an_old_one(server: Api, house: Path) -> None:
    with client_of(server) as plain, pytest.raises(httpx.TransportError):
        plain.get("/api/v1/session")
    old = believing(house)
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with client_of(server, old) as client, pytest.raises(httpx.ConnectError):
        client.get("/api/v1/session")


def test_the_console_passes_nothing_on_to_whom_it_does_not_know(disclosure: Api, house: Path) -> None:
    api = consoles(house, disclosure, "elsewhere")
    try:
        api.start()
        api.wait_answers(believing(house))
        with logged_in(api, Role.OFFICER, believing(house)) as officer:
            answer = officer.get(REQUESTS)
        assert answer.status_code == 503
        assert "disclosure can't be reached" in answer.text
    finally:
        api.kill()


def test_a_faulty_certificate_keeps_the_api_from_starting(house: Path) -> None:
    pem = house / "no-certificate.pem"
    pem.write_text("nothing of the kind\n")
    api = Api(house, {"VEIL_API_CERTIFICATE": str(pem), "VEIL_API_CERTIFICATE_KEY": str(pem)})
    api.log = house / "faulty.log"
    try:
        api.start()
        with pytest.raises(StartError, match="ended at its start"):
            api.wait_answers(believing(house))
    finally:
        api.kill()
    assert "can't start: the certificate can't be used" in api.said
