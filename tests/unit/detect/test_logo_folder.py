"""The folder of logos: what is registered can be found again, and what was changed by hand is not taken on trust."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from services.detect.logo_folder import LOGOS_MOST, LONG_SIDE, LogoError, LogoFolder, default_logos_dir
from tests.support.logos import drawn


def _file(path: Path, picture: np.ndarray) -> Path:
    cv2.imwrite(str(path), picture[..., ::-1] if picture.ndim == 3 and picture.shape[2] == 3 else picture)
    return path


@pytest.fixture
def logos(tmp_path: Path) -> LogoFolder:
    return LogoFolder(tmp_path / "logos")


def test_a_logo_is_kept_as_a_copy_and_read_back(logos: LogoFolder, tmp_path: Path) -> None:
    assert logos.names() == []
    source = _file(tmp_path / "in.png", drawn())
    path = logos.add("acme", source)
    source.unlink()
    assert [found.name for found in logos.folder.iterdir()] == [path.name] == ["acme.png"]
    (logo,) = logos.read_all()[0].values()
    assert np.array_equal(logo, drawn())
    logos.remove("acme")
    assert logos.names() == []


def test_large_pictures_are_made_smaller(logos: LogoFolder, tmp_path: Path) -> None:
    large = cv2.resize(drawn(), (1600, 1000), interpolation=cv2.INTER_CUBIC)
    logos.add("acme", _file(tmp_path / "in.jpg", large))
    assert logos.read("acme").shape == (320, LONG_SIDE, 3)


def test_what_is_transparent_becomes_white(logos: LogoFolder, tmp_path: Path) -> None:
    clear = np.dstack([drawn()[..., ::-1], np.full((200, 320), 255, np.uint8)])
    clear[:20, :, 3] = 0
    logos.add("acme", _file(tmp_path / "in.png", clear))
    logo = logos.read("acme")
    assert (logo[:20] == 255).all()
    assert np.array_equal(logo[20:], drawn()[20:])


def test_the_digest_follows_every_change(logos: LogoFolder, tmp_path: Path) -> None:
    seen = set()
    for name, seed in (("acme", 0), ("acme", 3), ("other", 0)):
        logos.add(name, _file(tmp_path / "in.png", drawn(seed=seed)))
        seen.add(logos.read_all()[1])
    assert len(seen) == 3


@pytest.mark.parametrize(
    ("picture", "sentence"),
    [
        (np.full((200, 300, 3), 200, np.uint8), "has 0 features and 20 are needed"),
        (
            cv2.circle(np.full((200, 300, 3), 200, np.uint8), (150, 100), 60, (0, 0, 0), -1),
            "features and 20 are needed",
        ),
        (drawn()[:20], "too small or too thin"),
    ],
)
def test_a_picture_that_could_not_be_found_again_is_refused(
    logos: LogoFolder, tmp_path: Path, picture: np.ndarray, sentence: str
) -> None:
    with pytest.raises(LogoError, match=sentence) as caught:
        logos.add("plain", _file(tmp_path / "in.png", picture))
    assert "\n" not in str(caught.value)
    assert logos.names() == []


def test_what_is_no_picture_is_refused(logos: LogoFolder, tmp_path: Path) -> None:
    for content in (b"", b"no picture"):
        (tmp_path / "in.png").write_bytes(content)
        with pytest.raises(LogoError, match="is not a picture that can be read"):
            logos.add("acme", tmp_path / "in.png")
    with pytest.raises(LogoError, match="can't be read: no such file"):
        logos.add("acme", tmp_path / "nothing.png")


@pytest.mark.parametrize("name", ["", "../acme", "Acme", "a b", ".acme", "a" * 33])
def test_names_that_would_leave_the_folder_or_hide_are_refused(logos: LogoFolder, tmp_path: Path, name: str) -> None:
    with pytest.raises(LogoError, match="is no name for a logo"):
        logos.add(name, _file(tmp_path / "in.png", drawn()))


def test_there_is_a_limit_and_one_more_is_refused(logos: LogoFolder, tmp_path: Path) -> None:
    source = _file(tmp_path / "in.png", drawn())
    for i in range(LOGOS_MOST):
        logos.add(f"logo-{i}", source)
    with pytest.raises(LogoError, match="remove one with `veil logo remove NAME`"):
        logos.add("one-more", source)
    logos.add("logo-0", source)
    (logos.folder / "by-hand.png").write_bytes(source.read_bytes())
    with pytest.raises(LogoError, match="at most 32 can be looked for"):
        logos.read_all()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda whole: whole[: len(whole) // 2], "it is damaged|features"),
        (lambda _: b"text", "it is no PNG"),
        (lambda _: b"", "it is no PNG"),
        (lambda whole: whole[:16] + (60_000).to_bytes(4) * 2 + whole[24:], "larger than 512 pixels"),
        (lambda whole: whole + bytes(5 << 20), "far too large"),
        (lambda _: cv2.imencode(".png", np.full((100, 100, 3), 90, np.uint8))[1].tobytes(), "0 features"),
    ],
)
def test_a_file_that_was_changed_by_hand_is_refused_with_the_command_that_mends_it(
    logos: LogoFolder, tmp_path: Path, content: object, why: str
) -> None:
    path = logos.add("acme", _file(tmp_path / "in.png", drawn()))
    path.write_bytes(content(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(LogoError, match=why) as caught:
        logos.read_all()
    assert "run `veil logo add acme PICTURE`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_with_a_name_that_none_can_have_is_refused(logos: LogoFolder, tmp_path: Path) -> None:
    logos.add("acme", _file(tmp_path / "in.png", drawn()))
    (logos.folder / "acme.png").rename(logos.folder / "ACME!.png")
    with pytest.raises(LogoError, match="rename or remove the file"):
        logos.read_all()


def test_logos_lie_where_veil_logos_says_or_next_to_the_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VEIL_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("VEIL_LOGOS", raising=False)
    assert default_logos_dir() == tmp_path / "logos"
    monkeypatch.setenv("VEIL_LOGOS", str(tmp_path / "mine"))
    assert default_logos_dir() == tmp_path / "mine"
