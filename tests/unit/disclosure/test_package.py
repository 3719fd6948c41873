"""A package is whole or `veil verify` names what is not: tampered with in every way."""

import json
import shutil
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from services.disclosure import steps
from services.disclosure.errors import Invalid, Unavailable
from services.disclosure.package import House, letter, pack
from services.disclosure.parts import Part, Stretch, sha256_of
from services.disclosure.render import Lack, Rendered
from services.disclosure.request import Request
from services.disclosure.states import State
from services.disclosure.verify import PackageError, verify
from services.signing import SigningError, SigningKeys, canonical, fingerprint, public_pem
from tests.support.disclosures import DAY_US, EPOCH, OFFICER, START_US, brought_to

AT_US = START_US + 2 * DAY_US
FILES = ["cover.html", "manifest.json", "manifest.sig", "public-key.pem", "video-1.mp4"]


@pytest.fixture
def keys(tmp_path: Path) -> SigningKeys:
    found = SigningKeys(tmp_path / "keys")
    found.create()
    return found


def made(folder: Path) -> tuple[Request, Rendered]:
    """A request that was rendered, without the trouble of rendering it."""
    folder.mkdir(exist_ok=True)
    (folder / "video-1.mp4").write_bytes(b"a video" * 1000)
    digest = sha256_of(folder / "video-1.mp4")
    part = Part("video-1.mp4", "gate", EPOCH, 320, 192, frames=75, open=70, with_subject=60, duration_ms=3000)
    part.sha256 = digest
    part.closed["It is not certain that everything in this frame was found."] = 5
    part.masks["person"] = 75
    part.stretches.append(Stretch(0, 74, EPOCH, EPOCH + 2_960_000, 0))
    lack = Lack(
        "gate", EPOCH + 3_000_000, EPOCH + 9_000_000, "reconnect", "A new epoch begins: <the> camera broke off."
    )
    request = steps.rendered(brought_to(State.APPROVED), OFFICER, AT_US, {"video-1.mp4": digest})
    return request, Rendered([part], [lack])


@pytest.fixture
def package(keys: SigningKeys, tmp_path: Path) -> Path:
    request, rendered = made(tmp_path / "made")
    target = tmp_path / "package.zip"
    house = House("The City of Example", "privacy@example.org")
    assert pack(request, rendered, tmp_path / "made", target, keys.current(), AT_US, house) == sha256_of(target)
    return target


def unpacked(package: Path) -> Path:
    folder = package.with_suffix("")
    with zipfile.ZipFile(package) as archive:
        archive.extractall(folder)
    return folder


def packed(folder: Path) -> Path:
    target = folder.with_name("again.zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, file.relative_to(folder).as_posix())
    return target


def test_a_package_that_nobody_touched_holds_as_a_zip_and_as_a_folder(package: Path, keys: SigningKeys) -> None:
    key = keys.current().public_key()
    for path in (package, unpacked(package), packed(unpacked(package))):
        for given in ({}, {"key": public_pem(key)}, {"expected": fingerprint(key).upper()}):
            verdict = verify(path, **given)
            assert verdict.faults == []
            assert verdict.fingerprint == fingerprint(key)
    with zipfile.ZipFile(package) as archive:
        assert sorted(archive.namelist()) == FILES


def test_it_is_verified_without_the_private_key(package: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "keys")
    assert verify(package).holds


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("as_zip", [True, False])
@pytest.mark.parametrize(
    "tamper",
    [
        _flip,
        Path.unlink,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(file.read_bytes() + b" "),
        lambda file: file.write_bytes(file.read_bytes()[:-1]),
    ],
    ids=["flipped", "removed", "emptied", "longer", "shorter"],
)
def test_a_file_that_was_changed_or_removed_is_named(
    package: Path, name: str, tamper: Callable[[Path], object], as_zip: bool
) -> None:
    folder = unpacked(package)
    tamper(folder / name)

    path = packed(folder) if as_zip else folder
    if name == "manifest.json" and not (folder / name).exists():
        with pytest.raises(PackageError, match=r"manifest\.json"):
            verify(path)
        return
    verdict = verify(path)

    assert not verdict.holds
    # A changed signature or key is told as what it breaks: the manifest's signature.
    named = name if name not in ("manifest.sig", "public-key.pem") else ""
    assert any(fault.startswith(named) for fault in verdict.faults)


@pytest.mark.parametrize("name", ["video-2.mp4", "note.txt", "sub/manifest.json", "Manifest.json"])
def test_a_file_that_was_added_is_named(package: Path, name: str) -> None:
    folder = unpacked(package)
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"more")

    assert verify(folder).faults == [f"{name}: was added; nobody signed it."]
    assert f"{name}: was added; nobody signed it." in verify(packed(folder)).faults


