"""The topic table: the one place that says which topics exist, who writes and reads them, and how long they live."""

from dataclasses import dataclass
from datetime import timedelta

_MINUTES = timedelta(minutes=10)
_HOURS = timedelta(hours=6)
_DAYS = timedelta(days=3)
_WEEKS = timedelta(weeks=4)
_YEARS = timedelta(days=3 * 365)


@dataclass(frozen=True, slots=True)
class Topic:
    """One topic. The key is always the camera_id.

    Attributes:
        name: as on the broker.
        message: protobuf message of its values, in package veil.v1.
        writers, readers: stages that may write it, or read it in a group; broker ACLs are made from these.
        audience: who else may read it, and write nothing: not even dead letters.
        sensitive: True where a value holds source pixels, encrypted or not.
        retention: how long a broker keeps it.
        joined: True where a stage joins it with another topic: all of these have the same partition count.
    """

    name: str
    message: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    sensitive: bool
    retention: timedelta
    joined: bool = False
    audience: tuple[str, ...] = ()


# Not the cameras themselves: who of the decoders reads which of them. Its partitions are what they share out.
CAMERAS = Topic("cameras", "CameraClaim", ("decoder",), ("decoder",), False, _HOURS)
VIDEO_SOURCE = Topic("video.source", "SourceMessage", ("decoder",), ("renderer", "vault"), True, _MINUTES, True)
FRAMES_DETECT = Topic("frames.detect", "DetectMessage", ("decoder",), ("inference",), True, _MINUTES, True)
DETECTIONS = Topic("detections", "DetectionsMessage", ("inference",), ("tracker",), False, _HOURS, True)
REDACTIONS = Topic("redactions", "RedactionsMessage", ("tracker",), ("renderer", "vault"), False, _DAYS, True)
VIDEO_RENDERED = Topic("video.rendered", "RenderedMessage", ("renderer",), ("encoder",), False, _MINUTES, True)
# The encoder looks up in its own output how far it came before a restart.
_VIEWERS = ("control-centre", "console", "auditor", "encoder")
_ANALYSTS = ("analytics", "console")
_KEEPERS = ("vault", "disclosure", "console", "auditor")

VIDEO_REDACTED = Topic("video.redacted", "RedactedMessage", ("encoder",), (), False, _DAYS, True, _VIEWERS)
METADATA_TRACKS = Topic("metadata.tracks", "TrackRecord", ("tracker",), (), False, _WEEKS, audience=_ANALYSTS)
METADATA_STATS = Topic("metadata.stats", "StatsRecord", ("tracker",), (), False, _WEEKS, audience=_ANALYSTS)
AUDIT = Topic("audit", "AuditEvent", _KEEPERS, (), False, _YEARS, audience=("auditor",))

TOPICS: tuple[Topic, ...] = (
    CAMERAS,
    VIDEO_SOURCE,
    FRAMES_DETECT,
    DETECTIONS,
    REDACTIONS,
    VIDEO_RENDERED,
    VIDEO_REDACTED,
    METADATA_TRACKS,
    METADATA_STATS,
    AUDIT,
)


def dead_letters_of(topic: Topic) -> Topic:
    """The topic that takes the reasons why messages of `topic` were refused; never their payloads."""
    return Topic(f"{topic.name}.dlq", "DeadLetter", topic.readers, (), False, _DAYS, audience=("operator",))
