"""Help by appearance: it tells people by their clothes, never by a face, and leaves nothing of it anywhere."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("sqlalchemy")

from services.disclosure.appearance import COMPARED_MAX, Colours, colours_of, likeness
from services.disclosure.desk import Desk, Office
from services.disclosure.errors import NotAllowed, Unknown
from services.disclosure.package import House
from services.disclosure.store import RequestStore
from services.media.picture import Picture
from services.schema import pb
from services.signing import SigningKeys
from tests.support.disclosures import DAY_US, EPOCH, OFFICER, START_US
from tests.support.own_footage import SEES, Box, Footage, film, pieces, segment, span

FRAMES = 100
SIZE = (320, 192)
RED, BLUE, GREEN = (200, 40, 40), (40, 60, 200), (40, 170, 60)
# Track, first and last frame, where, shirt, trousers: the first comes back as the fourth.
WALKS = (
    (1, 0, 39, 20, RED, BLUE),
    (2, 0, 99, 120, GREEN, GREEN),
    (3, 60, 99, 180, BLUE, RED),
    (4, 60, 99, 240, RED, BLUE),
)


def at(x: int, seq: int) -> Box:
    return float(x + seq % 10), 40.0, float(x + seq % 10 + 48), 168.0


def paint(number: int, width: int, height: int) -> NDArray[np.uint8]:
    picture = np.full((height, width, 3), 120, np.uint8)
    for _, first, last, x, shirt, trousers in WALKS:
        if first <= number <= last:
            x1, y1, x2, y2 = (round(value) for value in at(x, number))
            picture[y1:y2, x1:x2] = (220, 180, 150)
            picture[y1 + 26 : y2, x1:x2] = shirt
            picture[y1 + 66 : y2, x1:x2] = trousers
    return picture


def spans() -> list[pb.RedactionSpan]:
    found = []
    for first in range(0, FRAMES, 5):
        here = [walk for walk in WALKS if walk[1] <= first <= walk[2]]
        found.append(
            span(first, first + 4, [segment(track, at(x, first), at(x, first + 4)) for track, _, _, x, *_ in here])
        )
    return found


@pytest.fixture(scope="module")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[pb.AccessUnit]:
    return film(tmp_path_factory.mktemp("film") / "film.mp4", FRAMES, painter=paint)


@pytest.fixture
def desk(units: list[pb.AccessUnit], tmp_path: Path) -> Desk:
    footage = Footage({"gate": list(pieces(units, spans()))})
    office = Office(tmp_path / "work", SigningKeys(tmp_path / "keys"), {SEES.fingerprint: SEES}, House("The City"))
    return Desk(RequestStore(f"sqlite:///{tmp_path}/requests.db"), footage, office, lambda: START_US + DAY_US)


@pytest.fixture
def request_id(desk: Desk) -> str:
    request = desk.file(
        OFFICER,
        whose="J. Park",
        cameras=["gate"],
        start_us=EPOCH,
        end_us=EPOCH + 60_000_000,
        legal_basis="GDPR, article 15",
    )
    desk.find(request.id, OFFICER)
    return request.id


def test_who_is_dressed_alike_comes_first_and_who_is_there_at_the_same_time_does_not(
    desk: Desk, request_id: str
) -> None:
    tracks = {one.number: one.track for one in desk.found(request_id)}
    (mine,) = [number for number, track in tracks.items() if track == 1]

    suggestions = desk.suggest(request_id, OFFICER, [mine])

    assert [tracks[one.number] for one in suggestions] == [4, 3]
    assert suggestions[0].likeness > 0.9 > suggestions[1].likeness + 0.1


def test_nothing_of_how_anyone_looks_is_left_anywhere(
    desk: Desk, request_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Looks into every file and every table: for the numbers, and for anything that came with the question."""
    caplog.set_level(0)
    seen: list[Colours] = []

    def spied(*args: object, made: Callable[..., Colours | None] = colours_of) -> Colours | None:
        colours = made(*args)
        if colours is not None:
            seen.append(colours)
        return colours

    monkeypatch.setattr("services.disclosure.appearance.colours_of", spied)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    suggestions = desk.suggest(request_id, OFFICER, [1])
    assert len(seen) > 6
    desk.store.close()

    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path for path in after if path not in before} <= {
        tmp_path / "requests.db-wal",
        tmp_path / "requests.db-shm",
    }
    changed = [path for path in after if after[path] != before.get(path)]
    assert all(path.name.startswith("requests.db") for path in changed)
    for colours in seen:
        for content in after.values():
            assert colours.tobytes() not in content
            assert colours.astype(np.float64).tobytes() not in content
    texts = [content.decode("latin-1") for content in after.values()] + [caplog.text]
    for one in suggestions:
        assert not any(f"{one.likeness}" in text for text in texts)
    with sqlite3.connect(tmp_path / "requests.db") as database:
        tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        rows = [str(row) for table in tables for row in database.execute(f"SELECT * FROM {table}")]
    database.close()
    assert not any(word in row for row in rows for word in ("likeness", "colour", "histogram", "embedding"))
    last = desk.store.get(request_id).history[-1]
    assert (last.action, last.details) == ("suggest", {"like": "1", "compared": "2"})


