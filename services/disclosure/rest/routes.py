"""Routes of requests: each a step of the desk, for whom its role allows it."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Query, Request, Response
from fastapi.responses import FileResponse, HTMLResponse
from pydantic import ValidationError

from services.accounts.model import Account, Role
from services.accounts.web import Who, allows, files
from services.audit_chain import first_break
from services.disclosure.desk import Desk
from services.disclosure.errors import Invalid
from services.disclosure.request import Actor, Correction, Sight
from services.disclosure.request import Request as Case
from services.disclosure.rest.counter import Counter
from services.disclosure.rest.jobs import Job, Result
from services.disclosure.rest.models import (
    ID,
    ActIn,
    CorrectionsIn,
    Day,
    DownloadIn,
    EventOut,
    EventsOut,
    FileIn,
    FoundOut,
    FoundsOut,
    FrameOut,
    HandOverIn,
    JobOut,
    PostponeIn,
    RequestOut,
    RequestsOut,
    SubjectIn,
    SuggestIn,
    VerdictOut,
    VideosOut,
    correction_of,
)
from services.disclosure.states import Action, State
from services.disclosure.verify import verify

REQUESTS = "/api/v1/requests"

_LISTED_MAX = 1000
_MISSING = {404: "There is no such request, or its cameras are not for this account."}
_STEP = {**_MISSING, 409: "The request was changed since it was looked at: look at it again."}
_LETTER_CSP = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"

_Id = Annotated[str, Path(pattern=ID, examples=["20260302-1f0c9a7e"])]
_Number = Annotated[int, Path(ge=1, le=1_000_000)]
_Frame = Annotated[int, Path(ge=0, le=100_000_000)]
_Video = Annotated[str, Path(pattern=r"^video-[0-9]{1,4}\.mp4$", examples=["video-1.mp4"])]
_JobId = Annotated[str, Path(pattern=r"^j[0-9a-f]{16}$")]
_Offset = Annotated[int, Query(ge=0, le=1_000_000)]
_Limit = Annotated[int, Query(ge=1, le=_LISTED_MAX)]

_READERS = (Role.OFFICER, Role.APPROVER)
_LOOKS = "to look through what is to be handed over"


def counter_of(request: Request) -> Counter:
    """The counter of the app that is asked."""
    counter = request.app.state.veil_counter
    if not isinstance(counter, Counter):
        raise TypeError("install_requests() was not called")
    return counter


At = Annotated[Counter, Depends(counter_of)]


def request_routes() -> APIRouter:
    """All routes of requests, below /api/v1."""
    router = APIRouter(prefix=REQUESTS, tags=["requests"])
    _lists(router)
    _events(router)
    _finding(router)
    _deciding(router)
    _rendering(router)
    _looking(router)
    _handing_over(router)
    return router


def _lists(router: APIRouter) -> None:
    @router.get("", **allows(*_READERS))
    def list_requests(
        who: Who,
        at: At,
        state: Annotated[list[State] | None, Query(max_length=len(State))] = None,
        due_within: Annotated[int | None, Query(ge=0, le=3660, description="Days; also what is late.")] = None,
        limit: _Limit = 100,
    ) -> RequestsOut:
        """Lists requests, those due first: of these states, or without an answer and due by then."""
        if due_within is not None:
            found = [each for each in at.desk.due_within(due_within) if not state or each.state in state]
        else:
            found = list(at.desk.store.list(*(state or ())))
        mine = [each for each in found if at.sees(who, each.cameras)][:limit]
        return RequestsOut(today=at.desk.today, requests=[RequestOut.of(each, at.desk.today) for each in mine])

    @router.post("", status_code=201, **allows(Role.OFFICER, answers={409: "That Idempotency-Key was used otherwise."}))
    def file_request(
        given: FileIn,
        who: Who,
        at: At,
        idempotency_key: Annotated[
            str,
            Header(max_length=100, description="Chosen by a script: the same key within a day files one request."),
        ] = "",
    ) -> RequestOut:
        """Takes a request in."""
        if not at.sees(who, given.cameras):
            raise Invalid("cameras: one of them is not for this account.")
        known = ""
        if idempotency_key:
            known = at.rooms.keys.take(who.id, idempotency_key, given.model_dump_json())
        if known:
            return RequestOut.of(at.get(who, known), at.desk.today)
        try:
            request = at.desk.file(
                at.actor(who, given.why, Role.OFFICER),
                whose=given.whose,
                asked_by=given.asked_by,
                cameras=given.cameras,
                start_us=round(given.start.timestamp() * 1e6),
                end_us=round(given.end.timestamp() * 1e6),
                legal_basis=given.legal_basis,
                received=given.received,
                rules=given.rules,
            )
        except BaseException:
            if idempotency_key:
                at.rooms.keys.drop(who.id, idempotency_key)
            raise
        if idempotency_key:
            at.rooms.keys.keep(who.id, idempotency_key, request.id)
        return RequestOut.of(request, at.desk.today)


def _events(router: APIRouter) -> None:
    @router.get("/events", **allows(Role.AUDITOR))
    def list_events(at: At, offset: _Offset = 0, limit: _Limit = 100) -> EventsOut:
        """Lists what was done with all requests, oldest first, and says whether the chain is unbroken."""
        events = at.desk.store.events()
        page = [EventOut.of(event) for event in events[offset : offset + limit]]
        return EventsOut(unbroken=first_break(events) is None, total=len(events), events=page)

    @router.get("/{request_id}/events", **allows(Role.AUDITOR, *_READERS, answers=_MISSING))
    def list_events_of(request_id: _Id, who: Who, at: At) -> EventsOut:
        """Lists what was done with one request."""
        if who.may(Role.AUDITOR):
            at.desk.store.get(request_id)
        else:
            at.get(who, request_id)
        events = at.desk.store.events(request_id)
        return EventsOut(
            unbroken=at.desk.store.unbroken(), total=len(events), events=[EventOut.of(event) for event in events]
        )

    @router.get("/{request_id}", **allows(*_READERS, answers=_MISSING))
    def show_request(request_id: _Id, who: Who, at: At) -> RequestOut:
        """Shows a request."""
        return RequestOut.of(at.get(who, request_id), at.desk.today)


def _finding(router: APIRouter) -> None:
    @router.post("/{request_id}/find", status_code=202, **allows(Role.OFFICER, answers=_STEP))
    def find(request_id: _Id, given: ActIn, who: Who, at: At) -> JobOut:
        """Begins to look for who is in the range."""
        return _begin(at, who, request_id, given, Action.FIND, lambda desk, by: _nothing(desk.find(request_id, by)))

    @router.get("/{request_id}/jobs", **allows(Role.OFFICER, answers=_MISSING))
    def list_jobs(request_id: _Id, who: Who, at: At) -> list[JobOut]:
        """Lists what is being done, and was since the last restart; newest first."""
        at.get(who, request_id)
        return [JobOut.of(job) for job in at.jobs.of(request_id)]

    @router.get("/{request_id}/jobs/{job_id}", **allows(Role.OFFICER, answers=_MISSING))
    def show_job(request_id: _Id, job_id: _JobId, who: Who, at: At) -> JobOut:
        """Says how far a job has come. After a restart it is not known: the request is where it was."""
        at.get(who, request_id)
        return JobOut.of(at.jobs.get(request_id, job_id))

    @router.get("/{request_id}/found", **allows(*_READERS, answers=_MISSING))
    def list_found(request_id: _Id, who: Who, at: At, offset: _Offset = 0, limit: _Limit = 100) -> FoundsOut:
        """Lists what the last search found."""
        at.get(who, request_id)
        found = at.desk.found(request_id)
        page = found[offset : offset + limit]
        address = f"{REQUESTS}/{request_id}/found"
        return FoundsOut(
            total=len(found), found=[FoundOut.of(each, f"{address}/{each.number}/picture") for each in page]
        )

    @router.get(
        "/{request_id}/found/{number}/picture",
        **files(allows(*_READERS, answers=_MISSING), "image/jpeg", "The masked picture."),
    )
    def show_found(request_id: _Id, number: _Number, who: Who, at: At) -> Response:
        """A masked picture of a track: everyone in it is masked, and the track's place is marked."""
        return Response(at.picture(who, request_id, number, _role_of(who)), media_type="image/jpeg")

    @router.post("/{request_id}/suggest", status_code=202, **allows(Role.OFFICER, answers=_STEP))
    def suggest(request_id: _Id, given: SuggestIn, who: Who, at: At) -> JobOut:
        """Begins to compare how tracks are dressed; the job's result has those most alike first."""

        def work(desk: Desk, by: Actor) -> Result:
            alike = desk.suggest(request_id, by, given.like)
            return [{"number": each.number, "likeness": round(each.likeness, 3)} for each in alike]

        return _begin(at, who, request_id, given, Action.SUGGEST, work)

    @router.put("/{request_id}/subject", **allows(Role.OFFICER, answers=_STEP))
    def choose(request_id: _Id, given: SubjectIn, who: Who, at: At) -> RequestOut:
        """Says which tracks, or parts of tracks, show the subject."""

        def step(desk: Desk, by: Actor) -> Case:
            listed = desk.listed(request_id)
            return desk.choose(request_id, by, [_sight(listed, each) for each in given.tracks])

        return _step(at, who, request_id, given, Role.OFFICER, step)


