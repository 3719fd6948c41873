"""What is simulated: a planned cell, a stretch of time, and what fails in it."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.planning.errors import PlanError
from services.policy.model import Detection

KINDS = ("broker", "zone", "gpu")


@dataclass(frozen=True, slots=True)
class Failure:
    """Something that is gone from `at` seconds on: the first broker, zone or GPU."""

    kind: str
    at: float


@dataclass(frozen=True, slots=True)
class Scenario:
    """How long, and what happens meanwhile. The times that a failure takes are those of the defaults that they name.

    Attributes:
        seconds: of cameras' time.
        seed: of everything that is left to chance.
        failures: at most one of each kind.
        day: a whole day of coming and going is pressed into the run: looks are rare at its ends.
        look_ahead_s: the policy's.
        live_age_s: VEIL_INFERENCE_LIVE_AGE_S.
        deadline_s: the renderer's, beyond the look-ahead.
        session_s: VEIL_KAFKA_SESSION_TIMEOUT_S: until a member's partitions go to others.
        takeover_s: VEIL_KAFKA_SESSION_TIMEOUT_S of decoders on Kubernetes, and a second to find out.
        leader_s: broker.session.timeout.ms of Kafka: until a broker's partitions have another leader.
        outbox_s: VEIL_DECODER_OUTBOX_S.
        jitter_s: mean delay of the cameras' network.
    """

    seconds: float = 60.0
    seed: int = 1
    failures: Sequence[Failure] = ()
    day: bool = False
    look_ahead_s: float = 0.3
    live_age_s: float = 1.0
    deadline_s: float = 2.0
    session_s: float = 10.0
    takeover_s: float = 7.0
    leader_s: float = 9.0
    outbox_s: float = 10.0
    jitter_s: float = 0.005

    @property
    def every_max(self) -> float:
        """Frames between looks when nothing moves."""
        return float(Detection().every_max)

    def failure(self, kind: str) -> float | None:
        """When it fails, None if it does not."""
        return next((each.at for each in self.failures if each.kind == kind), None)

    def check(self) -> None:
        """Raises PlanError."""
        if not 5 <= self.seconds <= 3600:
            raise PlanError("seconds must be between 5 and 3600")
        kinds = [each.kind for each in self.failures]
        for each in self.failures:
            if kinds.count(each.kind) > 1:
                raise PlanError(f"a {each.kind} can fail once in a run")
            if not 0 <= each.at < self.seconds:
                raise PlanError(f"the {each.kind} fails at {each.at:g} s, and the run has {self.seconds:g} s")


def failure(words: str) -> Failure:
    """`broker@20` as a failure. Raises PlanError."""
    kind, at, moment = words.partition("@")
    try:
        seconds = float(moment)
    except ValueError:
        seconds = -1.0
    if kind not in KINDS or not at or not 0 <= seconds < float("inf"):
        raise PlanError(f"'{words}' is no failure: write {', '.join(f'{name}@30' for name in KINDS)}")
    return Failure(kind, seconds)
