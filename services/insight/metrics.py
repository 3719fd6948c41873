"""What the statistics measure of themselves. No label names a camera or a track."""

from prometheus_client import Counter, Gauge

TAKEN = Counter("veil_insight_messages_total", "Messages counted, by topic.", ["topic"])
PASSED = Counter("veil_insight_passed_total", "Messages that were not counted, by reason.", ["reason"])
WAITING = Gauge("veil_insight_waiting_messages", "Messages in memory that are not written yet.")
FAILED = Counter("veil_insight_write_failures_total", "Transactions that failed and were tried again.")
