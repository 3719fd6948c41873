"""RTP packets of H.264 and of sound, their sender reports, and the session description (RFC 3550, 6184, 3640, 4566)."""

import secrets
import struct
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from services.media.marking import MARK_TEXT
from services.schema import pb

MAX_PAYLOAD = 1400
"""Bytes of one packet's payload: fits an Ethernet frame, for readers that a server serves over UDP."""

VIDEO_CLOCK = 90_000
_START_CODE = b"\x00\x00\x01"
_NTP_EPOCH = 2_208_988_800  # seconds from 1900 to 1970
_SPS, _PPS, _FU_A = 7, 8, 28
_G711_NAMES = {"pcm_mulaw": "PCMU", "pcm_alaw": "PCMA"}


@dataclass(slots=True)
class RtpTrack:
    """Numbers the packets of one track.

    Attributes:
        payload_type: dynamic, 96 or above.
        clock: timestamp ticks per second.
    """

    payload_type: int
    clock: int
    ssrc: int = field(default_factory=lambda: secrets.randbits(32))
    packets: int = 0
    payload_bytes: int = 0

    def packet(self, payload: bytes, seconds: Fraction, marker: bool) -> bytes:
        """One RTP packet; `seconds` is its presentation time."""
        kind = self.payload_type | (0x80 if marker else 0)
        header = struct.pack(">BBHII", 0x80, kind, self.packets & 0xFFFF, self._ticks(seconds), self.ssrc)
        self.packets += 1
        self.payload_bytes += len(payload)
        return header + payload

    def sender_report(self, seconds: Fraction, wall_s: float) -> bytes:
        """The RTCP packet that ties presentation time `seconds` to the wall clock, so that tracks stay in sync."""
        ntp = int((wall_s + _NTP_EPOCH) * (1 << 32))
        return struct.pack(
            ">BBHIQIII",
            0x80,
            200,
            6,
            self.ssrc,
            ntp & 0xFFFFFFFFFFFFFFFF,
            self._ticks(seconds),
            self.packets & 0xFFFFFFFF,
            self.payload_bytes & 0xFFFFFFFF,
        )

    def _ticks(self, seconds: Fraction) -> int:
        return round(seconds * self.clock) & 0xFFFFFFFF


def nal_units(access_unit: bytes) -> Iterator[bytes]:
    """The NAL units of an Annex B access unit, without start codes."""
    begin = access_unit.find(_START_CODE)
    while begin >= 0:
        begin += len(_START_CODE)
        end = access_unit.find(_START_CODE, begin)
        yield (access_unit[begin:end] if end >= 0 else access_unit[begin:]).rstrip(b"\x00")
        begin = end


def h264_payloads(access_unit: bytes) -> Iterator[bytes]:
    """The RTP payloads of an access unit: NAL units that fit as they are, larger ones in fragments."""
    for nal in nal_units(access_unit):
        if len(nal) <= MAX_PAYLOAD:
            yield nal
            continue
        indicator, kind = nal[0] & 0xE0 | _FU_A, nal[0] & 0x1F
        step = MAX_PAYLOAD - 2
        for begin in range(1, len(nal), step):
            first, last = begin == 1, begin + step >= len(nal)
            yield bytes((indicator, first << 7 | last << 6 | kind)) + nal[begin : begin + step]


def audio_payload(unit: pb.AudioUnit) -> bytes:
    """The RTP payload of a packet of sound."""
    if unit.codec.startswith("aac"):
        return struct.pack(">HH", 16, len(unit.inline) << 3) + unit.inline
    return unit.inline


def can_carry(unit: pb.AudioUnit) -> bool:
    """Whether RTP has a payload format here for this sound."""
    if unit.codec.startswith("aac"):
        return bool(unit.extradata)
    return unit.codec in _G711_NAMES or unit.codec in ("opus", "libopus")


def audio_clock(unit: pb.AudioUnit) -> int:
    """Timestamp ticks per second of a sound track."""
    return 48_000 if unit.codec.endswith("opus") else unit.sample_rate


def session_description(video: pb.RedactedUnit, audio: pb.AudioUnit | None) -> str:
    """The SDP of a stream whose first access unit, with its parameter sets, is `video`. Raises ValueError without."""
    sets = {nal[0] & 0x1F: nal for nal in nal_units(video.payload)}
    if _SPS not in sets or _PPS not in sets:
        raise ValueError("the stream does not begin with parameter sets")
    sprop = ",".join(b64encode(sets[kind]).decode() for kind in (_SPS, _PPS))
    lines = [
        "v=0",
        "o=- 0 0 IN IP4 127.0.0.1",
        f"s={MARK_TEXT}",
        "c=IN IP4 0.0.0.0",
        "t=0 0",
        "m=video 0 RTP/AVP 96",
        f"a=rtpmap:96 H264/{VIDEO_CLOCK}",
        f"a=fmtp:96 packetization-mode=1;profile-level-id={sets[_SPS][1:4].hex()};sprop-parameter-sets={sprop}",
        "a=control:streamid=0",
    ]
    if audio is not None:
        lines += ["m=audio 0 RTP/AVP 97", *_audio_lines(audio), "a=control:streamid=1"]
    return "\r\n".join(lines) + "\r\n"


def _audio_lines(unit: pb.AudioUnit) -> list[str]:
    if unit.codec.startswith("aac"):
        parameters = "profile-level-id=1;mode=AAC-hbr;sizelength=13;indexlength=3;indexdeltalength=3"
        return [
            f"a=rtpmap:97 MPEG4-GENERIC/{unit.sample_rate}/{unit.channels}",
            f"a=fmtp:97 {parameters};config={unit.extradata.hex()}",
        ]
    if name := _G711_NAMES.get(unit.codec):
        return [f"a=rtpmap:97 {name}/{unit.sample_rate}/{unit.channels}"]
    return ["a=rtpmap:97 opus/48000/2"]
