"""People to tell apart: pictures of one face each, and the padded box that a mask would cover."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tests.support.scene_sources import SHARED_DATA

Pictures = NDArray[np.uint8]
"""(n, height, width, 3) RGB; height and width even."""

PixelBox = tuple[int, int, int, int]
"""Even x1, y1, x2, y2 within a picture."""

SPLITS = 8
"""How often a face set is split into what the attacker has and what he is asked."""

_LFW_BOX = (
    52,
    42,
    198,
    208,
)  # of the funneled pictures, whose faces all lie in the middle: the face and 15 % around it
_DRAWN_PEOPLE, _DRAWN_EACH = 40, 6
_DRAWN_SIDE = 64


@dataclass(frozen=True)
class FaceSet:
    """Several pictures of each person; half of them are the attacker's to keep, he has to name the rest.

    Attributes:
        scenes: whole pictures; all that is outside the box can be seen, and is left out of the attack.
        box: what is masked in each of them.
        people: (n,) whose face it is, from 0.
        known: (n,) bool, in the attacker's gallery: every other picture.
    """

    name: str
    scenes: Pictures = field(repr=False)
    box: PixelBox
    people: NDArray[np.int64] = field(repr=False)
    known: NDArray[np.bool_] = field(repr=False)

    @property
    def pictures(self) -> Pictures:
        """The boxes alone, clean: a view."""
        return cropped(self.scenes, self.box)

    @property
    def chance(self) -> float:
        """Rank-1 of one who guesses."""
        return 1.0 / (int(self.people.max()) + 1)

    def splits(self) -> Iterator[NDArray[np.bool_]]:
        """What is known, SPLITS times: every other picture first, then halves of each person's by chance.

        Which half an attacker has is luck, and a single split of 240 probes leaves a percent to it.
        """
        yield self.known
        random = np.random.default_rng(0)
        for _ in range(SPLITS - 1):
            known = np.zeros(len(self.people), np.bool_)
            for person in np.unique(self.people):
                own = np.flatnonzero(self.people == person)
                known[random.choice(own, int(self.known[own].sum()), replace=False)] = True
            yield known


def cropped(scenes: Pictures, box: PixelBox) -> Pictures:
    """One box of each picture."""
    x1, y1, x2, y2 = box
    return scenes[:, y1:y2, x1:x2]


def face_sets(*, short: bool) -> Iterator[FaceSet]:
    """AT&T and LFW where the shared data is there; short: AT&T and drawn textures, which need no data at all."""
    shared = SHARED_DATA.is_dir()
    if shared:
        yield _att()
        if not short:
            yield _lfw()
    if short or not shared:
        yield drawn()


def drawn(people: int = _DRAWN_PEOPLE) -> FaceSet:
    """Textures in place of faces: each person has one, each picture its own light, shift and noise."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(people):
        texture = _texture(random)
        for _ in range(_DRAWN_EACH):
            shift = np.float32([[1, 0, random.uniform(-3, 3)], [0, 1, random.uniform(-3, 3)]])
            moved = cv2.warpAffine(texture, shift, texture.shape[::-1], borderMode=cv2.BORDER_REFLECT)
            lit = moved * random.uniform(0.85, 1.15) + random.normal(0, 5, moved.shape) + random.uniform(-12, 12)
            found.append(cv2.cvtColor(np.clip(lit, 0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB))
    return _face_set("drawn", found, [_DRAWN_EACH] * people)


def _texture(random: np.random.Generator) -> NDArray[np.float32]:
    """Light and dark of every size, as bright on the whole as faces are: 70 to 150 levels."""
    plane = np.zeros((_DRAWN_SIDE, _DRAWN_SIDE), np.float32)
    for cells in (3, 6, 12, 24):
        coarse = random.normal(0, 1, (cells, cells)).astype(np.float32)
        plane += cv2.resize(coarse, plane.shape, interpolation=cv2.INTER_CUBIC) / np.sqrt(cells)
    return np.asarray(random.uniform(70, 150) + 35 * (plane - plane.mean()) / plane.std(), np.float32)


def _att() -> FaceSet:
    people = [_files(folder) for folder in sorted((SHARED_DATA / "identity" / "att").iterdir()) if folder.is_dir()]
    return _face_set("att", [_read(path) for files in people for path in files], [len(files) for files in people])


def _lfw() -> FaceSet:
    people = [_files(folder) for folder in sorted((SHARED_DATA / "identity" / "lfw").iterdir()) if folder.is_dir()]
    pictures = [_read(path) for files in people for path in files]
    return _face_set("lfw", pictures, [len(files) for files in people], _LFW_BOX)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in (".png", ".jpg"))


def _read(path: Path) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))


def _face_set(
    name: str, pictures: Sequence[NDArray[np.uint8]], counts: Sequence[int], box: PixelBox | None = None
) -> FaceSet:
    people = np.repeat(np.arange(len(counts)), counts)
    known = np.concatenate([np.arange(count) % 2 == 0 for count in counts])
    height, width = pictures[0].shape[:2]
    return FaceSet(name, np.stack(pictures), box or (0, 0, width, height), people, known)
