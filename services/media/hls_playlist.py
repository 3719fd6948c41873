"""The HLS media playlist: what it holds, how it is written and read back (RFC 8216)."""

import math
from dataclasses import dataclass, field

INDEX = "index.m3u8"


@dataclass(frozen=True, slots=True)
class Segment:
    """One entry.

    Attributes:
        name: file beside the playlist.
        duration_s: up to the next segment.
        discontinuity: its times do not follow those before it.
    """

    name: str
    duration_s: float
    discontinuity: bool = False


@dataclass(slots=True)
class Playlist:
    """The segments on offer.

    Attributes:
        sequence: number of the first of them since the beginning.
        discontinuities: how many of those that left the window began with a discontinuity.
        target_s: no segment is longer; it never shrinks.
        ended: nothing follows.
    """

    segments: list[Segment] = field(default_factory=list)
    sequence: int = 0
    discontinuities: int = 0
    target_s: int = 1
    ended: bool = False

    @property
    def next_number(self) -> int:
        """Number of the segment that will follow."""
        return self.sequence + len(self.segments)

    def append(self, segment: Segment, window: int | None) -> list[str]:
        """Adds a segment; returns the names of those that leave a window of that many."""
        self.segments.append(segment)
        self.target_s = max(self.target_s, math.floor(segment.duration_s + 0.5))
        gone: list[str] = []
        while window is not None and len(self.segments) > window:
            first = self.segments.pop(0)
            self.sequence += 1
            self.discontinuities += first.discontinuity
            gone.append(first.name)
        return gone

    def render(self) -> str:
        """The playlist's text."""
        lines = [
            "#EXTM3U",
            "#EXT-X-VERSION:6",
            f"#EXT-X-TARGETDURATION:{self.target_s}",
            f"#EXT-X-MEDIA-SEQUENCE:{self.sequence}",
            f"#EXT-X-DISCONTINUITY-SEQUENCE:{self.discontinuities}",
            "#EXT-X-INDEPENDENT-SEGMENTS",
        ]
        if self.ended:
            lines.append("#EXT-X-PLAYLIST-TYPE:VOD")
        for segment in self.segments:
            if segment.discontinuity:
                lines.append("#EXT-X-DISCONTINUITY")
            lines += [f"#EXTINF:{segment.duration_s:.6f},", segment.name]
        if self.ended:
            lines.append("#EXT-X-ENDLIST")
        return "\n".join(lines) + "\n"

    @classmethod
    def parse(cls, text: str) -> "Playlist":
        """Reads what `render` wrote. Raises ValueError."""
        playlist = cls()
        duration, discontinuity = 0.0, False
        for line in text.splitlines():
            tag, _, value = line.partition(":")
            if tag == "#EXT-X-TARGETDURATION":
                playlist.target_s = int(value)
            elif tag == "#EXT-X-MEDIA-SEQUENCE":
                playlist.sequence = int(value)
            elif tag == "#EXT-X-DISCONTINUITY-SEQUENCE":
                playlist.discontinuities = int(value)
            elif tag == "#EXT-X-DISCONTINUITY":
                discontinuity = True
            elif tag == "#EXTINF":
                duration = float(value.rstrip(","))
            elif line and not line.startswith("#"):
                playlist.segments.append(Segment(line, duration, discontinuity))
                discontinuity = False
        return playlist
