"""Health over HTTP: what the services say of themselves, the auditor's finds, Triton, disks and certificates."""

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from cryptography import x509
from fastapi import APIRouter
from prometheus_client import REGISTRY, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel, Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from services.accounts.model import Account, Role
from services.accounts.web import Who, allows
from services.console.places import Place
from services.watch.figures import Figures, parse
from services.watch.scrape import Answer, Scraper
from services.watch.targets import Target, from_stack, from_urls
from services.watch.view import STAGES, View, Watcher

_EVERY_S = 3.0
_TIMEOUT_S = 2.0
_MAX_BYTES = 4 << 20
OWN = "this process"
_TRITON = {
    "nv_inference_request_success": "answered",
    "nv_inference_request_failure": "failed",
    "nv_inference_pending_request_count": "waiting",
}


class HealthSettings(BaseSettings):
    """What health is made of, read from VEIL_HEALTH_…; lists as JSON."""

    model_config = SettingsConfigDict(env_prefix="VEIL_HEALTH_", env_ignore_empty=True, frozen=True, extra="forbid")

    metrics: tuple[str, ...] = Field((), max_length=512, description="Addresses of services' /metrics.")
    stack: Path | None = Field(None, description="The stack.json of a stack, in place of addresses.")
    triton: str = Field("", description="Address of Triton's metrics, such as http://127.0.0.1:8002/metrics.")
    folders: tuple[Path, ...] = Field((), max_length=32, description="Folders whose disks are looked at.")
    certificates: tuple[Path, ...] = Field((), max_length=64, description="Certificates, PEM, whose expiry is told.")
    grafana: str = Field("", max_length=300, description="Address of Grafana, to which the page links.")

    @field_validator("grafana", "triton")
    @classmethod
    def _is_web(cls, value: str) -> str:
        if value and not value.startswith(("https://", "http://")):
            raise ValueError("is no address of the web")
        return value.rstrip("/")


class PassageOut(BaseModel):
    """One camera at one stage; `state` is ok, late, stale or new."""

    fps: float | None
    age_s: float
    state: str


class CameraHealth(BaseModel):
    """One camera, stage by stage, and what an auditor found open in its masked pictures."""

    id: str
    stages: dict[str, PassageOut]
    suspects: dict[str, int]


class ProcessHealth(BaseModel):
    """One process."""

    name: str
    problem: str = Field(description="Why it gives no answer; empty where it does.")
    lag: int = Field(description="Messages that wait for it.")
    lag_s: float = Field(description="Age of the oldest of them.")
    blocked: float
    dead_letters: int
    restarts: int
    cpu: float | None
    memory: int


class TritonHealth(BaseModel):
    """The model server: requests since it began, by what became of them."""

    problem: str
    answered: int = 0
    failed: int = 0
    waiting: int = 0


class DiskHealth(BaseModel):
    """The disk that a folder is on, in bytes."""

    folder: str
    total: int
    free: int
    problem: str = ""


class CertificateHealth(BaseModel):
    """A certificate, and when it ends."""

    name: str
    subject: str
    ends_us: int | None
    problem: str = ""


class Health(BaseModel):
    """Everything at one moment."""

    at_us: int
    stages: list[str]
    cameras: list[CameraHealth]
    processes: list[ProcessHealth]
    closed: float | None = Field(description="Share of frames closed over the last seconds.")
    shed: int
    suspects: int = Field(description="What auditors found open at the cameras that the account may see.")
    audited: bool = Field(description="An auditor answers.")
    triton: TritonHealth | None
    disks: list[DiskHealth]
    certificates: list[CertificateHealth]
    grafana: str


