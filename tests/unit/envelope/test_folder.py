"""The folder of key-encryption keys: which files count, and what is refused."""

import base64
import os
from pathlib import Path

import pytest

from services.envelope import KeyFolder, SealError
from tests.support.keys import add_key

_KEY, _AAD = bytes(range(32)), b"place"


@pytest.fixture
def keys(tmp_path: Path) -> KeyFolder:
    add_key(tmp_path, "2024")
    return KeyFolder(tmp_path)


def test_the_newest_name_is_current_and_other_files_do_not_count(keys: KeyFolder) -> None:
    add_key(keys.path, "2023")
    for other in ("2025.txt", ".2025.key", "2025 x.key", ".2025"):
        (keys.path / other).write_bytes(b"")
    assert keys.names() == ["2023", "2024"]
    assert keys.current() == "2024"


def test_wrapped_keys_open_under_their_key_and_context_only(keys: KeyFolder) -> None:
    add_key(keys.path, "2025")
    wrapped = keys.wrap("2024", _KEY, _AAD)
    assert _KEY not in wrapped
    assert wrapped != keys.wrap("2024", _KEY, _AAD)
    assert keys.unwrap("2024", wrapped, _AAD) == _KEY
    for name, data, aad in (("2025", wrapped, _AAD), ("2024", wrapped[:-1], _AAD), ("2024", wrapped, b"elsewhere")):
        with pytest.raises(SealError, match="changed on its way"):
            keys.unwrap(name, data, aad)
    for data in (b"", b"x", bytes(27), bytes(60)):
        with pytest.raises(SealError):
            keys.unwrap("2024", data, _AAD)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o610])
def test_a_key_that_others_may_touch_is_not_used(keys: KeyFolder, mode: int) -> None:
    keys.file("2024").chmod(mode)
    with pytest.raises(SealError, match="chmod 600"):
        keys.wrap("2024", _KEY, _AAD)


@pytest.mark.parametrize(("mode", "taken"), [(0o440, True), (0o400, True), (0o460, False), (0o444, False)])
def test_a_key_that_kubernetes_mounts_may_be_read_by_the_group_of_the_pod(
    keys: KeyFolder, mode: int, *, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its owner is root, and the process is not: the group is all that it can read the key by."""
    keys.file("2024").chmod(mode)
    true = os.fstat
    monkeypatch.setattr(os, "fstat", lambda opened: os.stat_result((*true(opened)[:4], 0, *true(opened)[5:])))
    monkeypatch.setattr(os, "geteuid", lambda: 10001)
    if taken:
        keys.wrap("2024", _KEY, _AAD)
    else:
        with pytest.raises(SealError, match="chmod 600"):
            keys.wrap("2024", _KEY, _AAD)


@pytest.mark.parametrize(
    "content", [b"", b"hello", base64.b64encode(bytes(31)), base64.b64encode(bytes(33)), os.urandom(32)]
)
def test_a_file_that_is_no_key_is_refused_without_being_shown(keys: KeyFolder, content: bytes) -> None:
    keys.file("2024").write_bytes(content)
    with pytest.raises(SealError, match="not a key") as caught:
        keys.wrap("2024", _KEY, _AAD)
    assert not content or repr(content)[2:-1] not in str(caught.value)


@pytest.mark.parametrize("name", ["", ".", "../2024", "a/b", "2024\n", "x" * 65, "PIXELS\xfe"])
def test_what_is_no_name_reaches_no_file_and_no_text(keys: KeyFolder, name: str) -> None:
    with pytest.raises(SealError, match="no name of a key"):
        keys.unwrap(name, bytes(60), _AAD)


def test_without_folder_or_key_there_is_no_current_one(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="veil keys create"):
        KeyFolder(tmp_path).current()
    with pytest.raises(SealError, match="can't be read"):
        KeyFolder(tmp_path / "none").current()


def test_a_made_key_is_whole_and_current_at_once(keys: KeyFolder) -> None:
    keys.file("2024").rename(keys.file("2000"))
    name = keys.create()
    assert keys.current() == name
    assert keys.unwrap(name, keys.wrap(name, _KEY, _AAD), _AAD) == _KEY
    assert not [entry for entry in keys.path.iterdir() if entry.suffix != ".key"]


def test_i8_a_destroyed_key_is_overwritten_before_it_goes(keys: KeyFolder, tmp_path: Path) -> None:
    keys.file("2024").rename(keys.file("2000"))
    keys.create()
    other_name = tmp_path / "hard link"
    other_name.hardlink_to(keys.file("2000"))
    secret = other_name.read_bytes()
    keys.destroy("2000")
    assert "2000" not in keys.names()
    assert other_name.stat().st_size == len(secret)
    assert other_name.read_bytes() != secret
