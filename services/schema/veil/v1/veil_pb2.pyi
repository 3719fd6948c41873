from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    KIND_UNSPECIFIED: _ClassVar[Kind]
    KIND_FACE: _ClassVar[Kind]
    KIND_PLATE: _ClassVar[Kind]
    KIND_PERSON: _ClassVar[Kind]
    KIND_MOTION: _ClassVar[Kind]
    KIND_TEXT: _ClassVar[Kind]
    KIND_LOGO: _ClassVar[Kind]
    KIND_VEHICLE: _ClassVar[Kind]
    KIND_HEAD: _ClassVar[Kind]

class Coverage(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COVERAGE_UNSPECIFIED: _ClassVar[Coverage]
    COMPLETE: _ClassVar[Coverage]
    INCOMPLETE: _ClassVar[Coverage]
KIND_UNSPECIFIED: Kind
KIND_FACE: Kind
KIND_PLATE: Kind
KIND_PERSON: Kind
KIND_MOTION: Kind
KIND_TEXT: Kind
KIND_LOGO: Kind
KIND_VEHICLE: Kind
KIND_HEAD: Kind
COVERAGE_UNSPECIFIED: Coverage
COMPLETE: Coverage
INCOMPLETE: Coverage

class StreamInfo(_message.Message):
    __slots__ = ("codec", "extradata", "width", "height", "rotation", "time_base_num", "time_base_den", "frame_rate", "live", "full_range", "coded_width", "coded_height")
    CODEC_FIELD_NUMBER: _ClassVar[int]
    EXTRADATA_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    ROTATION_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_NUM_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_DEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    FULL_RANGE_FIELD_NUMBER: _ClassVar[int]
    CODED_WIDTH_FIELD_NUMBER: _ClassVar[int]
    CODED_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    codec: str
    extradata: bytes
    width: int
    height: int
    rotation: int
    time_base_num: int
    time_base_den: int
    frame_rate: float
    live: bool
    full_range: bool
    coded_width: int
    coded_height: int
    def __init__(self, codec: _Optional[str] = ..., extradata: _Optional[bytes] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., rotation: _Optional[int] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., frame_rate: _Optional[float] = ..., live: _Optional[bool] = ..., full_range: _Optional[bool] = ..., coded_width: _Optional[int] = ..., coded_height: _Optional[int] = ...) -> None: ...

class Sealed(_message.Message):
    __slots__ = ("key_id", "nonce", "ciphertext", "wrapped_key", "wrapped_by")
    KEY_ID_FIELD_NUMBER: _ClassVar[int]
    NONCE_FIELD_NUMBER: _ClassVar[int]
    CIPHERTEXT_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_KEY_FIELD_NUMBER: _ClassVar[int]
    WRAPPED_BY_FIELD_NUMBER: _ClassVar[int]
    key_id: str
    nonce: bytes
    ciphertext: bytes
    wrapped_key: bytes
    wrapped_by: str
    def __init__(self, key_id: _Optional[str] = ..., nonce: _Optional[bytes] = ..., ciphertext: _Optional[bytes] = ..., wrapped_key: _Optional[bytes] = ..., wrapped_by: _Optional[str] = ...) -> None: ...

class Hop(_message.Message):
    __slots__ = ("stage", "received_us", "sent_us")
    STAGE_FIELD_NUMBER: _ClassVar[int]
    RECEIVED_US_FIELD_NUMBER: _ClassVar[int]
    SENT_US_FIELD_NUMBER: _ClassVar[int]
    stage: str
    received_us: int
    sent_us: int
    def __init__(self, stage: _Optional[str] = ..., received_us: _Optional[int] = ..., sent_us: _Optional[int] = ...) -> None: ...

class Reference(_message.Message):
    __slots__ = ("uri", "offset", "length", "sha256")
    URI_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LENGTH_FIELD_NUMBER: _ClassVar[int]
    SHA256_FIELD_NUMBER: _ClassVar[int]
    uri: str
    offset: int
    length: int
    sha256: bytes
    def __init__(self, uri: _Optional[str] = ..., offset: _Optional[int] = ..., length: _Optional[int] = ..., sha256: _Optional[bytes] = ...) -> None: ...

class AccessUnit(_message.Message):
    __slots__ = ("camera_id", "epoch", "seq", "keyframe", "keyframe_seq", "pts", "dts", "duration", "captured_us", "size", "corrupt", "stream", "inline", "sealed", "reference", "trace")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_SEQ_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    DTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_US_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    CORRUPT_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    REFERENCE_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    seq: int
    keyframe: bool
    keyframe_seq: int
    pts: int
    dts: int
    duration: int
    captured_us: int
    size: int
    corrupt: bool
    stream: StreamInfo
    inline: bytes
    sealed: Sealed
    reference: Reference
    trace: _containers.RepeatedCompositeFieldContainer[Hop]
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., keyframe: _Optional[bool] = ..., keyframe_seq: _Optional[int] = ..., pts: _Optional[int] = ..., dts: _Optional[int] = ..., duration: _Optional[int] = ..., captured_us: _Optional[int] = ..., size: _Optional[int] = ..., corrupt: _Optional[bool] = ..., stream: _Optional[_Union[StreamInfo, _Mapping]] = ..., inline: _Optional[bytes] = ..., sealed: _Optional[_Union[Sealed, _Mapping]] = ..., reference: _Optional[_Union[Reference, _Mapping]] = ..., trace: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ...) -> None: ...

