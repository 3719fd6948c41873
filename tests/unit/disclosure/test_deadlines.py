"""Deadlines are counted in days as the laws count them."""

from datetime import date

import pytest

from services.disclosure.deadlines import rule_set
from services.disclosure.errors import Invalid


@pytest.mark.parametrize(
    ("rules", "received", "due", "latest"),
    [
        ("gdpr", date(2026, 3, 10), date(2026, 4, 10), date(2026, 6, 10)),
        ("gdpr", date(2026, 1, 31), date(2026, 2, 28), date(2026, 4, 30)),
        ("gdpr", date(2027, 12, 31), date(2028, 1, 31), date(2028, 3, 31)),
        ("gdpr", date(2028, 1, 30), date(2028, 2, 29), date(2028, 4, 30)),
        ("pipa", date(2026, 12, 25), date(2027, 1, 4), None),
        ("days:20", date(2026, 3, 1), date(2026, 3, 21), date(2026, 3, 21)),
        ("days:20+10", date(2026, 3, 1), date(2026, 3, 21), date(2026, 3, 31)),
    ],
)
def test_days_are_counted(rules: str, received: date, due: date, latest: date | None) -> None:
    assert rule_set(rules).due(received) == due
    assert rule_set(rules).latest(received) == latest


@pytest.mark.parametrize("rules", ["", "ccpa", "days:", "days:0", "days:367", "days:-1", "days:10+", "DAYS:10"])
def test_other_rules_are_refused(rules: str) -> None:
    with pytest.raises(Invalid):
        rule_set(rules)