def _deciding(router: APIRouter) -> None:
    @router.post("/{request_id}/submit", **allows(Role.OFFICER, answers=_STEP))
    def submit(request_id: _Id, given: ActIn, who: Who, at: At) -> RequestOut:
        """Puts a request before a second person."""
        return _step(at, who, request_id, given, Role.OFFICER, lambda desk, by: desk.submit(request_id, by))

    @router.post("/{request_id}/approve", **allows(Role.APPROVER, answers=_STEP))
    def approve(request_id: _Id, given: ActIn, who: Who, at: At) -> RequestOut:
        """Agrees, as a second person: nobody who had a hand in it, by any account of theirs."""
        at.get(who, request_id)
        at.check_second(who, request_id)
        return _step(at, who, request_id, given, Role.APPROVER, lambda desk, by: desk.approve(request_id, by))

    @router.post("/{request_id}/return", **allows(*_READERS, answers=_STEP))
    def send_back(request_id: _Id, given: ActIn, who: Who, at: At) -> RequestOut:
        """Opens a request to changes again; an approval, and what was rendered, are void."""
        return _step(at, who, request_id, given, _role_of(who), lambda desk, by: desk.send_back(request_id, by))

    @router.post("/{request_id}/refuse", **allows(Role.OFFICER, answers=_STEP))
    def refuse(request_id: _Id, given: ActIn, who: Who, at: At) -> RequestOut:
        """Gives nothing, for the reason in `why`."""
        return _step(at, who, request_id, given, Role.OFFICER, lambda desk, by: desk.refuse(request_id, by))

    @router.post("/{request_id}/withdraw", **allows(Role.OFFICER, answers=_STEP))
    def withdraw(request_id: _Id, given: ActIn, who: Who, at: At) -> RequestOut:
        """Ends a request because whoever asked has changed their mind."""
        return _step(at, who, request_id, given, Role.OFFICER, lambda desk, by: desk.withdraw(request_id, by))

    @router.post("/{request_id}/postpone", **allows(Role.OFFICER, answers=_STEP))
    def postpone(request_id: _Id, given: PostponeIn, who: Who, at: At) -> RequestOut:
        """Puts the answer off, as far as the rules of its deadline allow."""
        until: Day = given.until
        return _step(at, who, request_id, given, Role.OFFICER, lambda desk, by: desk.postpone(request_id, by, until))

    @router.post("/{request_id}/resume", **allows(Role.OFFICER, answers=_STEP))
    def resume(request_id: _Id, given: ActIn, who: Who, at: At) -> RequestOut:
        """Goes on with a request that was put off."""
        return _step(at, who, request_id, given, Role.OFFICER, lambda desk, by: desk.resume(request_id, by))

    @router.get("/{request_id}/letter", **files(allows(*_READERS, answers=_MISSING), "text/html", "The letter."))
    def letter(request_id: _Id, who: Who, at: At) -> HTMLResponse:
        """The newest refusal or postponement, as a page for whoever asked."""
        at.get(who, request_id)
        return HTMLResponse(at.desk.letter(request_id), headers={"Content-Security-Policy": _LETTER_CSP})


