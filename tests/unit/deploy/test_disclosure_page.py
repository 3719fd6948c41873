"""docs/disclosure.md: its commands still work, in the order in which they stand there."""

import re
import shlex
from pathlib import Path

import cv2
import pytest
from typer.testing import CliRunner

pytest.importorskip("sqlalchemy")

from deploy.disclosure_page import PAGE, PICTURES
from services.cli import app
from services.cli.disclose import office
from services.disclosure import opening
from services.schema import pb
from tests.support.disclosures import EPOCH
from tests.support.own_footage import SEES, Box, Footage, film, me_at, pieces, segment, truth

_TIMES = {"--from": "2026-09-21T14:13:20Z", "--to": "2026-09-21T14:14:00Z"}
_BLOCK = re.compile(r"^\$ (veil .*)\n((?:(?!\$ |```).*\n)*)", re.MULTILINE)
_CHANGED = {"--frames": "0-4", "--video": f"gate/{EPOCH}"}


def commands() -> list[tuple[list[str], str]]:
    """Every command of the page behind `veil`, with what it said."""
    return [(shlex.split(match[1])[1:], match[2]) for match in _BLOCK.finditer(PAGE.read_text(encoding="utf-8"))]


def face_at(seq: int) -> Box:
    x1, y1, _, _ = me_at(seq)
    return x1 + 12, y1 + 4, x1 + 32, y1 + 28


def spans() -> list[pb.RedactionSpan]:
    found = truth(50)
    for one in found:
        one.tracks.append(segment(7, face_at(one.first_seq), face_at(one.last_seq), kind=pb.KIND_FACE))
    return found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("folder", "keys", "policies"):
        monkeypatch.setenv(f"VEIL_DISCLOSURE_{name.upper()}", name if name != "keys" else "signing")
    monkeypatch.setenv("VEIL_DISCLOSURE_WORKERS", "1")
    footage = Footage({"gate": list(pieces(film(tmp_path / "film.mp4", 50), spans()))})
    monkeypatch.setattr(office, "vault", lambda: footage)
    monkeypatch.setattr(opening, "policies_in", lambda _: {SEES.fingerprint: SEES})
    return tmp_path


def test_the_commands_of_the_page_work_in_their_order(folder: Path) -> None:
    """On a film of the tests' own: ids, times and numbers of tracks are put in place of the page's."""
    request = ""
    for words, said in commands():
        if words[0] not in ("disclose", "verify"):
            assert CliRunner().invoke(app, [*words[: 1 + (words[0] in ("keys", "vault"))], "--help"]).exit_code == 0
            continue
        refused = any(line.startswith("error:") for line in said.splitlines())
        if words[0] == "verify" and refused:
            package = folder / words[1]
            content = package.read_bytes()
            package.write_bytes(content[: len(content) // 2] + b"?" + content[len(content) // 2 + 1 :])
        done = CliRunner().invoke(app, adapted(words, request))
        assert (done.exit_code != 0) == refused, (words, said, done.output)
        if words[1] == "file":
            request = done.output.split()[1]
    assert request


def adapted(words: list[str], request: str) -> list[str]:
    """A command of the page, for this request and film."""
    given = [request if re.fullmatch(r"\d{8}-[0-9a-f]{8}", word) else word for word in words]
    for option, value in (_TIMES if words[1] == "file" else _CHANGED).items():
        if option in given:
            given[given.index(option) + 1] = value
    if words[1] in ("choose", "suggest"):
        options = next(index for index, word in enumerate(given) if word.startswith("--"))
        given[3:options] = ["1", "3"] if words[1] == "choose" else ["1"]
    return given


def test_every_step_is_on_the_page_and_nothing_of_the_machine_that_made_it() -> None:
    text = PAGE.read_text(encoding="utf-8")
    done = [words[1] for words, _ in commands() if words[0] == "disclose"]
    steps = "file find suggest choose submit approve render look correct review package hand-over download show"
    assert list(dict.fromkeys(step for step in done if step != "keys")) == steps.split()
    assert "/tmp/" not in text
    assert "/home/" not in text
    assert "every file is as it was signed" in text
    assert "somebody else has to approve it" in text


@pytest.mark.parametrize("name", PICTURES)
def test_its_pictures_are_small_and_there(name: str) -> None:
    path = PICTURES[name]
    assert f"]({path.name})" in PAGE.read_text(encoding="utf-8")
    assert path.stat().st_size < 100_000
    picture = cv2.imread(str(path))
    assert picture is not None
    assert picture.shape[1] <= 640
