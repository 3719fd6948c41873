"""Gathers the facts of a report from site file, vault's index, requests, audit log and leak check; needs no keys."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select

from services.audit.acts import ACTS
from services.audit.check import Fault
from services.audit.policies import CHANGE
from services.audit.select import cameras_of
from services.compliance.facts import Access, Asked, CameraFacts, Change, Exposure, Facts, Kept
from services.disclosure.errors import DisclosureError
from services.disclosure.request import Request
from services.disclosure.states import ANSWERED
from services.disclosure.store import RequestStore
from services.policy.cautions import cautions
from services.policy.model import Policy
from services.policy.words import sentences
from services.schema import pb
from services.sql import Database
from services.vault.index import LIVE, not_held
from services.vault.tables import HOLDS, PURGES, SEGMENTS

_HOUR_US = 3600 * 1_000_000
_GRACE_US = _HOUR_US
"""A sweep comes within minutes; what is older than this beyond its time should be gone."""
_PURPOSES_MAX = 5
_ACCESSES = ("vault.", "disclosure.", "live.")
_LEAK = "leak.suspected"


class ComplianceError(Exception):
    """A report that can't be made; one sentence."""


@dataclass(slots=True)
class Sources:
    """Where facts come from; None is not at hand, and said so.

    Attributes:
        vault: database of the vault's index.
        requests: store of requests.
        events: every event of the log; None where there is none.
        suspects: files that `veil audit --json` wrote; a masked video belongs to the camera that it is named after.
    """

    vault: Database | None = None
    requests: RequestStore | None = None
    events: Sequence[pb.AuditEvent] | None = None
    suspects: Sequence[Path] = field(default_factory=list)


def gather(
    site: str,
    policies: Mapping[str, Policy],
    sources: Sources,
    *,
    house: str,
    who: str,
    purpose: str,
    at_us: int,
    start_us: int,
    end_us: int,
    faults: Sequence[Fault] = (),
) -> Facts:
    """The facts of every camera of a site.

    Args:
        site: its name.
        policies: camera → policy.
        sources: what there is to look at.
        house: whose cameras they are.
        who: makes the report.
        purpose: what for.
        at_us: now, microseconds since 1970.
        start_us: of the accesses that are looked at.
        end_us: of these.
        faults: of the log.

    Raises ComplianceError on a file that can't be read, and what the databases raise.
    """
    requests = None if sources.requests is None else sources.requests.list()
    exposures = _exposures(sources.suspects)
    events = sources.events
    within = None if events is None else [event for event in events if start_us <= event.at_us < end_us]
    cameras = []
    for camera, policy in policies.items():
        found = CameraFacts(camera, policy, sentences(policy), _cautions(policy))
        kept = None if sources.vault is None else _kept(sources.vault, camera, policy, at_us)
        asked = None if requests is None else [_asked(each, at_us) for each in requests if camera in each.cameras]
        if kept is not None and within is not None:
            kept = replace(kept, proven=sum(e.action == "vault.prove" and camera in cameras_of(e) for e in within))
        cameras.append(
            replace(
                found,
                kept=kept,
                requests=asked,
                accesses=None if within is None else _accesses(within, camera, requests or ()),
                exposure=exposures.get(camera) or (None if within is None else _leaks(within, camera)),
                changes=() if within is None else _changes(within, camera),
            )
        )
    return Facts(
        site=site,
        house=house,
        who=who,
        purpose=purpose,
        at_us=at_us,
        start_us=start_us,
        end_us=end_us,
        cameras=cameras,
        log_events=None if events is None else len(events),
        faults=faults,
        unknown=_unknown(sources, cameras),
    )


def open_requests(address: str, password_file: Path | None) -> RequestStore:
    """The store of requests at an address. Raises ComplianceError."""
    try:
        password = None if password_file is None else password_file.read_text(encoding="utf-8").strip()
        return RequestStore(address, password)
    except OSError as error:
        raise ComplianceError(f"{password_file}: can't be read ({error.strerror}).") from None
    except DisclosureError as error:
        raise ComplianceError(str(error)) from None


def _kept(database: Database, camera: str, policy: Policy, now_us: int) -> Kept:
    live = SEGMENTS.c.camera_id == camera, SEGMENTS.c.state == LIVE
    longest_us = policy.retention_hours * _HOUR_US if policy.originals == "keep" else 0
    over = SEGMENTS.c.start_us < now_us - longest_us - _GRACE_US
    counted = (func.min(SEGMENTS.c.start_us), func.max(SEGMENTS.c.end_us), func.count(), func.sum(SEGMENTS.c.size))
    purged = (func.count(), func.sum(PURGES.c.segments), func.max(PURGES.c.at_us), func.count(PURGES.c.done_us))
    with database.read() as connection:
        oldest, newest, segments, size = connection.execute(select(*counted).where(*live)).one()
        overdue = connection.execute(select(func.count()).where(*live, over, not_held())).scalar_one()
        held = connection.execute(select(func.count()).where(*live, ~not_held())).scalar_one()
        active = select(HOLDS.c.why).where(HOLDS.c.camera_id == camera, HOLDS.c.released_us.is_(None))
        holds = connection.execute(active.order_by(HOLDS.c.at_us)).scalars().all()
        times, gone, last, done = connection.execute(select(*purged).where(PURGES.c.camera_id == camera)).one()
        left = select(func.count()).where(
            SEGMENTS.c.camera_id == camera, SEGMENTS.c.purge.is_not(None), SEGMENTS.c.salt.is_not(None)
        )
        not_erased = connection.execute(left).scalar_one()
    return Kept(
        oldest_us=oldest,
        newest_us=newest,
        segments=segments,
        size=int(size or 0),
        overdue=overdue,
        held=held,
        holds=tuple(holds),
        purges=times,
        purged=int(gone or 0),
        last_purge_us=last,
        unfinished=times - done,
        not_erased=not_erased,
    )


