"""The recipes: which network is trained on what, for how long."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.models.train.architecture import Shape
from deploy.models.train.characters import glyphs
from deploy.models.train.lessons import Lessons
from deploy.models.train.pictures import clip_frames, folds, further, street_faces, web_plates
from deploy.models.train.plates import Draughtsman
from deploy.models.train.samples import Sampler, Source


@dataclass(frozen=True)
class Material:
    """What recipes are made with.

    Attributes:
        data: folder with faces/, plates/ and video/.
        pictures: folder of further pictures with a manifest.json, if there are any.
        lessons: the teachers' answers.
    """

    data: Path
    pictures: Path | None
    lessons: Path


@dataclass(frozen=True)
class Recipe:
    """A network, what its samples are made of, and for how many batches it learns."""

    shape: Shape
    sources: Callable[[Material], list[Source]]
    steps: int

    def sampler(self, material: Material) -> Callable[[], Sampler]:
        """What makes the sampler in a process of its own."""
        return partial(_sampler, self.shape.kinds, self.sources, material)


def _sampler(kinds: tuple[str, ...], sources: Callable[[Material], list[Source]], material: Material) -> Sampler:
    return Sampler(kinds, sources(material), Draughtsman(glyphs(material.data / "plates" / "kr_glyphs")))


def _plates(material: Material) -> list[Source]:
    """Cars, two thirds of them with other plates, and what has none."""
    cars, _ = folds(web_plates(material.data))
    streets, _ = folds(street_faces(material.data))
    others = further(material.pictures) if material.pictures else []
    sources = [Source(cars, 0.6, replated=0.65), Source(streets, 0.28), Source(clip_frames(material.data), 0.06)]
    return [*sources, Source(others, 0.06)] if others else sources


def _both(material: Material) -> list[Source]:
    """The same, more of it with faces."""
    lessons = Lessons(material.lessons)
    cars, _ = folds(web_plates(material.data))
    streets, _ = folds(street_faces(material.data))
    others = further(material.pictures) if material.pictures else []
    sources = [
        Source(lessons.taught(cars), 0.36, replated=0.65),
        Source(lessons.taught(streets), 0.52),
        Source(lessons.taught(clip_frames(material.data)), 0.06),
    ]
    return [*sources, Source(lessons.taught(others), 0.06)] if others else sources


RECIPES: Mapping[str, Recipe] = {
    "plate": Recipe(Shape(("plate",)), _plates, steps=3000),
    "both": Recipe(Shape(("face", "plate"), depths=(1, 2, 3, 2), neck=64), _both, steps=6000),
}