def random_picture(seed: int) -> Picture:
    random = np.random.default_rng(seed)
    return Picture(random.integers(16, 235, (SIZE[1] * 3 // 2, SIZE[0]), np.uint8))


BODY, FACE = (100.0, 20.0, 180.0, 180.0), (110.0, 80.0, 150.0, 120.0)


def test_a_face_changes_nothing_wherever_it_is() -> None:
    """A face in the middle of the chest: whatever is in it, the colours are the same to the last bit."""
    one, other = random_picture(1), random_picture(1)
    low, high = slice(80, 120), slice(110, 150)
    other.y[low, high] = np.random.default_rng(2).integers(16, 235, (40, 40), np.uint8)
    for plane in (other.u, other.v):
        plane[40:60, 55:75] = np.random.default_rng(3).integers(16, 235, (20, 20), np.uint8)
    first, second = (colours_of(picture, BODY, [FACE]) for picture in (one, other))
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)
    unmasked = colours_of(other, BODY, [])
    assert unmasked is not None
    assert not np.array_equal(first, unmasked)


def test_where_no_face_was_found_the_head_still_changes_nothing() -> None:
    one, other = random_picture(1), random_picture(1)
    for plane, half in ((other.y, 1), (other.u, 2), (other.v, 2)):
        plane[: 52 // half] = 17
    first, second = (colours_of(picture, BODY, []) for picture in (one, other))
    assert first is not None
    assert second is not None
    assert np.array_equal(first, second)


def test_nothing_is_said_of_who_is_mostly_hidden_or_too_small() -> None:
    picture = random_picture(1)
    assert colours_of(picture, BODY, [], [(0, 60, 320, 192)]) is None
    assert colours_of(picture, BODY, [(80.0, 30.0, 200.0, 100.0)]) is None
    assert colours_of(picture, (10, 10, 14, 40), []) is None
    assert colours_of(picture, (310, 10, 500, 190), []) is not None
    assert colours_of(picture, (400, 10, 500, 190), []) is None


def test_likeness_is_one_with_oneself_and_less_with_others() -> None:
    one, other = (colours_of(random_picture(seed), BODY, []) for seed in (1, 2))
    assert one is not None
    assert other is not None
    assert likeness(one, one) == pytest.approx(1.0, abs=1e-5)
    assert 0 <= likeness(one, other) < 1


def test_a_question_about_nobody_or_in_the_wrong_state_is_refused(desk: Desk, request_id: str) -> None:
    for numbers in ([9], [], [1, 9]):
        with pytest.raises(Unknown):
            desk.suggest(request_id, OFFICER, numbers)
    desk.refuse(request_id, OFFICER)
    with pytest.raises(NotAllowed):
        desk.suggest(request_id, OFFICER, [1])
    assert COMPARED_MAX <= 500
