"""Packs what was rendered: videos, a cover sheet for people, a manifest for machines, and a signature over it."""

import hashlib
import os
import zipfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jinja2 import Environment, StrictUndefined, Template

from services import __version__
from services.disclosure.deadlines import rule_set
from services.disclosure.errors import Invalid, Unavailable
from services.disclosure.parts import Part, sha256_of
from services.disclosure.render import Lack, Rendered
from services.disclosure.request import Request
from services.disclosure.states import Action
from services.disclosure.verify import FORMAT, MANIFEST, PUBLIC_KEY, SIGNATURE
from services.signing import Value, canonical, fingerprint, public_pem

COVER = "cover.html"
ACCOUNT = "account.json"
"""What was written down of the rendering; a request keeps its hash beside those of the videos, and nobody gets it."""

# So that the same content gives the same zip.
_DATE = (1980, 1, 1, 0, 0, 0)

_RULES = (
    "Shown is what the request chose: the tracks of one subject, in frames in which they were found.",
    "Everything else that was found is masked, and masking wins where boxes overlap.",
    "A frame of which it is not certain that everything in it was found is closed whole.",
    "Where the subject's place was only guessed, it is masked like everything else.",
    "There is no sound.",
)


@dataclass(frozen=True, slots=True)
class House:
    """Who hands the package over, as the cover sheet says it."""

    name: str = ""
    contact: str = ""


def pack(
    request: Request, rendered: Rendered, folder: Path, target: Path, key: Ed25519PrivateKey, at_us: int, house: House
) -> str:
    """Writes the package, whole or not at all; returns its SHA-256 in hex.

    Args:
        request: approved and rendered.
        rendered: what is in `folder`.
        folder: with the videos, which must be as they were rendered.
        target: the zip.
        key: signs.
        at_us: now, microseconds since 1970.
        house: who hands it over.

    Raises Invalid where a video is not the one that was rendered, Unavailable where nothing can be written.
    """
    if {name: digest for name, digest in request.rendered.items() if name != ACCOUNT} != rendered.files:
        raise Invalid("What lies there is not what was rendered for this request.")
    for name, digest in rendered.files.items():
        if not (folder / name).is_file() or sha256_of(folder / name) != digest:
            raise Invalid(f"{name} is not the one that was rendered: render it again.")
    public = key.public_key()
    small = {
        PUBLIC_KEY: public_pem(public),
        COVER: cover(request, rendered, at_us, house, fingerprint(public)).encode(),
    }
    manifest = _manifest(request, rendered, folder, small, at_us, fingerprint(public))
    small |= {MANIFEST: manifest, SIGNATURE: key.sign(manifest)}
    part = target.with_name(f".{target.name}.part")
    try:
        with part.open("wb") as file:
            os.fchmod(file.fileno(), 0o600)
            with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
                for name in sorted({*small, *rendered.files}):
                    _add(archive, name, small.get(name), folder)
            file.flush()
            os.fsync(file.fileno())
        part.replace(target)
    except OSError as error:
        raise Unavailable(f"{target}: can't be written ({error.strerror}).") from None
    finally:
        part.unlink(missing_ok=True)
    return sha256_of(target)


def cover(request: Request, rendered: Rendered, at_us: int, house: House, key: str) -> str:
    """The cover sheet: one HTML page that can be printed and asks nothing of any network."""
    masks: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    for part in rendered.parts:
        masks.update(part.masks)
        closed.update(part.closed)
    return _template("cover.html.j2").render(
        r=request,
        rules=rule_set(request.rules),
        parts=rendered.parts,
        lacks=rendered.lacks,
        masks=masks,
        closed=closed,
        principles=_RULES,
        corrections=request.corrections,
        approved_us=next(step.at_us for step in reversed(request.history) if step.action is Action.APPROVE),
        at_us=at_us,
        house=house,
        key=key,
        version=__version__,
    )


