"""Policies: which there are, what one does in words, what a change of it would do, and the change itself."""

from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Path, Query, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.accounts.model import Account, Role
from services.accounts.web import Who, allows
from services.audit.log import Tell
from services.bus.clock import Clock, now_us
from services.console import metrics
from services.console.boxes import Boxes
from services.console.live_api import LOOKING
from services.policy.book import PolicySource
from services.policy.cautions import cautions
from services.policy.changes import Change, ChangeConflict, ChangeFolder, Laid
from services.policy.differences import Difference, differences
from services.policy.loader import PRESETS, load_policy
from services.policy.model import Policy
from services.policy.problems import ConfigError, Problem
from services.policy.site import Site
from services.policy.words import describe, sentences
from services.policy.yamltree import Layer

_NOT_YOURS = "Your account may not see this camera."
_HISTORY_MOST = 50
_DETAIL_MOST = 400

_CameraId = Annotated[str, Path(min_length=1, max_length=64)]
_Number = Annotated[int, Path(ge=1, le=999_999)]
_AtUs = Annotated[int | None, Query(gt=0, lt=1 << 60, description="When the picture was taken; now, if left out.")]


class Draft(BaseModel):
    """A policy that is being written.

    Attributes:
        preset: it starts from; None for what the site file says of the camera.
        keys: all that differs from that; a mapping of kinds is complete.
    """

    model_config = ConfigDict(extra="forbid")

    preset: str | None = Field(None, max_length=64)
    keys: dict[str, Any] = Field(default_factory=dict)


class Wanted(Draft):
    """A policy that is to be in force.

    Attributes:
        reason: why, in a sentence, for the audit.
        number, before: of the change and the fingerprint of the policy that the editor began with.
        closes: whoever saves it knows that the camera stays closed until a detector is loaded.
    """

    reason: Annotated[str, StringConstraints(strip_whitespace=True, min_length=3, max_length=500)]
    number: int = Field(ge=0, lt=999_999)
    before: str = Field(max_length=100)
    closes: bool = False


