"""Policy books: lookups, changed files, and cameras that must stay closed."""

from pathlib import Path

import pytest

from services.policy.book import FilePolicyBook, PolicySource, StaticPolicyBook
from services.policy.loader import load_policy
from services.policy.model import Mode, PolicyUnavailable
from services.policy.yamltree import Layer


class _Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_static_book_knows_its_cameras_and_no_others() -> None:
    bank = load_policy("bank")
    book = StaticPolicyBook({"door": bank})
    assert book.policy_for("door") is bank
    with pytest.raises(PolicyUnavailable, match="camera yard has no policy"):
        book.policy_for("yard")
    assert StaticPolicyBook(default=bank).policy_for("yard") is bank


def test_file_book_applies_the_overrides_of_each_camera() -> None:
    solid = Layer.of({"mode": "solid"}, "site.yaml")
    book = FilePolicyBook({"door": PolicySource("store", solid)}, default=PolicySource("store"))
    assert book.policy_for("door").mode is Mode.SOLID
    assert book.policy_for("yard").mode is Mode.MOSAIC


def test_i1_a_policy_that_becomes_unreadable_is_taken_away_until_it_is_right_again(tmp_path: Path) -> None:
    path, clock = tmp_path / "door.yaml", _Clock()
    path.write_text("mode: blur\n")
    book = FilePolicyBook({"door": PolicySource(path)}, recheck_s=5, clock=clock)
    assert book.policy_for("door").mode is Mode.BLUR

    path.write_text("mode: blurred glass\n")
    assert book.policy_for("door").mode is Mode.BLUR
    clock.now = 6
    with pytest.raises(PolicyUnavailable, match=r"door\.yaml:1:1: mode: must be one of"):
        book.policy_for("door")

    path.write_text("")  # as a full disk leaves it: not the defaults
    clock.now = 12
    with pytest.raises(PolicyUnavailable, match="is empty"):
        book.policy_for("door")

    path.unlink()
    clock.now = 18
    with pytest.raises(PolicyUnavailable, match="there is no such file"):
        book.policy_for("door")

    path.write_text("mode: solid\n")
    clock.now = 24
    assert book.policy_for("door").mode is Mode.SOLID


def test_an_unchanged_file_is_not_parsed_again(tmp_path: Path) -> None:
    path, clock = tmp_path / "door.yaml", _Clock()
    path.write_text("mode: blur\n")
    book = FilePolicyBook({"door": PolicySource(path)}, clock=clock)
    first = book.policy_for("door")
    clock.now = 100
    assert book.policy_for("door") is first
