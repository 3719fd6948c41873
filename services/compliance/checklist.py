"""What three bodies of law ask of cameras, and what the facts say to it: met, not met, or for the house to decide.

Sources; the current text has to be checked before anybody relies on them. PIPA: Personal Information Protection Act of
Korea and its Enforcement Decree, as they number things since 2023 (elaw.klri.re.kr); the commission's standard
guidelines were renumbered more than once and are named as a whole. EDPB: Guidelines 3/2019 on processing of personal
data through video devices, version 2.0 (edpb.europa.eu), with the GDPR's articles. CNIL: its pages on vidéoprotection
and vidéosurveillance and its recommendation on logging, 2021-122 (cnil.fr), with France's Code de la sécurité
intérieure and Code du travail (legifrance.gouv.fr).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.compliance.facts import CameraFacts, Facts
from services.policy.model import Kind

_MONTH_HOURS = 31 * 24
_KOREA_HOURS = 30 * 24
_LONG_HOURS = 72


class Status(StrEnum):
    """What the facts say to a point."""

    MET = "met"
    NOT_MET = "not met"
    DECIDE = "for the institution to decide"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A status, and the facts that it rests on, in a sentence."""

    status: Status
    evidence: str


@dataclass(frozen=True, slots=True)
class Point:
    """One thing that the law asks for.

    Attributes:
        where: article or section.
        asks: in our own words.
        judge: looks at the facts.
    """

    where: str
    asks: str
    judge: Callable[[Facts], Judgement]


@dataclass(frozen=True, slots=True)
class Framework:
    """A body of law."""

    name: str
    title: str
    points: Sequence[Point]


def _decide(evidence: str) -> Callable[[Facts], Judgement]:
    return lambda _: Judgement(Status.DECIDE, evidence)


def _where(facts: Facts, wrong: Callable[[CameraFacts], bool]) -> str:
    return ", ".join(camera.id for camera in facts.cameras if wrong(camera))


def _purpose(facts: Facts) -> Judgement:
    lacks = _where(facts, lambda camera: not (camera.policy.purpose and camera.policy.legal_basis))
    if lacks:
        return Judgement(Status.NOT_MET, f"Purpose or legal basis is not stated for {lacks}.")
    return Judgement(Status.DECIDE, "Purpose and legal basis are stated for every camera; whether they hold is yours.")


def _sound(facts: Facts) -> Judgement:
    keeps = _where(facts, lambda camera: camera.policy.sound == "keep")
    if keeps:
        return Judgement(Status.NOT_MET, f"The policy of {keeps} keeps sound.")
    return Judgement(Status.MET, "Every policy drops sound, the vault never keeps it, and no disclosure has any.")


def _retention(most_hours: int, words: str) -> Callable[[Facts], Judgement]:
    """Whether what is past its time is gone, and whether that time is within a bound."""

    def judge(facts: Facts) -> Judgement:
        keeping = [camera for camera in facts.cameras if camera.policy.originals == "keep"]
        late = [
            camera.id for camera in facts.cameras if camera.kept and (camera.kept.overdue or camera.kept.not_erased)
        ]
        if late:
            return Judgement(Status.NOT_MET, f"The vault keeps more of {', '.join(late)} than the policy allows.")
        if not keeping:
            return Judgement(Status.MET, "No original is kept: every policy drops them.")
        unknown = [camera.id for camera in keeping if camera.kept is None]
        if unknown:
            return Judgement(Status.DECIDE, f"The vault's index of {', '.join(unknown)} could not be looked at.")
        long = [camera.id for camera in keeping if camera.policy.retention_hours > most_hours]
        if long:
            return Judgement(
                Status.DECIDE, f"{', '.join(long)}: kept for more than {words}; that needs reasons of its own."
            )
        return Judgement(Status.MET, f"Nothing is kept beyond its policy, and no policy beyond {words}; keys go first.")

    return judge


