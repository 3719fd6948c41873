"""Statistics over HTTP: people and vehicles over time, dwell, flows, busiest hours, and all of it as a file.

Every number is a sum of counts that are told (services/insight/README.md); groups are those of the site file.
"""

import io
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from services.accounts.model import Account, Role
from services.accounts.web import Who, allows
from services.audit.log import Tell
from services.console.places import By, Place, Subject, one_of, seen_by
from services.insight.errors import InsightError, Unavailable
from services.insight.export import csv_lines, write_parquet
from services.insight.grid import SECOND_US
from services.insight.reading import InsightReader, Level, bounds_of, quantiles

_PARQUET = "application/vnd.apache.parquet"
_PLACES_MAX = 500

_Of = Annotated[Subject, Query(description="people or vehicles.")]
_From = Annotated[int, Query(gt=0, lt=1 << 60, description="Microseconds since 1970.")]
_To = Annotated[int, Query(gt=0, lt=1 << 60, description="Microseconds since 1970; this moment is left out.")]
_Cameras = Annotated[list[str] | None, Query(max_length=200, description="Only these.")]
_Name = Annotated[str | None, Query(max_length=64)]


class Choice(BaseModel):
    """A camera that can be asked about."""

    id: str
    site: str
    sector: str
    people: str | None = Field(description="The kind by which people are counted there.")
    vehicles: str | None


class Choices(BaseModel):
    """What can be asked, and what all answers have in common."""

    cameras: list[Choice]
    least: int = Field(description="Smallest count that is told.")
    step_s: int
    time_zone: str


class PointOut(BaseModel):
    """One interval: services/insight/reading.py says what each field means."""

    at_us: int
    value: int | None = Field(description="None: fewer than `least`.")
    whole: bool
    cameras: int
    hidden: int
    frames: int
    incomplete: int


class Group(BaseModel):
    """One line of a chart."""

    name: str
    points: list[PointOut]


class Series(BaseModel):
    """Counts over time."""

    least: int
    groups: list[Group]


class Bin(BaseModel):
    """Tracks whose dwell lies within bounds, in seconds."""

    least_s: float
    most_s: float | None
    value: int | None


class QuantileOut(BaseModel):
    """A share of tracks, and the bounds between which its dwell lies."""

    share: float
    least_s: float
    most_s: float | None


class Dwell(BaseModel):
    """For how long tracks stayed."""

    least: int
    bins: list[Bin]
    quantiles: list[QuantileOut]


class Crossing(BaseModel):
    """A line of a camera."""

    camera: str
    line: str
    forward: int | None
    backward: int | None


class Entered(BaseModel):
    """A camera, or a zone of it."""

    camera: str
    zone: str
    value: int | None


class Flow(BaseModel):
    """Tracks that went from one zone to another one of the same camera."""

    camera: str
    origin: str
    target: str
    value: int


class Flows(BaseModel):
    """Where from and where to, as aggregates."""

    least: int
    cameras: list[Entered]
    zones: list[Entered]
    lines: list[Crossing]
    flows: list[Flow]
    more: bool = Field(description="There are more than fit.")


class Hour(BaseModel):
    """One hour of the day, in the house's time zone."""

    hour: int
    mean: float | None = Field(description="Mean of the days on which it is told; None: on none.")
    days: int
    hidden: int = Field(description="Days on which it is not told.")


class Busiest(BaseModel):
    """The hours of the day."""

    least: int
    hours: list[Hour]


class Wish(BaseModel):
    """A file."""

    model_config = ConfigDict(extra="forbid")

    format: Literal["csv", "parquet"]
    level: Level
    from_us: int = Field(gt=0, lt=1 << 60)
    to_us: int = Field(gt=0, lt=1 << 60)
    cameras: list[str] | None = Field(None, max_length=200)
    purpose: str = Field(min_length=1, max_length=300)


