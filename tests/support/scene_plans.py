"""The scenes that Veil is measured on: one recipe for each difficulty, drawn by seed."""

from dataclasses import dataclass

import numpy as np

from tests.support.scene_sources import Sources
from tests.support.scenes import Occluder, SceneSpec, Subject

Range = tuple[float, float]


@dataclass(frozen=True)
class Recipe:
    """What one scene tries.

    Attributes:
        faces, plates: subjects per 100 frames.
        face_height, plate_height: of the box when it enters, in pixels.
        growth: factor of the height from entering to leaving; a subject leaves as often shrunk as grown.
        speed: pixels per frame.
        subject_gain: brightness of subjects.
        bars: upright bars that stand in the way; blocks: wide ones that pass through the picture.
    """

    name: str
    size: tuple[int, int] = (768, 576)
    backgrounds: tuple[str, ...] = ("street",)
    faces: float = 0
    plates: float = 0
    face_height: Range = (20, 70)
    plate_height: Range = (12, 40)
    growth: Range = (1.0, 1.3)
    speed: Range = (3, 7)
    bob: Range = (0.0, 0.12)
    subject_gain: Range = (0.9, 1.0)
    bars: int = 0
    blocks: int = 0
    gain: float = 1.0
    shutter: float = 0.3
    shake: float = 0.0
    noise: float = 2.0


STANDARD: tuple[Recipe, ...] = (
    Recipe("walkers", faces=5, face_height=(16, 70), shake=3),
    Recipe("crossing", backgrounds=("hall", "meadow"), faces=9, face_height=(28, 60), speed=(4, 8)),
    Recipe("occluded", faces=4, plates=3, face_height=(28, 80), bars=3, blocks=1),
    Recipe("small", faces=4, plates=3, face_height=(12, 26), plate_height=(8, 16), speed=(1.5, 4)),
    Recipe("blurred", backgrounds=("hall", "meadow"), faces=6, plates=4, speed=(10, 22), shutter=0.7),
    Recipe("dark", faces=4, plates=3, gain=0.28, noise=4, subject_gain=(0.7, 1.0)),
    Recipe("approach", faces=3, plates=3, face_height=(18, 40), plate_height=(10, 22), growth=(2, 4), speed=(2, 5)),
    Recipe("traffic", size=(1280, 720), plates=7, plate_height=(12, 40), growth=(1.5, 3), speed=(6, 16), bob=(0, 0.03)),
    Recipe("conveyor", size=(1280, 720), backgrounds=("conveyor", "meadow"), faces=4, plates=2, face_height=(28, 120)),
)

MIXED = Recipe(
    "mixed",
    faces=4,
    plates=3,
    face_height=(20, 80),
    plate_height=(12, 40),
    growth=(1.2, 2.5),
    speed=(3, 9),
    subject_gain=(0.8, 1.0),
    bars=1,
)


def draw(recipe: Recipe, sources: Sources, frames: int, seed: int) -> SceneSpec:
    """A scene of that recipe. The same arguments give the same scene."""
    random = np.random.default_rng([seed, *recipe.name.encode()])
    width, height = recipe.size
    background = next(name for name in (*recipe.backgrounds, *sources.backgrounds) if name in sources.backgrounds)
    subjects = []
    for kind, rate, heights in (
        ("face", recipe.faces, recipe.face_height),
        ("plate", recipe.plates, recipe.plate_height),
    ):
        count = max(1, round(rate * frames / 100)) if rate else 0
        subjects += _subjects(recipe, sources, kind, count, heights, frames, random)
    bars = [_bar(width, height, random) for _ in range(recipe.bars)]
    blocks = [_block(width, height, random) for _ in range(recipe.blocks)]
    return SceneSpec(
        name=recipe.name,
        width=width,
        height=height,
        frames=frames,
        background=background,
        subjects=tuple(subjects),
        occluders=(*bars, *blocks),
        gain=recipe.gain,
        shutter=recipe.shutter,
        shake=recipe.shake,
        noise=recipe.noise,
        seed=seed,
    )


def _subjects(
    recipe: Recipe, sources: Sources, kind: str, count: int, heights: Range, frames: int, random: np.random.Generator
) -> list[Subject]:
    width, height = recipe.size
    indices = np.array([i for i, cutout in enumerate(sources.cutouts) if cutout.kind == kind])
    order = np.concatenate([random.permutation(indices) for _ in range(count // len(indices) + 1)])
    subjects = []
    for number, cutout in enumerate(order[:count]):
        size = float(np.exp(random.uniform(*np.log(heights))))
        growth = random.uniform(*recipe.growth) ** random.choice([-1, 1])
        sizes = (size / growth, size) if growth < 1 else (size, size * growth)
        margin = 2.2 * max(sizes)
        ends = np.array([-margin, width + margin])
        if random.random() < 0.5:
            ends = ends[::-1]
        rows = random.uniform(0.12, 0.88) + np.array([0, random.uniform(-0.15, 0.15)])
        rows = np.clip(rows, 0.1, 0.9) * height
        lasting = max(int(abs(ends[1] - ends[0]) / random.uniform(*recipe.speed)), 8)
        # Evenly spread, some already on their way when the scene begins.
        first = int((number + random.uniform(0, 1)) / count * frames - 0.4 * lasting)
        subjects.append(
            Subject(
                cutout=int(cutout),
                first=first,
                last=first + lasting,
                start=(float(ends[0]), float(rows[0])),
                end=(float(ends[1]), float(rows[1])),
                heights=sizes,
                acceleration=float(random.uniform(-0.6, 0.6)),
                bob=float(random.uniform(*recipe.bob)) if kind == "face" else 0.01,
                bob_frames=float(random.uniform(10, 20)),
                gain=float(random.uniform(*recipe.subject_gain)),
            )
        )
    return subjects


def _bar(width: int, height: int, random: np.random.Generator) -> Occluder:
    place = (float(random.uniform(0.2, 0.8) * width), height / 2)
    return Occluder((int(random.uniform(30, 70)), height), place, place)


def _block(width: int, height: int, random: np.random.Generator) -> Occluder:
    row = float(random.uniform(0.4, 0.7) * height)
    return Occluder((width // 5, height // 2), (-0.2 * width, row), (1.2 * width, row))