class Policies:
    """The endpoints.

    Args:
        site: the cameras, their policies, and where changes of them are kept.
        tell: writes a change into the audit before it is in force.
        boxes: where subjects are now.
        at_once: the line runs in this process and is told of a change; others read it within five seconds.
        clock: microseconds since 1970.
    """

    def __init__(self, site: Site, tell: Tell, boxes: Boxes, *, at_once: bool = False, clock: Clock = now_us) -> None:
        self._site, self._tell, self._boxes, self._clock = site, tell, boxes, clock
        self._at_once = at_once
        self._loaded = frozenset(name for policy in site.policies.values() for name in policy.detectors)
        self.router = APIRouter(prefix="/api/v1/policies")
        add = self.router.add_api_route
        camera = "/cameras/{camera_id}"
        add("/presets", self.presets, methods=["GET"], **allows())
        add(camera, self.show, methods=["GET"], **allows())
        add(camera, self.save, methods=["PUT"], **allows(Role.ADMIN, answers={409: "Somebody else was faster."}))
        add(f"{camera}/validate", self.validate, methods=["POST"], **allows(Role.ADMIN))
        add(f"{camera}/preview", self.preview, methods=["POST"], **allows(Role.ADMIN))
        add(f"{camera}/boxes", self.boxes, methods=["GET"], **allows(*LOOKING))
        add(f"{camera}/history", self.history, methods=["GET"], **allows(Role.ADMIN, Role.AUDITOR))
        add(f"{camera}/history/{{number}}", self.change, methods=["GET"], **allows(Role.ADMIN, Role.AUDITOR))

    def presets(self) -> list[dict[str, Any]]:
        """All presets, with what each does and all its keys, which are no secret."""
        policies = {name: load_policy(name) for name in PRESETS}
        return [
            {"preset": name, **_plain(each), "keys": each.model_dump(mode="json")} for name, each in policies.items()
        ]

    def show(self, camera_id: _CameraId, who: Who) -> dict[str, Any]:
        """A camera's policy as it is now; who may change it is told its keys and the change in force too."""
        source = self._source(who, camera_id)
        policy, wrong = _now(source)
        shown: dict[str, Any] = {"camera": camera_id, "policy": policy and _plain(policy), "unreadable": wrong}
        if not who.may(Role.ADMIN):
            return shown | {"unreadable": bool(wrong)}
        number, change = _newest(source)
        return shown | {
            "keys": policy and policy.model_dump(mode="json"),
            "site_file": _dumped(source.unchanged),
            "editable": source.changes is not None,
            "number": number,
            "before": policy.fingerprint if policy else "",
            "draft": {"preset": change.preset, "keys": change.keys} if change else {"preset": None, "keys": {}},
            "changed": change and _told(number, change),
            "at_once": self._at_once,
        }

    def validate(self, camera_id: _CameraId, draft: Draft, who: Who) -> dict[str, Any]:
        """What is wrong with a draft, and what deserves a second thought, each with its key."""
        policy, problems = _tried(self._source(who, camera_id), draft)
        return {"problems": problems, "cautions": _cautions(policy), "missing": self._missing(policy)}

    def preview(self, camera_id: _CameraId, draft: Draft, who: Who) -> dict[str, Any]:
        """What a draft would do: the policy in words, and what differs from the one that is in force."""
        source = self._source(who, camera_id)
        policy, problems = _tried(source, draft)
        before, _ = _now(source)
        return {
            "problems": problems,
            "cautions": _cautions(policy),
            "missing": self._missing(policy),
            "policy": policy and _plain(policy),
            "keys": policy and policy.model_dump(mode="json"),
            "differences": [_shown(each) for each in differences(before, policy)] if before and policy else [],
        }

    def boxes(self, camera_id: _CameraId, who: Who, at_us: _AtUs = None) -> list[dict[str, Any]]:
        """Where subjects of the kinds that are looked for are, now or when a picture was taken."""
        self._source(who, camera_id)
        return self._boxes.of(camera_id, at_us)

    def history(self, camera_id: _CameraId, who: Who) -> list[dict[str, Any]]:
        """The newest changes, the newest first."""
        folder = self._source(who, camera_id).changes
        if folder is None:
            return []
        return [_remembered(folder, number) for number in reversed(_numbers(folder)[-_HISTORY_MOST:])]

    def change(self, camera_id: _CameraId, number: _Number, who: Who) -> dict[str, Any]:
        """One change as a draft, to look at or to take up again."""
        folder = self._source(who, camera_id).changes
        try:
            change = None if folder is None else folder.read(number)[0]
        except ConfigError:
            change = None
        if change is None:
            raise HTTPException(404, "There is no such change, or it can't be read.")
        return {**_told(number, change), "keys": change.keys}

    def save(self, camera_id: _CameraId, wanted: Wanted, who: Who) -> Response:
        """Puts a policy into force, after the audit has been told."""
        source = self._source(who, camera_id)
        if source.changes is None:
            raise HTTPException(409, "This site keeps no changes: its file names no folder for them (changes: FOLDER).")
        after, problems = _tried(source, wanted)
        if after is None:
            first = f"{problems[0]['key']}: {problems[0]['message']}" if problems[0]["key"] else problems[0]["message"]
            return JSONResponse({"error": f"{first}.", "problems": problems}, 422)
        before, _ = _now(source)
        self._check_begin(source, before, wanted)
        found = differences(before, after) if before else ()
        if before and before.fingerprint == after.fingerprint:
            raise HTTPException(409, "Nothing would change.")
        if self._missing(after) and not wanted.closes:
            names = ", ".join(self._missing(after))
            raise HTTPException(
                409, f"No detector is loaded for {names}: the camera would stay closed until a restart."
            )
        self._put(camera_id, source.changes, wanted, who, (before, after, found))
        return JSONResponse({"number": wanted.number + 1, "after": after.fingerprint, "at_once": self._at_once})

    def _put(
        self,
        camera_id: str,
        folder: ChangeFolder,
        wanted: Wanted,
        who: Account,
        step: tuple[Policy | None, Policy, Sequence[Difference]],
    ) -> None:
        before, after, found = step
        change = Change(
            by=who.who,
            at_us=self._clock(),
            reason=wanted.reason,
            before=before.fingerprint if before else "",
            after=after.fingerprint,
            preset=wanted.preset,
            keys=wanted.keys,
        )
        details = {
            "camera": camera_id,
            "object": camera_id,
            "purpose": wanted.reason,
            "role": str(Role.ADMIN),
            "before": change.before,
            "after": change.after,
            "change": str(wanted.number + 1),
            "changed": ", ".join(each.key for each in found)[:_DETAIL_MOST],
            "shows_more": ", ".join(each.key for each in found if each.shows_more)[:_DETAIL_MOST],
        }
        try:
            folder.add(wanted.number + 1, change, lambda: self._tell("policy.change", who.who, details))
        except ChangeConflict:
            raise HTTPException(409, _faster(folder)) from None
        except ConfigError as error:
            raise HTTPException(422, str(error.problems[0])) from error
        except OSError as error:
            raise HTTPException(503, f"The change can't be written: {(error.strerror or 'failed').lower()}.") from error
        self._site.book.look_again(camera_id)

    def _source(self, who: Account, camera_id: str) -> PolicySource:
        """Raises 403, for a camera that isn't there as for one that is not theirs: nobody learns which there are."""
        source = self._site.sources.get(camera_id)
        if source is None or not who.sees(camera_id, self._site.config.name):
            metrics.REFUSED.labels("camera").inc()
            raise HTTPException(403, _NOT_YOURS)
        return source

    def _missing(self, policy: Policy | None) -> list[str]:
        """Detectors that no camera had when the line started, so that nobody loaded them."""
        return [] if policy is None else [name for name in policy.detectors if name not in self._loaded]

    @staticmethod
    def _check_begin(source: PolicySource, before: Policy | None, wanted: Wanted) -> None:
        """Raises 409 where the policy is not the one that the editor began with."""
        folder = source.changes
        fingerprint = before.fingerprint if before else ""
        if folder is not None and (_numbers(folder)[-1:] or [0])[0] == wanted.number and fingerprint == wanted.before:
            return
        raise HTTPException(409, _faster(folder))


