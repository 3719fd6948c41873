"""Fragmented MP4 for a browser's Media Source Extensions: a fragment for every access unit, without any delay.

FFmpeg's muxer gives a fragment out when the next picture is there, one frame late; this one writes the few boxes by
hand (ISO/IEC 14496-12 and -15).
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import pairwise

from services.schema import pb

_TIMESCALE = 1_000_000
_START_CODE = b"\0\0\1"
_SPS, _PPS, _DELIMITER = 7, 8, 9
_GUESSED_US = 40_000
# sample_depends_on 2 is a keyframe; 1 and sample_is_non_sync_sample any other picture.
_SYNC_FLAGS, _OTHER_FLAGS = 0x02000000, 0x01010000
_MATRIX = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)


class PartKind(IntEnum):
    """What a part is, on the wire too."""

    START = 1
    FRAGMENT = 2


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of one camera's stream.

    Attributes:
        data: the head of an MP4, or a fragment with one picture.
        keyframe: a decoder can begin with this fragment.
        media_us: time of the picture in the stream, in microseconds; rises over epochs too.
        captured_us: when the camera's picture came, since 1970.
        closed: the whole picture is masked.
        codec: of a start, as RFC 6381 writes it.
    """

    kind: PartKind
    data: bytes = field(repr=False)
    keyframe: bool = False
    media_us: int = 0
    captured_us: int = 0
    closed: bool = False
    codec: str = ""
    width: int = 0
    height: int = 0


class Fragmenter:
    """Makes parts of one camera's access units. Times go on over epochs without a gap, as in one long stream."""

    def __init__(self) -> None:
        self._sets: tuple[bytes, bytes] | None = None
        self._needs_keyframe = True
        self._size = (0, 0)
        self._epoch = -1
        self._origin_us = 0
        self._first_dts = 0
        self._end_us = 0
        self._usual_us = _GUESSED_US
        self._number = 0

    def add(self, unit: pb.RedactedUnit) -> list[Part]:
        """The parts of the next access unit; a start goes before the first one and wherever the picture changes.

        A unit that no decoder could begin with is left out until a keyframe has come.
        """
        units = nal_units(unit.payload)
        parts = self._start(unit, units) if unit.keyframe else []
        if self._sets is None or (self._needs_keyframe and not unit.keyframe):
            return []
        self._needs_keyframe = False
        if unit.epoch != self._epoch:
            self._epoch, self._first_dts, self._origin_us = unit.epoch, unit.dts, self._end_us
        ticks_us = _TIMESCALE * unit.time_base_num / unit.time_base_den
        decoded_us = max(
            self._end_us - self._usual_us, self._origin_us + round((unit.dts - self._first_dts) * ticks_us)
        )
        duration_us = max(1, round(unit.duration * ticks_us)) if unit.duration > 0 else self._usual_us
        offset_us = round((unit.pts - unit.dts) * ticks_us)
        self._end_us, self._usual_us = decoded_us + duration_us, duration_us
        self._number += 1
        sample = b"".join(
            len(nal).to_bytes(4, "big") + nal for nal in units if nal[0] & 31 not in (_SPS, _PPS, _DELIMITER)
        )
        data = _fragment(self._number, decoded_us, duration_us, offset_us, sample, keyframe=unit.keyframe)
        shown_us = decoded_us + offset_us
        return [*parts, Part(PartKind.FRAGMENT, data, unit.keyframe, shown_us, unit.captured_us, unit.closed)]

    def skip_to_keyframe(self) -> None:
        """Parts were given up: nothing comes until a decoder can begin anew."""
        self._needs_keyframe = True

    def _start(self, unit: pb.RedactedUnit, units: Sequence[bytes]) -> list[Part]:
        sps = next((nal for nal in units if nal[0] & 31 == _SPS), b"")
        pps = next((nal for nal in units if nal[0] & 31 == _PPS), b"")
        size = (unit.width, unit.height)
        if len(sps) < 4 or not pps or ((sps, pps) == self._sets and size == self._size):
            return []
        self._sets, self._size = (sps, pps), size
        data = _head(unit.width, unit.height, sps, pps)
        codec = f"avc1.{sps[1]:02X}{sps[2]:02X}{sps[3]:02X}"
        return [Part(PartKind.START, data, codec=codec, width=unit.width, height=unit.height)]


