"""What the tracker measures about itself."""

from prometheus_client import Counter, Gauge

TRACKS = Counter("veil_tracker_tracks_total", "Tracks started.", ["kind"])
ACTIVE = Gauge("veil_tracker_active_tracks", "Tracks being followed or held, over all cameras.")
SPANS = Counter("veil_tracker_spans_total", "Spans emitted.", ["coverage"])
LOOKS = Counter("veil_tracker_looks_total", "Looks taken in.")
GAPS = Counter("veil_tracker_gaps_total", "Stretches between two looks that are too long or miss a message.")

# There from the start: a share of spans that was never incomplete is 0, and not unknown.
for coverage in ("complete", "incomplete"):
    SPANS.labels(coverage)
