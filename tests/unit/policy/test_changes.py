"""Changes of a running policy: whole or not at all, one after the other; no camera shows more by accident."""

import os
import threading
from pathlib import Path
from typing import Any

import pytest

from services.policy import changes
from services.policy.book import FilePolicyBook, PolicySource
from services.policy.changes import Change, ChangeConflict, ChangeFolder, Laid
from services.policy.differences import differences
from services.policy.loader import load_policy
from services.policy.model import Kind, Mode, PolicyUnavailable
from services.policy.problems import ConfigError
from services.policy.site import load_site
from services.policy.yamltree import Layer

ZONE = {"name": "desk", "use": "mask", "polygon": [[0.1, 0.6], [0.4, 0.6], [0.4, 0.9]]}
SITE = "name: s\npolicy: store\nchanges: changed\ncameras:\n  - {id: door, source: a.mp4, overrides: {strength: 2}}\n"


def change(preset: str | None = None, **keys: Any) -> Change:
    return Change(by="kim", at_us=1, reason="A desk was moved.", before="", after="", preset=preset, keys=keys)


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folder(tmp_path: Path) -> ChangeFolder:
    return ChangeFolder(tmp_path / "door")


def source(folder: ChangeFolder, **overrides: Any) -> PolicySource:
    return PolicySource("store", Layer.of(overrides, "site.yaml"), folder)


def test_the_newest_change_lies_over_what_the_site_file_says(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    (tmp_path / "changed").mkdir()
    site = load_site(tmp_path / "site.yaml")
    assert site.policies["door"].strength == 2
    folder = site.sources["door"].changes
    assert folder is not None
    folder.add(1, change(mode="blur"))
    folder.add(2, change(zones=[ZONE]))
    changed = load_site(tmp_path / "site.yaml").policies["door"]
    assert changed.mode is Mode.MOSAIC, "a change holds all that differs"
    assert changed.strength == 2
    assert changed.zones[0].name == "desk"
    folder.add(3, change("bank", strength=3))
    changed = load_site(tmp_path / "site.yaml").policies["door"]
    assert (changed.name, changed.strength, changed.mode) == ("bank", 3, Mode.SOLID)


def test_a_site_whose_folder_of_changes_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "site.yaml").write_text(SITE)
    with pytest.raises(ConfigError, match=r"site\.yaml:3:1: changes: there is no such folder"):
        load_site(tmp_path / "site.yaml")


def test_kinds_of_a_change_are_all_there_are(folder: ChangeFolder) -> None:
    school = PolicySource("school", changes=folder)
    folder.add(1, change(kinds={"face": {}, "head": {"mode": "solid"}}))
    policy = school.load()
    assert list(policy.kinds) == [Kind.FACE, Kind.HEAD]
    assert policy.kinds[Kind.FACE].threshold == 0.15, "as the preset has it"
    assert policy.mode_of(Kind.HEAD) is Mode.SOLID


