"""The vault's reader is what disclosure takes originals from: through a reconnect, with its gaps, until they expire."""

import shutil
from pathlib import Path

import pytest

pytest.importorskip("alembic")

from services.disclosure.find import Search, find
from services.disclosure.footage import Footage
from services.disclosure.render import Job, render
from services.disclosure.request import Sight
from services.policy.model import Kind
from services.vault import Expired, Tampered, Unavailable
from services.vault.vault import Vault
from tests.support.keys import add_key
from tests.support.originals import HOUR_US, Bus, Clock, make_vault, store
from tests.support.own_footage import ME, SEES, SIZE, film, inside, likeness, luma, me_at, them_at, truth

EPOCH = 1_790_000_000_000_000
LATER = EPOCH + 60_000_000


JOB = Job(
    EPOCH,
    EPOCH + 60_000_000,
    [Sight(camera="gate", epoch=EPOCH, track=ME, kind=Kind.PERSON, first_seq=0, last_seq=49)],
    (),
    {SEES.fingerprint: SEES},
    "kim",
    "request 1",
)


def filled(folder: Path) -> Vault:
    clock = Clock(LATER)
    vault, bus = make_vault(folder, clock), Bus()
    bus.put(*film(folder / "film.mp4", 50, epoch=EPOCH), *truth(50, epoch=EPOCH))
    store(vault, bus, clock)
    return vault


@pytest.mark.parametrize("kind", ["video", "spans"])
def test_of_a_changed_segment_nothing_is_rendered_and_nothing_left(tmp_path: Path, kind: str) -> None:
    vault = filled(tmp_path)
    file = next((tmp_path / "vault").rglob(f"*.{kind}"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(bytes(content))
    out = tmp_path / "out"
    out.mkdir()
    with pytest.raises(Tampered):
        render(vault, JOB, out)
    assert list(out.iterdir()) == []


def test_with_the_wrong_key_or_none_nothing_is_found_or_rendered(tmp_path: Path) -> None:
    """Whoever has copied store, index and requests, and has not the keys."""
    filled(tmp_path).close()
    shutil.rmtree(tmp_path / "keys")
    for has_another in (True, False):
        keys = tmp_path / f"keys-{has_another}"
        keys.mkdir(mode=0o700)
        if has_another:
            add_key(keys, "a")
        thief = make_vault(tmp_path, Clock(LATER), keys)
        search = Search(["gate"], EPOCH, EPOCH + 60_000_000, JOB.policies, "thief", "curiosity")
        with pytest.raises(Unavailable):
            find(thief, search)
        out = tmp_path / f"out-{has_another}"
        out.mkdir()
        with pytest.raises(Unavailable):
            render(thief, JOB, out)
        assert list(out.iterdir()) == []
        thief.close()


def test_what_the_vault_keeps_is_rendered_through_a_reconnect_until_it_expires(tmp_path: Path) -> None:
    clock = Clock(LATER + 10_000_000)
    vault = make_vault(tmp_path, clock)
    bus = Bus()
    for epoch in (EPOCH, LATER):
        bus.put(*film(tmp_path / f"{epoch}.mp4", 50, epoch=epoch))
        bus.put(*truth(50, epoch=epoch))
    store(vault, bus, clock)
    footage: Footage = vault
    sights = [
        Sight(camera="gate", epoch=epoch, track=ME, kind=Kind.PERSON, first_seq=0, last_seq=49)
        for epoch in (EPOCH, LATER)
    ]
    job = Job(EPOCH, LATER + 60_000_000, sights, (), {SEES.fingerprint: SEES}, "kim", "request 1")
    out = tmp_path / "out"
    out.mkdir()

    done = render(footage, job, out)

    assert [(part.epoch, part.frames, part.open, part.with_subject) for part in done.parts] == [
        (EPOCH, 50, 50, 50),
        (LATER, 50, 50, 50),
    ]
    assert [lack.kind for lack in done.lacks][:1] == ["reconnect"]
    for part, epoch in zip(done.parts, (EPOCH, LATER), strict=True):
        original = luma(tmp_path / f"{epoch}.mp4")
        for seq, shown in enumerate(luma(out / part.name)):
            where = inside(them_at(seq), *SIZE)
            assert abs(likeness(original[seq], shown, where)) < 0.35
            free = inside(me_at(seq), *SIZE) & ~inside(them_at(seq), *SIZE, padding=0.25)
            assert free.sum() < 100 or likeness(original[seq], shown, free) > 0.9
    assert {(event.actor, event.action) for event in vault.events.of("gate")} == {
        ("kim", "vault.search"),
        ("kim", "vault.open"),
    }

    clock.at_us += 25 * HOUR_US
    with pytest.raises(Expired):
        render(footage, job, out)