def _log(facts: Facts) -> Judgement:
    if facts.log_events is None:
        return Judgement(Status.DECIDE, "No audit log was at hand for this report.")
    if facts.faults:
        return Judgement(Status.NOT_MET, f"The audit log was changed: {facts.faults[0]}.")
    text = "Who, when and what for is an event before anything opens; nothing opens without a purpose."
    return Judgement(Status.MET, f"{text} {facts.log_events} events, of which none was changed or removed from within.")


def _security(facts: Facts) -> Judgement:
    said = "Originals are encrypted (AES-256-GCM) under a key for each camera and hour; what is shown is masked."
    log = _log(facts)
    if log.status is not Status.MET:
        return Judgement(log.status, f"{said} {log.evidence}")
    return Judgement(Status.DECIDE, f"{said} {log.evidence} Where keys, accounts and machines are is yours to guard.")


def _deadlines(facts: Facts) -> Judgement:
    if any(camera.requests is None for camera in facts.cameras):
        return Judgement(Status.DECIDE, "The requests were not at hand for this report.")
    asked = {each.id: each for camera in facts.cameras for each in camera.requests or ()}
    late = sorted(each.id for each in asked.values() if each.days_left is not None and each.days_left < 0)
    if late:
        return Judgement(Status.NOT_MET, f"Without an answer beyond their deadline: {', '.join(late)}.")
    waiting = sum(each.days_left is not None for each in asked.values())
    return Judgement(Status.MET, f"Requests: {len(asked)}; open: {waiting}; beyond the deadline: none.")


def _third_persons(facts: Facts) -> Judgement:
    known = all(camera.requests is not None for camera in facts.cameras)
    unknown = "" if known else " Whether requests go through Veil is not known here."
    return Judgement(
        Status.MET if known else Status.DECIDE,
        "A disclosure shows the subject alone: masking wins where people overlap, a frame that can't be checked is "
        f"closed, and a second person approves before anything is rendered.{unknown}",
    )


def _people_masked(facts: Facts) -> Judgement:
    people = {Kind.FACE, Kind.HEAD, Kind.PERSON, Kind.MOTION}
    bare = _where(facts, lambda camera: not people & set(camera.policy.kinds))
    if bare:
        return Judgement(Status.NOT_MET, f"Neither faces nor people are masked on {bare}.")
    found = sum(sum(camera.exposure.suspects.values()) for camera in facts.cameras if camera.exposure)
    checked = [camera.id for camera in facts.cameras if camera.exposure and camera.exposure.looks]
    if not checked:
        return Judgement(Status.DECIDE, "People are masked everywhere; the independent leak check has no figures here.")
    text = f"People are masked everywhere; the leak check found {found} suspects on {', '.join(checked)}."
    return Judgement(Status.DECIDE if found else Status.MET, text)


def _no_identification(_: Facts) -> Judgement:
    return Judgement(
        Status.MET,
        "Veil stores no face embedding and no plate text, recognises nobody, and its tracks end with the stream; a "
        "test of its messages, tables, models and dependencies holds that.",
    )


_PIPA = Framework(
    "pipa",
    "Korea: Personal Information Protection Act",
    (
        Point("Art. 25(1)", "Cameras in open places only for the purposes that the act lists.", _purpose),
        Point(
            "Art. 25(2)",
            "None where privacy is plainly at risk, such as bathrooms and changing rooms.",
            _decide("Where cameras hang and what they see is not known here."),
        ),
        Point(
            "Art. 25(4), Decree art. 24",
            "A sign with purpose, place, hours and who is in charge.",
            _decide("Signs are not known here; the purpose to put on them stands in this report."),
        ),
        Point("Art. 25(5)", "No sound is recorded.", _sound),
        Point("Art. 25(6), 29", "Measures against loss, theft, leak and change.", _security),
        Point(
            "Art. 25(7), Decree art. 25",
            "A published policy on operation and management.",
            _decide(
                "This report holds what it has to say about purpose, retention and access; publishing it is yours."
            ),
        ),
        Point(
            "Art. 21; standard guidelines",
            "Destroyed without delay when its time is over; 30 days where that is hard to say.",
            _retention(_KOREA_HOURS, "30 days"),
        ),
        Point("Art. 35(3), Decree art. 41", "An answer to whoever asks for their footage within ten days.", _deadlines),
        Point(
            "Art. 35(4); standard guidelines", "Nobody else's rights harmed by it: others are masked.", _third_persons
        ),
        Point("Standard guidelines", "Use, hand-over, destruction and requests for access are written down.", _log),
        Point(
            "Art. 23, Decree art. 18",
            "No identification by the body's features without a basis of its own.",
            _no_identification,
        ),
    ),
)

