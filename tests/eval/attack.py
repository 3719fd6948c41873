"""Closed-set re-identification of masked faces: who of the people in a gallery is it?

Three ways to attack. *Naive*: the gallery shows clean pictures. *Parrot*: the attacker masks his gallery in the same
way, several times where two maskings differ. *Linked*: a parrot who knows which probes show one person, as if somebody
had walked past the camera as often, and adds up what each of them says.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from services.policy.model import Policy
from tests.eval.attackers import Attacker, Features, Labels, attackers
from tests.eval.faces import FaceSet, face_sets
from tests.eval.treatments import FACE_MODES, Treatment, plain_mosaic, treatments, veil

MASKINGS, MASKINGS_LEARNED = 8, 1
"""How often each picture is masked for a cheap attacker, and for the recogniser, which takes its time."""

BOUND = 2.0
"""What is promised: rank-1 of a parrot, in chances."""

DEFAULT = veil(Policy.model_fields["mode"].default, Policy.model_fields["strength"].default).name
"""The treatment of a policy that says nothing of masks."""

_Z95 = 1.96


@dataclass(frozen=True)
class Rank1:
    """Share of probes named rightly, three ways."""

    naive: float
    parrot: float
    linked: float

    def as_json(self) -> dict[str, float]:
        return {way: round(value, 4) for way, value in vars(self).items()}


def measure(*, short: bool = False, say: Callable[[str], None] = print) -> dict[str, object]:
    """The section of eval.json: face set → what each attacker names under each treatment."""
    section: dict[str, object] = {}
    for faces in face_sets(short=short):
        # What is drawn are no faces, and against masks the recogniser is the weaker attacker: the short form omits him.
        armed = attackers(recogniser=faces.name != "drawn" and not short)
        section[faces.name] = on_set(faces, _short_treatments() if short else treatments(), armed, say)
    return section


def _short_treatments() -> Iterable[Treatment]:
    yield plain_mosaic(8)
    yield from (veil(mode) for mode in FACE_MODES)


def on_set(
    faces: FaceSet, chosen: Iterable[Treatment], armed: list[Attacker], say: Callable[[str], None]
) -> dict[str, object]:
    """All figures of one face set."""
    clean = {attacker.name: attacker.look(faces.pictures) for attacker in armed}
    figures: dict[str, dict[str, object]] = {}
    probes = int((~faces.known).sum())
    for treatment in chosen:
        say(f"attack: {faces.name}, {treatment.name}")
        masked = treatment.repeated(faces, MASKINGS)
        found = {
            attacker.name: against(attacker, faces, clean[attacker.name], masked[: maskings_for(attacker)])
            for attacker in armed
        }
        figures[treatment.name] = {"ours": treatment.ours, **summary(found, probes)}
    return {
        "people": round(1 / faces.chance),
        "pictures": len(faces.people),
        "probes": probes,
        "chance": faces.chance,
        "treatments": figures,
        "default": DEFAULT,
        "over_twice_chance": over(figures, faces.chance),
    }


def maskings_for(attacker: Attacker) -> int:
    """How many maskings of each picture he is given."""
    return MASKINGS_LEARNED if "recogniser" in attacker.name else MASKINGS


def against(attacker: Attacker, faces: FaceSet, clean: Features, masked: NDArray[np.uint8]) -> Rank1:
    """One attacker against (times, n, height, width, 3) maskings of a face set; means over its splits."""
    looks = np.stack([attacker.look(pictures) for pictures in masked])
    rounds = [_with_gallery(attacker, faces.people, known, clean, looks) for known in faces.splits()]
    return Rank1(*(float(mean) for mean in np.mean(rounds, axis=0)))


def _with_gallery(
    attacker: Attacker, people: Labels, known: NDArray[np.bool_], clean: Features, looks: Features
) -> tuple[float, float, float]:
    """What is named naively, by a parrot, and linked, where the attacker has the pictures that are known."""
    times, asked = len(looks), people[~known]
    probes, gallery = (looks[:, chosen].reshape(-1, looks.shape[-1]) for chosen in (~known, known))
    asked_each = np.tile(asked, times)
    naive = attacker.scores(clean[known], people[known], probes)
    parrot = attacker.scores(gallery, np.tile(people[known], times), probes)
    return named(naive, asked_each), named(parrot, asked_each), linked(parrot, asked, times)


def named(scores: NDArray[np.float32], people: Labels) -> float:
    """Share of rows whose highest score is that of the right person; ties count in part."""
    best = scores == scores.max(axis=1, keepdims=True)
    return float((best[np.arange(len(people)), people] / best.sum(axis=1)).mean())


def linked(scores: NDArray[np.float32], people: Labels, times: int) -> float:
    """The same where all probes of a person are known to show one person; scores of `times` rounds in a row."""
    rounds = scores.reshape(times, len(people), -1)
    everybody = np.unique(people)
    sums = np.stack([rounds[:, people == person].sum(axis=1) for person in everybody], axis=1)
    return named(sums.reshape(-1, scores.shape[1]), np.tile(everybody, times))


def summary(found: Mapping[str, Rank1], probes: int) -> dict[str, object]:
    """Each attacker's figures, and the best of them with the interval of the parrot's."""
    best = {way: max(getattr(rank, way) for rank in found.values()) for way in ("naive", "parrot", "linked")}
    return {
        **{way: round(value, 4) for way, value in best.items()},
        "parrot_interval": [round(bound, 4) for bound in interval(best["parrot"], probes)],
        "attackers": {name: rank.as_json() for name, rank in found.items()},
    }


def interval(share: float, trials: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share. Several maskings of one probe count once, and so do the splits."""
    spread = _Z95**2 / trials
    centre = (share + spread / 2) / (1 + spread)
    half = _Z95 / (1 + spread) * sqrt(share * (1 - share) / trials + spread / (4 * trials))
    return max(centre - half, 0.0), min(centre + half, 1.0)


def over(figures: Mapping[str, Mapping[str, Any]], chance: float) -> dict[str, list[str]]:
    """Treatments that break the promise, for each way to attack."""
    return {
        way: [name for name, figure in figures.items() if figure[way] > BOUND * chance + 1e-9]
        for way in ("naive", "parrot", "linked")
    }


def table(name: str, figures: Mapping[str, Any]) -> Table:
    """One row for each treatment: the best attacker of each way."""
    chance = figures["chance"]
    made = Table(title=f"Re-identification: {name}, {figures['people']} people, chance {chance:.1%}")
    for heading in ("treatment", "naive", "parrot", "95 %", "linked", "parrot, chances"):
        made.add_column(heading, justify="left" if heading == "treatment" else "right")
    for treatment, figure in figures["treatments"].items():
        low, high = figure["parrot_interval"]
        made.add_row(
            treatment,
            *(f"{figure['naive']:.1%}", f"{figure['parrot']:.1%}", f"{low:.1%}–{high:.1%}", f"{figure['linked']:.1%}"),
            f"{figure['parrot'] / chance:.1f}",
            style=None if figure["parrot"] > BOUND * chance else "bold",
        )
    return made