def test_files_that_were_exchanged_are_named(package: Path) -> None:
    folder = unpacked(package)
    (folder / "cover.html").rename(folder / "x")
    (folder / "video-1.mp4").rename(folder / "cover.html")
    (folder / "x").rename(folder / "video-1.mp4")

    assert verify(folder).faults == ["cover.html: was changed.", "video-1.mp4: was changed."]


def test_a_file_that_stands_there_twice_is_named(package: Path) -> None:
    """Programs differ in which of the two they show."""
    with warnings.catch_warnings(), zipfile.ZipFile(package, "a") as archive:
        warnings.simplefilter("ignore")
        archive.writestr("video-1.mp4", b"another video")

    assert "video-1.mp4: stands in the package twice." in verify(package).faults


def test_a_link_in_place_of_a_file_is_named(package: Path, tmp_path: Path) -> None:
    folder = unpacked(package)
    (folder / "video-1.mp4").rename(tmp_path / "elsewhere.mp4")
    (folder / "video-1.mp4").symlink_to(tmp_path / "elsewhere.mp4")

    assert verify(folder).faults == ["video-1.mp4: was changed."]


@pytest.mark.parametrize("way", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("name", ["cover.html", "manifest.json"])
def test_a_zip_whose_packing_is_damaged_is_told_like_any_other_change(package: Path, way: int, name: str) -> None:
    repacked = package.with_name("repacked.zip")
    with zipfile.ZipFile(package) as archive, zipfile.ZipFile(repacked, "w", way) as other:
        for each in archive.namelist():
            other.writestr(each, archive.read(each))
        start, size = other.getinfo(name).header_offset + 30 + len(name), other.getinfo(name).compress_size
    damaged = bytearray(repacked.read_bytes())
    damaged[start : start + size] = b"\xff" * size
    repacked.write_bytes(damaged)
    assert any(fault.startswith(f"{name}: was changed") for fault in verify(repacked).faults)


def test_a_zip_that_unpacks_to_far_more_than_it_says_is_not_unpacked(package: Path) -> None:
    folder = unpacked(package)
    with (folder / "video-1.mp4").open("wb") as file:
        file.truncate(300 << 20)

    assert verify(packed(folder)).faults == ["video-1.mp4: was changed."]


def test_who_signs_a_changed_package_anew_is_found_by_the_key(package: Path, keys: SigningKeys, tmp_path: Path) -> None:
    """All of it holds together, but it is not the house's key."""
    theirs = SigningKeys(tmp_path / "theirs")
    theirs.create()
    folder = unpacked(package)
    (folder / "public-key.pem").write_bytes(public_pem(theirs.current().public_key()))
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_bytes())
    manifest["files"]["public-key.pem"] = {
        "sha256": sha256_of(folder / "public-key.pem"),
        "size": (folder / "public-key.pem").stat().st_size,
    }
    (folder / "manifest.json").write_bytes(canonical(manifest))
    (folder / "manifest.sig").write_bytes(theirs.current().sign(canonical(manifest)))
    key = keys.current().public_key()

    assert verify(folder).fingerprint == fingerprint(theirs.current().public_key())
    assert any("manifest.json" in fault for fault in verify(folder, public_pem(key)).faults)
    assert any("public-key.pem" in fault for fault in verify(folder, public_pem(key)).faults)
    assert any("expected" in fault for fault in verify(folder, expected=fingerprint(key)).faults)