def _rendering(router: APIRouter) -> None:
    @router.post("/{request_id}/render", status_code=202, **allows(Role.OFFICER, answers=_STEP))
    def render(request_id: _Id, given: ActIn, who: Who, at: At) -> JobOut:
        """Begins to make the videos; not by who approved it."""
        at.get(who, request_id)
        at.check_not_approver(who, request_id)
        return _begin(at, who, request_id, given, Action.RENDER, lambda desk, by: _nothing(desk.render(request_id, by)))

    @router.post("/{request_id}/corrections", **allows(Role.OFFICER, answers=_STEP))
    def correct(request_id: _Id, given: CorrectionsIn, who: Who, at: At) -> RequestOut:
        """Masks more, as a review found: it has to be rendered again, but not approved again."""
        more = [_correction(each, given.why) for each in given.corrections]
        return _step(at, who, request_id, given, Role.OFFICER, lambda desk, by: desk.correct(request_id, by, more))

    @router.post("/{request_id}/review", **allows(*_READERS, answers=_STEP))
    def review(request_id: _Id, given: ActIn, who: Who, at: At) -> RequestOut:
        """Says that somebody looked through the videos and has nothing against them."""
        return _step(at, who, request_id, given, _role_of(who), lambda desk, by: desk.review(request_id, by))

    @router.post("/{request_id}/package", status_code=202, **allows(Role.OFFICER, answers=_STEP))
    def package(request_id: _Id, given: ActIn, who: Who, at: At) -> JobOut:
        """Begins to pack and sign."""
        return _begin(
            at, who, request_id, given, Action.PACKAGE, lambda desk, by: _nothing(desk.package(request_id, by))
        )


