"""The stack's site file: its cameras as the media server has them."""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from deploy.stack.media_server import MediaServer


@dataclass(frozen=True, slots=True)
class CameraPlan:
    """One camera of the stack.

    Attributes:
        camera_id: key of all its messages.
        video: what it plays, over and over.
        options: of deploy.stack.cameras: what goes wrong with it, and when.
        policy: preset or policy file; the default keeps latency low.
        overrides: keys of the policy that differ.
    """

    camera_id: str
    video: Path
    options: tuple[str, ...] = ()
    policy: str = "public"
    overrides: Mapping[str, Any] = field(default_factory=dict)


def write_site(path: Path, cameras: Sequence[CameraPlan], media: MediaServer, *, keep: bool = False) -> None:
    """Writes the site file: each camera is read from the media server, its masked video goes back there.

    With `keep` a vault keeps the originals of every camera that does not say otherwise itself.
    """
    originals = {"originals": "keep"} if keep else {}
    site = {
        "name": "stack",
        "cameras": [
            {
                "id": camera.camera_id,
                "source": media.url(f"camera/{camera.camera_id}"),
                "policy": camera.policy,
                # Copied: what two cameras share YAML writes as a reference, which site files may not have.
                "overrides": deepcopy({**originals, **camera.overrides}),
                "outputs": {"rtsp": media.url(f"masked/{camera.camera_id}")},
            }
            for camera in cameras
        ],
    }
    path.write_text(yaml.safe_dump(site, sort_keys=False, allow_unicode=True))
