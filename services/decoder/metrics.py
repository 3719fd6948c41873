"""What the decoder measures. No label is a camera: their number has no bound."""

from prometheus_client import Counter, Gauge

FRAMES = Counter("veil_decoder_frames_total", "Access units published.")
CORRUPT = Counter("veil_decoder_corrupt_total", "Access units that gave no picture, or a damaged one.")
DETECT_FRAMES = Counter("veil_decoder_detect_frames_total", "Pictures given to detectors, by why.", ["why"])
SHED = Counter("veil_decoder_shed_total", "What live cameras dropped because the bus was slower.", ["what"])
for _what in ("frames", "sound", "detection"):
    # From the start: a series that begins at its first count has no increase that an alert could see.
    SHED.labels(_what)
RECONNECTS = Counter("veil_decoder_reconnects_total", "Attempts to open a live source again.")
FAILURES = Counter("veil_decoder_failures_total", "Files that ended early or could not be opened.")
RUNNING = Gauge("veil_decoder_running_cameras", "Sources open now.")
HELD = Gauge("veil_decoder_held_cameras", "Cameras that this process holds the lease of, among several decoders.")