@pytest.mark.parametrize(
    ("keys", "place", "message"),
    [
        ({"fases": 1}, "fases", "unknown key"),
        ({"kinds": {"fase": {}}}, "kinds.fase", "unknown key, did you mean 'face'"),
        ({"kinds": {}}, "kinds", "needs at least 1"),
        ({"strength": 9}, "strength", "must be at most 4"),
        ({"zones": [{**ZONE, "polygon": [[0, 0], [1.5, 0], [1, 1]]}]}, "zones.0.polygon.1.0", "must be at most 1"),
        ({"zones": [ZONE, ZONE]}, "zones", "stands twice"),
    ],
)
def test_what_is_wrong_is_said_with_its_key(folder: ChangeFolder, keys: Any, place: str, message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        source(folder).changed(Laid.of(None, Layer.of(keys, "the change")))
    (problem,) = refused.value.problems
    assert ".".join(map(str, problem.key)) == place
    assert message in problem.message


def test_of_two_who_change_the_same_one_is_told(folder: ChangeFolder) -> None:
    folder.add(1, change(mode="blur"))
    with pytest.raises(ChangeConflict):
        folder.add(1, change(mode="solid"))
    with pytest.raises(ChangeConflict):
        folder.add(3, change(mode="solid"))
    assert source(folder).load().mode is Mode.BLUR


def test_many_at_once_make_one_change_and_nobody_was_confirmed_in_vain(folder: ChangeFolder) -> None:
    confirmed, refused = [], []
    ready = threading.Barrier(8)

    def save(who: int) -> None:
        ready.wait(10)
        try:
            folder.add(1, change(strength=1 + who / 10), lambda: confirmed.append(who))
        except ChangeConflict:
            refused.append(who)

    threads = [threading.Thread(target=save, args=(who,)) for who in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    (winner,) = confirmed
    assert sorted([winner, *refused]) == list(range(8))
    assert source(folder).load().strength == 1 + winner / 10


@pytest.mark.parametrize("step", ["write", "fsync", "confirm", "link"])
def test_a_crash_in_the_middle_leaves_the_policy_as_it_was(
    folder: ChangeFolder, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.add(1, change(strength=3))

    def die(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        # A power cut runs no clean-up either.
        broken.setattr(Path, "unlink", lambda *_, **__: None)
        if step == "write":
            broken.setattr(changes, "_write", lambda path, content: (path.write_bytes(content[:40]), die()))
        elif step in ("fsync", "link"):
            broken.setattr(os, step, die)
        with pytest.raises(KeyboardInterrupt):
            folder.add(2, change(strength=0.5), die if step == "confirm" else lambda: None)
    assert folder.newest() == 1
    assert source(folder).load().strength == 3
    assert list(folder.folder.glob(".*.part")), "otherwise nothing was interrupted"
    folder.add(2, change(strength=2))
    assert source(folder).load().strength == 2
    for part in folder.folder.glob(".*.part"):
        os.utime(part, (0, 0))
    folder.add(3, change(strength=2))
    assert not list(folder.folder.glob(".*.part"))


def test_what_is_not_confirmed_does_not_happen(folder: ChangeFolder) -> None:
    def refuse() -> None:
        raise RuntimeError("the audit can't be written")

    with pytest.raises(RuntimeError):
        folder.add(1, change(mode="blur"), refuse)
    assert list(folder.folder.iterdir()) == []


def test_i1_a_change_that_is_gone_or_damaged_closes_its_camera(folder: ChangeFolder) -> None:
    clock = _Clock()
    book = FilePolicyBook({"door": source(folder)}, recheck_s=5, clock=clock)
    assert book.policy_for("door").strength == 1
    folder.add(1, change(strength=2))
    folder.add(2, change(strength=3))
    assert book.policy_for("door").strength == 1
    book.look_again("door")
    assert book.policy_for("door").strength == 3

    newest = folder.folder / "000002.yaml"
    content = newest.read_bytes()
    for damaged in (content[:30], content.replace(b"strength", b"strenght"), b""):
        newest.write_bytes(damaged)
        clock.now += 6
        with pytest.raises(PolicyUnavailable):
            book.policy_for("door")
    newest.unlink()
    clock.now += 6
    with pytest.raises(PolicyUnavailable, match="change 2 of the policy of camera door is gone"):
        book.policy_for("door")
    clock.now += 6
    with pytest.raises(PolicyUnavailable, match="is gone"):
        book.policy_for("door")

    folder.folder.rename(folder.folder.parent / "elsewhere")
    clock.now += 6
    with pytest.raises(PolicyUnavailable, match="is gone"):
        book.policy_for("door")
    (folder.folder.parent / "elsewhere").rename(folder.folder)
    newest.write_bytes(content)
    clock.now += 6
    assert book.policy_for("door").strength == 3


def test_i1_where_the_folder_can_t_be_read_nobody_knows_what_was_changed(tmp_path: Path) -> None:
    book = FilePolicyBook({"door": PolicySource("store", changes=ChangeFolder(tmp_path / "away" / "door"))})
    with pytest.raises(PolicyUnavailable, match="the folder of changes is not there"):
        book.policy_for("door")


def test_history_is_kept_within_bounds(folder: ChangeFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "KEPT", 3)
    for number in range(1, 6):
        folder.add(number, change(strength=number / 2))
    assert folder.numbers() == [3, 4, 5]
    told, laid = folder.read(4)
    assert (told.by, told.reason) == ("kim", "A desk was moved.")
    assert source(folder).changed(laid).strength == 2


def test_differences_say_what_may_show_more() -> None:
    before = load_policy("school", {"zones": [ZONE]})
    after = load_policy(
        "school",
        {"kinds": ["face", "person", "head"], "strength": 1, "purpose": "Another.", "sound": "keep", "mode": "mosaic"},
    )
    found = {each.key: each for each in differences(before, after)}
    more = {key for key, each in found.items() if each.shows_more}
    assert more == {"kinds.face", "kinds.plate", "strength", "sound", "zones.desk"}
    assert found.keys() - more == {"kinds.head", "purpose"}
    assert found["kinds.face"].before["mode"] == "solid"
    assert differences(before, before) == ()
    assert not any(each.shows_more for each in differences(load_policy("store"), load_policy("store", {"strength": 2})))