def _accesses(events: Iterable[pb.AuditEvent], camera: str, requests: Sequence[Request]) -> list[Access]:
    """By account and action; steps of requests that name the camera too."""
    about = {request.id for request in requests if camera in request.cameras}
    found: dict[tuple[str, str, str], list[pb.AuditEvent]] = {}
    for event in events:
        mine = camera in cameras_of(event) or event.object in about
        if mine and event.action.startswith(_ACCESSES) and event.role != "service":
            found.setdefault((event.actor, event.role, event.action), []).append(event)
    return [
        Access(
            who=who,
            role=role,
            action=action,
            says=ACTS[action].says if action in ACTS else action,
            times=len(each),
            last_us=max(event.at_us for event in each),
            purposes=tuple(dict.fromkeys(purpose for event in each if (purpose := _purpose(event))))[:_PURPOSES_MAX],
        )
        for (who, role, action), each in sorted(found.items())
    ]


def _purpose(event: pb.AuditEvent) -> str:
    """What for, without an officer's own words about a request: they may say whose footage it is."""
    if event.action.startswith("disclosure."):
        return f"request {event.object}"
    return event.purpose.partition(":")[0] if event.purpose.startswith("disclosure ") else event.purpose


def _leaks(events: Iterable[pb.AuditEvent], camera: str) -> Exposure | None:
    """Suspects of the leak check among the events; None where the log has none of any: then nobody may have looked."""
    suspects: dict[str, int] = {}
    for event in events:
        if event.action == _LEAK and camera in cameras_of(event):
            kind = event.details.get("kind", "other")
            suspects[kind] = suspects.get(kind, 0) + 1
    return Exposure(suspects, None, None, "the topic audit") if suspects else None


def _exposures(files: Iterable[Path]) -> dict[str, Exposure]:
    found: dict[str, Exposure] = {}
    for path in files:
        try:
            audits = json.loads(path.read_bytes())["files"]
            for audit in audits:
                camera = Path(str(audit["file"])).stem
                suspects: dict[str, int] = {}
                for suspect in audit["suspects"]:
                    suspects[str(suspect["kind"])] = suspects.get(str(suspect["kind"]), 0) + 1
                found[camera] = Exposure(suspects, int(audit["looks"]), float(audit["duration_s"]), path.name)
        except OSError as error:
            raise ComplianceError(f"{path}: can't be read ({error.strerror}).") from None
        except (ValueError, KeyError, TypeError):
            raise ComplianceError(f"{path}: is not what veil audit --json writes.") from None
    return found


def _asked(request: Request, now_us: int) -> Asked:
    today = datetime.fromtimestamp(now_us / 1e6, UTC).date()
    return Asked(
        id=request.id,
        state=request.state.value,
        received=str(request.received),
        due=str(request.due),
        days_left=None if request.state in ANSWERED else request.days_left(today),
        approved=request.approved_by is not None,
        rules=request.rules,
    )


def _changes(events: Iterable[pb.AuditEvent], camera: str) -> list[Change]:
    return [
        Change(
            at_us=event.at_us,
            who=event.actor,
            before=event.details.get("before", ""),
            after=event.details.get("after", ""),
            what=event.details.get("changed", ""),
            why=event.purpose if event.role != "service" else "",
        )
        for event in events
        if event.action == CHANGE and camera in cameras_of(event)
    ]


def _cautions(policy: Policy) -> tuple[str, ...]:
    return tuple(f"{'.'.join(map(str, key))}: {says}" for key, says in cautions(policy))


def _unknown(sources: Sources, cameras: Sequence[CameraFacts]) -> list[str]:
    found = []
    if sources.vault is None:
        keeps = [camera.id for camera in cameras if camera.policy.originals == "keep"]
        if keeps:
            found.append(f"What the vault keeps of {', '.join(keeps)}: no index was named (VEIL_VAULT_INDEX, _STORE).")
    if sources.events is None:
        found.append("Who looked at what: no audit log was named (VEIL_AUDIT_DATABASE and others).")
    if sources.requests is None:
        found.append("Requests of people for their footage: no store was named (VEIL_DISCLOSURE_DATABASE, _FOLDER).")
    lacks = [camera.id for camera in cameras if camera.exposure is None or camera.exposure.looks is None]
    if lacks:
        found.append(
            f"How many faces and plates still show on {', '.join(lacks)}: no figures of the leak check were named "
            "(veil audit --json). No suspect in the log is no proof that none was there."
        )
    return found
