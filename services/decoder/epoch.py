"""One opened stream on its way to the bus: decodes each access unit once and writes the records of both topics."""

import heapq
import time
from collections import deque
from collections.abc import Callable
from typing import Literal

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from services.bus.interface import Record
from services.bus.topics import FRAMES_DETECT, VIDEO_SOURCE, Topic
from services.decoder import metrics
from services.decoder.cadence import Cadence, Turns, Why
from services.decoder.details import Details, compose
from services.decoder.motion import NAME as MOTION
from services.decoder.motion import MotionDetector
from services.decoder.outbox import Entry, Kind
from services.decoder.settings import DecoderSettings
from services.envelope import Sealer, context
from services.media.decoding import AccessUnitDecoder, DecodedUnit, PictureMaker
from services.media.demux import Demuxer, SourceSound
from services.media.order import SourceUnit
from services.policy.model import AT_DECODER, Policy
from services.schema import pb

# Pictures on their way between stages beyond those that the policy accounts for.
_SHARE_MARGIN = 16
_USUAL_RATE = 30.0


class EpochWriter:
    """Makes the messages of one epoch. Access units go out once it is known what became of them, in decoding order.

    Args:
        source: what is read; only its descriptions are used here.
        policy: gives the camera's policy as it is now; None if there is none: nothing is then given to detectors, so
            that every frame stays closed.
        share: attach the decoded picture to each access unit.
        emit: takes the finished records, in order.
        sealer: encrypts every payload; without one they are plain.
    """

    def __init__(
        self,
        camera_id: str,
        epoch: int,
        source: Demuxer,
        policy: Callable[[], Policy | None],
        settings: DecoderSettings,
        emit: Callable[[Entry], None],
        *,
        share: bool,
        sealer: Sealer | None = None,
    ) -> None:
        self._camera_id, self._epoch = camera_id, epoch
        self._info = info = source.info
        self._audio = source.audio
        self._policy = policy
        self._settings = settings
        self._emit = emit
        self._sealer = sealer
        self._share = share
        self._decoder = AccessUnitDecoder(info, settings.threads)
        self._maker = PictureMaker(info)
        self._undecided: deque[SourceUnit] = deque()
        self._unshown: list[tuple[int, SourceUnit, DecodedUnit]] = []
        self._shown = 0
        self._newest_seq = 0
        self._held: tuple[SourceUnit, DecodedUnit] | None = None
        self._cadence: Cadence | None = None
        self._turns = Turns()
        self._details: Details | None = None
        self._motion: MotionDetector | None = None
        self._previous_seq: int | None = None
        self._unseen: tuple[SourceUnit, av.VideoFrame] | None = None
        self._tick_s = info.time_base_num / info.time_base_den

    def unit(self, unit: SourceUnit) -> None:
        """Takes the next access unit, in decoding order."""
        self._undecided.append(unit)
        self._newest_seq = max(self._newest_seq, unit.seq)
        for decoded in self._decoder.decode(unit.payload, unit.seq, keyframe=unit.keyframe, damaged=unit.damaged):
            self._decided(decoded)

    def sound(self, packet: SourceSound) -> None:
        """Takes a packet of sound as it was read; it goes out only if the policy keeps sound."""
        policy = self._policy()
        if self._audio is None or policy is None or policy.sound != "keep":
            return
        sealed = self._sealed(VIDEO_SOURCE, packet.index, packet.payload, "sound")
        audio = pb.AudioUnit(
            camera_id=self._camera_id,
            epoch=self._epoch,
            index=packet.index,
            pts=packet.pts,
            dts=packet.dts,
            duration=packet.duration,
            time_base_num=self._audio.time_base_num,
            time_base_den=self._audio.time_base_den,
            codec=self._audio.codec,
            extradata=self._audio.extradata,
            sample_rate=self._audio.sample_rate,
            channels=self._audio.channels,
            inline=packet.payload if sealed is None else None,
            sealed=sealed,
            after_seq=self._newest_seq,
        )
        self._send(Kind.SOUND, VIDEO_SOURCE, pb.SourceMessage(audio=audio))

    def end(self, reason: "pb.EndOfStream.Reason", detail: str) -> int:
        """Finishes the epoch: what is still inside, and an end on both topics. Returns its number of frames."""
        for decoded in self._decoder.flush():
            self._decided(decoded)
        if self._held is not None:
            unit, decoded = self._held
            self._look(unit, decoded, next_s=self._time(unit), last=True)
        end = pb.EndOfStream(
            camera_id=self._camera_id, epoch=self._epoch, frames=self._shown, reason=reason, detail=detail
        )
        for entry in end_entries(end):
            self._emit(entry)
        return self._shown

    def _decided(self, decoded: DecodedUnit) -> None:
        unit = self._undecided.popleft()
        self._publish(unit, decoded)
        heapq.heappush(self._unshown, (unit.seq, unit, decoded))
        while self._unshown and self._unshown[0][0] == self._shown:
            _, shown_unit, shown = heapq.heappop(self._unshown)
            self._shown += 1
            self._show(shown_unit, shown)

    def _publish(self, unit: SourceUnit, decoded: DecodedUnit) -> None:
        sealed = self._sealed(VIDEO_SOURCE, unit.seq, unit.payload)
        access_unit = pb.AccessUnit(
            camera_id=self._camera_id,
            epoch=self._epoch,
            seq=unit.seq,
            keyframe=unit.keyframe,
            keyframe_seq=unit.keyframe_seq,
            pts=unit.pts,
            dts=unit.dts,
            duration=unit.duration,
            captured_us=unit.captured_us,
            size=len(unit.payload),
            corrupt=decoded.corrupt,
            stream=self._info if unit.keyframe else None,
            inline=unit.payload if sealed is None else None,
            sealed=sealed,
            trace=[_hop(unit)],
        )
        picture = None
        if self._share and decoded.frame is not None and not decoded.corrupt:
            picture = self._maker.picture(decoded.frame).data
        kind = Kind.KEYFRAME if unit.keyframe else Kind.PICTURE
        self._send(kind, VIDEO_SOURCE, pb.SourceMessage(unit=access_unit), picture, unit.captured_us)
        metrics.FRAMES.inc()
        if decoded.corrupt:
            metrics.CORRUPT.inc()

    def _show(self, unit: SourceUnit, decoded: DecodedUnit) -> None:
        """Takes the pictures in presentation order. A file's are judged one late: its last is always looked at."""
        if decoded.corrupt:
            return
        if self._info.live:
            rate = self._info.frame_rate or _USUAL_RATE
            self._look(unit, decoded, next_s=self._time(unit) + 1 / rate)
            return
        if self._held is not None:
            self._look(*self._held, next_s=self._time(unit))
        self._held = (unit, decoded)

    def _look(self, unit: SourceUnit, decoded: DecodedUnit, next_s: float, *, last: bool = False) -> None:
        policy = self._policy()
        if policy is None or decoded.frame is None:
            return
        if self._cadence is None or self._cadence.detection is not policy.detection:
            self._cadence = Cadence(policy.detection)
        why = self._cadence.wants(self._maker.luma(decoded.frame), self._time(unit), next_s)
        if why is None and last:
            why = Why.LAST
        before, self._unseen = self._unseen, None if why else (unit, decoded.frame)
        if why is None:
            return
        if why is Why.CUT and before is not None:
            # Where one scene ends and another begins nothing may be drawn on its way from the one to the other.
            self._detect(*before, policy, Why.BEFORE_CUT)
        self._detect(unit, decoded.frame, policy, why)

    def _detect(self, unit: SourceUnit, shown: av.VideoFrame, policy: Policy, why: Why) -> None:
        names = self._turns.of(policy.intervals, self._time(unit), why)
        results = [self._motion_of(unit, shown, why)] if MOTION in names else []
        if MOTION not in policy.intervals:
            self._motion = None
        asked = [name for name in names if name not in AT_DECODER]
        side = policy.detection.side_for(self._info.width, self._info.height)
        width, height = self._maker.rgb_size(shown, side)
        picture: NDArray[np.uint8] | None = None
        views: list[pb.View] = []
        if asked:
            # Where nobody is asked nobody looks: a picture would cost time and be one more that can be seen.
            picture, views = self._composed(shown, side, policy)
            height, width, _ = picture.shape
        metrics.DETECT_FRAMES.labels(why.value).inc()
        encoded = self._settings.transport == "encoded"
        attached = None if encoded else picture
        jpeg = _jpeg(picture, self._settings.jpeg_quality) if encoded and picture is not None else None
        sealed = None if jpeg is None else self._sealed(FRAMES_DETECT, unit.seq, jpeg)
        frame = pb.DetectFrame(
            camera_id=self._camera_id,
            epoch=self._epoch,
            seq=unit.seq,
            has_previous=self._previous_seq is not None,
            previous_seq=self._previous_seq or 0,
            pts=unit.pts,
            width=width,
            height=height,
            source_width=self._info.width,
            source_height=self._info.height,
            detectors=asked,
            captured_us=unit.captured_us,
            motion=self._cadence.motion if self._cadence else 0.0,
            time_base_num=self._info.time_base_num,
            time_base_den=self._info.time_base_den,
            frame_rate=self._info.frame_rate,
            live=self._info.live,
            jpeg=jpeg if sealed is None else None,
            sealed=sealed,
            attached=None if attached is None else True,
            views=views,
            trace=[_hop(unit)],
            results=results,
        )
        self._previous_seq = unit.seq
        self._send(Kind.DETECTION, FRAMES_DETECT, pb.DetectMessage(frame=frame), attached, unit.captured_us)

    def _composed(self, shown: av.VideoFrame, side: int, policy: Policy) -> tuple[NDArray[np.uint8], list[pb.View]]:
        """The picture that detectors see, with the detail tiles whose turn it is, and what is where in it."""
        overview = self._maker.rgb(shown, side)
        tiles = self._details_of(policy).turn(overview.shape[0] * overview.shape[1])
        details = [(tile, self._maker.detail(shown, *tile)) for tile in tiles]
        return compose(overview, details, self._info.width, self._info.height)

    def _details_of(self, policy: Policy) -> Details:
        if self._details is None or self._details.policy is not policy:
            self._details = Details(policy, self._info.width, self._info.height)
        return self._details

    def _motion_of(self, unit: SourceUnit, shown: av.VideoFrame, why: Why) -> pb.DetectorResult:
        """What moves, without any model: every picture that is looked at goes into the camera's background."""
        if self._motion is None:
            info = self._info
            self._motion = MotionDetector(info.width, info.height, info.rotation, self._settings.motion_absorb_s)
        return self._motion.look(self._maker.luma(shown), self._time(unit), why)

    def _time(self, unit: SourceUnit) -> float:
        return (unit.pts or 0) * self._tick_s

    def _sealed(
        self, topic: Topic, seq: int, payload: bytes, content: Literal["picture", "sound"] = "picture"
    ) -> pb.Sealed | None:
        if self._sealer is None:
            return None
        place = context(topic, self._camera_id, self._epoch, seq, content)
        return self._sealer.seal(self._camera_id, place, payload)

    def _send(
        self,
        kind: Kind,
        topic: Topic,
        message: pb.SourceMessage | pb.DetectMessage,
        attachment: NDArray[np.uint8] | None = None,
        captured_us: int = 0,
    ) -> None:
        record = Record(topic, self._camera_id, message.SerializeToString(), attachment)
        self._emit(Entry(kind, record, captured_us))


