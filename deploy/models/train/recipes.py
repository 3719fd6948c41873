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
    bare_faces,
    clip_frames,
    folds,
    further,
    photographs,
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
        photographs: folder of photographs of people with a manifest.json, if there is one.
        roads: work tree of RobertLucian/license-plate-dataset, if it is there.
    """

    data: Path
    lessons: Path
    pictures: Path | None = None
    photographs: Path | None = None
    roads: Path | None = None


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
    return _sources(material, list, cars=0.55, streets=0.25, roads=0.1, others=0.1)


def _faces(material: Material) -> list[Source]:
    """People, and cars and rooms that have no face."""
    return _sources(material, Lessons(material.lessons).taught, cars=0.06, streets=0.44, roads=0.0, others=0.5)


def _all(material: Material) -> list[Source]:
    """The same, more of it with faces and persons, as people and teachers see them."""
    return _sources(material, Lessons(material.lessons).taught, cars=0.35, streets=0.22, roads=0.05, others=0.38)


def _sources(
    material: Material,
    taught: Callable[[Sequence[Picture]], list[Picture]],
    *,
    cars: float,
    streets: float,
    roads: float,
    others: float,
) -> list[Source]:
    """What there is, with these weights; of `others`, photographs of people have the largest part.

    Four of five faces on the streets wear masks, so those without are shown as often as the rest.
    """
    street, _ = folds(street_faces(material.data))
    bare = bare_faces(material.data)
    rest = {"clips": (taught(clip_frames(material.data)), 1)}
    if material.pictures:
        rest["pictures"] = (taught(further(material.pictures)), 2)
    if material.photographs:
        rest["photographs"] = (taught(photographs(material.photographs)), 6)
    sources = [
        Source(taught(folds(web_plates(material.data))[0]), cars, replated=0.65),
        Source(taught([picture for picture in street if picture.name in bare]), streets / 2),
        Source(taught([picture for picture in street if picture.name not in bare]), streets / 2),
    ]
    parts = sum(part for _, part in rest.values())
    sources += [Source(pictures, others * part / parts) for pictures, part in rest.values()]
    if material.roads and roads:
        sources.append(Source(road_plates(material.roads), roads, replated=0.3))
    return sources


RECIPES: Mapping[str, Recipe] = {
    "plate": Recipe(Shape(("plate",)), _plates, steps=3000),
    "face": Recipe(Shape(("face",)), _faces, steps=6000),
    "all": Recipe(Shape(("face", "plate", "person")), _all, steps=9000),
}