class AudioUnit(_message.Message):
    __slots__ = ("camera_id", "epoch", "index", "pts", "dts", "duration", "time_base_num", "time_base_den", "codec", "extradata", "sample_rate", "channels", "inline", "sealed", "after_seq")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    INDEX_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    DTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_NUM_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_DEN_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    EXTRADATA_FIELD_NUMBER: _ClassVar[int]
    SAMPLE_RATE_FIELD_NUMBER: _ClassVar[int]
    CHANNELS_FIELD_NUMBER: _ClassVar[int]
    INLINE_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    AFTER_SEQ_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    index: int
    pts: int
    dts: int
    duration: int
    time_base_num: int
    time_base_den: int
    codec: str
    extradata: bytes
    sample_rate: int
    channels: int
    inline: bytes
    sealed: Sealed
    after_seq: int
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., index: _Optional[int] = ..., pts: _Optional[int] = ..., dts: _Optional[int] = ..., duration: _Optional[int] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., codec: _Optional[str] = ..., extradata: _Optional[bytes] = ..., sample_rate: _Optional[int] = ..., channels: _Optional[int] = ..., inline: _Optional[bytes] = ..., sealed: _Optional[_Union[Sealed, _Mapping]] = ..., after_seq: _Optional[int] = ...) -> None: ...

class EndOfStream(_message.Message):
    __slots__ = ("camera_id", "epoch", "frames", "reason", "detail")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[EndOfStream.Reason]
        FINISHED: _ClassVar[EndOfStream.Reason]
        LOST: _ClassVar[EndOfStream.Reason]
        STOPPED: _ClassVar[EndOfStream.Reason]
    REASON_UNSPECIFIED: EndOfStream.Reason
    FINISHED: EndOfStream.Reason
    LOST: EndOfStream.Reason
    STOPPED: EndOfStream.Reason
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETAIL_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    frames: int
    reason: EndOfStream.Reason
    detail: str
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., frames: _Optional[int] = ..., reason: _Optional[_Union[EndOfStream.Reason, str]] = ..., detail: _Optional[str] = ...) -> None: ...

class CameraClaim(_message.Message):
    __slots__ = ("camera_id", "epoch", "holder")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    HOLDER_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    holder: str
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., holder: _Optional[str] = ...) -> None: ...