def insight_router(reader: InsightReader, places: Mapping[str, Place], tell: Tell) -> APIRouter:
    """The endpoints under /api/v1/insight.

    Args:
        reader: has the statistics.
        places: camera_id → what is known of it.
        tell: writes exports down.
    """
    router = APIRouter(prefix="/api/v1/insight", tags=["insight"])
    rights = allows(Role.VIEWER)

    @router.get("", **rights)
    def choices(who: Who) -> Choices:
        """What can be asked."""
        settings = reader.settings
        return Choices(
            cameras=[
                Choice(
                    id=each.camera_id,
                    site=each.site,
                    sector=each.sector,
                    people=each.kind_of("people"),
                    vehicles=each.kind_of("vehicles"),
                )
                for each in seen_by(who, places).values()
            ],
            least=reader.least,
            step_s=settings.step_s,
            time_zone=settings.time_zone,
        )

    @router.get("/series", **rights)
    def series(
        who: Who,
        of: _Of,
        level: Level,
        from_us: _From,
        to_us: _To,
        by: By = "camera",
        camera: _Cameras = None,
        site: _Name = None,
        sector: _Name = None,
    ) -> Series:
        """People or vehicles over time, a line for each camera, site or sector."""
        found = []
        with _told():
            for name, some in sorted(_grouped(_chosen(who, places, camera, site, sector), by).items()):
                points = reader.series(_subjects(some, of), level, from_us, to_us)
                found.append(Group(name=name, points=[PointOut.model_validate(_plain(each)) for each in points]))
        return Series(least=reader.least, groups=found)

    @router.get("/dwell", **rights)
    def dwell(
        who: Who,
        of: _Of,
        from_us: _From,
        to_us: _To,
        camera: _Cameras = None,
        site: _Name = None,
        sector: _Name = None,
    ) -> Dwell:
        """For how long they stayed."""
        with _told():
            subjects = _subjects(_chosen(who, places, camera, site, sector), of)
            bins = reader.bins(subjects, "dwell", from_us, to_us)
        return Dwell(
            least=reader.least,
            bins=[Bin(least_s=bounds_of(at)[0], most_s=bounds_of(at)[1], value=bins.get(at)) for at in range(_BINS)],
            quantiles=[
                QuantileOut(share=each.share, least_s=each.least_s, most_s=each.most_s)
                for each in quantiles(bins, reader.least)
            ],
        )

    @router.get("/flows", **rights)
    def flows(
        who: Who,
        of: _Of,
        from_us: _From,
        to_us: _To,
        camera: _Cameras = None,
        site: _Name = None,
        sector: _Name = None,
    ) -> Flows:
        """How many came to each camera and zone, crossed each line, and went from zone to zone."""
        chosen = _chosen(who, places, camera, site, sector)
        with _told():
            return _flows(reader, chosen, of, from_us, to_us)

    @router.get("/busiest", **rights)
    def busiest(
        who: Who,
        of: _Of,
        from_us: _From,
        to_us: _To,
        camera: _Cameras = None,
        site: _Name = None,
        sector: _Name = None,
    ) -> Busiest:
        """The hours of the day, as means over days."""
        with _told():
            subjects = _subjects(_chosen(who, places, camera, site, sector), of)
            points = reader.series(subjects, "hour", from_us, to_us)
        by_hour: dict[int, list[int | None]] = defaultdict(list)
        for point in points:
            by_hour[datetime.fromtimestamp(point.at_us // SECOND_US, reader.zone).hour].append(point.value)
        return Busiest(least=reader.least, hours=[_hour(hour, by_hour[hour]) for hour in range(24)])

    @router.post("/export", response_class=Response, **rights)
    def export(wish: Wish, who: Who) -> Response:
        """Every told count as a file that says what is not in it; an event of the audit log."""
        cameras = sorted(_chosen(who, places, wish.cameras, None, None))
        details = {
            "purpose": wish.purpose,
            "level": wish.level,
            "from_us": str(wish.from_us),
            "to_us": str(wish.to_us),
            "cameras": ", ".join(cameras) if len(cameras) <= _FEW else f"{len(cameras)} cameras",
            "object": f"statistics.{wish.format}",
        }
        with _told():
            # Nothing is asked of the statistics before the event is written.
            tell("insight.export", who.who, details)
            rows = reader.rows(cameras, wish.level, wish.from_us, wish.to_us)
            headers = {"Content-Disposition": f'attachment; filename="veil-statistics.{wish.format}"'}
            if wish.format == "csv":
                lines = iter(list(csv_lines(rows, reader.least)))
                return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
            file = io.BytesIO()
            write_parquet(file, rows, reader.least)
            return Response(file.getvalue(), media_type=_PARQUET, headers=headers)

    return router


_BINS = 10
_FEW = 10


@contextmanager
def _told() -> Iterator[None]:
    """Turns what the statistics say into an answer."""
    try:
        yield
    except Unavailable as error:
        raise HTTPException(503, str(error)) from error
    except InsightError as error:
        raise HTTPException(422, str(error)) from error


def _chosen(
    who: Account, places: Mapping[str, Place], cameras: Iterable[str] | None, site: str | None, sector: str | None
) -> dict[str, Place]:
    """The cameras of a question. Raises 403 for one that the account may not see."""
    if cameras is not None:
        found = {camera_id: one_of(who, places, camera_id) for camera_id in cameras}
    else:
        found = seen_by(who, places)
    return {
        camera_id: place
        for camera_id, place in found.items()
        if (site is None or place.site == site) and (sector is None or place.sector == sector)
    }


def _grouped(places: Mapping[str, Place], by: By) -> dict[str, dict[str, Place]]:
    groups: dict[str, dict[str, Place]] = defaultdict(dict)
    for camera_id, place in places.items():
        groups[place.group(by)][camera_id] = place
    return groups


def _subjects(places: Mapping[str, Place], of: Subject) -> dict[str, str]:
    found = {camera_id: place.kind_of(of) for camera_id, place in places.items()}
    return {camera_id: kind for camera_id, kind in found.items() if kind is not None}


def _flows(reader: InsightReader, places: Mapping[str, Place], of: Subject, from_us: int, to_us: int) -> Flows:
    cameras, zones, lines, flows = [], [], [], []
    subjects = _subjects(places, of)
    totals = reader.totals(subjects, from_us, to_us)
    for camera_id, kind in sorted(subjects.items())[:_PLACES_MAX]:
        one, policy = {camera_id: kind}, places[camera_id].policy
        cameras.append(Entered(camera=camera_id, zone="", value=totals.get(camera_id)))
        if policy is None or not (policy.zones or policy.lines):
            continue
        entered = reader.places(one, "zone", from_us, to_us)
        zones += [
            Entered(camera=camera_id, zone=zone.name, value=entered.get(zone.name))
            for zone in policy.zones
            if zone.use == "count"
        ]
        ways = [reader.places(one, way, from_us, to_us) for way in ("forward", "backward")]
        lines += [
            Crossing(camera=camera_id, line=line.name, forward=ways[0].get(line.name), backward=ways[1].get(line.name))
            for line in policy.lines
        ]
        for pair, value in reader.places(one, "flow", from_us, to_us).items():
            origin, _, target = pair.partition(" → ")
            flows.append(Flow(camera=camera_id, origin=origin, target=target, value=value))
    return Flows(
        least=reader.least, cameras=cameras, zones=zones, lines=lines, flows=flows, more=len(subjects) > _PLACES_MAX
    )


def _hour(hour: int, values: list[int | None]) -> Hour:
    told = [value for value in values if value is not None]
    mean = round(sum(told) / len(told), 1) if told else None
    return Hour(hour=hour, mean=mean, days=len(told), hidden=len(values) - len(told))


def _plain(point: object) -> dict[str, object]:
    return {name: getattr(point, name) for name in PointOut.model_fields}