def _looking(router: APIRouter) -> None:
    @router.get("/{request_id}/videos", **allows(*_READERS, answers=_MISSING))
    def list_videos(request_id: _Id, who: Who, at: At) -> VideosOut:
        """Lists what was rendered, what is closed in it, and of what there is nothing."""
        at.get(who, request_id)
        return VideosOut.of(at.desk.videos(request_id))

    @router.get(
        "/{request_id}/videos/{name}", **files(allows(*_READERS, answers=_MISSING), "video/mp4", "The masked video.")
    )
    def play_video(request_id: _Id, name: _Video, who: Who, at: At) -> FileResponse:
        """A video as it would be handed over; parts of it by `Range`."""
        path = at.desk.video(request_id, _looker(at, who, request_id), name)
        return FileResponse(path, media_type="video/mp4")

    @router.get("/{request_id}/videos/{name}/frames/{number}", **allows(*_READERS, answers=_MISSING))
    def show_frame(request_id: _Id, name: _Video, number: _Frame, who: Who, at: At) -> FrameOut:
        """What is masked in a frame, and why."""
        look = at.desk.look(request_id, _looker(at, who, request_id), name, number)
        return FrameOut.of(look, f"{REQUESTS}/{request_id}/videos/{name}/frames/{number}/picture")

    @router.get(
        "/{request_id}/videos/{name}/frames/{number}/picture",
        **files(allows(*_READERS, answers=_MISSING), "image/jpeg", "The masked picture."),
    )
    def show_frame_picture(request_id: _Id, name: _Video, number: _Frame, who: Who, at: At) -> Response:
        """The masked picture of a frame."""
        look = at.desk.look(request_id, _looker(at, who, request_id), name, number)
        return Response(look.jpeg, media_type="image/jpeg")


