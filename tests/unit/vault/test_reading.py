"""Reading originals: order, gaps, who may, and everything that an enemy of the store or the index could try."""

import hashlib
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from services.audit_chain import first_break
from services.vault import Expired, Missing, NoPurpose, Tampered, Unavailable
from services.vault.tables import KEYS, SEGMENTS, USAGE
from services.vault.vault import Vault
from tests.support.keys import add_key
from tests.support.originals import (
    CAMERA,
    HOUR_US,
    SECOND_US,
    START_US,
    Bus,
    Clock,
    end,
    expected,
    files,
    gaps,
    make_vault,
    minutes,
    opened,
    pieces,
    seqs,
    store,
    unit,
)


def filled(folder: Path, seconds: float = 30, clock: Clock | None = None) -> Vault:
    vault, bus = make_vault(folder, clock), Bus()
    minutes(bus, seconds)
    store(vault, bus, clock)
    return vault


def columns(vault: Vault, row: int) -> dict[str, object]:
    with vault.database.read() as connection:
        return dict(connection.execute(select(SEGMENTS).where(SEGMENTS.c.id == row)).one()._mapping)


def change(vault: Vault, row: int, **values: object) -> None:
    with vault.database.write() as connection:
        connection.execute(update(SEGMENTS).where(SEGMENTS.c.id == row).values(**values))


def videos(vault: Vault) -> list[int]:
    with vault.database.read() as connection:
        rows = select(SEGMENTS.c.id).where(SEGMENTS.c.kind == "video").order_by(SEGMENTS.c.number)
        return list(connection.execute(rows).scalars())


# Order and gaps