class SourceMessage(_message.Message):
    __slots__ = ("unit", "audio", "end")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    unit: AccessUnit
    audio: AudioUnit
    end: EndOfStream
    def __init__(self, unit: _Optional[_Union[AccessUnit, _Mapping]] = ..., audio: _Optional[_Union[AudioUnit, _Mapping]] = ..., end: _Optional[_Union[EndOfStream, _Mapping]] = ...) -> None: ...

class View(_message.Message):
    __slots__ = ("x", "y", "width", "height", "source_x", "source_y", "source_width", "source_height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_X_FIELD_NUMBER: _ClassVar[int]
    SOURCE_Y_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    width: int
    height: int
    source_x: float
    source_y: float
    source_width: float
    source_height: float
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., source_x: _Optional[float] = ..., source_y: _Optional[float] = ..., source_width: _Optional[float] = ..., source_height: _Optional[float] = ...) -> None: ...

class DetectFrame(_message.Message):
    __slots__ = ("camera_id", "epoch", "seq", "has_previous", "previous_seq", "pts", "width", "height", "source_width", "source_height", "detectors", "captured_us", "motion", "jpeg", "sealed", "attached", "time_base_num", "time_base_den", "frame_rate", "trace", "live", "results", "views")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HAS_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SEQ_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    DETECTORS_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_US_FIELD_NUMBER: _ClassVar[int]
    MOTION_FIELD_NUMBER: _ClassVar[int]
    JPEG_FIELD_NUMBER: _ClassVar[int]
    SEALED_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_NUM_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_DEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    VIEWS_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    seq: int
    has_previous: bool
    previous_seq: int
    pts: int
    width: int
    height: int
    source_width: int
    source_height: int
    detectors: _containers.RepeatedScalarFieldContainer[str]
    captured_us: int
    motion: float
    jpeg: bytes
    sealed: Sealed
    attached: bool
    time_base_num: int
    time_base_den: int
    frame_rate: float
    trace: _containers.RepeatedCompositeFieldContainer[Hop]
    live: bool
    results: _containers.RepeatedCompositeFieldContainer[DetectorResult]
    views: _containers.RepeatedCompositeFieldContainer[View]
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., has_previous: _Optional[bool] = ..., previous_seq: _Optional[int] = ..., pts: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., source_width: _Optional[int] = ..., source_height: _Optional[int] = ..., detectors: _Optional[_Iterable[str]] = ..., captured_us: _Optional[int] = ..., motion: _Optional[float] = ..., jpeg: _Optional[bytes] = ..., sealed: _Optional[_Union[Sealed, _Mapping]] = ..., attached: _Optional[bool] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., frame_rate: _Optional[float] = ..., trace: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ..., live: _Optional[bool] = ..., results: _Optional[_Iterable[_Union[DetectorResult, _Mapping]]] = ..., views: _Optional[_Iterable[_Union[View, _Mapping]]] = ...) -> None: ...

class DetectMessage(_message.Message):
    __slots__ = ("frame", "end")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    frame: DetectFrame
    end: EndOfStream
    def __init__(self, frame: _Optional[_Union[DetectFrame, _Mapping]] = ..., end: _Optional[_Union[EndOfStream, _Mapping]] = ...) -> None: ...

class Boxes(_message.Message):
    __slots__ = ("xyxy", "score", "kind")
    XYXY_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    xyxy: _containers.RepeatedScalarFieldContainer[float]
    score: _containers.RepeatedScalarFieldContainer[float]
    kind: _containers.RepeatedScalarFieldContainer[Kind]
    def __init__(self, xyxy: _Optional[_Iterable[float]] = ..., score: _Optional[_Iterable[float]] = ..., kind: _Optional[_Iterable[_Union[Kind, str]]] = ...) -> None: ...

