"""The API of disclosures and the console as processes of their own, over HTTP or TLS, on the folder of one house."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx

from deploy.stack.ports import free_ports
from deploy.stack.services import ServiceProcess
from services.accounts.accounts import Accounts
from services.accounts.model import Role
from services.accounts.web import CSRF_HEADER
from services.signing import SigningKeys
from tests.support.accounts import NAMES, PASSWORD, cheap, settings_in, staffed
from tests.support.keys import add_key

_FIRST_PORT = 24_000
_SESSION = "/api/v1/session"


def make_house(folder: Path) -> None:
    """Keys, a place for policies, and an account of each role."""
    (folder / "policies").mkdir()
    (folder / "sealing").mkdir(mode=0o700)
    add_key(folder / "sealing", "a")
    SigningKeys(folder / "signing").create()
    accounts = Accounts(settings_in(folder), None, passwords=cheap())
    staffed(accounts)
    accounts.close()


def house_env(folder: Path) -> dict[str, str]:
    """Where everything of the house is, for its processes and commands."""
    return {
        "VEIL_ACCOUNTS_DATABASE": f"sqlite:///{folder}/accounts.db",
        "VEIL_AUDIT_DATABASE": f"sqlite:///{folder}/audit.db",
        "VEIL_DISCLOSURE_FOLDER": str(folder / "disclosure"),
        "VEIL_DISCLOSURE_KEYS": str(folder / "signing"),
        "VEIL_DISCLOSURE_POLICIES": str(folder / "policies"),
        "VEIL_KEYS_FOLDER": str(folder / "sealing"),
        "VEIL_VAULT_STORE": str(folder / "originals"),
        "VEIL_VAULT_WRITER": "disclosure",
    }


class Api(ServiceProcess):
    """The process of the API, or of the console.

    Args:
        folder: of a house.
        env: variables beside those of the house.
        service: disclosure or console.
    """

    def __init__(self, folder: Path, env: Mapping[str, str] | None = None, service: str = "disclosure") -> None:
        ports = free_ports(_FIRST_PORT)
        health, self.api_port = next(ports), next(ports)
        prefix = "VEIL_CONSOLE_" if service == "console" else "VEIL_API_"
        given = {**house_env(folder), f"{prefix}PORT": str(self.api_port), **(env or {})}
        super().__init__(service, 1, health, folder, given)

    def answers(self, context: ssl.SSLContext | None = None) -> bool:
        """Whether it takes requests."""
        try:
            with client_of(self, context) as client:
                return client.get(_SESSION).status_code in (200, 401)
        except httpx.TransportError:
            return False

    def wait_answers(self, context: ssl.SSLContext | None = None, timeout_s: float = 120) -> None:
        """Returns once it takes requests. Raises StartError."""
        self.wait_until(lambda: self.answers(context), timeout_s)

    @property
    def said(self) -> str:
        """Its log."""
        return self.log.read_text()


def client_of(api: Api, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> httpx.Client:
    """A client without a session, which believes whom the context believes."""
    scheme = "http" if context is None else "https"
    address = f"{scheme}://{host}:{api.api_port}"
    return httpx.Client(base_url=address, verify=context or False, timeout=30, trust_env=False)


@contextmanager
def logged_in(api: Api, role: Role, context: ssl.SSLContext | None = None) -> Iterator[httpx.Client]:
    """A client with the session of the account of a role, by its password."""
    with client_of(api, context) as client:
        answer = client.post(_SESSION, json={"name": NAMES[role], "password": PASSWORD})
        assert answer.status_code == 200, answer.text
        client.headers[CSRF_HEADER] = answer.json()["csrf"]
        yield client
