"""What the auditor measures. A camera is named only where a person must know which one shows something."""

from prometheus_client import Counter, Histogram

SUSPECTS = Counter("veil_auditor_suspects_total", "What looks like a subject and is not masked.", ["camera", "kind"])
LOOKS = Counter("veil_auditor_looks_total", "Pictures looked at.")
CLOSED = Counter("veil_auditor_closed_total", "Pictures left out because they are wholly masked.")
SKIPPED = Counter("veil_auditor_skipped_total", "Looks that were due and were not taken, by reason.", ["reason"])
LOOK_S = Histogram(
    "veil_auditor_look_seconds",
    "Decoding a group up to the picture, and looking at it.",
    buckets=(0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30),
)