class DetectorResult(_message.Message):
    __slots__ = ("detector", "model", "version", "status", "reason", "boxes", "latency_us")
    class Status(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATUS_UNSPECIFIED: _ClassVar[DetectorResult.Status]
        RAN: _ClassVar[DetectorResult.Status]
        FAILED: _ClassVar[DetectorResult.Status]
        TIMED_OUT: _ClassVar[DetectorResult.Status]
        SKIPPED: _ClassVar[DetectorResult.Status]
    STATUS_UNSPECIFIED: DetectorResult.Status
    RAN: DetectorResult.Status
    FAILED: DetectorResult.Status
    TIMED_OUT: DetectorResult.Status
    SKIPPED: DetectorResult.Status
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    BOXES_FIELD_NUMBER: _ClassVar[int]
    LATENCY_US_FIELD_NUMBER: _ClassVar[int]
    detector: str
    model: str
    version: str
    status: DetectorResult.Status
    reason: str
    boxes: Boxes
    latency_us: int
    def __init__(self, detector: _Optional[str] = ..., model: _Optional[str] = ..., version: _Optional[str] = ..., status: _Optional[_Union[DetectorResult.Status, str]] = ..., reason: _Optional[str] = ..., boxes: _Optional[_Union[Boxes, _Mapping]] = ..., latency_us: _Optional[int] = ...) -> None: ...

class Detections(_message.Message):
    __slots__ = ("camera_id", "epoch", "seq", "has_previous", "previous_seq", "pts", "source_width", "source_height", "captured_us", "results", "time_base_num", "time_base_den", "frame_rate", "trace")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    HAS_PREVIOUS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_SEQ_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_US_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_NUM_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_DEN_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    seq: int
    has_previous: bool
    previous_seq: int
    pts: int
    source_width: int
    source_height: int
    captured_us: int
    results: _containers.RepeatedCompositeFieldContainer[DetectorResult]
    time_base_num: int
    time_base_den: int
    frame_rate: float
    trace: _containers.RepeatedCompositeFieldContainer[Hop]
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., has_previous: _Optional[bool] = ..., previous_seq: _Optional[int] = ..., pts: _Optional[int] = ..., source_width: _Optional[int] = ..., source_height: _Optional[int] = ..., captured_us: _Optional[int] = ..., results: _Optional[_Iterable[_Union[DetectorResult, _Mapping]]] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., frame_rate: _Optional[float] = ..., trace: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ...) -> None: ...

class DetectionsMessage(_message.Message):
    __slots__ = ("detections", "end")
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    detections: Detections
    end: EndOfStream
    def __init__(self, detections: _Optional[_Union[Detections, _Mapping]] = ..., end: _Optional[_Union[EndOfStream, _Mapping]] = ...) -> None: ...

