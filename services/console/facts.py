"""What the console says of a camera beside its pictures: site, policy and purpose, as they are now."""

from collections.abc import Iterator, Mapping
from typing import Any

from services.policy.model import Policy, PolicyUnavailable
from services.policy.site import Site
from services.policy.words import sentences


class Facts(Mapping[str, Mapping[str, Any]]):
    """camera_id → its facts as JSON, following its policy as it changes; never an address of a camera."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known: dict[str, tuple[Policy, Mapping[str, Any]]] = {}

    def __getitem__(self, camera_id: str) -> Mapping[str, Any]:
        if camera_id not in self._site.policies:
            raise KeyError(camera_id)
        try:
            policy = self._site.book.policy_for(camera_id)
        except PolicyUnavailable:
            return {"site": self._site.config.name}
        known = self._known.get(camera_id)
        if known is None or known[0] is not policy:
            known = self._known[camera_id] = policy, self._facts(policy)
        return known[1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._site.policies)

    def __len__(self) -> int:
        return len(self._site.policies)

    def _facts(self, policy: Policy) -> Mapping[str, Any]:
        return {
            "site": self._site.config.name,
            "policy": policy.name,
            "kinds": [str(kind) for kind in policy.kinds],
            "purpose": policy.purpose,
            "legal_basis": policy.legal_basis,
            "in_words": list(sentences(policy)),
        }
