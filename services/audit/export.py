"""The log for a regulator: events as JSON Lines, a page to read, a manifest with hashes, and a signature over it."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from jinja2 import Environment, PackageLoader, StrictUndefined

from services.audit.check import Fault, by_chain, check_chains
from services.audit.errors import AuditError, Unavailable
from services.audit.links import Link, of_event
from services.audit.rows import CHAIN, NUMBER, OF
from services.audit.select import Wanted, more_of, time_of
from services.schema import pb
from services.signing import Value, canonical, fingerprint, is_signed, public_pem, read_public

FORMAT = "veil audit export 1"
EVENTS, PAGE, MANIFEST, SIGNATURE, PUBLIC_KEY = (
    "events.jsonl",
    "events.html",
    "manifest.json",
    "manifest.sig",
    "public-key.pem",
)
_SMALL_MAX = 16 << 20
_LINE_MAX = 1 << 20
_PLAIN_FIELDS = ("event_id", "at_us", "actor", "role", "action", "object", "purpose")
_HEX_FIELDS = ("previous_hash", "hash")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        events: that were asked for.
        digest: SHA-256 of the manifest, in hex.
    """

    folder: Path
    events: int
    digest: str


def export(
    events: Iterable[pb.AuditEvent],
    wanted: Wanted,
    folder: Path,
    key: Ed25519PrivateKey,
    *,
    who: str,
    purpose: str,
    at_us: int,
    house: str = "",
    faults: Sequence[Fault] = (),
) -> Exported:
    """Writes an export; of events between those asked for it has the hashes, so that the chain can be followed.

    Args:
        events: all there are, chain by chain, each in its order.
        wanted: which of them.
        folder: that doesn't exist yet.
        key: signs.
        who: exports.
        purpose: what for.
        at_us: now.
        house: whose log it is.
        faults: that a check of the whole log found; they stand in manifest and page.

    Raises Unavailable where nothing can be written.
    """
    chains: dict[tuple[str, str], list[pb.AuditEvent]] = {}
    for event in events:
        name = event.details.get(CHAIN, event.actor)
        chains.setdefault((name, event.details.get(OF, name)), []).append(event)
    lines, chosen = [], []
    for _, chain in sorted(chains.items()):
        taken = [index for index, event in enumerate(chain) if wanted.takes(event)]
        if not taken:
            continue
        for index in range(taken[0], taken[-1] + 1):
            wants = wanted.takes(chain[index])
            lines.append(as_json(chain[index]) if wants else _bare(chain[index]))
            if wants:
                chosen.append(chain[index])
    files = {EVENTS: b"".join(canonical(line) + b"\n" for line in lines)}
    told = [str(fault) for fault in faults]
    about: dict[str, Value] = {
        "format": FORMAT,
        "house": house,
        "made_at": time_of(at_us),
        "made_by": who,
        "purpose": purpose,
        "asked_for": wanted.as_plain_data(),
        "events": len(chosen),
        "left_out_between": len(lines) - len(chosen),
        "faults_of_the_log": told,
    }
    files[PAGE] = _page(about, sorted(chosen, key=lambda event: event.at_us), wanted, fingerprint(key.public_key()))
    listed: dict[str, Value] = {
        name: {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)} for name, content in files.items()
    }
    manifest = canonical({**about, "files": listed})
    files |= {MANIFEST: manifest, SIGNATURE: key.sign(manifest), PUBLIC_KEY: public_pem(key.public_key())}
    _write(folder, files)
    return Exported(folder, len(chosen), hashlib.sha256(manifest).hexdigest())


def as_json(event: pb.AuditEvent) -> dict[str, Value]:
    """An event with all its fields, hashes in hex; `event_of` is the way back."""
    return {
        "event_id": event.event_id,
        "at_us": event.at_us,
        "at": time_of(event.at_us),
        "actor": event.actor,
        "role": event.role,
        "action": event.action,
        "object": event.object,
        "purpose": event.purpose,
        "details": dict(event.details),
        "previous_hash": event.previous_hash.hex(),
        "hash": event.hash.hex(),
    }


