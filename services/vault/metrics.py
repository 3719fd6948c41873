"""What the vault measures. Every label is bounded; none of them is a camera."""

from prometheus_client import Counter, Gauge, Histogram

SEGMENTS = Counter("veil_vault_segments_total", "Segments stored.", ["kind"])
for _kind in ("video", "spans"):
    # From the start: a series that begins at its first count has no increase that an alert could see.
    SEGMENTS.labels(_kind)
WRITTEN = Counter("veil_vault_written_bytes_total", "Bytes of segments stored.")
DUPLICATES = Counter("veil_vault_duplicates_total", "Messages that were stored already when they came again.")
DROPPED = Counter(
    "veil_vault_dropped_total",
    "Messages of cameras whose originals are kept that were not stored, by reason.",
    ["reason"],
)
for _reason in ("sealed", "late", "full"):
    DROPPED.labels(_reason)
FAILURES = Counter("veil_vault_failures_total", "Segments that have to be tried again, by reason.", ["reason"])
for _reason in ("full", "conflict", "unavailable"):
    FAILURES.labels(_reason)
FULL = Gauge("veil_vault_full", "1 while there is no room for another segment, and nothing new is acknowledged.")
STORED = Gauge("veil_vault_stored_bytes", "Bytes of all segments in the store, those of other replicas too.")
HELD = Gauge("veil_vault_held_bytes", "Bytes in memory that wait to be stored.")
WRITE_S = Histogram(
    "veil_vault_write_seconds",
    "Opening, sealing and storing one segment, index and all.",
    buckets=(0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30),
)
PURGED = Counter("veil_vault_purged_total", "Segments whose keys were destroyed because they had expired.")
OVERDUE_S = Gauge(
    "veil_vault_overdue_seconds",
    "How long ago the oldest segment that is still there should have gone; 0: none is due.",
)
CLOCK_UNSETTLED = Gauge(
    "veil_vault_clock_unsettled", "1 while the clock has leapt, and nothing is expired until it settles."
)
SWEEPS_FAILED = Counter("veil_vault_sweeps_failed_total", "Looks for what has expired that could not be finished.")
