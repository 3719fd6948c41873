"""The desk at which officers work: each step of a request from the person who asks to the package in their hands.

Files are made first and the step is written down afterwards: a crash between both leaves the request where it was, and
the step is done again.
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from services.bus.clock import Clock, now_us
from services.disclosure import steps
from services.disclosure.appearance import Suggestion, suggest
from services.disclosure.errors import Conflict, Invalid, NotAllowed, Unavailable, Unknown
from services.disclosure.find import Found, Search, find
from services.disclosure.folders import Folders
from services.disclosure.footage import Footage
from services.disclosure.package import ACCOUNT, House, letter, pack
from services.disclosure.parts import sha256_of
from services.disclosure.render import Job, Rendered, render
from services.disclosure.request import Actor, Correction, Request, Sight
from services.disclosure.review import Look, Reel
from services.disclosure.states import ENDED, Action
from services.disclosure.store import RequestStore
from services.disclosure.thumbnails import thumbnails
from services.policy.model import Policy
from services.signing import SigningKeys

_DAY_US = 24 * 3600 * 1_000_000
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Office:
    """What a house has decided once.

    Attributes:
        folder: of everything that is made for requests; each has a folder of its own in it.
        policies: every policy that cameras had while the footage was taken, by fingerprint.
        zone: in which days begin and end.
        expiry_days: how long a package can be taken.
        workers: processes that draw at a time.
    """

    folder: Path
    keys: SigningKeys
    policies: Mapping[str, Policy]
    house: House
    rules: str = "gdpr"
    zone: ZoneInfo = ZoneInfo("UTC")  # noqa: RUF009 (it never changes)
    expiry_days: int = 30
    workers: int = 1


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
        self._folders = Folders(office.folder)

    def through(self, store: RequestStore, watch: Callable[[Footage], Footage] | None = None) -> "Desk":
        """The same desk with another way to its requests, and somebody who watches how its footage is read."""
        footage = self._footage if self._footage is None or watch is None else watch(self._footage)
        return Desk(store, footage, self._office, self._clock)

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

    def find(self, request_id: str, actor: Actor) -> tuple[Request, Sequence[Found]]:
        """Lists who is in the range, without opening a picture."""
        request = self.store.get(request_id)
        steps.check(request, Action.FIND)
        found = find(self._originals(), self._search(request, actor))
        self._folders.keep_found(request, found)
        return self._change(request, lambda now: steps.find(request, actor, now, len(found))), found

    def found(self, request_id: str) -> Sequence[Found]:
        """What the last search found, in order of its numbers, from 1. Raises NotAllowed where there was none."""
        return self._folders.found(self.store.get(request_id))

    def thumbnails(self, request_id: str, actor: Actor, numbers: Collection[int]) -> Mapping[int, bytes]:
        """Masked pictures (JPEG) of some tracks that the last search found; made when they are first looked at.

        In each, everybody is masked, and the track's place is marked. Of what is gone meanwhile there is none.
        """
        request = self.store.get(request_id)
        if request.state in ENDED:
            raise NotAllowed(f"That is not possible: the request {request.id} is {request.state}.")
        wanted = [one for one in self._folders.found(request) if one.number in numbers]
        if lacking := sorted(set(numbers) - {one.number for one in wanted}):
            raise Unknown(f"The last search found no track {lacking[0]}.")
        new = [one for one in wanted if not self._folders.picture(request, one.number).is_file()]
        if new:
            for number, jpeg in thumbnails(self._originals(), self._search(request, actor), new):
                self._folders.keep_picture(request, number, jpeg)
        paths = {one.number: self._folders.picture(request, one.number) for one in wanted}
        return {number: path.read_bytes() for number, path in paths.items() if path.is_file()}

    def suggest(self, request_id: str, actor: Actor, like: Collection[int], most: int = 20) -> Sequence[Suggestion]:
        """Tracks of the last search that are dressed like these, most alike first.

        Whoever looks decides: many people wear the same. Nothing of how anyone looks outlives the call.
        """
        request = self.store.get(request_id)
        steps.check(request, Action.SUGGEST)
        found = self._folders.found(request)
        asked = [one for one in found if one.number in like]
        if not asked or len(asked) < len(set(like)):
            raise Unknown("The last search found no such track.")
        suggestions, compared = suggest(self._originals(), self._search(request, actor), found, asked)
        self._change(request, lambda now: steps.suggest(request, actor, now, len(asked), compared))
        return suggestions[:most]

    def choose(self, request_id: str, actor: Actor, sights: Sequence[Sight]) -> Request:
        """Says which tracks, or parts of tracks, show the subject: over gaps and cameras."""
        request = self.store.get(request_id)
        return self._change(request, lambda now: steps.choose(request, actor, now, tuple(sights)))

    def listed(self, request_id: str) -> Mapping[int, Sight]:
        """What the last search found as parts of a subject, by number. Raises NotAllowed where there was none."""
        return {one.number: one.sight for one in self.found(request_id)}

    def submit(self, request_id: str, actor: Actor) -> Request:
        """Puts it before a second person."""
        return self._step(request_id, actor, steps.submit)

    def send_back(self, request_id: str, actor: Actor) -> Request:
        """Opens it to changes again; approval and videos are void."""
        changed = self._step(request_id, actor, steps.send_back)
        self._folders.clear(changed)
        return changed

    def approve(self, request_id: str, actor: Actor) -> Request:
        """A second person agrees."""
        return self._step(request_id, actor, steps.approve)

    def refuse(self, request_id: str, actor: Actor) -> Request:
        """Nothing is given, for the reason in `actor.why`."""
        changed = self._step(request_id, actor, steps.refuse)
        self._folders.clear(changed)
        return changed

    def withdraw(self, request_id: str, actor: Actor) -> Request:
        """Whoever asked has changed their mind."""
        changed = self._step(request_id, actor, steps.withdraw)
        self._folders.clear(changed)
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
        folder = self._folders.of(request, "videos", anew=True)
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
        done = render(self._originals(), job, folder, self._office.workers)
        files = done.files | {ACCOUNT: self._folders.keep_account(request, done)}
        return self._change(request, lambda now: steps.rendered(request, actor, now, files)), done

    def videos(self, request_id: str) -> Rendered:
        """What was rendered, and what of the range could not be. Raises Invalid where nothing was."""
        return self._folders.account(self.store.get(request_id))

    def video(self, request_id: str, actor: Actor, name: str) -> Path:
        """A rendered video (MP4) as it would be handed over, to be played."""
        return self._folders.video(self._looked(request_id, actor), name)[0]

    def look(self, request_id: str, actor: Actor, name: str, number: int) -> Look:
        """Frame `number`, from 0, of a rendered video: the masked picture, and what covers what in it, and why."""
        return self._reel(request_id, actor, name).look(number)

    def look_at(self, request_id: str, actor: Actor, name: str, at_ms: int) -> Look:
        """The frame that is shown at a time of a rendered video."""
        reel = self._reel(request_id, actor, name)
        return reel.look(reel.number_at(at_ms))

    def strip(
        self, request_id: str, actor: Actor, name: str, first: int = 0, count: int = 24, every: int = 25
    ) -> Iterator[Look]:
        """Some frames of a rendered video, each `every` frames behind the one before: a preview."""
        return self._reel(request_id, actor, name).looks(first, count, every)

    def correct(self, request_id: str, actor: Actor, corrections: Sequence[Correction]) -> Request:
        """More is to be masked: it has to be rendered again, but not approved again.

        A correction is a box, a track of the subject's that is not theirs, or whole frames. Raises Invalid where one
        meets nothing of what was rendered.
        """
        request = self.store.get(request_id)
        steps.check(request, Action.CORRECT)
        self._check_boxes(request, corrections)
        return self._change(request, lambda now: steps.correct(request, actor, now, tuple(corrections)))

    def review(self, request_id: str, actor: Actor) -> Request:
        """Somebody looked through the videos and has nothing against them."""
        return self._step(request_id, actor, steps.review)

    def package(self, request_id: str, actor: Actor) -> tuple[Request, Path]:
        """Packs and signs."""
        request = self.store.get(request_id)
        steps.may_package(request)
        folder, target = self._folders.of(request, "videos"), self._folders.package(request)
        key = self._office.keys.current()
        digest = pack(request, self._folders.account(request), folder, target, key, self._clock(), self._office.house)
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
        path = self._folders.package(request)
        changed = steps.download(request, actor, self._clock())
        if not path.is_file() or sha256_of(path) != request.package.get(path.name):
            raise Unavailable("The package is not the one that was handed over.")
        return self.store.change(request, changed), path

    def expire(self, actor: Actor) -> Sequence[Request]:
        """Takes back every package whose time is over, and clears what ended requests left behind."""
        due = self.store.expired(self._clock())
        done = [self.store.change(request, steps.expire(request, actor, self._clock())) for request in due]
        for request in self.store.list(*ENDED):
            self._folders.clear(request)
        return done

    def letter(self, request_id: str) -> str:
        """The newest refusal or postponement of a request, as a page for whoever asked."""
        return letter(self.store.get(request_id), self._office.house)

    def due_within(self, days: int) -> Sequence[Request]:
        """Requests without an answer that are due within so many days, or late."""
        return self.store.due_within(days, self.today)

    def folder_of(self, request: Request, name: str) -> Path:
        """A folder of a request, readable by its owner only: `found`, `videos`, `package`."""
        return self._folders.of(request, name)

    def _originals(self) -> Footage:
        if self._footage is None:
            raise Unavailable("There are no originals at this desk.")
        return self._footage

    def _step(self, request_id: str, actor: Actor, step: Callable[[Request, Actor, int], Request]) -> Request:
        request = self.store.get(request_id)
        return self._change(request, lambda now: step(request, actor, now))

    def _change(self, before: Request, step: Callable[[int], Request]) -> Request:
        return self.store.change(before, step(self._clock()))

    def _search(self, request: Request, actor: Actor) -> Search:
        purpose = f"disclosure {request.id}: {actor.why}"
        policies = self._office.policies
        return Search(request.cameras, request.start_us, request.end_us, policies, actor.who, purpose, actor.role)

    def _reel(self, request_id: str, actor: Actor, name: str) -> Reel:
        path, part = self._folders.video(self._looked(request_id, actor), name)
        return Reel(path, part.frames)

    def _looked(self, request_id: str, actor: Actor) -> Request:
        """Notes who looks, once for each person and rendering, before anything is shown."""
        for _ in range(_TRIES):
            request = self.store.get(request_id)
            noted = steps.look(request, actor, self._clock())
            if noted is request:
                return request
            # A page asks for many frames at once: of those, one is noted.
            with suppress(Conflict):
                return self.store.change(request, noted)
        raise Conflict(f"The request {request_id} is being changed: look at it again.")

    def _check_boxes(self, request: Request, corrections: Sequence[Correction]) -> None:
        """A box outside of the picture would mask nothing, and leave somebody seen."""
        boxed = [(one, one.box) for one in corrections if one.box is not None]
        parts = self._folders.account(request).parts if boxed else []
        for one, (x1, y1, x2, y2) in boxed:
            sizes = [(part.width, part.height) for part in parts if (part.camera, part.epoch) == one.stream]
            if not any(x1 < width and y1 < height and x2 > 0 and y2 > 0 for width, height in sizes):
                raise Invalid(f"The box {x1:g}, {y1:g}, {x2:g}, {y2:g} is outside of the picture.")