class TrackSegment(_message.Message):
    __slots__ = ("track_id", "kind", "origin", "first", "last", "score", "mode")
    class Origin(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ORIGIN_UNSPECIFIED: _ClassVar[TrackSegment.Origin]
        DETECTED: _ClassVar[TrackSegment.Origin]
        INTERPOLATED: _ClassVar[TrackSegment.Origin]
        BACKFILLED: _ClassVar[TrackSegment.Origin]
        PREDICTED: _ClassVar[TrackSegment.Origin]
    ORIGIN_UNSPECIFIED: TrackSegment.Origin
    DETECTED: TrackSegment.Origin
    INTERPOLATED: TrackSegment.Origin
    BACKFILLED: TrackSegment.Origin
    PREDICTED: TrackSegment.Origin
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    track_id: int
    kind: Kind
    origin: TrackSegment.Origin
    first: _containers.RepeatedScalarFieldContainer[float]
    last: _containers.RepeatedScalarFieldContainer[float]
    score: float
    mode: str
    def __init__(self, track_id: _Optional[int] = ..., kind: _Optional[_Union[Kind, str]] = ..., origin: _Optional[_Union[TrackSegment.Origin, str]] = ..., first: _Optional[_Iterable[float]] = ..., last: _Optional[_Iterable[float]] = ..., score: _Optional[float] = ..., mode: _Optional[str] = ...) -> None: ...

class Closing(_message.Message):
    __slots__ = ("reason", "detector")
    class Reason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        REASON_UNSPECIFIED: _ClassVar[Closing.Reason]
        NO_POLICY: _ClassVar[Closing.Reason]
        POLICY_CHANGED: _ClassVar[Closing.Reason]
        OTHER_POLICY: _ClassVar[Closing.Reason]
        DETECTOR_FAILED: _ClassVar[Closing.Reason]
        DETECTOR_LATE: _ClassVar[Closing.Reason]
        DETECTOR_SKIPPED: _ClassVar[Closing.Reason]
        DETECTOR_LEARNING: _ClassVar[Closing.Reason]
        DETECTOR_SILENT: _ClassVar[Closing.Reason]
        DETECTOR_INVALID: _ClassVar[Closing.Reason]
        LOOK_LOST: _ClassVar[Closing.Reason]
        LOOK_TOO_LATE: _ClassVar[Closing.Reason]
        UNSEEN: _ClassVar[Closing.Reason]
        RESTARTED: _ClassVar[Closing.Reason]
        TOO_MANY: _ClassVar[Closing.Reason]
        NO_SPAN: _ClassVar[Closing.Reason]
        SPAN_LATE: _ClassVar[Closing.Reason]
        SPANS_ENDED: _ClassVar[Closing.Reason]
        SPAN_INVALID: _ClassVar[Closing.Reason]
        NO_PICTURE: _ClassVar[Closing.Reason]
        SEALED: _ClassVar[Closing.Reason]
        CORRUPT: _ClassVar[Closing.Reason]
        WRONG_SIZE: _ClassVar[Closing.Reason]
        OVERFLOW: _ClassVar[Closing.Reason]
        MASK_FAILED: _ClassVar[Closing.Reason]
    REASON_UNSPECIFIED: Closing.Reason
    NO_POLICY: Closing.Reason
    POLICY_CHANGED: Closing.Reason
    OTHER_POLICY: Closing.Reason
    DETECTOR_FAILED: Closing.Reason
    DETECTOR_LATE: Closing.Reason
    DETECTOR_SKIPPED: Closing.Reason
    DETECTOR_LEARNING: Closing.Reason
    DETECTOR_SILENT: Closing.Reason
    DETECTOR_INVALID: Closing.Reason
    LOOK_LOST: Closing.Reason
    LOOK_TOO_LATE: Closing.Reason
    UNSEEN: Closing.Reason
    RESTARTED: Closing.Reason
    TOO_MANY: Closing.Reason
    NO_SPAN: Closing.Reason
    SPAN_LATE: Closing.Reason
    SPANS_ENDED: Closing.Reason
    SPAN_INVALID: Closing.Reason
    NO_PICTURE: Closing.Reason
    SEALED: Closing.Reason
    CORRUPT: Closing.Reason
    WRONG_SIZE: Closing.Reason
    OVERFLOW: Closing.Reason
    MASK_FAILED: Closing.Reason
    REASON_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    reason: Closing.Reason
    detector: str
    def __init__(self, reason: _Optional[_Union[Closing.Reason, str]] = ..., detector: _Optional[str] = ...) -> None: ...

class RedactionSpan(_message.Message):
    __slots__ = ("camera_id", "epoch", "first_seq", "last_seq", "tracks", "coverage", "why", "policy", "trace", "closing")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    TRACKS_FIELD_NUMBER: _ClassVar[int]
    COVERAGE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    first_seq: int
    last_seq: int
    tracks: _containers.RepeatedCompositeFieldContainer[TrackSegment]
    coverage: Coverage
    why: str
    policy: str
    trace: _containers.RepeatedCompositeFieldContainer[Hop]
    closing: Closing
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ..., tracks: _Optional[_Iterable[_Union[TrackSegment, _Mapping]]] = ..., coverage: _Optional[_Union[Coverage, str]] = ..., why: _Optional[str] = ..., policy: _Optional[str] = ..., trace: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ..., closing: _Optional[_Union[Closing, _Mapping]] = ...) -> None: ...

