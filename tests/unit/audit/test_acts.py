"""The table of privileged acts: what the page says is what the code knows."""

import re
from pathlib import Path

from services.audit.acts import ACTS, needs_purpose
from services.disclosure.states import Action

_ROW = re.compile(r"^\| `([a-z_.]+)` \| (.+) \| ([a-z, ]+) \| (yes|no) \|$", re.MULTILINE)
_CODE = re.compile(r'"((?:vault|disclosure|policy|key|audit|compliance|leak|live|login|session|account)\.[a-z_]+)"')
ROOT = Path(__file__).parents[3]


def test_the_page_lists_what_the_code_knows() -> None:
    page = (ROOT / "services/audit/README.md").read_text()
    rows = {action: (says, where, purpose == "yes") for action, says, where, purpose in _ROW.findall(page)}
    assert rows == {action: (act.says, act.where, act.purpose) for action, act in ACTS.items()}


def test_every_step_of_a_request_is_in_it() -> None:
    assert {f"disclosure.{action}" for action in Action} == {name for name in ACTS if name.startswith("disclosure.")}


def test_every_action_in_the_code_is_in_it() -> None:
    files = [path for path in (ROOT / "services").rglob("*.py") if path.name != "acts.py"]
    found = {name for path in files for name in _CODE.findall(path.read_text(encoding="utf-8"))}
    files_named = {name for name in found if name.endswith((".json", ".yaml", ".db"))}
    assert found - files_named - set(ACTS) == set()


def test_whatever_opens_something_needs_a_purpose() -> None:
    assert needs_purpose("vault.open")
    assert needs_purpose("something.new")
    assert not needs_purpose("login.failed")
    assert not needs_purpose("account.something_new")
