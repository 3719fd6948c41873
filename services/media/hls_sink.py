"""HLS output: MPEG-TS segments and a playlist in a folder, a sliding window for a live camera, all of a file."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from services.media.hls_playlist import INDEX, Playlist, Segment
from services.media.marking import MARK_TEXT
from services.media.muxing import Muxer
from services.media.sink import SinkError, Target, sink_errors
from services.schema import pb

# Decoding times of the first pictures lie before zero where there are B-frames, which MPEG-TS can't say.
_START_S = 10
# Each segment is a file of its own, so its packet counters begin anew: said in its first packets.
_OPTIONS = {"mpegts_flags": "initial_discontinuity", "mpegts_copyts": "1", "avoid_negative_ts": "disabled"}
_TAGS = {"service_name": MARK_TEXT, "service_provider": "veil"}


@dataclass(frozen=True, slots=True)
class HlsOptions:
    """Lengths.

    Attributes:
        segment_s: shortest segment; it ends at the next keyframe.
        window: segments on offer of a live stream.
        spare: segments kept on disk after they left the window, for players that are still reading them.
    """

    segment_s: float = 4.0
    window: int = 6
    spare: int = 3


class HlsSink:
    """Writes a folder with `index.m3u8`.

    A file's folder is NAME.part until it is finished. A live camera's folder has its final name from the start: a
    player can only see whole segments, and a new epoch goes on where the one before ended, after a discontinuity.
    FFmpeg's own HLS output is not used because it says nothing when the disk is full.

    Args:
        target: an hls target.
        video: the first access unit.
        audio: the first packet of sound, None where there is none.
        live: keep a window only.
        options: lengths.
    """

    shed = 0
    faults = 0
    done = True

    def __init__(
        self,
        target: Target,
        video: pb.RedactedUnit,
        audio: pb.AudioUnit | None,
        live: bool,
        options: HlsOptions | None = None,
    ) -> None:
        self.name = target.location
        self._final = Path(target.location)
        self._live, self._audio, self._options = live, audio, options or HlsOptions()
        self._folder = self._final if live else self._final.with_name(f"{self._final.name}.part")
        self._time_base = Fraction(video.time_base_num, video.time_base_den)
        self._offset = round(_START_S / self._time_base)
        self._muxer: Muxer | None = None
        self._first = video
        self._end = video.pts
        with sink_errors(self.name):
            self._prepare()
        self._playlist = self._resume() if live else Playlist()
        offered = {segment.name for segment in self._playlist.segments}
        self._spare = sorted(file.name for file in self._folder.glob("*.ts*") if file.name not in offered)
        self._discontinuity = bool(self._playlist.segments)

    def write(self, unit: pb.RedactedUnit) -> None:
        """Writes the next access unit. Raises SinkError."""
        if unit.keyframe and self._muxer is not None:
            length = (unit.pts - self._first.pts) * self._time_base
            # Keyframes come every 2 s at the earliest picture after that: a segment must not miss its own by a hair.
            if length >= self._options.segment_s * 0.98:
                self._cut(unit.pts)
        if self._muxer is None:
            self._first = unit
            self._muxer = Muxer(str(self._part), "mpegts", unit, self._audio, _OPTIONS, _TAGS, self.name)
        self._end = max(self._end, unit.pts + unit.duration)
        self._muxer.write(unit, self._offset)

    def write_audio(self, unit: pb.AudioUnit) -> None:
        """Writes the next packet of sound. Raises SinkError."""
        if self._muxer is not None:
            self._muxer.write_audio(unit, round(Fraction(_START_S * unit.time_base_den, unit.time_base_num)))

    def finish(self) -> None:
        """Ends the playlist of a file, and gives its folder its name. Raises SinkError."""
        self._cut(self._end)
        if self._live:
            return
        self._playlist.ended = True
        self._publish()
        with sink_errors(self.name):
            self._folder.replace(self._final)

    def abort(self) -> None:
        """Leaves whole segments behind, and the folder's provisional name."""
        try:
            self._cut(self._end)
        except SinkError:
            return

    def join(self, timeout_s: float) -> None:
        """Nothing is under way."""

    @property
    def _part(self) -> Path:
        return self._folder / f"{self._playlist.next_number:08d}.ts.part"

    def _prepare(self) -> None:
        if not self._live and self._final.exists() and any(self._final.iterdir()):
            raise SinkError(f"can't write {self.name}: the folder is not empty")
        self._folder.mkdir(exist_ok=True)
        if not self._live:
            for left_over in (*self._folder.glob("*.ts*"), *self._folder.glob(f"{INDEX}*")):
                left_over.unlink()

    def _resume(self) -> Playlist:
        index = self._folder / INDEX
        if not index.exists():
            return Playlist()
        try:
            return Playlist.parse(index.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise SinkError(f"can't go on with {index}: it is not a playlist of ours") from error

    def _cut(self, end: int) -> None:
        if self._muxer is None:
            return
        muxer, self._muxer = self._muxer, None
        muxer.close()
        part = self._part
        with sink_errors(self.name):
            part.replace(part.with_suffix(""))
        duration = float((end - self._first.pts) * self._time_base)
        segment = Segment(part.stem, duration, self._discontinuity)
        self._discontinuity = False
        self._spare += self._playlist.append(segment, self._options.window if self._live else None)
        self._publish()

    def _publish(self) -> None:
        part = self._folder / f"{INDEX}.part"
        with sink_errors(self.name):
            part.write_text(self._playlist.render(), "utf-8")
            part.replace(self._folder / INDEX)
            while len(self._spare) > self._options.spare:
                (self._folder / self._spare.pop(0)).unlink(missing_ok=True)