def _hop(unit: SourceUnit) -> pb.Hop:
    return pb.Hop(stage="decoder", received_us=unit.captured_us, sent_us=time.time_ns() // 1000)


def end_entries(end: pb.EndOfStream) -> list[Entry]:
    """The end of an epoch for both topics."""
    messages = ((FRAMES_DETECT, pb.DetectMessage(end=end)), (VIDEO_SOURCE, pb.SourceMessage(end=end)))
    return [Entry(Kind.END, Record(topic, end.camera_id, body.SerializeToString())) for topic, body in messages]


def shares(info: pb.StreamInfo, policy: Policy | None, settings: DecoderSettings, cameras: int) -> bool:
    """True if this camera's decoded pictures fit into its part of the memory for as long as the line holds them."""
    if policy is None or not settings.share_decoded or settings.transport != "attached":
        return False
    look_ahead = policy.tracking.look_ahead_s * (info.frame_rate or _USUAL_RATE)
    pictures = look_ahead + 2 * policy.detection.every_max + _SHARE_MARGIN
    return pictures * info.width * info.height * 1.5 <= settings.shared_picture_bytes / max(1, cameras)


def _jpeg(picture: NDArray[np.uint8], quality: int) -> bytes:
    """RGB (height, width, 3) as 4:2:0 JPEG."""
    flags = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_420,
    ]
    done, data = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), flags)
    if not done:
        raise ValueError(f"a picture of {picture.shape[1]}×{picture.shape[0]} can't be written as JPEG")
    return data.tobytes()