class RedactionsMessage(_message.Message):
    __slots__ = ("span", "end")
    SPAN_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    span: RedactionSpan
    end: EndOfStream
    def __init__(self, span: _Optional[_Union[RedactionSpan, _Mapping]] = ..., end: _Optional[_Union[EndOfStream, _Mapping]] = ...) -> None: ...

class MaskCount(_message.Message):
    __slots__ = ("kind", "count")
    KIND_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    kind: Kind
    count: int
    def __init__(self, kind: _Optional[_Union[Kind, str]] = ..., count: _Optional[int] = ...) -> None: ...

class RenderedFrame(_message.Message):
    __slots__ = ("camera_id", "epoch", "seq", "pts", "duration", "time_base_num", "time_base_den", "width", "height", "full_range", "closed", "why", "masks", "captured_us", "frame_rate", "live", "jpeg", "attached", "dropped", "trace", "closing")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_NUM_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_DEN_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    FULL_RANGE_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_US_FIELD_NUMBER: _ClassVar[int]
    FRAME_RATE_FIELD_NUMBER: _ClassVar[int]
    LIVE_FIELD_NUMBER: _ClassVar[int]
    JPEG_FIELD_NUMBER: _ClassVar[int]
    ATTACHED_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    seq: int
    pts: int
    duration: int
    time_base_num: int
    time_base_den: int
    width: int
    height: int
    full_range: bool
    closed: bool
    why: str
    masks: _containers.RepeatedCompositeFieldContainer[MaskCount]
    captured_us: int
    frame_rate: float
    live: bool
    jpeg: bytes
    attached: bool
    dropped: bool
    trace: _containers.RepeatedCompositeFieldContainer[Hop]
    closing: Closing
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., pts: _Optional[int] = ..., duration: _Optional[int] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., full_range: _Optional[bool] = ..., closed: _Optional[bool] = ..., why: _Optional[str] = ..., masks: _Optional[_Iterable[_Union[MaskCount, _Mapping]]] = ..., captured_us: _Optional[int] = ..., frame_rate: _Optional[float] = ..., live: _Optional[bool] = ..., jpeg: _Optional[bytes] = ..., attached: _Optional[bool] = ..., dropped: _Optional[bool] = ..., trace: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ..., closing: _Optional[_Union[Closing, _Mapping]] = ...) -> None: ...

class RenderedMessage(_message.Message):
    __slots__ = ("frame", "audio", "end")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    frame: RenderedFrame
    audio: AudioUnit
    end: EndOfStream
    def __init__(self, frame: _Optional[_Union[RenderedFrame, _Mapping]] = ..., audio: _Optional[_Union[AudioUnit, _Mapping]] = ..., end: _Optional[_Union[EndOfStream, _Mapping]] = ...) -> None: ...

