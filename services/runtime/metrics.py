"""What every runner and every stage measures. Labels are stages, topics and cameras: all of them are bounded."""

from functools import lru_cache

from prometheus_client import Counter, Gauge, disable_created_metrics

# Otherwise every series comes twice, the second time with the moment at which it began; nothing here asks for that.
disable_created_metrics()  # type: ignore[no-untyped-call] # the library states no types there

MESSAGES = Counter("veil_runner_messages_total", "Messages handed to the stage.", ["stage", "topic"])
PUBLISHED = Counter("veil_runner_published_total", "Records published.", ["stage", "topic"])
BLOCKED = Counter("veil_runner_blocked_seconds_total", "Time in which the bus took no more records.", ["stage"])
CARRIED = Counter("veil_runner_backpressure_total", "Messages the stage could not take at once.", ["stage", "topic"])
DEAD = Counter("veil_runner_dead_letters_total", "Messages refused for good.", ["stage", "topic"])
LAG = Gauge("veil_runner_lag_messages", "Messages that wait for the stage.", ["stage", "topic"])
LAG_S = Gauge("veil_runner_lag_seconds", "Age of the oldest message that the stage has not taken.", ["stage", "topic"])
UNFINISHED = Gauge("veil_runner_unfinished_messages", "Messages in the stage's hands.", ["stage"])

_FRAMES = Counter("veil_camera_frames_total", "Frames that left the stage.", ["stage", "camera"])
_AGE = Gauge("veil_camera_age_seconds", "From capture to the newest frame that left the stage.", ["stage", "camera"])
# A gauge of an age stands still with its camera; a moment gets older by itself.
_NEWEST = Gauge(
    "veil_camera_newest_frame_timestamp_seconds",
    "Capture time of the newest frame that left the stage, in seconds since 1970; live cameras only.",
    ["stage", "camera"],
)


@lru_cache(maxsize=16_384)
def _of_camera(stage: str, camera_id: str) -> tuple[Counter, Gauge]:
    return _FRAMES.labels(stage, camera_id), _AGE.labels(stage, camera_id)


@lru_cache(maxsize=16_384)
def _newest_of(stage: str, camera_id: str) -> Gauge:
    return _NEWEST.labels(stage, camera_id)


def frame_left(stage: str, camera_id: str, captured_us: int, now_us: int) -> None:
    """Counts a frame that leaves the stage, and notes how old it is."""
    frames, age = _of_camera(stage, camera_id)
    frames.inc()
    age.set(max(0, now_us - captured_us) / 1e6 if captured_us else 0.0)
    if captured_us:
        _newest_of(stage, camera_id).set(captured_us / 1e6)