def test_a_range_spans_a_reconnect_and_says_so(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    frames = minutes(bus, 25)
    bus.put(end(frames=frames))
    later = START_US + 60 * SECOND_US
    minutes(bus, 25, epoch=later)
    store(vault, bus)
    parts = list(opened(vault, START_US, later + 25 * SECOND_US))
    assert seqs(parts) == expected(START_US, range(250)) + expected(later, range(250))
    (gap,) = gaps(parts)
    assert (gap.kind, gap.start_us, gap.end_us) == ("reconnect", START_US + 24_900_000, later)
    assert "broke off" in gap.why
    (piece, *_) = pieces(opened(vault, START_US + 12 * SECOND_US, START_US + 13 * SECOND_US))
    wanted = [each.unit.seq for each in piece.units if each.wanted]
    assert wanted == list(range(120, 130))
    assert piece.units[0].unit.keyframe


def test_frames_that_never_came_are_a_gap(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 10)
    minutes(bus, 10, first=200)
    bus.put(*(unit(seq) for seq in (300, 301, 305)))
    store(vault, bus)
    parts = gaps(opened(vault, START_US, START_US + 31 * SECOND_US))
    assert [(gap.kind, gap.frames) for gap in parts] == [("frames", 100), ("frames", 3)]


def test_what_lies_around_a_range_is_not_wanted(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    first, last = START_US + 3_500_000, START_US + 22_050_000
    parts = list(opened(vault, first, last))
    assert seqs(parts, wanted=True) == expected(START_US, range(35, 221))
    assert seqs(parts)[-1] == (START_US, 220)
    assert not gaps(parts)


def test_a_day_is_found_in_well_under_a_second(tmp_path: Path) -> None:
    """24 h of 10-second segments among three days of two cameras."""
    vault = filled(tmp_path, 5)
    row = columns(vault, videos(vault)[0])
    day = 24 * HOUR_US
    begin = START_US - 40 * day
    del row["id"]
    with vault.database.write() as connection:
        key = connection.execute(select(KEYS)).first()
        for camera in range(2):
            rows = [
                row
                | {
                    "name": f"{camera}-{number}",
                    "camera_id": f"c{camera}",
                    "epoch": begin,
                    "number": number,
                    "key": key.id,  # type: ignore[union-attr]
                    "start_us": begin + number * 10 * SECOND_US,
                    "end_us": begin + number * 10 * SECOND_US + 9_900_000,
                    "first_seq": number * 100,
                    "last_seq": number * 100 + 99,
                }
                for number in range(3 * 8640)
            ]
            connection.execute(insert(SEGMENTS), rows)
    began = time.process_time()
    found = list(vault.index.in_time("c1", begin + day, begin + 2 * day))
    took = time.process_time() - began
    assert len(found) == 8640
    # A range of a minute shows what a scan would not: it costs next to nothing of it.
    began = time.process_time()
    assert len(list(vault.index.in_time("c1", begin + day, begin + day + 60 * SECOND_US))) == 6
    minute = time.process_time() - began
    assert took < 2, "measured 0.3 to 0.4 s of CPU"
    assert minute < took / 5


# Who may


@pytest.mark.parametrize(("who", "purpose"), [("", "a request"), (" ", "a request"), ("kim", ""), ("kim", "  ")])
def test_no_name_or_purpose_no_opening(tmp_path: Path, who: str, purpose: str) -> None:
    vault = filled(tmp_path, 5)
    with pytest.raises(NoPurpose):
        vault.open(CAMERA, START_US, START_US + SECOND_US, purpose=purpose, who=who)


def test_every_opening_and_refusal_is_an_event_before_anything_is_read(tmp_path: Path) -> None:
    vault = filled(tmp_path, 5)
    vault.open(CAMERA, START_US, START_US + SECOND_US, purpose="request 7", who="kim", role="officer")
    with pytest.raises(Missing):
        vault.open(CAMERA, 5, 6, purpose="request 8", who="kim")
    events = vault.events.of(CAMERA)
    assert [(event.action, event.actor, event.role, event.purpose) for event in events] == [
        ("vault.open", "kim", "officer", "request 7"),
        ("vault.refused", "kim", "operator", "request 8"),
    ]
    assert first_break(events) is None
    assert first_break(events[1:]) == 0


def test_i8_an_expired_range_is_refused_before_anything_was_swept(tmp_path: Path) -> None:
    clock = Clock()
    vault = filled(tmp_path, 30, clock)
    clock.at_us = START_US + 24 * HOUR_US + 15 * SECOND_US
    parts = list(opened(vault, START_US, START_US + 30 * SECOND_US))
    assert seqs(parts) == expected(START_US, range(200, 300))
    (gap,) = gaps(parts)
    assert (gap.kind, gap.frames) == ("gone", 200)
    clock.at_us = START_US + 24 * HOUR_US + 30 * SECOND_US
    with pytest.raises(Expired):
        opened(vault, START_US, START_US + 30 * SECOND_US)
    assert vault.events.of(CAMERA)[-1].action == "vault.refused"
    assert files(tmp_path / "vault"), "the files are still there, and of no use"


# Enemies


def test_a_changed_file_is_told(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    name = columns(vault, videos(vault)[1])["name"]
    file = tmp_path / "vault" / str(name)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(Tampered, match="not the one that was written"):
        list(opened(vault))


def test_a_changed_file_whose_hash_was_changed_too_does_not_open(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    row = videos(vault)[1]
    file = tmp_path / "vault" / str(columns(vault, row)["name"])
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    change(vault, row, sha256=hashlib.sha256(content).digest())
    with pytest.raises(Tampered, match="was changed, or belongs to another"):
        list(opened(vault))


def test_exchanged_files_are_told(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    one, two = (tmp_path / "vault" / str(columns(vault, row)["name"]) for row in videos(vault)[:2])
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    with pytest.raises(Tampered):
        list(opened(vault))


def test_exchanged_rows_do_not_open(tmp_path: Path) -> None:
    """With everything that belongs to a file, in the index too: its place is part of what it opens with."""
    vault = filled(tmp_path)
    one, two = videos(vault)[:2]
    first, second = columns(vault, one), columns(vault, two)
    fields = ("sha256", "salt", "key", "messages", "size", "first_seq", "last_seq", "start_us", "end_us")
    change(vault, one, name="aside")
    change(vault, two, name=first["name"], **{field: first[field] for field in fields})
    change(vault, one, name=second["name"], **{field: second[field] for field in fields})
    with pytest.raises(Tampered, match="belongs to another"):
        list(opened(vault))


def test_a_segment_of_another_camera_does_not_open(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 5)
    minutes(bus, 5, camera="yard")
    store(vault, bus)
    rows = {}
    for row in videos(vault):
        rows[columns(vault, row)["camera_id"]] = row
    theirs = columns(vault, rows["yard"])
    change(vault, rows["yard"], name="aside")
    change(vault, rows[CAMERA], name=theirs["name"], sha256=theirs["sha256"], salt=theirs["salt"], key=theirs["key"])
    with pytest.raises(Tampered):
        list(opened(vault))


def test_a_file_that_is_gone_without_a_purge_is_told(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    (tmp_path / "vault" / str(columns(vault, videos(vault)[1])["name"])).unlink()
    with pytest.raises(Tampered, match="nobody has purged it"):
        list(opened(vault))


def test_a_row_that_was_taken_out_is_a_gap(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    with vault.database.write() as connection:
        connection.execute(SEGMENTS.delete().where(SEGMENTS.c.id == videos_in(connection)[1]))
    (gap,) = gaps(opened(vault, START_US, START_US + 30 * SECOND_US))
    assert gap.kind == "removed"


def videos_in(connection: object) -> list[int]:
    rows = select(SEGMENTS.c.id).where(SEGMENTS.c.kind == "video").order_by(SEGMENTS.c.number)
    return list(connection.execute(rows).scalars())  # type: ignore[attr-defined]


def test_the_wrong_key_opens_nothing(tmp_path: Path) -> None:
    filled(tmp_path).close()
    key = tmp_path / "keys" / "a.key"
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    add_key(other, "a")
    key.write_bytes((other / "a.key").read_bytes())
    with pytest.raises(Unavailable, match="was not wrapped under the key"):
        list(opened(make_vault(tmp_path)))


def test_a_stolen_vault_without_keys_opens_nothing(tmp_path: Path) -> None:
    filled(tmp_path).close()
    thief = tmp_path / "thief"
    shutil.copytree(tmp_path / "vault", thief / "vault")
    (thief / "keys").mkdir(mode=0o700)
    add_key(thief / "keys", "b")
    with pytest.raises(Unavailable, match="There is no key"):
        list(opened(make_vault(thief)))
    secrets = sqlite3.connect(thief / "vault" / "index.db").execute("SELECT wrapped FROM vault_keys").fetchall()
    assert all(len(wrapped) == 12 + 32 + 16 for (wrapped,) in secrets), "nonce, ciphertext and tag"


def test_spans_of_a_changed_file_are_not_believed(tmp_path: Path) -> None:
    """Spans say what is to be masked: a file of theirs that was emptied must not open a frame."""
    vault = filled(tmp_path, 5)
    with vault.database.read() as connection:
        name = connection.execute(select(SEGMENTS.c.name).where(SEGMENTS.c.kind == "spans")).scalar_one()
    file = tmp_path / "vault" / name
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(Tampered):
        list(opened(vault))


def test_usage_is_what_the_files_take_up(tmp_path: Path) -> None:
    vault = filled(tmp_path)
    sizes = sum(file.stat().st_size for file in files(tmp_path / "vault"))
    with vault.database.read() as connection:
        assert connection.execute(select(USAGE.c.size)).scalar_one() == sizes == vault.index.used_bytes()


def test_a_row_that_says_something_else_is_told(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    minutes(bus, 5)
    store(vault, bus)
    change(vault, videos(vault)[0], messages=49)
    with pytest.raises(Tampered, match="does not hold what the index says"):
        list(opened(vault))


def test_a_picture_that_is_sent_late_is_no_gap_where_a_segment_ends_before_it(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    bus.put(*(unit(seq) for seq in (*range(98), 99, 100, 98, *range(101, 250))))
    store(vault, bus)
    parts = list(opened(vault, START_US, START_US + 25 * SECOND_US))
    assert len(pieces(parts)) > 1
    assert gaps(parts) == []
    assert sorted(seqs(parts)) == expected(START_US, range(250))


def test_pictures_that_are_missing_beside_the_end_of_a_segment_are_told_once(tmp_path: Path) -> None:
    vault, bus = make_vault(tmp_path), Bus()
    bus.put(*(unit(seq) for seq in (*range(96), 97, 99, 100, 98, *range(104, 250))))
    store(vault, bus)
    (gap,) = gaps(opened(vault, START_US, START_US + 25 * SECOND_US))
    assert (gap.kind, gap.frames, gap.why) == ("frames", 4, "4 frames never came.")