def letter(request: Request, house: House) -> str:
    """The newest refusal or postponement with its reason, as one HTML page. Raises Invalid where there is neither."""
    told = (step for step in reversed(request.history) if step.action in (Action.REFUSE, Action.POSTPONE))
    step = next(told, None)
    if step is None:
        raise Invalid(f"The request {request.id} was neither refused nor put off.")
    return _template("letter.html.j2").render(
        r=request, step=step, refused=step.action is Action.REFUSE, rules=rule_set(request.rules), house=house
    )


def _manifest(
    request: Request, rendered: Rendered, folder: Path, small: Mapping[str, bytes], at_us: int, key: str
) -> bytes:
    files: dict[str, Value] = {
        name: {"sha256": digest, "size": (folder / name).stat().st_size} for name, digest in rendered.files.items()
    }
    files |= {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in small.items()
    }
    return canonical(
        {
            "format": FORMAT,
            "veil": __version__,
            "made": _time(at_us),
            "key": key,
            "request": {
                "id": request.id,
                "received": request.received.isoformat(),
                "due": request.due.isoformat(),
                "rules": request.rules,
                "legal_basis": request.legal_basis,
                "cameras": list(request.cameras),
                "from": _time(request.start_us),
                "to": _time(request.end_us),
            },
            # Names stay in the house's own audit log: whoever gets the package needs to know that there were two.
            "steps": [
                {"action": step.action.value, "role": step.role, "at": _time(step.at_us)} for step in request.history
            ],
            "masking": list(_RULES),
            "corrections": [
                {
                    "camera": one.camera,
                    "epoch": str(one.epoch),
                    "first_frame": one.first_seq,
                    "last_frame": one.last_seq,
                    "closed": one.closes,
                    "why": one.why,
                }
                for one in request.corrections
            ],
            "videos": [_video(part) for part in rendered.parts],
            "gaps": [_gap(lack) for lack in rendered.lacks],
            "files": files,
        }
    )


def _video(part: Part) -> Value:
    return {
        "name": part.name,
        "camera": part.camera,
        "epoch": str(part.epoch),
        "width": part.width,
        "height": part.height,
        "frames": part.frames,
        "frames_open": part.open,
        "frames_with_subject": part.with_subject,
        "frames_closed": dict(part.closed),
        "masks": dict(part.masks),
        "duration_ms": part.duration_ms,
        "policies": sorted(part.policies),
        "stretches": [
            {
                "first_frame": one.first_seq,
                "last_frame": one.last_seq,
                "from": _time(one.start_us),
                "to": _time(one.end_us),
                "at_ms": one.at_ms,
            }
            for one in part.stretches
        ],
    }


def _gap(lack: Lack) -> Value:
    return {
        "camera": lack.camera,
        "from": _time(lack.start_us),
        "to": _time(lack.end_us),
        "kind": lack.kind,
        "why": lack.why,
    }


def _add(archive: zipfile.ZipFile, name: str, content: bytes | None, folder: Path) -> None:
    info = zipfile.ZipInfo(name, _DATE)
    info.external_attr = 0o100644 << 16
    if content is not None:
        archive.writestr(info, content)
        return
    info.file_size = (folder / name).stat().st_size
    with (folder / name).open("rb") as source, archive.open(info, "w") as out:
        while block := source.read(1 << 20):
            out.write(block)


def _time(us: int) -> str:
    moment = datetime.fromtimestamp(us // 1_000_000, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{us % 1_000_000 // 1000:03d}Z"


def _clock(us: int) -> str:
    return f"{datetime.fromtimestamp(us // 1_000_000, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _length(ms: int) -> str:
    minutes, seconds = divmod(round(ms / 1000), 60)
    return f"{minutes}:{seconds:02d} min"


@cache
def _template(name: str) -> Template:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters.update({"clock": _clock, "minutes": _length})
    source = (resources.files("services.disclosure") / name).read_text(encoding="utf-8")
    return environment.from_string(source)
