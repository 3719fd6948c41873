"""What the console says of a camera beside its pictures: site, policy and purpose, from the site file."""

from collections.abc import Mapping
from typing import Any

from services.policy.site import Site
from services.policy.words import sentences


def facts_of(site: Site) -> Mapping[str, Mapping[str, Any]]:
    """camera_id → its facts as JSON; never an address of a camera."""
    return {
        camera_id: {
            "site": site.config.name,
            "policy": policy.name,
            "kinds": [str(kind) for kind in policy.kinds],
            "purpose": policy.purpose,
            "legal_basis": policy.legal_basis,
            "in_words": list(sentences(policy)),
        }
        for camera_id, policy in site.policies.items()
    }
