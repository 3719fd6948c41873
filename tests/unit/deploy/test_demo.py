"""What `make demo` offers: a site whose policies can be changed on the page, and an account that may."""

from contextlib import closing
from pathlib import Path

import pytest

from deploy import demo
from services.accounts.accounts import Accounts
from services.accounts.model import Role
from services.accounts.settings import AccountSettings
from services.policy.site import load_site


def test_the_editor_of_the_demo_can_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "OUT", tmp_path)
    monkeypatch.setattr("sys.stdin.isatty", lambda: False, raising=False)
    database = f"sqlite:///{tmp_path / 'accounts.db'}"
    with closing(Accounts(AccountSettings(database=database))) as accounts:
        # As a demo of before left it.
        accounts.add("make demo", demo.ACCOUNT, "correct horse battery", ["viewer"], sites=["*"])
    for _ in range(2):
        demo.offer_console(tmp_path / "video.mp4")
    site = load_site(tmp_path / "site.yaml")
    assert site.sources
    assert all(source.changes is not None for source in site.sources.values())
    with closing(Accounts(AccountSettings(database=database))) as accounts:
        account = accounts.book.find(demo.ACCOUNT)
        assert account is not None
        assert account.may(Role.ADMIN)
        assert account.may(Role.VIEWER)
    assert f"Log in as {demo.ACCOUNT}" in capsys.readouterr().out
