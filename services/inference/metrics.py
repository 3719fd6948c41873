"""What the inference stage measures. Detector names are bounded: one that is not loaded counts as `unknown`."""

from prometheus_client import Counter, Gauge, Histogram

CALLS = Counter(
    "veil_inference_calls_total", "Results by detector and status, one for each frame.", ["detector", "status"]
)
SECONDS = Histogram(
    "veil_inference_seconds",
    "Duration of one detector call; one that several share counts for each.",
    ["detector"],
    buckets=(0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12),
)
BATCH = Histogram("veil_inference_batch_size", "Pictures in one call.", ["detector"], buckets=(1, 2, 4, 8, 16, 32, 64))
IN_FLIGHT = Gauge("veil_inference_in_flight_bytes", "Messages in hand, with their decoded pictures.")
