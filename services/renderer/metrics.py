"""What the renderer measures. Every label is bounded; none of them is a camera."""

from prometheus_client import Counter, Gauge, Histogram

FRAMES = Counter("veil_renderer_frames_total", "Frames sent, by what became of them.", ["outcome"])
CLOSED = Counter("veil_renderer_closed_total", "Frames closed or dropped, by reason.", ["reason"])
MASKS = Counter("veil_renderer_masks_total", "Masks drawn.", ["kind"])
LATE_SPANS = Counter("veil_renderer_late_spans_total", "Spans that came after all their frames had gone out.")
HELD = Gauge("veil_renderer_held_bytes", "Frames that wait for their spans.")
AGE = Histogram(
    "veil_renderer_frame_age_seconds",
    "From a live frame's arrival at the decoder to its leaving the renderer.",
    buckets=(0.1, 0.25, 0.5, 1, 1.5, 2, 2.5, 3, 4, 6, 10, 30),
)
