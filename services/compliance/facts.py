"""What a report is made of: facts, each from where it can be looked up again; what isn't known is None."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from services.audit.check import Fault
from services.policy.model import Policy


@dataclass(frozen=True, slots=True)
class Kept:
    """What the vault's index says of a camera's originals; times in microseconds since 1970.

    Attributes:
        oldest_us, newest_us: begin of the oldest and end of the newest segment; None where nothing is kept.
        overdue: segments older than the policy allows that no legal hold keeps.
        held: segments that a legal hold keeps.
        holds: reasons of the holds.
        purges, purged: how many purges there were, of how many segments.
        last_purge_us: when the last one was.
        unfinished: purges whose files are still being removed.
        not_erased: segments that a purge names and whose key could still be derived: never more than 0.
        proven: how often somebody had a purge proven.
    """

    oldest_us: int | None = None
    newest_us: int | None = None
    segments: int = 0
    size: int = 0
    overdue: int = 0
    held: int = 0
    holds: Sequence[str] = ()
    purges: int = 0
    purged: int = 0
    last_purge_us: int | None = None
    unfinished: int = 0
    not_erased: int = 0
    proven: int = 0


@dataclass(frozen=True, slots=True)
class Access:
    """What an account did with a camera's pictures, how often, and when last."""

    who: str
    role: str
    action: str
    says: str
    times: int
    last_us: int
    purposes: Sequence[str]


@dataclass(frozen=True, slots=True)
class Exposure:
    """What the independent leak check found: kind → suspects; `looks` is None where only suspects are known."""

    suspects: Mapping[str, int]
    looks: int | None
    seconds: float | None
    source: str


@dataclass(frozen=True, slots=True)
class Asked:
    """A request for footage that names the camera, without whose it is.

    Attributes:
        days_left: until its deadline; None once it is answered.
    """

    id: str
    state: str
    received: str
    due: str
    days_left: int | None
    approved: bool
    rules: str


@dataclass(frozen=True, slots=True)
class Change:
    """A change of a policy."""

    at_us: int
    who: str
    before: str
    after: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class CameraFacts:
    """All of one camera. `kept`, `accesses`, `requests` and `exposure` are None where they could not be looked up."""

    id: str
    policy: Policy
    words: Sequence[str]
    cautions: Sequence[str]
    kept: Kept | None = None
    accesses: Sequence[Access] | None = None
    exposure: Exposure | None = None
    requests: Sequence[Asked] | None = None
    changes: Sequence[Change] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """All of a site.

    Attributes:
        start_us, end_us: of the accesses and changes that are looked at.
        log_events: how many events there are; None where no log is at hand.
        faults: what is wrong with the log.
        unknown: one sentence for each thing that could not be looked up.
    """

    site: str
    house: str
    who: str
    purpose: str
    at_us: int
    start_us: int
    end_us: int
    cameras: Sequence[CameraFacts]
    log_events: int | None = None
    faults: Sequence[Fault] = ()
    unknown: Sequence[str] = field(default_factory=list)