@pytest.mark.parametrize(
    "manifest",
    [b"{}", b"[]", b"no json", b'{"format":"veil disclosure 1","files":{"a":1}}', b'{"format": 1.5}', b"[" * 100_000],
)
def test_a_manifest_of_another_form_is_refused_even_if_signed(
    package: Path, keys: SigningKeys, manifest: bytes
) -> None:
    folder = unpacked(package)
    (folder / "manifest.json").write_bytes(manifest)
    (folder / "manifest.sig").write_bytes(keys.current().sign(manifest))

    assert not verify(folder).holds


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken", b"something else"])
def test_what_is_no_package_is_told_in_one_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    for path in (tmp_path / "x.zip", tmp_path / "absent.zip", tmp_path):
        with pytest.raises(PackageError, match=str(path)):
            verify(path)


@pytest.mark.parametrize("given", [b"", b"no key", b"-----BEGIN PUBLIC KEY-----\nxx\n-----END PUBLIC KEY-----\n"])
def test_a_given_key_that_is_none_is_told(package: Path, given: bytes) -> None:
    assert not verify(package, given).holds


def test_the_cover_sheet_tells_what_why_and_how_to_check_it(package: Path) -> None:
    page = (unpacked(package) / "cover.html").read_text()

    for text in (
        "J. Park, born 1980",
        "GDPR, article 15",
        "GDPR, article 12(3)",
        "video-1.mp4",
        "5 of 75",
        "It is not certain that everything in this frame was found.",
        "A new epoch begins: &lt;the&gt; camera broke off.",
        "The City of Example",
    ):
        assert text in page
    assert "kim" not in page
    assert "src=" not in page
    assert "http" not in page.replace('http-equiv="Content-Security-Policy"', "")


@pytest.mark.parametrize("state", [State.REFUSED, State.POSTPONED])
def test_a_refusal_and_a_postponement_are_letters_with_their_reason(state: State) -> None:
    page = letter(brought_to(state), House("The City of Example"))

    assert "asked at the counter" in page
    assert ("refused" in page) == (state is State.REFUSED)
    assert ("2026-11-01" in page) == (state is State.POSTPONED)
    assert "kim" not in page
    with pytest.raises(Invalid):
        letter(brought_to(State.FILED), House())


def test_the_manifest_names_nobody(package: Path) -> None:
    raw = (unpacked(package) / "manifest.json").read_text()
    assert not any(name in raw for name in ("Park", "kim", "lee"))
    assert json.loads(raw)["videos"][0]["frames_with_subject"] == 60


def test_only_what_was_rendered_is_packed(keys: SigningKeys, tmp_path: Path) -> None:
    request, rendered = made(tmp_path / "made")
    (tmp_path / "made" / "video-1.mp4").write_bytes(b"another")

    with pytest.raises(Invalid, match=r"video-1\.mp4"):
        pack(request, rendered, tmp_path / "made", tmp_path / "p.zip", keys.current(), AT_US, House())
    assert not (tmp_path / "p.zip").exists()
    request, rendered = made(tmp_path / "made")
    with pytest.raises(Unavailable):
        pack(request, rendered, tmp_path / "made", tmp_path / "no" / "p.zip", keys.current(), AT_US, House())


def test_keys_are_their_owners_only(keys: SigningKeys) -> None:
    (private,) = keys.folder.glob("*.signing.pem")
    assert private.stat().st_mode & 0o077 == 0
    private.chmod(0o644)
    with pytest.raises(SigningError, match="0644"):
        keys.current()
    with pytest.raises(SigningError, match="keys create"):
        SigningKeys(keys.folder / "nothing").current()


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": [True, None, "ü\n€"]}, '{"a":[true,null,"ü\\n€"],"b":1}'),
        ({"\ue000": 1, "\U0001f600": 2}, '{"\U0001f600":2,"\ue000":1}'),
        ({"\x7f": "\x1f/"}, '{"\x7f":"\\u001f/"}'),
    ],
)
def test_canonical_json_is_written_one_way(value: Any, written: str) -> None:
    """Keys in order of UTF-16 units, as in RFC 8785, 3.2.3."""
    assert canonical(value).decode() == written


@pytest.mark.parametrize("value", [1.5, 1 << 53, {"a": {"b": 0.1}}, b"bytes"])
def test_canonical_json_refuses_what_has_several_ways(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|round"):
        canonical(value)
