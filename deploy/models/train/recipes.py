"""The recipes: which network is trained on what, for how long."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deploy.models.train.architecture import Shape
from deploy.models.train.characters import glyphs
from deploy.models.train.lessons import Lessons
from deploy.models.train.pictures import (
    Picture,
    clip_frames,
    folds,
    further,
    rendered_people,
    road_plates,
    street_faces,
    web_plates,
)
from deploy.models.train.plates import Draughtsman
from deploy.models.train.samples import Sampler, Source


@dataclass(frozen=True)
class Material:
    """What recipes are made with.

    Attributes:
        data: folder with faces/, plates/ and video/.
        lessons: the teachers' answers.
        pictures: folder of further pictures with a manifest.json, if there are any.
        roads: work tree of RobertLucian/license-plate-dataset, if it is there.
        people: folder of rendered people, if it is there.
    """

    data: Path
    lessons: Path
    pictures: Path | None = None
    roads: Path | None = None
    people: Path | None = None


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
    return _sources(material, list, cars=0.55, streets=0.25, roads=0.1)


def _both(material: Material) -> list[Source]:
    """The same, more of it with faces."""
    return _sources(material, Lessons(material.lessons).taught, cars=0.33, streets=0.47, roads=0.1)


def _all(material: Material) -> list[Source]:
    """The same with persons and their heads, as the teachers see them and as they are rendered."""
    sources = _sources(material, Lessons(material.lessons).taught, cars=0.27, streets=0.4, roads=0.08)
    return [*sources, Source(rendered_people(material.people), 0.2)] if material.people else sources


def _sources(
    material: Material,
    taught: Callable[[Sequence[Picture]], list[Picture]],
    *,
    cars: float,
    streets: float,
    roads: float,
) -> list[Source]:
    """What there is, with these weights; clips and further pictures make up the rest. Roads have hardly a face."""
    others = 0.5 - (cars + streets + roads) / 2
    sources = [
        Source(taught(folds(web_plates(material.data))[0]), cars, replated=0.65),
        Source(taught(folds(street_faces(material.data))[0]), streets),
        Source(taught(clip_frames(material.data)), others),
    ]
    if material.pictures:
        sources.append(Source(taught(further(material.pictures)), others))
    if material.roads:
        sources.append(Source(road_plates(material.roads), roads, replated=0.3))
    return sources


RECIPES: Mapping[str, Recipe] = {
    "plate": Recipe(Shape(("plate",)), _plates, steps=3000),
    "both": Recipe(Shape(("face", "plate"), depths=(1, 2, 3, 2), neck=64), _both, steps=6000),
    "all": Recipe(Shape(("face", "plate", "head", "person"), depths=(1, 2, 3, 2), neck=64), _all, steps=7000),
}
