"""Deadlines: until which day a request must be answered, and how far that may be put off.

The day on which a request came is not counted (Regulation 1182/71, article 3; Korea's Civil Act, article 157), and a
month ends on the day of the same number, or on the month's last day where it has none.
"""

import calendar
import re
from dataclasses import dataclass
from datetime import date, timedelta

from services.disclosure.errors import Invalid

_DAYS_MAX = 366
_OWN = re.compile(r"days:(\d{1,3})(?:\+(\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class RuleSet:
    """How long an answer may take.

    Attributes:
        name: as a request keeps it.
        months, days: from the day of receipt.
        more_months, more_days: by how much it may be put off, once, with reasons; None where the law names no limit.
        source: where that stands.
    """

    name: str
    months: int = 0
    days: int = 0
    more_months: int | None = 0
    more_days: int | None = 0
    source: str = ""

    def due(self, received: date) -> date:
        """The last day on which an answer is in time."""
        return _later(received, self.months, self.days)

    def latest(self, received: date) -> date | None:
        """The last day to which it can be put off; None where the law names none."""
        if self.more_months is None or self.more_days is None:
            return None
        return _later(received, self.months + self.more_months, self.days + self.more_days)


_KNOWN = {
    "gdpr": RuleSet("gdpr", months=1, more_months=2, source="GDPR, article 12(3)"),
    "pipa": RuleSet(
        "pipa",
        days=10,
        more_months=None,
        more_days=None,
        source="Korea's PIPA, article 35(3), and its Enforcement Decree, article 41(4)",
    ),
}
RULE_SETS = tuple(_KNOWN)


def rule_set(name: str) -> RuleSet:
    """`gdpr`, `pipa`, or a house's own: `days:20`, with `days:20+10` for ten more. Raises Invalid."""
    if name in _KNOWN:
        return _KNOWN[name]
    own = _OWN.fullmatch(name)
    if own is None or not 0 < int(own[1]) <= _DAYS_MAX:
        raise Invalid(f"{name}: rules for deadlines are {', '.join(RULE_SETS)}, days:N or days:N+MORE.")
    return RuleSet(name, days=int(own[1]), more_days=int(own[2] or 0), source="the house's own rules")


def _later(day: date, months: int, days: int) -> date:
    count = day.year * 12 + day.month - 1 + months
    year, month = divmod(count, 12)
    last = calendar.monthrange(year, month + 1)[1]
    return date(year, month + 1, min(day.day, last)) + timedelta(days=days)
