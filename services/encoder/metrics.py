"""What the encoder measures. No label names a camera: all are bounded."""

from prometheus_client import Counter, Histogram

FRAMES = Counter("veil_encoder_frames_total", "Pictures encoded.")
CLOSED = Counter("veil_encoder_closed_frames_total", "Pictures of these that were masked as a whole.")
DROPPED = Counter("veil_encoder_dropped_frames_total", "Frames the policy dropped: no picture, the number is kept.")
DUPLICATES = Counter("veil_encoder_duplicates_total", "Frames that had been taken before, after a replay.")
MENDED = Counter("veil_encoder_mended_times_total", "Frames whose time did not exceed the one before.")
KEYFRAMES = Counter("veil_encoder_keyframes_total", "IDR pictures.")
BYTES = Counter("veil_encoder_bytes_total", "Bytes of H.264.")
SINK_ERRORS = Counter("veil_encoder_sink_errors_total", "Errors of outputs.", ["kind"])
SHED = Counter("veil_encoder_shed_total", "Access units left out of an output that was too slow or away.", ["kind"])
AGE = Histogram(
    "veil_encoder_frame_age_seconds",
    "From a frame's arrival at the decoder to its access unit.",
    buckets=(0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0),
)
