"""One camera's own page over HTTP: its policy, the last hours, closed frames and why, and the heat map."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, HTTPException, Path, Query
from pydantic import BaseModel, Field

from services.accounts.model import Role
from services.accounts.web import Who, allows
from services.bus.clock import Clock, now_us
from services.console.closures import Closures
from services.console.insight_api import PointOut
from services.console.places import Place, one_of
from services.insight.errors import InsightError, Unavailable
from services.insight.grid import COLUMNS, HOUR_US, ROWS
from services.insight.reading import InsightReader

_HOURS_MAX = 72

_CameraId = Annotated[str, Path(min_length=1, max_length=64)]
_Hours = Annotated[int, Query(ge=1, le=_HOURS_MAX, description="How many hours back.")]


class KindOut(BaseModel):
    """A kind that is masked, and how."""

    kind: str
    mode: str


class ZoneOut(BaseModel):
    """A named area; corners are shares of the picture's width and height."""

    name: str
    use: str
    polygon: list[tuple[float, float]]


class LineOut(BaseModel):
    """A named line whose crossings are counted."""

    name: str
    start: tuple[float, float]
    end: tuple[float, float]


class PolicyOut(BaseModel):
    """The policy in force: what a page needs to say it in words."""

    name: str
    title: str
    sector: str
    purpose: str
    legal_basis: str
    fingerprint: str
    kinds: list[KindOut]
    strength: float
    profile: str
    look_ahead_s: float
    hold_s: float
    on_incomplete: str
    sound: str
    originals: str
    retention_hours: int
    zones: list[ZoneOut]
    lines: list[LineOut]


class KindSeries(BaseModel):
    """One kind over the last hours."""

    kind: str
    points: list[PointOut]


class FramesOut(BaseModel):
    """Frames of one finest interval."""

    at_us: int
    frames: int
    incomplete: int = Field(description="Those in which detectors were blind.")


class ClosureOut(BaseModel):
    """A stretch in which the whole picture was masked."""

    from_us: int
    to_us: int
    frames: int
    why: str
    reason: str = Field(description="The code of `why`, for pages in other languages; empty where nobody gave one.")
    detector: str = Field(description="That the reason is about; empty where it is about none.")


class Timeline(BaseModel):
    """The last hours of a camera."""

    from_us: int
    to_us: int
    least: int
    step_s: int
    kinds: list[KindSeries]
    frames: list[FramesOut]
    closures: list[ClosureOut]
    closures_since_us: int = Field(description="Closed frames are known from here on.")


class Heat(BaseModel):
    """How many stood in each cell of the picture, from the left upper corner row by row."""

    least: int
    columns: int
    rows: int
    from_us: int
    to_us: int
    cells: list[int | None] = Field(description="None: fewer than `least`.")


def camera_router(
    reader: InsightReader | None, places: Mapping[str, Place], closures: Closures, clock: Clock = now_us
) -> APIRouter:
    """The endpoints under /api/v1/cameras/CAMERA.

    Args:
        reader: has the statistics; None where there are none.
        places: camera_id → what is known of it.
        closures: which frames were closed, and why.
        clock: microseconds since 1970.
    """
    router = APIRouter(prefix="/api/v1/cameras/{camera_id}", tags=["camera"])
    rights = allows(Role.VIEWER)

    @router.get("/policy", **rights)
    def policy(camera_id: _CameraId, who: Who) -> PolicyOut:
        """The policy in force."""
        found = one_of(who, places, camera_id)
        if found.policy is None:
            raise HTTPException(404, "There is no site file here that names this camera's policy.")
        return _policy(found)

    @router.get("/timeline", **rights)
    def timeline(camera_id: _CameraId, who: Who, hours: _Hours = 6) -> Timeline:
        """Counts of every kind, frames, and closed frames, over the last hours."""
        place = one_of(who, places, camera_id)
        end_us = clock()
        start_us = end_us - hours * HOUR_US
        kinds = [str(kind) for kind in place.policy.kinds] if place.policy is not None else []
        found, frames, least, step_s = [], [], 0, 0
        if reader is not None:
            least, step_s = reader.least, reader.settings.step_s
            try:
                for kind in kinds:
                    points = reader.series({camera_id: kind}, "step", start_us, end_us)
                    found.append(KindSeries(kind=kind, points=[_point(each) for each in points]))
                frames = [
                    FramesOut(at_us=at_us, frames=number, incomplete=blind)
                    for at_us, number, blind in reader.frames(camera_id, start_us, end_us)
                ]
            except Unavailable as error:
                raise HTTPException(503, str(error)) from error
        return Timeline(
            from_us=start_us,
            to_us=end_us,
            least=least,
            step_s=step_s,
            kinds=found,
            frames=frames,
            closures=[
                ClosureOut(from_us=each.from_us, to_us=each.to_us, frames=each.frames, **each.why.as_json())
                for each in closures.of(camera_id)
                if each.to_us >= start_us
            ],
            closures_since_us=closures.since_us,
        )

    @router.get("/heat", **rights)
    def heat(
        camera_id: _CameraId,
        who: Who,
        from_us: Annotated[int, Query(gt=0, lt=1 << 60)],
        to_us: Annotated[int, Query(gt=0, lt=1 << 60)],
    ) -> Heat:
        """Where people stood, over the hours of a range."""
        place = one_of(who, places, camera_id)
        if reader is None:
            raise HTTPException(404, "There are no statistics here.")
        kind = place.kind_of("people") or place.kind_of("vehicles")
        try:
            cells = reader.bins({camera_id: kind} if kind else {}, "heat", from_us, to_us)
        except Unavailable as error:
            raise HTTPException(503, str(error)) from error
        except InsightError as error:
            raise HTTPException(422, str(error)) from error
        return Heat(
            least=reader.least,
            columns=COLUMNS,
            rows=ROWS,
            from_us=from_us,
            to_us=to_us,
            cells=[cells.get(at) for at in range(COLUMNS * ROWS)],
        )

    return router


def _policy(place: Place) -> PolicyOut:
    policy = place.policy
    assert policy is not None  # noqa: S101, looked at by who calls
    return PolicyOut(
        name=policy.name,
        title=policy.title,
        sector=policy.sector,
        purpose=policy.purpose,
        legal_basis=policy.legal_basis,
        fingerprint=policy.fingerprint,
        kinds=[KindOut(kind=kind, mode=policy.mode_of(kind)) for kind in policy.kinds],
        strength=policy.strength,
        profile=policy.profile,
        look_ahead_s=policy.tracking.look_ahead_s,
        hold_s=policy.tracking.hold_s,
        on_incomplete=policy.on_incomplete,
        sound=policy.sound,
        originals=policy.originals,
        retention_hours=policy.retention_hours,
        zones=[ZoneOut(name=zone.name, use=zone.use, polygon=list(zone.polygon)) for zone in policy.zones],
        lines=[LineOut(name=line.name, start=line.start, end=line.end) for line in policy.lines],
    )


def _point(point: object) -> PointOut:
    return PointOut.model_validate({name: getattr(point, name) for name in PointOut.model_fields})