class RedactedUnit(_message.Message):
    __slots__ = ("camera_id", "epoch", "seq", "keyframe", "pts", "dts", "duration", "time_base_num", "time_base_den", "width", "height", "closed", "captured_us", "payload", "why", "masks", "trace", "closing")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQ_FIELD_NUMBER: _ClassVar[int]
    KEYFRAME_FIELD_NUMBER: _ClassVar[int]
    PTS_FIELD_NUMBER: _ClassVar[int]
    DTS_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_NUM_FIELD_NUMBER: _ClassVar[int]
    TIME_BASE_DEN_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    CLOSED_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_US_FIELD_NUMBER: _ClassVar[int]
    PAYLOAD_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    MASKS_FIELD_NUMBER: _ClassVar[int]
    TRACE_FIELD_NUMBER: _ClassVar[int]
    CLOSING_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    seq: int
    keyframe: bool
    pts: int
    dts: int
    duration: int
    time_base_num: int
    time_base_den: int
    width: int
    height: int
    closed: bool
    captured_us: int
    payload: bytes
    why: str
    masks: _containers.RepeatedCompositeFieldContainer[MaskCount]
    trace: _containers.RepeatedCompositeFieldContainer[Hop]
    closing: Closing
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., seq: _Optional[int] = ..., keyframe: _Optional[bool] = ..., pts: _Optional[int] = ..., dts: _Optional[int] = ..., duration: _Optional[int] = ..., time_base_num: _Optional[int] = ..., time_base_den: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ..., closed: _Optional[bool] = ..., captured_us: _Optional[int] = ..., payload: _Optional[bytes] = ..., why: _Optional[str] = ..., masks: _Optional[_Iterable[_Union[MaskCount, _Mapping]]] = ..., trace: _Optional[_Iterable[_Union[Hop, _Mapping]]] = ..., closing: _Optional[_Union[Closing, _Mapping]] = ...) -> None: ...

class RedactedMessage(_message.Message):
    __slots__ = ("unit", "audio", "end")
    UNIT_FIELD_NUMBER: _ClassVar[int]
    AUDIO_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    unit: RedactedUnit
    audio: AudioUnit
    end: EndOfStream
    def __init__(self, unit: _Optional[_Union[RedactedUnit, _Mapping]] = ..., audio: _Optional[_Union[AudioUnit, _Mapping]] = ..., end: _Optional[_Union[EndOfStream, _Mapping]] = ...) -> None: ...

class TrackRecord(_message.Message):
    __slots__ = ("camera_id", "epoch", "track_id", "kind", "first_seq", "last_seq", "first_us", "last_us", "box", "dwell_s", "direction_deg", "distance_px", "ended", "zones", "source_width", "source_height")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    TRACK_ID_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FIRST_SEQ_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQ_FIELD_NUMBER: _ClassVar[int]
    FIRST_US_FIELD_NUMBER: _ClassVar[int]
    LAST_US_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    DWELL_S_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_DEG_FIELD_NUMBER: _ClassVar[int]
    DISTANCE_PX_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    ZONES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    track_id: int
    kind: Kind
    first_seq: int
    last_seq: int
    first_us: int
    last_us: int
    box: _containers.RepeatedScalarFieldContainer[float]
    dwell_s: float
    direction_deg: float
    distance_px: float
    ended: bool
    zones: _containers.RepeatedScalarFieldContainer[str]
    source_width: int
    source_height: int
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., track_id: _Optional[int] = ..., kind: _Optional[_Union[Kind, str]] = ..., first_seq: _Optional[int] = ..., last_seq: _Optional[int] = ..., first_us: _Optional[int] = ..., last_us: _Optional[int] = ..., box: _Optional[_Iterable[float]] = ..., dwell_s: _Optional[float] = ..., direction_deg: _Optional[float] = ..., distance_px: _Optional[float] = ..., ended: _Optional[bool] = ..., zones: _Optional[_Iterable[str]] = ..., source_width: _Optional[int] = ..., source_height: _Optional[int] = ...) -> None: ...

class KindCount(_message.Message):
    __slots__ = ("kind", "present", "entered", "left", "mean_dwell_s")
    KIND_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    ENTERED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    MEAN_DWELL_S_FIELD_NUMBER: _ClassVar[int]
    kind: Kind
    present: int
    entered: int
    left: int
    mean_dwell_s: float
    def __init__(self, kind: _Optional[_Union[Kind, str]] = ..., present: _Optional[int] = ..., entered: _Optional[int] = ..., left: _Optional[int] = ..., mean_dwell_s: _Optional[float] = ...) -> None: ...

