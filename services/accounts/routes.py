"""Routes of accounts: log in and out, one's own password and tokens, single sign-on, and what admins do."""

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from services.accounts.errors import Refused, Unknown
from services.accounts.model import NAMES_MAX, Account, Role
from services.accounts.secrets import csrf_of
from services.accounts.sessions import Token
from services.accounts.web import (
    COOKIE,
    By,
    Caller,
    Gate,
    Who,
    address_of,
    allows,
    files,
    gate_of,
    public,
    set_cookie,
)

SESSION = "/api/v1/session"
ACCOUNTS = "/api/v1/accounts"

_SSO_COOKIE = "veil_sso"
_SSO_S = 600
# Not a redirect: the browser would leave the new cookie out, as it comes from the provider's page.
_WELCOME = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Veil</title>
<meta http-equiv="refresh" content="0; url=/"></head><body><a href="/">Go on</a></body></html>"""

_Name = Annotated[str, Field(min_length=1, max_length=100, examples=["kim"])]
_Password = Annotated[str, Field(min_length=1, max_length=256, examples=["seven quiet herons at dusk"])]
_Place = Annotated[str, Field(min_length=1, max_length=64)]
_Places = Annotated[list[_Place], Field(max_length=NAMES_MAX)]
_Roles = Annotated[list[Role], Field(max_length=len(Role), examples=[["officer"]])]
_Person = Annotated[str, Field(max_length=200, examples=["kim.minsu@city.example"])]
_NamePath = Annotated[str, Path(min_length=1, max_length=100, examples=["kim"])]


class _In(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class LoginIn(_In):
    """Name and password."""

    name: _Name
    password: _Password


class PasswordIn(_In):
    """A new password, for who knows the old one."""

    old: _Password
    new: _Password


class NewPasswordIn(_In):
    """A new password that an admin gives."""

    password: _Password


class TokenIn(_In):
    """A token for a script."""

    label: str = Field(min_length=1, max_length=100, description="What it is for.", examples=["nightly export"])
    roles: _Roles = Field(min_length=1, description="Of the account's own.")
    days: int = Field(30, ge=1, le=3660, description="How long it lasts.")


class AccountIn(_In):
    """A new account."""

    name: _Name
    password: _Password
    roles: _Roles
    person: _Person = Field("", description="Whose it is; accounts of one person count as one.")
    sites: _Places = Field([], description="Sites it may see; * is every camera.")
    cameras: _Places = Field([], description="Cameras it may see; the last character may be *.")


class ChangeIn(_In):
    """What is to become another; what is left out stays."""

    version: int = Field(ge=0, le=1 << 53, description="Of the account as it was looked at.")
    roles: _Roles | None = None
    person: _Person | None = None
    sites: _Places | None = None
    cameras: _Places | None = None


class AccountOut(BaseModel):
    """An account."""

    name: str
    person: str = Field(description="Whose it is; accounts of one person count as one where two people are asked for.")
    roles: list[Role]
    sites: list[str]
    cameras: list[str]
    locked: bool
    single_sign_on: bool
    version: int

    @classmethod
    def of(cls, account: Account) -> "AccountOut":
        """As it is shown."""
        return cls(
            name=account.name,
            person=account.person,
            roles=sorted(account.roles),
            sites=list(account.sites),
            cameras=list(account.cameras),
            locked=account.locked,
            single_sign_on=account.single_sign_on,
            version=account.version,
        )


class MeOut(BaseModel):
    """Who is logged in."""

    account: AccountOut
    csrf: str = Field(
        description="To be sent in the header X-Veil-CSRF with whatever changes anything; empty for tokens."
    )
    idle_minutes: int = Field(description="The session ends after so long without a request.")


class WaysOut(BaseModel):
    """How one can log in."""

    password: bool = True
    single_sign_on: bool


class TokenOut(BaseModel):
    """What is known of a token."""

    id: str
    label: str
    roles: list[Role]
    made_us: int = Field(description="Microseconds since 1970.")
    ends_us: int

    @classmethod
    def of(cls, token: Token) -> "TokenOut":
        """As it is shown."""
        return cls(
            id=token.id, label=token.label, roles=sorted(token.roles), made_us=token.made_us, ends_us=token.ends_us
        )


class NewTokenOut(TokenOut):
    """A token, shown once."""

    token: str = Field(description="Sent as `Authorization: Bearer …`; it is never shown again.")


def account_routes() -> APIRouter:
    """All routes of accounts, below /api/v1."""
    router = APIRouter()
    router.include_router(_session())
    router.include_router(_own())
    router.include_router(_admin())
    return router


def _session() -> APIRouter:
    router = APIRouter(prefix=SESSION, tags=["session"])

    @router.post("", **public({401: "Name and password don't go together."}))
    def log_in(given: LoginIn, request: Request, response: Response) -> MeOut:
        """Begins a session; the cookie `veil_session` is its key."""
        gate = gate_of(request)
        account, token = gate.accounts.log_in(given.name, given.password, address_of(request))
        gate.accounts.sessions.end(request.cookies.get(COOKIE, ""))
        set_cookie(response, gate, token)
        return _me(gate, Caller(account, "session", token))

    @router.get("", **allows())
    def me(by: By, request: Request) -> MeOut:
        """Says who is logged in, and what they may do."""
        return _me(gate_of(request), by)

    @router.delete("", status_code=204, **allows(session=True))
    def log_out(by: By, request: Request, response: Response) -> None:
        """Ends the session."""
        gate_of(request).accounts.log_out(by.account, by.secret)
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict", secure=gate_of(request).secure)
        response.headers["Clear-Site-Data"] = '"cache", "storage"'

    @router.get("/ways", **public())
    def ways(request: Request) -> WaysOut:
        """Says how one can log in here."""
        return WaysOut(single_sign_on=gate_of(request).provider is not None)

    @router.get(
        "/oidc",
        **files(public({404: "There is no single sign-on here."}), "", "To the identity provider.", 303),
    )
    def begin_single_sign_on(request: Request) -> RedirectResponse:
        """Sends the browser to the identity provider."""
        gate = gate_of(request)
        if gate.provider is None:
            raise Unknown("There is no single sign-on here.")
        start = gate.provider.begin()
        answer = RedirectResponse(start.address, 303)
        # Lax: it has to come along when the provider sends the browser back.
        answer.set_cookie(
            _SSO_COOKIE,
            start.browser,
            max_age=_SSO_S,
            path=f"{SESSION}/oidc",
            secure=gate.secure,
            httponly=True,
            samesite="lax",
        )
        return answer

    @router.get(
        "/oidc/callback",
        **files(
            public(
                {
                    401: "The provider's answer does not hold.",
                    404: "There is no single sign-on here.",
                    409: "A local account has that name.",
                }
            ),
            "text/html",
            "A page that goes on by itself; the session has begun.",
        ),
    )
    def end_single_sign_on(
        request: Request,
        code: Annotated[str, Query(max_length=4096)] = "",
        state: Annotated[str, Query(max_length=200)] = "",
        iss: Annotated[str, Query(max_length=1000)] = "",
    ) -> HTMLResponse:
        """Where the identity provider sends the browser back to; begins a session."""
        gate = gate_of(request)
        if gate.provider is None:
            raise Unknown("There is no single sign-on here.")
        if not code or not state:
            raise Refused("The identity provider did not let you in.")
        shown = gate.provider.finish(code, state, request.cookies.get(_SSO_COOKIE, ""), iss)
        settings = gate.accounts.settings
        _, token = gate.accounts.welcome(
            shown.subject,
            shown.name,
            shown.person,
            settings.roles_of(shown.groups),
            settings.cameras_of(shown.groups),
            address_of(request),
        )
        answer = HTMLResponse(_WELCOME)
        answer.delete_cookie(_SSO_COOKIE, path=f"{SESSION}/oidc", secure=gate.secure, httponly=True, samesite="lax")
        set_cookie(answer, gate, token)
        return answer

    return router


def _own() -> APIRouter:
    router = APIRouter(prefix=SESSION, tags=["session"])

    @router.put("/password", **allows(session=True))
    def change_password(given: PasswordIn, by: By, request: Request, response: Response) -> MeOut:
        """Changes one's own password. Every other session, and all tokens, end."""
        gate = gate_of(request)
        changed, token = gate.accounts.change_own_password(by.account, given.old, given.new, address_of(request))
        set_cookie(response, gate, token)
        return _me(gate, Caller(changed, "session", token))

    @router.get("/tokens", **allows())
    def list_tokens(who: Who, request: Request) -> list[TokenOut]:
        """Lists one's own tokens."""
        return _tokens(gate_of(request).accounts.tokens.list(who))

    @router.post("/tokens", status_code=201, **allows(session=True, answers={409: "There are too many."}))
    def make_token(given: TokenIn, who: Who, request: Request) -> NewTokenOut:
        """Makes a token for a script, with some of one's own roles."""
        token, secret = gate_of(request).accounts.make_token(who.who, who, given.label, given.roles, given.days)
        return NewTokenOut(**TokenOut.of(token).model_dump(), token=secret)

    @router.delete(
        "/tokens/{token_id}", status_code=204, **allows(session=True, answers={404: "There is no such token."})
    )
    def revoke_token(token_id: Annotated[str, Path(min_length=1, max_length=40)], who: Who, request: Request) -> None:
        """Ends one of one's own tokens."""
        gate_of(request).accounts.revoke_token(who.who, who, token_id)

    return router


