"""Between routes and desk: who may see which request, who is a second person, and steps on what was looked at."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from services.accounts.accounts import Accounts
from services.accounts.model import Account, Role, folded
from services.disclosure.desk import Desk
from services.disclosure.errors import Conflict, Invalid, NotAllowed, Unknown
from services.disclosure.request import Actor, Request
from services.disclosure.rest.jobs import Job, Jobs, Result, WatchedFootage
from services.disclosure.rest.keys import FilingKeys
from services.disclosure.states import Action
from services.disclosure.store import RequestStore

_HANDS = (Action.FILE, Action.FIND, Action.SUGGEST, Action.CHOOSE, Action.SUBMIT)
_PAGE = 24
_LOCKS = 64


class _Pinned(RequestStore):
    """The store, as long as a request is what somebody looked at.

    Raises Conflict from `get` where it is not; whatever changes it behind that is told by the store itself.
    """

    def __init__(self, store: RequestStore, version: int) -> None:
        self.__dict__.update(store.__dict__)
        self._pinned = version

    def get(self, request_id: str) -> Request:
        """Raises Unknown, Conflict."""
        request = super().get(request_id)
        if request.version != self._pinned:
            last = request.history[-1]
            raise Conflict(f"It was changed meanwhile ({last.action.value} by {last.who}): look at it again.")
        return request


@dataclass(frozen=True, slots=True)
class Rooms:
    """What a counter works with.

    Attributes:
        desk: does the work.
        accounts: know whose an account is.
        jobs: do what takes long.
        keys: of requests that scripts file.
        site_of: the site of a camera, "" where that is not known.
    """

    desk: Desk
    accounts: Accounts
    jobs: Jobs
    keys: FilingKeys
    site_of: Callable[[str], str] = lambda _: ""


class Counter:
    """A desk for people with accounts. Methods raise DisclosureError. Safe to share between threads.

    Args:
        rooms: what it works with.
    """

    def __init__(self, rooms: Rooms) -> None:
        self.rooms, self.desk, self.jobs = rooms, rooms.desk, rooms.jobs
        self._drawing = [threading.Lock() for _ in range(_LOCKS)]

    def sees(self, account: Account, cameras: tuple[str, ...] | list[str]) -> bool:
        """Whether an account may see all of these cameras."""
        return all(account.sees(camera, self.rooms.site_of(camera)) for camera in cameras)

    def get(self, account: Account, request_id: str) -> Request:
        """A request; Unknown also where the account may not see its cameras."""
        request = self.desk.store.get(request_id)
        if not self.sees(account, request.cameras):
            raise Unknown(f"There is no request {request_id}.")
        return request

    def actor(self, account: Account, why: str, role: Role) -> Actor:
        """Who acts. Raises NotAllowed where nobody knows whose account it is, and the same person may have another."""
        if self.rooms.accounts.needs_person(account):
            raise NotAllowed(
                "Nobody has said whose account this is, and two accounts of one person count as one: "
                f"veil accounts person {account.name} WHO says it."
            )
        try:
            return Actor(who=account.who, why=why, role=role)
        except ValidationError:
            raise Invalid("why: nothing is done without a reason.") from None

    def at(self, account: Account, request_id: str, version: int) -> Desk:
        """The desk for one step on a request as it was looked at. Raises Unknown, Conflict."""
        self.get(account, request_id)
        store = _Pinned(self.desk.store, version)
        store.get(request_id)
        return self.desk.through(store)

    def check_second(self, account: Account, request_id: str) -> None:
        """Raises NotAllowed where the person had a hand in a request, by whichever of their accounts."""
        hands = {folded(who) for who in self.desk.store.get(request_id).did(*_HANDS)}
        if hands & self.rooms.accounts.book.names_of(account):
            raise NotAllowed(f"{account.who} took part in this request: somebody else has to approve it.")

    def check_not_approver(self, account: Account, request_id: str) -> None:
        """Raises NotAllowed where the person approved it, by whichever of their accounts."""
        approved_by = self.desk.store.get(request_id).approved_by
        if approved_by is not None and folded(approved_by) in self.rooms.accounts.book.names_of(account):
            raise NotAllowed(f"{account.who} approved this request: somebody else has to render it.")

    def begin(
        self, account: Account, request_id: str, version: int, action: Action, work: Callable[[Desk], Result]
    ) -> Job:
        """Begins a job on a request as it was looked at; `work` gets a desk that tells the job how far it is."""
        desk = self.at(account, request_id, version)
        request = desk.store.get(request_id)
        cameras = tuple(dict.fromkeys(sight.camera for sight in request.sights)) or request.cameras

        def run(job: Job) -> Result:
            return work(desk.through(desk.store, lambda footage: WatchedFootage(footage, job, cameras)))

        return self.jobs.begin(request_id, action.value, account.who, run)

    def picture(self, account: Account, request_id: str, number: int, role: Role) -> bytes:
        """The masked picture of a track; those around it are made with it, as a page shows many. Raises Unknown."""
        self.get(account, request_id)
        actor = self.actor(account, "to point at the subject among masked pictures", role)
        first = (number - 1) // _PAGE * _PAGE + 1
        with self._drawing[hash(request_id) % _LOCKS]:
            there = {one.number for one in self.desk.found(request_id)}
            page = there.intersection(range(first, first + _PAGE)) | {number}
            made: Mapping[int, bytes] = self.desk.thumbnails(request_id, actor, page)
        if number not in made:
            raise Unknown("Of that track there is no picture any more.")
        return made[number]
