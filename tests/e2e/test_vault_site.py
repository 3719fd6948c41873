"""`veil run --vault`: masking goes on as ever, and the original lies in the vault, where it can be decoded again."""

import threading
from collections.abc import Mapping
from pathlib import Path

import av
import numpy as np
import pytest

from services.detect.interface import Detector
from services.embedded.errors import RunError
from services.embedded.site import run_site
from services.policy.site import load_site
from services.schema import pb
from services.vault import Piece, VaultSettings, open_vault
from tests.support.frames import luma
from tests.support.keys import add_key

pytestmark = pytest.mark.models

SITE = """\
name: test
policy: store
cameras:
  - id: hall
    source: {video}
    overrides: {{originals: {originals}}}
    outputs: {{mp4: hall.mp4}}
"""


def decoded(pieces: list[Piece]) -> list[np.ndarray]:
    """Luma of every picture that the vault gives, decoded from its access units."""
    units = [each.unit for piece in pieces for each in piece.units]
    stream: pb.StreamInfo = units[0].stream
    context = av.CodecContext.create(stream.codec, "r")
    context.extradata = stream.extradata or None
    frames = [frame for unit in units for frame in context.decode(av.Packet(unit.inline))] + context.decode(None)
    return [frame.to_ndarray(format="gray") for frame in frames]


def test_the_original_is_kept_whole_and_masked_video_is_as_without(
    carphone: Path, detectors: Mapping[str, Detector], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    add_key(keys, "a")
    monkeypatch.setenv("VEIL_KEYS_FOLDER", str(keys))
    site = tmp_path / "site.yaml"
    site.write_text(SITE.format(video=carphone, originals="keep"))
    run_site(load_site(site), threading.Event(), detectors=detectors, vault=tmp_path / "vault")
    vault = open_vault(VaultSettings(store=str(tmp_path / "vault")))
    parts = [part for part in vault.open("hall", 0, 1 << 60, purpose="a test", who="t") if isinstance(part, Piece)]
    original = luma(carphone)
    kept = decoded(parts)
    assert len(kept) == len(original)
    assert max(np.abs(a.astype(int) - b).max() for a, b in zip(kept, original, strict=True)) <= 2
    # Every frame's spans lie beside it: with them, what was masked then can be masked again.
    covered = [part.span_of(each.unit.seq) for part in parts for each in part.units]
    assert all(span is not None for span in covered)
    (masked,) = tmp_path.glob("hall*.mp4")
    assert len(luma(masked)) == len(original)
    for file in (tmp_path / "vault").rglob("*.video"):
        content = file.read_bytes()
        assert parts[0].units[0].unit.inline[:64] not in content


def test_a_vault_that_no_policy_asks_for_is_refused(
    carphone: Path, detectors: Mapping[str, Detector], tmp_path: Path
) -> None:
    site = tmp_path / "site.yaml"
    site.write_text(SITE.format(video=carphone, originals="drop"))
    with pytest.raises(RunError, match="no camera's policy"):
        run_site(load_site(site), threading.Event(), detectors=detectors, vault=tmp_path / "vault")
    assert not (tmp_path / "vault").exists()