def event_of(line: Mapping[str, Any]) -> pb.AuditEvent:
    """From its JSON. Raises ValueError, KeyError, TypeError."""
    plain: dict[str, Any] = {
        name: line[name] for name in ("event_id", "at_us", "actor", "role", "action", "object", "purpose")
    }
    plain |= {name: bytes.fromhex(line[name]) for name in _HEX_FIELDS}
    event = pb.AuditEvent(**plain, details=line["details"])
    if line.get("at") != time_of(event.at_us):
        raise ValueError("two different times")
    return event


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a look at an export found.

    Attributes:
        faults: none where all is as it was signed.
        links: its events and those left out, to be held against a log.
        fingerprint: of the key that signed; empty where the signature does not hold.
    """

    faults: Sequence[Fault]
    links: Sequence[Link]
    fingerprint: str
    manifest: Mapping[str, Any]


def check_export(folder: Path, key: Ed25519PublicKey | None = None) -> Verdict:
    """Looks at an export, offline and without a secret.

    Args:
        folder: of the export.
        key: that it must be signed with; its own is enough to find damage, but who changes all of it can exchange that.

    Raises AuditError where it is no export.
    """
    name, faults = folder.name, []
    raw, signature = _read(folder / MANIFEST), _read(folder / SIGNATURE)
    own = read_public(_read(folder / PUBLIC_KEY))
    signer = key or own
    if signer is None:
        raise AuditError(f"{folder / PUBLIC_KEY}: is no Ed25519 public key.")
    if key is not None and own is not None and fingerprint(key) != fingerprint(own):
        faults.append(Fault(name, f"{PUBLIC_KEY} is not the key that was given"))
    if not is_signed(signer, signature, raw):
        says = f"{MANIFEST} was changed, or signed with another key: its signature does not hold"
        return Verdict([*faults, Fault(name, says)], [], "", {})
    try:
        manifest = json.loads(raw)
        files = {str(file): str(facts["sha256"]) for file, facts in manifest["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise AuditError(f"{folder / MANIFEST}: can't be read by this Veil.") from None
    for file, digest in sorted(files.items()):
        if file not in (EVENTS, PAGE) or _digest_of(folder / file) != digest:
            faults.append(Fault(name, f"{file} was changed since it was signed, or is missing"))
    links, broken = _links(folder / EVENTS)
    faults += [Fault(name, says) for says in broken]
    faults += check_chains(name, by_chain(links), whole=False)
    known = sum(link.known for link in links)
    if known != manifest.get("events"):
        faults.append(Fault(name, f"{EVENTS} has {known} events, and the manifest says {manifest.get('events')}"))
    return Verdict(faults, links, fingerprint(signer), manifest)


def _links(file: Path) -> tuple[list[Link], list[str]]:
    links, broken = [], []
    try:
        with file.open("rb") as opened:
            for number, raw in enumerate(opened, 1):
                try:
                    links.append(_link(json.loads(raw[:_LINE_MAX]), f"line {number}"))
                except (ValueError, KeyError, TypeError):
                    broken.append(f"line {number} is no event: it was changed")
    except OSError:
        broken.append(f"{EVENTS} can't be read")
    return links, broken


def _link(line: Mapping[str, Any], place: str) -> Link:
    if "event_id" in line:
        return of_event(event_of(line), place)
    number = str(line["number"])
    return Link(
        chain=str(line["chain"]),
        key=str(line["of"]),
        number=int(number) if number else None,
        event_id="",
        at_us=0,
        hash=bytes.fromhex(line["hash"]),
        previous=bytes.fromhex(line["previous_hash"]),
        place=place,
        known=False,
    )


def _bare(event: pb.AuditEvent) -> dict[str, Value]:
    """What of an event shows that the chain goes on, and nothing else."""
    name = event.details.get(CHAIN, event.actor)
    return {
        "chain": name,
        "of": event.details.get(OF, name),
        "number": event.details.get(NUMBER, ""),
        "previous_hash": event.previous_hash.hex(),
        "hash": event.hash.hex(),
    }


def _page(about: Mapping[str, Value], events: Sequence[pb.AuditEvent], wanted: Wanted, key: str) -> bytes:
    templates = Environment(
        loader=PackageLoader("services.audit", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    rows = [(time_of(event.at_us), event, more_of(event)) for event in events]
    page = templates.get_template("export.html.j2").render(about=about, rows=rows, asked=wanted.words(), key=key)
    return page.encode()


def _write(folder: Path, files: Mapping[str, bytes]) -> None:
    """All files or no folder of that name."""
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.exists():
            raise Unavailable(f"{folder}: is there already.")
        unfinished.mkdir(mode=0o700)
        for name, content in files.items():
            with (unfinished / name).open("wb") as opened:
                opened.write(content)
                opened.flush()
                os.fsync(opened.fileno())
        unfinished.rename(folder)
    except OSError as error:
        raise Unavailable(f"{folder}: can't be written ({error.strerror}).") from None


def _read(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(_SMALL_MAX)
    except OSError:
        raise AuditError(f"{file}: is missing: that is no export, or it was taken out.") from None


def _digest_of(file: Path) -> str:
    digest = hashlib.sha256()
    try:
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    except OSError:
        return ""
    return digest.hexdigest()
