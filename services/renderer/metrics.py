"""What the renderer measures. Every label is bounded; none of them is a camera."""

from prometheus_client import Counter, Gauge, Histogram

from services.renderer.output import Shown
from services.schema import pb

FRAMES = Counter("veil_renderer_frames_total", "Frames sent, by what became of them.", ["outcome"])
for _outcome in ("masked", "clear", "closed", "dropped"):
    # From the start: a series that begins at its first count has no increase that an alert could see.
    FRAMES.labels(_outcome)
CLOSED = Counter("veil_renderer_closed_total", "Frames closed or dropped, by reason.", ["reason"])
MASKS = Counter("veil_renderer_masks_total", "Masks drawn.", ["kind"])
LATE_SPANS = Counter("veil_renderer_late_spans_total", "Spans that came after all their frames had gone out.")
SKIPPED = Counter("veil_renderer_skipped_units_total", "Access units before the keyframe at which reading began.")
SOUND_LOST = Counter("veil_renderer_sound_lost_total", "Packets of sound that could not be opened, or held.")
HELD = Gauge("veil_renderer_held_bytes", "Frames that wait for their spans.")
AGE = Histogram(
    "veil_renderer_frame_age_seconds",
    "From a live frame's arrival at the decoder to its leaving the renderer.",
    buckets=(0.1, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10, 30),
)


def count(shown: Shown) -> None:
    """Counts a frame that was sent."""
    if shown.closure is not None:
        FRAMES.labels("dropped" if shown.picture is None else "closed").inc()
        CLOSED.labels(shown.closure.reason.value).inc()
        return
    FRAMES.labels("masked" if shown.masks else "clear").inc()
    for kind, number in shown.masks.items():
        MASKS.labels(pb.Kind.Name(kind).removeprefix("KIND_").lower()).inc(number)
