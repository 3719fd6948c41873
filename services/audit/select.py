"""Which events somebody asks for: a range of time, a camera, an account, an action."""

from dataclasses import dataclass
from datetime import UTC, datetime

from services.audit.rows import CHAIN, NUMBER, OF
from services.schema import pb

_WITHIN = "cameras"
"""Detail that lists cameras, with commas, where an event is about several."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for; what is left out is not looked at.

    Attributes:
        start_us, end_us: microseconds since 1970; the end is left out.
        camera: its chain, or an event whose object or details name it.
        actor: regardless of case.
        action: how it begins: `vault.` or `vault.open`.
    """

    start_us: int | None = None
    end_us: int | None = None
    camera: str = ""
    actor: str = ""
    action: str = ""

    def takes(self, event: pb.AuditEvent) -> bool:
        """Whether an event is asked for."""
        return (
            (self.start_us is None or event.at_us >= self.start_us)
            and (self.end_us is None or event.at_us < self.end_us)
            and (not self.camera or self.camera in cameras_of(event))
            and (not self.actor or event.actor.casefold() == self.actor.casefold())
            and event.action.startswith(self.action)
        )

    def words(self) -> str:
        """In a sentence."""
        parts = [f"from {time_of(self.start_us)}"] if self.start_us is not None else []
        parts += [f"until {time_of(self.end_us)}"] if self.end_us is not None else []
        parts += [f"{name} {value}" for name, value in self._named() if value]
        return ", ".join(parts) or "everything"

    def as_plain_data(self) -> dict[str, str]:
        """For a manifest."""
        times = [("from", self.start_us), ("to", self.end_us)]
        return {name: time_of(us) for name, us in times if us is not None} | {
            name: value for name, value in self._named() if value
        }

    def _named(self) -> tuple[tuple[str, str], ...]:
        return ("camera", self.camera), ("actor", self.actor), ("action", self.action)


def cameras_of(event: pb.AuditEvent) -> set[str]:
    """Cameras that an event names."""
    named = {event.details.get(OF, ""), event.object.partition("/")[0], *event.details.get(_WITHIN, "").split(",")}
    return named - {""}


def time_of(us: int) -> str:
    """A moment, ISO 8601 in UTC, to the second."""
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


def more_of(event: pb.AuditEvent) -> dict[str, str]:
    """Its details without those that every event has."""
    return {name: event.details[name] for name in sorted(event.details) if name not in (CHAIN, OF, NUMBER)}