def _handing_over(router: APIRouter) -> None:
    @router.post("/{request_id}/hand-over", **allows(Role.OFFICER, answers=_STEP))
    def hand_over(request_id: _Id, given: HandOverIn, who: Who, at: At) -> RequestOut:
        """Lets the package be taken from now on, for some days."""
        return _step(
            at, who, request_id, given, Role.OFFICER, lambda desk, by: desk.hand_over(request_id, by, given.days)
        )

    @router.post(
        "/{request_id}/download", **files(allows(Role.OFFICER, answers=_MISSING), "application/zip", "The package.")
    )
    def download(request_id: _Id, given: DownloadIn, who: Who, at: At) -> FileResponse:
        """The package, for who takes it now; each time is an event, and it is refused once it has expired."""
        at.get(who, request_id)
        _, path = at.desk.download(request_id, at.actor(who, given.why, Role.OFFICER))
        return FileResponse(path, media_type="application/zip", filename=path.name)

    @router.get("/{request_id}/verify", **allows(*_READERS, Role.AUDITOR, answers=_MISSING))
    def verify_package(request_id: _Id, who: Who, at: At) -> VerdictOut:
        """Tells whether the package that lies here is as it was signed."""
        request = at.desk.store.get(request_id) if who.may(Role.AUDITOR) else at.get(who, request_id)
        if not request.package:
            raise Invalid(f"The request {request.id} has no package.")
        return VerdictOut.of(verify(at.desk.folder_of(request, "package") / next(iter(request.package))))


def _step(
    at: Counter, who: Account, request_id: str, given: ActIn, role: Role, step: Callable[[Desk, Actor], Case]
) -> RequestOut:
    desk = at.at(who, request_id, given.version)
    return RequestOut.of(step(desk, at.actor(who, given.why, role)), at.desk.today)


def _begin(
    at: Counter,
    who: Account,
    request_id: str,
    given: ActIn,
    action: Action,
    work: Callable[[Desk, Actor], Result],
) -> JobOut:
    actor = at.actor(who, given.why, Role.OFFICER)
    job: Job = at.begin(who, request_id, given.version, action, lambda desk: work(desk, actor))
    return JobOut.of(job)


def _nothing(_done: object) -> None:
    """What came of it is in the request."""


def _looker(at: Counter, who: Account, request_id: str) -> Actor:
    at.get(who, request_id)
    return at.actor(who, _LOOKS, _role_of(who))


def _role_of(who: Account) -> Role:
    return Role.OFFICER if who.may(Role.OFFICER) else Role.APPROVER


def _sight(listed: Any, given: Any) -> Sight:
    sight = listed.get(given.number)
    if sight is None:
        raise Invalid(f"The last search found no track {given.number}.")
    first = sight.first_seq if given.first_seq is None else max(given.first_seq, sight.first_seq)
    last = sight.last_seq if given.last_seq is None else min(given.last_seq, sight.last_seq)
    try:
        return Sight.model_validate({**dict(sight), "first_seq": first, "last_seq": last})
    except ValidationError:
        raise Invalid(f"The track {given.number} is not in these frames.") from None


def _correction(given: Any, why: str) -> Correction:
    try:
        return Correction.model_validate(correction_of(given, why))
    except ValidationError as error:
        raise Invalid(f"corrections: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from None


__all__: Sequence[str] = ("REQUESTS", "counter_of", "request_routes")
