"""Until when a member of a group may count on its partitions: by when it asked, never by when it was answered."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from kafka.structs import MemberState

from services.bus import kafka_lease
from services.bus.kafka_lease import Lease


@dataclass
class Coordinator:
    """What the lease looks at of the library's."""

    state: Any = MemberState.STABLE
    rejoin_needed: bool = False
    config: dict[str, Any] = field(
        default_factory=lambda: {
            "group_id": "decoder",
            "session_timeout_ms": 10_000,
            "heartbeat_interval_ms": 500,
            "max_poll_interval_ms": 60_000,
            "retry_backoff_ms": 100,
        }
    )


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    time = [100.0]
    monkeypatch.setattr(kafka_lease, "_now", lambda: time[0])
    return time


def test_nothing_is_held_before_the_first_answer(now: list[float]) -> None:
    lease = Lease(Coordinator())
    assert not lease.holds
    lease.sent_heartbeat()
    assert not lease.holds
    lease.received_heartbeat()
    assert lease.holds


def test_it_ends_before_the_group_can_have_given_the_member_up(now: list[float]) -> None:
    lease = Lease(Coordinator())
    lease.sent_heartbeat()
    now[0] += 3
    lease.received_heartbeat()
    now[0] = 108.9
    assert lease.holds
    now[0] = 109.1
    assert not lease.holds, "ten seconds after it was sent another may have the partitions"


def test_an_answer_found_after_a_long_sleep_is_worth_nothing(now: list[float]) -> None:
    lease = Lease(Coordinator())
    lease.sent_heartbeat()
    now[0] += 60
    lease.received_heartbeat()
    assert not lease.holds


def test_a_heartbeat_that_asks_to_join_anew_does_not_lengthen_it(now: list[float]) -> None:
    coordinator = Coordinator()
    lease = Lease(coordinator)
    lease.sent_heartbeat()
    lease.received_heartbeat()
    now[0] += 8
    coordinator.rejoin_needed = True
    lease.sent_heartbeat()
    lease.received_heartbeat()
    assert lease.holds
    now[0] += 2
    assert not lease.holds


@pytest.mark.parametrize("state", [MemberState.REBALANCING, MemberState.UNJOINED])
def test_who_has_asked_to_join_again_holds_nothing(now: list[float], state: str) -> None:
    coordinator = Coordinator()
    lease = Lease(coordinator)
    lease.sent_heartbeat()
    lease.received_heartbeat()
    coordinator.state = state
    assert not lease.holds


def test_the_first_heartbeat_of_a_membership_goes_at_once_and_is_waited_for() -> None:
    lease = Lease(Coordinator())
    lease.reset_timeouts()
    assert lease.should_heartbeat()
    lease.sent_heartbeat()
    assert not lease.should_heartbeat()
    assert not lease._answered.is_set()
    lease.received_heartbeat()
    assert lease._answered.is_set()
    lease.reset_timeouts()
    assert not lease._answered.is_set()
    lease.fail_heartbeat()
    lease.wait_for_answer(0)
    assert lease._answered.is_set()