def nal_units(access_unit: bytes) -> list[bytes]:
    """The NAL units of an Annex B access unit, without start codes and trailing zeros."""
    starts = []
    at = access_unit.find(_START_CODE)
    while at >= 0:
        starts.append(at)
        at = access_unit.find(_START_CODE, at + 3)
    found = (access_unit[start + 3 : end].rstrip(b"\0") for start, end in pairwise([*starts, len(access_unit)]))
    return [nal for nal in found if nal]


def _box(name: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), name) + body


def _full(name: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return _box(name, struct.pack(">I", version << 24 | flags), *parts)


def _head(width: int, height: int, sps: bytes, pps: bytes) -> bytes:
    """The boxes ftyp and moov. Durations are 0 and there is no mehd: browsers take it for live and buffer the least."""
    config = struct.pack(">4B", 1, sps[1], sps[2], sps[3]) + b"\xff\xe1" + struct.pack(">H", len(sps)) + sps
    config += b"\x01" + struct.pack(">H", len(pps)) + pps
    if sps[1] in (100, 110, 122, 144):
        config += b"\xfd\xf8\xf8\x00"  # 4:2:0, 8 bit, no extensions
    entry = _box(
        b"avc1",
        struct.pack(">6xH16xHHIIIH32xHh", 1, width, height, 0x480000, 0x480000, 0, 1, 0x18, -1),
        _box(b"avcC", config),
    )
    table = _box(
        b"stbl",
        _full(b"stsd", 0, 0, struct.pack(">I", 1), entry),
        *(_full(name, 0, 0, bytes(4)) for name in (b"stts", b"stsc", b"stco")),
        _full(b"stsz", 0, 0, bytes(8)),
    )
    media = _box(
        b"mdia",
        _full(b"mdhd", 0, 0, struct.pack(">4IHH", 0, 0, _TIMESCALE, 0, 0x55C4, 0)),
        _full(b"hdlr", 0, 0, struct.pack(">I4s12x", 0, b"vide"), b"Veil\0"),
        _box(
            b"minf",
            _full(b"vmhd", 0, 1, bytes(8)),
            _box(b"dinf", _full(b"dref", 0, 0, struct.pack(">I", 1), _full(b"url ", 0, 1))),
            table,
        ),
    )
    track = struct.pack(">5I8x4H", 0, 0, 1, 0, 0, 0, 0, 0, 0) + _MATRIX + struct.pack(">II", width << 16, height << 16)
    movie = struct.pack(">5IH10x", 0, 0, _TIMESCALE, 0, 0x10000, 0x100) + _MATRIX + struct.pack(">24xI", 2)
    return _box(b"ftyp", b"iso6\0\0\0\x01iso6mp41avc1") + _box(
        b"moov",
        _full(b"mvhd", 0, 0, movie),
        _box(b"trak", _full(b"tkhd", 0, 3, track), media),
        _box(b"mvex", _full(b"trex", 0, 0, struct.pack(">5I", 1, 1, 0, 0, 0))),
    )


def _fragment(
    number: int, decoded_us: int, duration_us: int, offset_us: int, sample: bytes, *, keyframe: bool
) -> bytes:
    """The boxes moof and mdat with one sample."""
    flags = _SYNC_FLAGS if keyframe else _OTHER_FLAGS
    # Its samples begin behind the moof, which is always so long, and the head of the mdat.
    run = struct.pack(">IiIIIi", 1, _MOOF + 8, duration_us, len(sample), flags, offset_us)
    moof = _box(
        b"moof",
        _full(b"mfhd", 0, 0, struct.pack(">I", number & 0xFFFFFFFF)),
        _box(
            b"traf",
            _full(b"tfhd", 0, 0x020000, struct.pack(">I", 1)),
            _full(b"tfdt", 1, 0, struct.pack(">Q", decoded_us)),
            _full(b"trun", 1, 0x000F01, run),
        ),
    )
    return moof + struct.pack(">I4s", 8 + len(sample), b"mdat") + sample


_MOOF = 8 + 16 + 8 + 16 + 20 + 36