def _plain(policy: Policy) -> dict[str, Any]:
    """What a policy does, for words in any language, and in English ones."""
    return {
        "name": policy.name,
        "title": policy.title,
        "fingerprint": policy.fingerprint,
        "purpose": policy.purpose,
        "legal_basis": policy.legal_basis,
        "kinds": {str(kind): str(policy.mode_of(kind)) for kind in policy.kinds},
        "padding": {str(kind): rule.padding for kind, rule in policy.kinds.items()},
        "strength": policy.strength,
        "profile": str(policy.profile),
        "look_ahead_s": policy.tracking.look_ahead_s,
        "hold_s": policy.tracking.hold_s,
        "on_incomplete": str(policy.on_incomplete),
        "sound": policy.sound,
        "zones": [zone.model_dump(mode="json") for zone in policy.zones],
        "lines": [line.model_dump(mode="json") for line in policy.lines],
        "originals": policy.originals,
        "retention_hours": policy.retention_hours,
        "in_words": list(sentences(policy)),
        "described": describe(policy),
    }


def _now(source: PolicySource) -> tuple[Policy | None, str]:
    """The policy as its files say now, or why nobody can tell: the camera is closed."""
    try:
        return source.load(), ""
    except ConfigError as error:
        return None, str(error.problems[0])


def _newest(source: PolicySource) -> tuple[int, Change | None]:
    """The change in force; its number alone where it can't be read."""
    number = 0 if source.changes is None else (_numbers(source.changes)[-1:] or [0])[0]
    try:
        return number, source.changes.read(number)[0] if source.changes is not None and number else None
    except ConfigError:
        return number, None


def _numbers(folder: ChangeFolder) -> list[int]:
    try:
        return folder.numbers()
    except ConfigError as error:
        raise HTTPException(503, f"{error.problems[0].message.capitalize()}.") from error


def _tried(source: PolicySource, draft: Draft) -> tuple[Policy | None, list[dict[str, str]]]:
    """The policy that a draft makes, or all that is wrong with it."""
    if "name" in draft.keys:
        return None, [{"key": "name", "message": "can't be changed here"}]
    try:
        return source.changed(Laid.of(draft.preset, Layer.of(draft.keys, "the change"))), []
    except ConfigError as error:
        return None, [_problem(problem) for problem in error.problems]


def _problem(problem: Problem) -> dict[str, str]:
    # What has a line stands in a file that is not written here.
    where = f"{problem.place}: " if problem.place.line else ""
    return {"key": ".".join(map(str, problem.key)), "message": f"{where}{problem.message}"}


def _cautions(policy: Policy | None) -> list[dict[str, str]]:
    found = [] if policy is None else cautions(policy)
    return [{"key": ".".join(map(str, key)), "message": sentence} for key, sentence in found]


def _dumped(load: Any) -> Mapping[str, Any] | None:
    try:
        dumped: Mapping[str, Any] = load().model_dump(mode="json")
    except ConfigError:
        return None
    return dumped


def _shown(difference: Difference) -> dict[str, Any]:
    return {
        "key": difference.key,
        "before": difference.before,
        "after": difference.after,
        "shows_more": difference.shows_more,
    }


def _remembered(folder: ChangeFolder, number: int) -> dict[str, Any]:
    try:
        return _told(number, folder.read(number)[0])
    except ConfigError:
        return {"number": number, "unreadable": True}


def _told(number: int, change: Change) -> dict[str, Any]:
    told = change.model_dump(mode="json")
    keys: Collection[str] = told.pop("keys")
    return {"number": number, **told, "differs": sorted(keys)}


def _faster(folder: ChangeFolder | None) -> str:
    """Who changed it meanwhile, as far as anybody can tell."""
    try:
        number = 0 if folder is None else folder.newest()
        if folder is not None and number:
            return f"{folder.read(number)[0].by} changed this policy while you were writing: load it again."
    except ConfigError:
        pass
    return "This policy has changed while you were writing: load it again."