def _admin() -> APIRouter:
    router = APIRouter(prefix=ACCOUNTS, tags=["accounts"])
    missing: dict[str, Any] = allows(Role.ADMIN, answers={404: "There is no such account."})
    changes: dict[str, Any] = allows(
        Role.ADMIN, answers={404: "There is no such account.", 409: "It was changed meanwhile, or is the last admin."}
    )

    @router.get("", **allows(Role.ADMIN))
    def list_accounts(request: Request) -> list[AccountOut]:
        """Lists all accounts."""
        return [AccountOut.of(account) for account in gate_of(request).accounts.book.list()]

    @router.post("", status_code=201, **allows(Role.ADMIN, answers={409: "There is one of that name."}))
    def add_account(given: AccountIn, who: Who, request: Request) -> AccountOut:
        """Makes an account."""
        return AccountOut.of(
            gate_of(request).accounts.add(
                who.who,
                given.name,
                given.password,
                given.roles,
                person=given.person,
                sites=given.sites,
                cameras=given.cameras,
            )
        )

    @router.get("/{name}", **missing)
    def show_account(name: _NamePath, request: Request) -> AccountOut:
        """Shows an account."""
        return AccountOut.of(gate_of(request).accounts.book.get(name))

    @router.patch("/{name}", **changes)
    def change_account(name: _NamePath, given: ChangeIn, who: Who, request: Request) -> AccountOut:
        """Changes what an account may do or see; its sessions end."""
        fields = given.model_dump(exclude_none=True)
        return AccountOut.of(gate_of(request).accounts.change(who.who, name, **fields))

    @router.put("/{name}/password", **changes)
    def set_password(name: _NamePath, given: NewPasswordIn, who: Who, request: Request) -> AccountOut:
        """Gives an account a new password; its sessions and tokens end."""
        return AccountOut.of(gate_of(request).accounts.set_password(who.who, name, given.password))

    @router.put("/{name}/lock", **changes)
    def lock_account(name: _NamePath, who: Who, request: Request) -> AccountOut:
        """Keeps an account out; its sessions and tokens end."""
        return AccountOut.of(gate_of(request).accounts.lock(who.who, name))

    @router.delete("/{name}/lock", **changes)
    def unlock_account(name: _NamePath, who: Who, request: Request) -> AccountOut:
        """Lets an account in again, and forgets its wrong passwords."""
        return AccountOut.of(gate_of(request).accounts.unlock(who.who, name))

    return router


def _me(gate: Gate, caller: Caller) -> MeOut:
    return MeOut(
        account=AccountOut.of(caller.account),
        csrf=csrf_of(caller.secret) if caller.by == "session" else "",
        idle_minutes=gate.accounts.settings.idle_minutes,
    )


def _tokens(tokens: Sequence[Token]) -> list[TokenOut]:
    return [TokenOut.of(token) for token in tokens]