class ZoneCount(_message.Message):
    __slots__ = ("zone", "kind", "entered", "left", "mean_dwell_s")
    ZONE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    ENTERED_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    MEAN_DWELL_S_FIELD_NUMBER: _ClassVar[int]
    zone: str
    kind: Kind
    entered: int
    left: int
    mean_dwell_s: float
    def __init__(self, zone: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ..., entered: _Optional[int] = ..., left: _Optional[int] = ..., mean_dwell_s: _Optional[float] = ...) -> None: ...

class LineCount(_message.Message):
    __slots__ = ("line", "kind", "forward", "backward")
    LINE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    FORWARD_FIELD_NUMBER: _ClassVar[int]
    BACKWARD_FIELD_NUMBER: _ClassVar[int]
    line: str
    kind: Kind
    forward: int
    backward: int
    def __init__(self, line: _Optional[str] = ..., kind: _Optional[_Union[Kind, str]] = ..., forward: _Optional[int] = ..., backward: _Optional[int] = ...) -> None: ...

class StatsRecord(_message.Message):
    __slots__ = ("camera_id", "epoch", "from_us", "to_us", "kinds", "zones", "lines", "frames", "incomplete_frames")
    CAMERA_ID_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    FROM_US_FIELD_NUMBER: _ClassVar[int]
    TO_US_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    ZONES_FIELD_NUMBER: _ClassVar[int]
    LINES_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    INCOMPLETE_FRAMES_FIELD_NUMBER: _ClassVar[int]
    camera_id: str
    epoch: int
    from_us: int
    to_us: int
    kinds: _containers.RepeatedCompositeFieldContainer[KindCount]
    zones: _containers.RepeatedCompositeFieldContainer[ZoneCount]
    lines: _containers.RepeatedCompositeFieldContainer[LineCount]
    frames: int
    incomplete_frames: int
    def __init__(self, camera_id: _Optional[str] = ..., epoch: _Optional[int] = ..., from_us: _Optional[int] = ..., to_us: _Optional[int] = ..., kinds: _Optional[_Iterable[_Union[KindCount, _Mapping]]] = ..., zones: _Optional[_Iterable[_Union[ZoneCount, _Mapping]]] = ..., lines: _Optional[_Iterable[_Union[LineCount, _Mapping]]] = ..., frames: _Optional[int] = ..., incomplete_frames: _Optional[int] = ...) -> None: ...

class AuditEvent(_message.Message):
    __slots__ = ("event_id", "at_us", "actor", "role", "action", "object", "purpose", "details", "previous_hash", "hash")
    class DetailsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    EVENT_ID_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    ACTION_FIELD_NUMBER: _ClassVar[int]
    OBJECT_FIELD_NUMBER: _ClassVar[int]
    PURPOSE_FIELD_NUMBER: _ClassVar[int]
    DETAILS_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_HASH_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    event_id: str
    at_us: int
    actor: str
    role: str
    action: str
    object: str
    purpose: str
    details: _containers.ScalarMap[str, str]
    previous_hash: bytes
    hash: bytes
    def __init__(self, event_id: _Optional[str] = ..., at_us: _Optional[int] = ..., actor: _Optional[str] = ..., role: _Optional[str] = ..., action: _Optional[str] = ..., object: _Optional[str] = ..., purpose: _Optional[str] = ..., details: _Optional[_Mapping[str, str]] = ..., previous_hash: _Optional[bytes] = ..., hash: _Optional[bytes] = ...) -> None: ...

class DeadLetter(_message.Message):
    __slots__ = ("topic", "partition", "offset", "stage", "reason", "at_us", "size")
    TOPIC_FIELD_NUMBER: _ClassVar[int]
    PARTITION_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_US_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    topic: str
    partition: int
    offset: int
    stage: str
    reason: str
    at_us: int
    size: int
    def __init__(self, topic: _Optional[str] = ..., partition: _Optional[int] = ..., offset: _Optional[int] = ..., stage: _Optional[str] = ..., reason: _Optional[str] = ..., at_us: _Optional[int] = ..., size: _Optional[int] = ...) -> None: ...
