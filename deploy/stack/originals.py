"""Where a stack with a vault keeps originals, and what opens them again: one file of variables for `veil`."""

from pathlib import Path

import yaml

from deploy.stack.principals import write_env_file
from services.policy.site import Site

NAME = "originals"


def store_of(folder: Path) -> Path:
    """Folder of the encrypted originals and their index; the keys lie elsewhere."""
    return folder / NAME


def write_opener(folder: Path, keys: Path, site: Site) -> Path:
    """Writes originals.env: with it `veil vault` and `veil disclose` work on the originals of this stack.

    Beside it the policies that its cameras have, as a disclosure has to know them.
    """
    policies = folder / "policies"
    write_policies(policies, site)
    disclosure = folder / "disclosure"
    return write_env_file(
        folder,
        NAME,
        {
            "VEIL_VAULT_STORE": str(store_of(folder)),
            "VEIL_KEYS_FOLDER": str(keys),
            "VEIL_DISCLOSURE_FOLDER": str(disclosure / "requests"),
            "VEIL_DISCLOSURE_KEYS": str(disclosure / "signing"),
            "VEIL_DISCLOSURE_POLICIES": str(policies),
        },
    )


def write_policies(folder: Path, site: Site) -> None:
    """Writes the policy of each camera, whole, as a disclosure looks them up."""
    folder.mkdir(parents=True, exist_ok=True)
    for camera, policy in site.policies.items():
        (folder / f"{camera}.yaml").write_text(yaml.safe_dump(policy.model_dump(mode="json"), allow_unicode=True))
