"""What every runner measures. Labels are stage and topic names only: both are bounded."""

from prometheus_client import Counter, Gauge

MESSAGES = Counter("veil_runner_messages_total", "Messages handed to the stage.", ["stage", "topic"])
PUBLISHED = Counter("veil_runner_published_total", "Records published.", ["stage", "topic"])
BLOCKED = Counter("veil_runner_blocked_seconds_total", "Time in which the bus took no more records.", ["stage"])
CARRIED = Counter("veil_runner_backpressure_total", "Messages the stage could not take at once.", ["stage", "topic"])
DEAD = Counter("veil_runner_dead_letters_total", "Messages refused for good.", ["stage", "topic"])
LAG = Gauge("veil_runner_lag_messages", "Messages that wait for the stage.", ["stage", "topic"])
UNFINISHED = Gauge("veil_runner_unfinished_messages", "Messages in the stage's hands.", ["stage"])