class HealthBook:
    """Asks the services, at most once in a few seconds however many pages are open.

    Args:
        settings: what is looked at.
        own: this process has stages of its own, as in `veil run`.
        clock: seconds, monotonic.

    Raises NoTargets where the settings name no services.
    """

    def __init__(
        self, settings: HealthSettings, *, own: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.settings, self._own, self._clock = settings, own, clock
        self._targets = from_urls(settings.metrics) if settings.stack is None else from_stack(settings.stack)
        self._scraper, self._watcher = Scraper(_TIMEOUT_S), Watcher()
        self._lock = threading.Lock()
        self._asked_s = float("-inf")
        self._answers: Sequence[Answer] = ()
        self._view = View({}, [])
        self._triton: TritonHealth | None = None

    def look(self) -> tuple[View, Sequence[Answer], TritonHealth | None]:
        """The newest view, and the answers it was made of."""
        with self._lock:
            if self._clock() - self._asked_s >= _EVERY_S:
                self._answers = self._ask()
                self._view = self._watcher.take(self._answers)
                self._triton = _triton(self.settings.triton)
                self._asked_s = self._clock()
            return self._view, self._answers, self._triton

    def _ask(self) -> list[Answer]:
        answers = list(self._scraper.ask(self._targets))
        if self._own:
            figures = parse(generate_latest(REGISTRY).decode())
            answers.append(Answer(Target(OWN, ""), self._clock(), figures))
        return answers


def health_router(book: HealthBook, places: Mapping[str, Place]) -> APIRouter:
    """The endpoint /api/v1/health.

    Args:
        book: asks the services.
        places: camera_id → what is known of it; others are shown to those who see everything.
    """
    router = APIRouter(prefix="/api/v1/health", tags=["health"])

    @router.get("", **allows(Role.VIEWER, Role.OFFICER, Role.AUDITOR, Role.ADMIN))
    def health(who: Who) -> Health:
        """Stages, lag, age, exposure, Triton, disks, certificates."""
        view, answers, triton = book.look()
        figures = {answer.target.name: answer.figures for answer in answers if answer.figures is not None}
        suspects = _suspects(figures.values())
        cameras = {*view.cameras, *suspects}
        seen = sorted(each for each in cameras if _sees(who, each, places))
        return Health(
            at_us=time.time_ns() // 1000,
            stages=list(STAGES),
            cameras=[
                CameraHealth(
                    id=each,
                    stages={
                        stage: PassageOut(fps=passage.fps, age_s=passage.age_s, state=passage.state)
                        for stage, passage in view.cameras.get(each, {}).items()
                    },
                    suspects=suspects.get(each, {}),
                )
                for each in seen
            ],
            processes=[
                ProcessHealth(
                    name=each.name,
                    problem=each.problem,
                    lag=each.lag,
                    lag_s=_oldest(figures.get(each.name)),
                    blocked=each.blocked,
                    dead_letters=each.dead_letters,
                    restarts=each.restarts,
                    cpu=each.cpu,
                    memory=each.memory,
                )
                for each in view.processes
            ],
            closed=view.closed,
            shed=view.shed,
            suspects=sum(sum(suspects.get(each, {}).values()) for each in seen),
            audited=any("suspects" in each.sums or _is_auditor(each) for each in figures.values()),
            triton=triton,
            disks=[_disk(folder) for folder in book.settings.folders],
            certificates=[_certificate(path) for path in book.settings.certificates],
            grafana=book.settings.grafana,
        )

    return router


def _sees(who: Account, camera_id: str, places: Mapping[str, Place]) -> bool:
    return who.sees(camera_id, places[camera_id].site if camera_id in places else "")


def _suspects(figures: Iterable[Figures]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for each in figures:
        for (camera_id, kind), count in each.suspects.items():
            kinds = found.setdefault(camera_id, {})
            kinds[kind] = kinds.get(kind, 0) + round(count)
    return found


def _oldest(figures: Figures | None) -> float:
    return 0.0 if figures is None else max(figures.lag_s.values(), default=0.0)


def _is_auditor(figures: Figures) -> bool:
    return any(stage == "auditor" for stage, _ in figures.lag)


def _triton(address: str) -> TritonHealth | None:
    if not address:
        return None
    try:
        with urlopen(address, timeout=_TIMEOUT_S) as reply:  # noqa: S310, http by the check in the settings
            text = reply.read(_MAX_BYTES).decode()
        sums = dict.fromkeys(_TRITON.values(), 0)
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                name = _TRITON.get(sample.name.removesuffix("_total"))
                if name is not None:
                    sums[name] += round(sample.value)
    except (URLError, OSError):
        return TritonHealth(problem="no answer")
    except (ValueError, KeyError):
        return TritonHealth(problem="does not speak as Triton does")
    return TritonHealth(problem="", **sums)


def _disk(folder: Path) -> DiskHealth:
    try:
        usage = shutil.disk_usage(folder)
    except OSError as error:
        return DiskHealth(folder=str(folder), total=0, free=0, problem=(error.strerror or "can't be read").lower())
    return DiskHealth(folder=str(folder), total=usage.total, free=usage.free)


def _certificate(path: Path) -> CertificateHealth:
    """What a PEM file's first certificate says of itself."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except OSError as error:
        problem = (error.strerror or "can't be read").lower()
        return CertificateHealth(name=path.name, subject="", ends_us=None, problem=problem)
    except ValueError:
        return CertificateHealth(name=path.name, subject="", ends_us=None, problem="not a certificate")
    ends: datetime = found.not_valid_after_utc
    return CertificateHealth(
        name=path.name,
        subject=found.subject.rfc4514_string(),
        ends_us=round(ends.astimezone(UTC).timestamp() * 1e6),
    )
