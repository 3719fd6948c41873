"""Whether memory stays flat: one long video through `veil redact`, its resident memory sampled every second."""

from dataclasses import replace
from pathlib import Path

import av

from services.policy.model import Profile
from tests.bench.processes import Residence, residence
from tests.eval.programs import veil_command, write_policy
from tests.support.scene_plans import MIXED, draw
from tests.support.scene_sources import package_sources, shared_sources
from tests.support.scenes import generate

_FPS = 25
_MINUTES = 30
_SEGMENT_FRAMES = 500
_DEADLINE_S = 3 * 3600.0


def growth(folder: Path, limit_s: float | None) -> Residence:
    """Veil's resident memory over a video of half an hour, or over the first `limit_s` of that run."""
    sources = shared_sources() or package_sources()
    segment, video = folder / "segment.mp4", folder / "long.mp4"
    small = replace(MIXED, size=(320, 240), face_height=(20, 50), plate_height=(12, 30), speed=(2, 5))
    generate(segment, draw(small, sources, _SEGMENT_FRAMES, seed=3), sources)
    looped(segment, video, _MINUTES * 60 * _FPS // _SEGMENT_FRAMES)
    policy = write_policy(folder / "soak.yaml", Profile.EVIDENCE)
    output = folder / "soak-masked.mp4"
    return residence(veil_command(video, output, policy, "--quiet", "--overwrite"), limit_s or _DEADLINE_S)


def looped(source: Path, output: Path, times: int) -> None:
    """Repeats a video by its packets, without compressing it again."""
    with av.open(str(output), "w") as writer:
        made, offset = None, 0
        for _ in range(times):
            with av.open(str(source)) as reader:
                video = reader.streams.video[0]
                made = made or writer.add_stream_from_template(video)
                end = offset
                for packet in reader.demux(video):
                    if packet.pts is None or packet.dts is None:
                        continue
                    end = max(end, offset + packet.pts + (packet.duration or 0))
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = made
                    writer.mux(packet)
                offset = end
