"""The audit chain: an event that was changed, dropped, added or moved breaks it."""

from services.audit_chain import chained, first_break, hash_of
from services.schema import pb


def _chain(count: int) -> list[pb.AuditEvent]:
    events: list[pb.AuditEvent] = []
    for number in range(count):
        event = pb.AuditEvent(event_id=str(number), actor="auditor", details={"b": "2", "a": "1"})
        events.append(chained(event, events[-1].hash if events else b""))
    return events


def test_a_chain_holds() -> None:
    events = _chain(4)
    assert first_break(events) is None
    assert first_break([]) is None
    assert first_break(events[2:], events[1].hash) is None
    assert first_break([pb.AuditEvent.FromString(event.SerializeToString()) for event in events]) is None


def test_the_hash_is_of_the_event_without_it() -> None:
    (event,) = _chain(1)
    assert len(event.hash) == 32
    assert hash_of(event) == event.hash
    assert hash_of(pb.AuditEvent(event_id="0", actor="auditor", details={"a": "1", "b": "2"})) == event.hash


def test_every_change_breaks_it() -> None:
    for index in range(3):
        events = _chain(3)
        events[index].details["a"] = "3"
        assert first_break(events) == index
    events = _chain(4)
    assert first_break([events[0], *events[2:]]) == 1
    assert first_break([events[0], events[2], events[1], events[3]]) == 1
    assert first_break([events[0], events[0], *events[1:]]) == 1
    assert first_break(events[1:]) == 0
    forged = chained(pb.AuditEvent(event_id="x"), b"")
    assert first_break([*events[:2], forged, *events[2:]]) == 2
