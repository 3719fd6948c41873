"""The folder of registered logos: one PNG for each, written by `veil logo add`, looked at again whenever it is read."""

import hashlib
import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from services.detect.catalogue import default_models_dir
from services.detect.interface import Image
from services.detect.logo_features import LEAST_FEATURES, logo_features

LOGOS_MOST = 32
"""A look compares the picture with each of them."""
LONG_SIDE = 512
"""Of a stored logo; larger pictures are made smaller when they are registered."""

_SHORT_SIDE = 24
_PNG, _HEADER = b"\x89PNG\r\n\x1a\n", 33
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_FILE_MOST = 4 << 20
_GIVEN_MOST = 64 << 20


Stamp = tuple[tuple[str, int, int, int], ...]
"""Name, inode, time of change in ns and size of each file."""


class LogoError(Exception):
    """A logo can't be registered or read; the text is one sentence that says what to do."""


def default_logos_dir() -> Path:
    """VEIL_LOGOS; else `logos` next to the folder of the models."""
    if chosen := os.environ.get("VEIL_LOGOS"):
        return Path(chosen)
    return default_models_dir().with_name("logos")


class LogoFolder:
    """Registered logos in a folder, which need not exist."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or default_logos_dir()

    def names(self) -> list[str]:
        """The names of all logos, sorted. Raises LogoError if the folder can't be read or holds too many."""
        try:
            names = sorted(path.stem for path in self.folder.glob("*.png") if not path.name.startswith("."))
        except OSError as error:
            raise LogoError(f"the logos in {self.folder} can't be listed: {error.strerror}") from error
        if len(names) > LOGOS_MOST:
            raise LogoError(
                f"{self.folder} holds {len(names)} logos, and at most {LOGOS_MOST} can be looked for: "
                "remove some with `veil logo remove NAME`"
            )
        return names

    def stamp(self) -> Stamp:
        """Differs once any logo was added, replaced, changed or removed. Raises LogoError as `names` does."""
        found = []
        for name in self.names():
            try:
                facts = self._path(name).stat()
            except FileNotFoundError:
                continue  # removed meanwhile, or a link to nothing: reading says which
            except OSError as error:
                raise LogoError(f"the logo {name} can't be read: {error.strerror}") from error
            found.append((name, facts.st_ino, max(facts.st_mtime_ns, facts.st_ctime_ns), facts.st_size))
        return tuple(found)

    def read_all(self) -> tuple[Mapping[str, Image], str]:
        """Every logo by its name, and 12 hex digits over names and files. Raises LogoError if one can't be used."""
        digest = hashlib.sha256()
        logos = {}
        for name in self.names():
            data = self._data(name)
            digest.update(name.encode() + b"\0" + hashlib.sha256(data).digest())
            logos[name] = self._checked(name, data)
        return logos, digest.hexdigest()[:12]

    def read(self, name: str) -> Image:
        """One logo. Raises LogoError if it is absent or was changed into something that can't be looked for."""
        return self._checked(name, self._data(name))

    def add(self, name: str, source: Path) -> Path:
        """Registers the picture at `source`, replacing a logo of that name. Returns where its copy lies.

        Transparent parts become white. Raises LogoError if the picture can't be read or has too few features.
        """
        if not _NAME.fullmatch(name):
            raise LogoError(f"'{name}' is no name for a logo: small letters, digits, - and _, at most 32")
        logo = _fitted(opened(source))
        _check(logo, f"{source}")
        if name not in (there := self.names()) and len(there) >= LOGOS_MOST:
            raise LogoError(f"{LOGOS_MOST} logos are registered already: remove one with `veil logo remove NAME`")
        path = self._path(name)
        try:
            _write(path, logo)
        except OSError as error:
            raise LogoError(f"the logo can't be written to {self.folder}: {error.strerror}") from error
        return path

    def remove(self, name: str) -> None:
        """Forgets a logo. Raises LogoError if there is none of that name."""
        if name not in self.names():
            raise LogoError(self._absent(name))
        try:
            self._path(name).unlink()
        except OSError as error:
            raise LogoError(f"{self._path(name)} can't be removed: {error.strerror}") from error

    def _path(self, name: str) -> Path:
        return self.folder / f"{name}.png"

    def _data(self, name: str) -> bytes:
        path = self._path(name)
        try:
            with path.open("rb") as file:
                data = file.read(_FILE_MOST + 1)
        except FileNotFoundError:
            raise LogoError(self._absent(name)) from None
        except OSError as error:
            raise LogoError(f"the logo {name} can't be read from {path}: {error.strerror}") from error
        if len(data) > _FILE_MOST:
            raise LogoError(self._changed(name, "it is far too large"))
        return data

    def _checked(self, name: str, data: bytes) -> Image:
        """The logo, if it is one that `add` could have written."""
        if not _NAME.fullmatch(name):
            raise LogoError(f"{self._path(name)} has no name that a logo can have: rename or remove the file")
        # Before memory is taken for it: a small file may state a billion pixels.
        if not data.startswith(_PNG) or len(data) < _HEADER:
            raise LogoError(self._changed(name, "it is no PNG"))
        if max(int.from_bytes(data[16:20]), int.from_bytes(data[20:24])) > LONG_SIDE:
            raise LogoError(self._changed(name, f"it is larger than {LONG_SIDE} pixels"))
        logo = _decoded(data)
        if logo is None:
            raise LogoError(self._changed(name, "it is damaged"))
        try:
            _check(logo, f"{self._path(name)}")
        except LogoError as error:
            raise LogoError(self._changed(name, str(error))) from error
        return logo

    def _changed(self, name: str, why: str) -> str:
        return f"{self._path(name)} is not a logo as it was registered ({why}): run `veil logo add {name} PICTURE`"

    def _absent(self, name: str) -> str:
        known = ", ".join(self.names()) or "none"
        return f"there is no logo {name}; registered: {known}"


