"""Moves records between stages: one interface, a memory bus in one process, Kafka between processes."""
