"""Which cameras a question is about: by camera, site and sector, and never more than the account may see."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from fastapi import HTTPException

from services.accounts.model import Account
from services.policy.model import Kind, Policy, PolicyUnavailable
from services.policy.site import Site

Subject = Literal["people", "vehicles"]
By = Literal["camera", "site", "sector"]

# A person is counted once: by the whole of them where that is looked for, by the head or face where it isn't.
_PEOPLE = (Kind.PERSON, Kind.HEAD, Kind.FACE)
_VEHICLES = (Kind.PLATE,)


@dataclass(frozen=True, slots=True)
class Place:
    """What is known of a camera.

    Attributes:
        policy: in force now; None where there is no site file, or nobody can read it.
    """

    camera_id: str
    site: str = ""
    policy: Policy | None = field(default=None, repr=False)

    @property
    def sector(self) -> str:
        """Kind of place, from the policy."""
        return "" if self.policy is None else self.policy.sector

    def kind_of(self, subject: Subject) -> str | None:
        """The kind by which people or vehicles are counted here; None where they are not."""
        wanted = _PEOPLE if subject == "people" else _VEHICLES
        kinds = set(wanted[-1:]) if self.policy is None else set(self.policy.kinds)
        return next((str(kind) for kind in wanted if kind in kinds), None)

    def group(self, by: By) -> str:
        """The name of the group it is in."""
        return {"camera": self.camera_id, "site": self.site, "sector": self.sector}[by]


class Places(Mapping[str, Place]):
    """camera_id → what is known of it now: policies may change while the console runs."""

    def __init__(self, site: Site) -> None:
        self._site, self._cameras = site, dict.fromkeys(sorted(site.policies))

    def __getitem__(self, camera_id: str) -> Place:
        if camera_id not in self._cameras:
            raise KeyError(camera_id)
        try:
            policy = self._site.book.policy_for(camera_id)
        except PolicyUnavailable:
            policy = None
        return Place(camera_id, self._site.config.name, policy)

    def __iter__(self) -> Iterator[str]:
        return iter(self._cameras)

    def __len__(self) -> int:
        return len(self._cameras)


def seen_by(who: Account, places: Mapping[str, Place]) -> dict[str, Place]:
    """Those of the cameras that an account may see."""
    return {name: place for name, place in places.items() if who.sees(name, place.site)}


def one_of(who: Account, places: Mapping[str, Place], camera_id: str) -> Place:
    """A camera. Raises 403, for one that isn't there as for one that is not theirs: nobody learns which there are."""
    place = places.get(camera_id)
    if place is None or not who.sees(camera_id, place.site):
        raise HTTPException(403, "Your account may not see this camera.")
    return place