def opened(source: Path) -> Image:
    """A picture file as RGB, white where it is transparent. Raises LogoError if it is none."""
    try:
        with source.open("rb") as file:
            data = file.read(_GIVEN_MOST + 1)
    except OSError as error:
        raise LogoError(f"{source} can't be read: {(error.strerror or 'failed').lower()}") from error
    logo = _decoded(data) if len(data) <= _GIVEN_MOST else None
    if logo is None:
        raise LogoError(f"{source} is not a picture that can be read: give a PNG or JPEG")
    return logo


def _decoded(data: bytes) -> Image | None:
    """RGB, with white where the picture is transparent; None if it is none."""
    if not data:
        return None
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        return None
    if picture.dtype == np.uint16:
        picture = np.right_shift(picture.astype(np.uint16, copy=False), 8)
    if picture.ndim == 2:
        picture = picture[..., None].repeat(3, axis=2)
    if picture.shape[2] == 4:
        alpha = picture[..., 3:] / 255
        picture = picture[..., :3] * alpha + 255 * (1 - alpha)
    return np.ascontiguousarray(picture[..., 2::-1].astype(np.uint8))


def _fitted(logo: Image) -> Image:
    height, width, _ = logo.shape
    scale = min(1, LONG_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(logo, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False) if scale < 1 else logo


def _check(logo: Image, what: str) -> None:
    """Raises LogoError if it could not be found again."""
    if min(logo.shape[:2]) < _SHORT_SIDE:
        raise LogoError(f"{what} is too small or too thin to be found: both sides need {_SHORT_SIDE} pixels")
    features = len(logo_features(logo))
    if features < LEAST_FEATURES:
        raise LogoError(
            f"{what} has {features} features and {LEAST_FEATURES} are needed: "
            "a plain shape can't be told from others, give a picture with letters or detail"
        )


def _write(path: Path, logo: Image) -> None:
    """Writes all of the file or nothing."""
    _, data = cv2.imencode(".png", cv2.cvtColor(logo, cv2.COLOR_RGB2BGR))
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data.tobytes())
        Path(part).chmod(0o644)
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise
