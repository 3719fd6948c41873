"""The desk at which officers work: each step of a request from the person who asks to the package in their hands.

Files are made first and the step is written down afterwards: a crash between both leaves the request where it was, and
the step is done again.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from services.bus.clock import Clock, now_us
from services.disclosure import steps
from services.disclosure.errors import Invalid, NotAllowed, Unavailable
from services.disclosure.find import Found, Search, find, thumbnails
from services.disclosure.footage import Footage
from services.disclosure.package import ACCOUNT, House, letter, pack
from services.disclosure.parts import sha256_of
from services.disclosure.render import Job, Rendered, render
from services.disclosure.request import Actor, Correction, Request, Sight
from services.disclosure.states import ENDED, Action
from services.disclosure.store import RequestStore
from services.policy.model import Policy
from services.signing import SigningKeys

_DAY_US = 24 * 3600 * 1_000_000
_LISTED = "found.json"
_SIGHTS: TypeAdapter[dict[int, Sight]] = TypeAdapter(dict[int, Sight])
_RENDERED: TypeAdapter[Rendered] = TypeAdapter(Rendered)


@dataclass(frozen=True, slots=True)
class Office:
    """What a house has decided once.

    Attributes:
        folder: of everything that is made for requests; each has a folder of its own in it.
        policies: every policy that cameras had while the footage was taken, by fingerprint.
        zone: in which days begin and end.
        expiry_days: how long a package can be taken.
    """

    folder: Path
    keys: SigningKeys
    policies: Mapping[str, Policy]
    house: House
    rules: str = "gdpr"
    zone: ZoneInfo = ZoneInfo("UTC")  # noqa: RUF009 (it never changes)
    expiry_days: int = 30


class Desk:
    """Does what officers ask for. Every method raises DisclosureError, and what the footage raises.

    Args:
        store: of requests.
        footage: opens originals; asked only by `find` and `render`, None where these are not done.
        office: the house's own ways.
        clock: microseconds since 1970.
    """

    def __init__(self, store: RequestStore, footage: Footage | None, office: Office, clock: Clock = now_us) -> None:
        self.store, self._footage, self._office, self._clock = store, footage, office, clock

    @property
    def today(self) -> date:
        """The day, in the house's zone."""
        return datetime.fromtimestamp(self._clock() / 1e6, self._office.zone).date()

    def file(
        self,
        actor: Actor,
        *,
        whose: str,
        cameras: Sequence[str],
        start_us: int,
        end_us: int,
        legal_basis: str,
        received: date | None = None,
        rules: str | None = None,
        asked_by: str = "",
    ) -> Request:
        """Takes a request in."""
        received = received or self.today
        if received > self.today:
            raise Invalid("It can't have been received later than today.")
        if end_us > self._clock():
            raise Invalid("The range must lie in the past.")
        return self.store.add(
            steps.file_request(
                actor,
                self._clock(),
                whose=whose,
                cameras=tuple(cameras),
                start_us=start_us,
                end_us=end_us,
                legal_basis=legal_basis,
                received=received,
                rules=rules or self._office.rules,
                asked_by=asked_by,
            )
        )

    def find(self, request_id: str, actor: Actor, *, pictures: bool = True) -> tuple[Request, list[Found]]:
        """Looks through the range, and makes a masked picture of each track in the request's folder, `found`."""
        request = self.store.get(request_id)
        _check(request, Action.FIND)
        search = Search(
            request.cameras,
            request.start_us,
            request.end_us,
            self._office.policies,
            actor.who,
            f"disclosure {request.id}: {actor.why}",
            actor.role,
        )
        footage = self._originals()
        found = find(footage, search)
        folder = self.folder_of(request, "found", anew=True)
        if pictures:
            thumbnails(footage, search, found, folder)
        (folder / _LISTED).write_bytes(_SIGHTS.dump_json({one.number: one.sight for one in found}))
        return self._change(request, lambda now: steps.find(request, actor, now, len(found))), found

    def choose(self, request_id: str, actor: Actor, sights: Sequence[Sight]) -> Request:
        """Says which tracks, or parts of tracks, show the subject: over gaps and cameras."""
        request = self.store.get(request_id)
        return self._change(request, lambda now: steps.choose(request, actor, now, tuple(sights)))

    def listed(self, request_id: str) -> Mapping[int, Sight]:
        """What the last search found, by number. Raises NotAllowed where there was none."""
        path = self.folder_of(self.store.get(request_id), "found") / _LISTED
        try:
            return _SIGHTS.validate_json(path.read_bytes())
        except (OSError, ValidationError):
            raise NotAllowed("Nothing was looked for yet.") from None

    def submit(self, request_id: str, actor: Actor) -> Request:
        """Puts it before a second person."""
        return self._step(request_id, actor, steps.submit)

    def send_back(self, request_id: str, actor: Actor) -> Request:
        """Opens it to changes again; approval and videos are void."""
        changed = self._step(request_id, actor, steps.send_back)
        self._clear(changed)
        return changed

    def approve(self, request_id: str, actor: Actor) -> Request:
        """A second person agrees."""
        return self._step(request_id, actor, steps.approve)

    def refuse(self, request_id: str, actor: Actor) -> Request:
        """Nothing is given, for the reason in `actor.why`."""
        changed = self._step(request_id, actor, steps.refuse)
        self._clear(changed)
        return changed

    def withdraw(self, request_id: str, actor: Actor) -> Request:
        """Whoever asked has changed their mind."""
        changed = self._step(request_id, actor, steps.withdraw)
        self._clear(changed)
        return changed

    def postpone(self, request_id: str, actor: Actor, until: date) -> Request:
        """Puts the answer off, for the reason in `actor.why`."""
        request = self.store.get(request_id)
        return self._change(request, lambda now: steps.postpone(request, actor, now, until))

    def resume(self, request_id: str, actor: Actor) -> Request:
        """Goes on where it was."""
        return self._step(request_id, actor, steps.resume)

    def render(self, request_id: str, actor: Actor) -> tuple[Request, Rendered]:
        """Makes the videos, in the request's folder `videos`."""
        request = self.store.get(request_id)
        steps.may_render(request, actor)
        folder = self.folder_of(request, "videos", anew=True)
        job = Job(
            start_us=request.start_us,
            end_us=request.end_us,
            sights=request.sights,
            corrections=request.corrections,
            policies=self._office.policies,
            who=actor.who,
            purpose=f"disclosure {request.id}: {actor.why}",
            role=actor.role,
        )
        done = render(self._originals(), job, folder)
        (folder / ACCOUNT).write_bytes(_RENDERED.dump_json(done))
        files = done.files | {ACCOUNT: sha256_of(folder / ACCOUNT)}
        return self._change(request, lambda now: steps.rendered(request, actor, now, files)), done

    def correct(self, request_id: str, actor: Actor, corrections: Sequence[Correction]) -> Request:
        """More is to be masked: it has to be rendered again, but not approved again."""
        request = self.store.get(request_id)
        return self._change(request, lambda now: steps.correct(request, actor, now, tuple(corrections)))

    def review(self, request_id: str, actor: Actor) -> Request:
        """Somebody looked through the videos and has nothing against them."""
        return self._step(request_id, actor, steps.review)

    def package(self, request_id: str, actor: Actor) -> tuple[Request, Path]:
        """Packs and signs."""
        request = self.store.get(request_id)
        steps.may_package(request)
        folder, target = self.folder_of(request, "videos"), self.package_of(request)
        key = self._office.keys.current()
        digest = pack(request, _account(folder, request), folder, target, key, self._clock(), self._office.house)
        files = {target.name: digest}
        return self._change(request, lambda now: steps.packaged(request, actor, now, files)), target

    def hand_over(self, request_id: str, actor: Actor, days: int | None = None) -> Request:
        """Lets the package be taken from now on, for so many days."""
        request = self.store.get(request_id)
        until = self._clock() + (days or self._office.expiry_days) * _DAY_US
        return self._change(request, lambda now: steps.hand_over(request, actor, now, until))

    def download(self, request_id: str, actor: Actor) -> tuple[Request, Path]:
        """The package, for who takes it now; refused once it has expired, or is not the one that was handed over."""
        request = self.store.get(request_id)
        path = self.package_of(request)
        changed = steps.download(request, actor, self._clock())
        if not path.is_file() or sha256_of(path) != request.package.get(path.name):
            raise Unavailable("The package is not the one that was handed over.")
        return self.store.change(request, changed), path

    def expire(self, actor: Actor) -> Sequence[Request]:
        """Takes back every package whose time is over, and clears what ended requests left behind."""
        due = self.store.expired(self._clock())
        done = [self.store.change(request, steps.expire(request, actor, self._clock())) for request in due]
        for request in self.store.list(*ENDED):
            self._clear(request)
        return done

    def letter(self, request_id: str) -> str:
        """The newest refusal or postponement of a request, as a page for whoever asked."""
        return letter(self.store.get(request_id), self._office.house)

    def due_within(self, days: int) -> Sequence[Request]:
        """Requests without an answer that are due within so many days, or late."""
        return self.store.due_within(days, self.today)

    def package_of(self, request: Request) -> Path:
        """Where its package lies, once there is one."""
        return self.folder_of(request, "package") / f"disclosure-{request.id}.zip"

    def folder_of(self, request: Request, name: str, *, anew: bool = False) -> Path:
        """A folder of a request, readable by its owner only; emptied if it is to be made anew."""
        folder = self._office.folder / request.id / name
        try:
            if anew:
                shutil.rmtree(folder, ignore_errors=True)
            for each in (self._office.folder, folder.parent, folder):
                each.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise Unavailable(f"{folder}: can't be made ({error.strerror}).") from None
        return folder

    def _originals(self) -> Footage:
        if self._footage is None:
            raise Unavailable("There are no originals at this desk.")
        return self._footage

    def _step(self, request_id: str, actor: Actor, step: Callable[[Request, Actor, int], Request]) -> Request:
        request = self.store.get(request_id)
        return self._change(request, lambda now: step(request, actor, now))

    def _change(self, before: Request, step: Callable[[int], Request]) -> Request:
        return self.store.change(before, step(self._clock()))

    def _clear(self, request: Request) -> None:
        """Nobody needs what was made for it any more: names go first, so that nothing is found half."""
        folder = self._office.folder / request.id
        gone = folder.with_name(f".{folder.name}.gone")
        with suppress(FileNotFoundError):
            folder.replace(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _check(request: Request, action: Action) -> None:
    if action not in steps.possible(request):
        raise NotAllowed(f"That is not possible: the request {request.id} is {request.state}.")


def _account(folder: Path, request: Request) -> Rendered:
    """What was written down of the rendering. Raises Invalid where it is not what was written."""
    try:
        content = (folder / ACCOUNT).read_bytes()
        if sha256_of(folder / ACCOUNT) != request.rendered.get(ACCOUNT):
            raise Invalid("The account of the rendering was changed: render it again.")
        return _RENDERED.validate_json(content)
    except (OSError, ValidationError):
        raise Invalid("There is no account of the rendering: render it again.") from None
