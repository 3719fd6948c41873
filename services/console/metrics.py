"""Metrics of the console."""

from prometheus_client import Counter, Gauge

FRAMES = Counter("veil_console_frames_total", "Masked frames taken from the bus.")
VIEWERS = Gauge("veil_console_viewers", "Browsers that look at live pictures.")
SKIPPED = Counter("veil_console_skipped_total", "Frames that were left out for viewers who were too slow.")
SENT = Counter("veil_console_sent_bytes_total", "Bytes of live pictures sent to viewers.")
REFUSED = Counter("veil_console_refused_total", "Requests refused, by why.", ["why"])
LOST = Counter("veil_console_bus_losses_total", "Times that the bus was lost and readers were made afresh.")
