"""Judges what came out: each frame once and in order, decodable, and with nothing of the truth to be made out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import cv2
import numpy as np

from services.consume.view import CameraView
from tests.chaos.observe import Arrival, Camera, Identity
from tests.chaos.truth import TruthVideo, number_of

_KEPT = 40


@dataclass(frozen=True)
class Account:
    """Of the frames of one camera that were captured in a stretch of time.

    Attributes:
        sent: on video.source.
        delivered: of these, on video.redacted.
        lost: of these, not there.
        duplicated: copies on the topic beyond the first; a view leaves them out.
        out_of_order: given after a later frame of its epoch; a view leaves these out, so they would be lost to it.
        closed: delivered, wholly masked.
        shed: numbers that the decoder passed over, counted by it.
        exposed: subjects that can be made out in an open frame, and closed frames in which anything can.
        undecodable: frames that the view gave and a strict decoder refused.
        closed_s: the longest time of a camera without an open frame, by when they were captured.
    """

    sent: int = 0
    delivered: int = 0
    lost: int = 0
    duplicated: int = 0
    out_of_order: int = 0
    closed: int = 0
    shed: int = 0
    exposed: int = 0
    undecodable: int = 0
    closed_s: float = 0.0


@dataclass(slots=True)
class Judge:
    """Follows one camera: decodes what a view gives, each frame only once however often it is asked.

    Args:
        camera: what the observer collects.
        truths: the camera's videos by the width of their pictures.
        evidence: folder that takes the first pictures in which something can be made out.
    """

    camera: Camera
    truths: Mapping[int, TruthVideo]
    evidence: Path
    _view: CameraView = field(default_factory=lambda: CameraView(whole=True))
    _taken: int = 0
    _epoch: int = -1
    _decoder: av.VideoCodecContext | None = None
    _given: set[Identity] = field(default_factory=set)
    _open: dict[int, Arrival] = field(default_factory=dict)
    _exposed: dict[Identity, int] = field(default_factory=dict)
    _refused: set[Identity] = field(default_factory=set)

    def account(self, from_us: int, until_us: int) -> Account:
        """Of the frames captured from `from_us` on and before `until_us`."""
        self._follow()
        sent = {identity for identity, captured in self.camera.sent.items() if from_us <= captured < until_us}
        arrivals = [arrival for arrival in self.camera.arrivals if arrival.identity in sent]
        first = {arrival.identity: arrival for arrival in reversed(arrivals)}
        return Account(
            sent=len(sent),
            delivered=len(first),
            lost=len(sent - first.keys()),
            duplicated=len(arrivals) - len(first),
            out_of_order=len(first.keys() - self._given),
            closed=sum(arrival.unit.closed for arrival in first.values()),
            shed=_passed_over(sent),
            exposed=sum(self._exposed.get(identity, 0) for identity in sent),
            undecodable=len(self._refused & sent),
            closed_s=longest_closed(first.values()),
        )

    def first_fresh(self, after_us: int, max_age_us: int) -> int | None:
        """When the first open frame arrived that was captured after `after_us` and no older than `max_age_us`."""
        for arrival in self.camera.arrivals:
            captured = arrival.unit.captured_us
            if captured > after_us and not arrival.unit.closed and arrival.at_us - captured <= max_age_us:
                return arrival.at_us
        return None

    def _follow(self) -> None:
        arrivals = self.camera.arrivals[self._taken :]
        self._taken += len(arrivals)
        for arrival in arrivals:
            if self._view.take(arrival.unit):
                self._given.add(arrival.identity)
                self._decode(arrival)

    def _decode(self, arrival: Arrival) -> None:
        unit = arrival.unit
        if self._decoder is None or unit.epoch != self._epoch:
            self._decoder, self._epoch = _strict_decoder(), unit.epoch
            self._open.clear()
        packet = av.Packet(unit.payload)
        packet.pts = packet.dts = unit.seq
        self._open[unit.seq] = arrival
        try:
            frames: Sequence[av.VideoFrame] = self._decoder.decode(packet)
        except av.error.FFmpegError:
            frames = ()
        for frame in frames:
            shown = self._open.pop(int(frame.pts or 0), None)
            if shown is not None:
                self._look(shown, frame)
        # Without B-frames a decoder gives each picture at once.
        for late in [seq for seq in self._open if seq <= unit.seq]:
            self._refused.add(self._open.pop(late).identity)

    def _look(self, arrival: Arrival, frame: av.VideoFrame) -> None:
        plane = frame.to_ndarray(format="gray8").astype(np.uint8, copy=False)
        if frame.is_corrupt:
            self._refused.add(arrival.identity)
        number = number_of(plane)
        if arrival.unit.closed:
            found = int(number is not None)
        elif number is None:
            # An open frame that can't be compared proves nothing: it counts against us.
            found = 1
        else:
            found = self.truths[frame.width].exposed(number, plane)
        if found:
            self._exposed[arrival.identity] = found
            if len(self._exposed) <= _KEPT:
                self.evidence.mkdir(parents=True, exist_ok=True)
                name = f"{arrival.unit.camera_id}-{arrival.unit.epoch}-{arrival.unit.seq}-is-{number}.png"
                cv2.imwrite(str(self.evidence / name), plane)


def total(accounts: Iterable[Account]) -> Account:
    """Of several cameras together."""
    rows = list(accounts)
    sums = {name: sum(getattr(row, name) for row in rows) for name in Account.__dataclass_fields__}
    return Account(**sums | {"closed_s": max((row.closed_s for row in rows), default=0.0)})


def _strict_decoder() -> av.VideoCodecContext:
    decoder = av.CodecContext.create("h264", "r")
    assert isinstance(decoder, av.VideoCodecContext)
    decoder.options = {"err_detect": "explode", "flags": "low_delay"}
    decoder.thread_count = 1
    return decoder


def longest_closed(arrivals: Iterable[Arrival]) -> float:
    """Seconds from the first closed frame of a row of them to the first open one after it, or to the last there is."""
    longest, since = 0, None
    for unit in sorted((arrival.unit for arrival in arrivals), key=lambda unit: (unit.epoch, unit.seq)):
        if since is not None:
            longest = max(longest, unit.captured_us - since)
        if not unit.closed:
            since = None
        elif since is None:
            since = unit.captured_us
    return round(longest / 1e6, 2)


def _passed_over(identities: Iterable[Identity]) -> int:
    """Numbers missing between the lowest and the highest of each epoch."""
    epochs: dict[int, list[int]] = {}
    for epoch, seq in identities:
        epochs.setdefault(epoch, []).append(seq)
    return sum(max(seqs) - min(seqs) + 1 - len(seqs) for seqs in epochs.values())
