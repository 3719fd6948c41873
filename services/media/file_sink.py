"""MP4 and Matroska files: readable while they are written, under their final name only once they are whole."""

import os
from pathlib import Path

from services.media.muxing import Muxer
from services.media.sink import SinkError, Target, sink_errors
from services.schema import pb

# Fragments start at keyframes, so a file that breaks off plays up to its last whole group of pictures. Of a recording
# that may last for weeks no table of all pictures is kept in memory; a file gets one at its end, which every player
# reads. `delay_moov` is what lets the first picture keep its time.
_RECORDING = "frag_keyframe+delay_moov"
_FILE = "frag_keyframe+delay_moov+hybrid_fragmented"
_CONTAINERS = {"mp4": "mp4", "mkv": "matroska"}


class FileSink:
    """Writes NAME.part and renames it to NAME when it is finished.

    Args:
        target: an mp4 or mkv target.
        video: the first access unit.
        audio: the first packet of sound, None where there is none.
        live: a recording without known end.
    """

    shed = 0
    faults = 0
    done = True

    def __init__(self, target: Target, video: pb.RedactedUnit, audio: pb.AudioUnit | None, live: bool) -> None:
        self.name = target.location
        self._path = Path(target.location)
        self._part = part_of(self._path)
        with sink_errors(self.name):
            self._part.open("wb").close()
        options = {"flush_packets": "1"}
        if target.kind == "mp4":
            # Edit lists count in the movie's time scale: with the stream's own, the first picture's time is exact.
            scale = str(video.time_base_den)
            options |= {"movflags": _RECORDING if live else _FILE, "movie_timescale": scale}
        container = "mov" if self._path.suffix.lower() == ".mov" else _CONTAINERS[target.kind]
        self._held: pb.RedactedUnit | None = None
        self._end = video.pts
        self._delay = video.pts - video.dts
        self._muxer = Muxer(str(self._part), container, video, audio, options, {}, self.name)

    def write(self, unit: pb.RedactedUnit) -> None:
        """Writes the access unit before this one: only the last is known to be the last. Raises SinkError."""
        if self._held is not None:
            self._muxer.write(self._held)
        self._held = unit
        self._end = max(self._end, unit.pts + unit.duration)

    def write_audio(self, unit: pb.AudioUnit) -> None:
        """Writes the next packet of sound. Raises SinkError."""
        self._muxer.write_audio(unit)

    def finish(self) -> None:
        """Completes the file and gives it its name. Raises SinkError."""
        if self._held is not None:
            self._held.duration = self._last_duration(self._held)
            self._muxer.write(self._held)
        self._muxer.close()
        with sink_errors(self.name):
            with self._part.open("rb") as file:
                os.fsync(file.fileno())
            self._part.replace(self._path)

    def abort(self) -> None:
        """Leaves NAME.part behind, readable as far as it goes."""
        try:
            if self._held is not None:
                self._muxer.write(self._held)
            self._muxer.close()
        except SinkError:
            return

    def _last_duration(self, unit: pb.RedactedUnit) -> int:
        """Players that add up sample durations, FFmpeg among them, find the end where the last picture ends.

        With B-frames the last access unit is not the last picture, and sample durations are distances of decoding
        times, which run ahead by a constant delay.
        """
        return max(1, min(self._end - self._delay - unit.dts, self._end - unit.pts))

    def join(self, timeout_s: float) -> None:
        """Nothing is under way."""


def part_of(path: Path) -> Path:
    """The name a file has until it is whole."""
    return path.with_name(f"{path.name}.part")