_EDPB = Framework(
    "edpb",
    "EU: EDPB Guidelines 3/2019, with the GDPR",
    (
        Point("Section 3; GDPR 5(1)(b), 5(2), 6", "Purpose in writing for each camera, and a legal basis.", _purpose),
        Point(
            "Section 4; GDPR 5(1)(b), 6",
            "Footage goes to others only on a basis of its own.",
            _decide("Every request states its legal basis, and every hand-over is an event; you judge it."),
        ),
        Point("Section 5; GDPR 9", "No biometric identification where it isn't allowed by itself.", _no_identification),
        Point("Section 6.1; GDPR 12(3), 15", "Access within a month, to be put off with reasons.", _deadlines),
        Point("Section 6.1; GDPR 15(4)", "Third persons are masked in what is handed over.", _third_persons),
        Point(
            "Section 6.2; GDPR 17, 21",
            "Objections and erasure are answered.",
            _decide("veil vault purge destroys a range and proves it; whose objection counts is yours to decide."),
        ),
        Point(
            "Section 7; GDPR 12, 13",
            "A warning sign, and the rest of the information close by.",
            _decide("Signs are not known here."),
        ),
        Point(
            "Section 8; GDPR 5(1)(e)",
            "Deleted automatically, if possible within days; beyond 72 hours with reasons.",
            _retention(_LONG_HOURS, "72 hours"),
        ),
        Point("Section 9; GDPR 25, 32", "Privacy by design: masking, encryption, access that is logged.", _security),
        Point("Section 9.2; GDPR 5(1)(c), 25", "No more is seen than the purpose needs.", _people_masked),
        Point(
            "Section 10; GDPR 35(3)(c)",
            "An impact assessment where public places are watched at large.",
            _decide("Figures for it: docs/measurements.md and the cameras below."),
        ),
    ),
)

_CNIL = Framework(
    "cnil",
    "France: CNIL, vidéoprotection and vidéosurveillance",
    (
        Point("GDPR 5(1)(b), 30", "A stated purpose, and an entry in the record of processing.", _purpose),
        Point(
            "Code de la sécurité intérieure, L252-1",
            "The prefect's authorisation for what the public enters.",
            _decide("Authorisations are not known here."),
        ),
        Point("Code de la sécurité intérieure, L252-5; CNIL", "At most a month.", _retention(_MONTH_HOURS, "a month")),
        Point(
            "CNIL, recommendation 2021-122; GDPR 32",
            "Every access can be traced to an account; who may look is the house's choice.",
            _log,
        ),
        Point(
            "CNIL, recommendation 2021-122",
            "Such traces are kept for six months to a year; up to three years where internal control needs it.",
            _decide("Veil removes no event by itself, and the topic keeps three years: how long is yours to say."),
        ),
        Point("GDPR 9(1)", "No face recognition without an exception to the prohibition.", _no_identification),
        Point(
            "CNIL; Code du travail, L1121-1",
            "No watching of staff at their place of work, but for special cases.",
            _decide("What cameras see is not known here; zones with `use: mask` take places out."),
        ),
        Point(
            "GDPR 13",
            "A sign: who, what for, how long, which rights, whom to complain to.",
            _decide("Signs are not known here."),
        ),
        Point("GDPR 12(3), 15", "Access within a month, to be put off with reasons.", _deadlines),
        Point("GDPR 15(4)", "Nobody else's rights harmed by it: others are masked.", _third_persons),
        Point(
            "GDPR 35(3)(c)",
            "An impact assessment where public places are watched at large.",
            _decide("Figures for it stand below."),
        ),
    ),
)

FRAMEWORKS: Mapping[str, Framework] = {each.name: each for each in (_PIPA, _EDPB, _CNIL)}
