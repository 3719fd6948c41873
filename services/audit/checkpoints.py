"""Signed checkpoints: how far every chain had come at a time, so that a tail that was cut off afterwards is missed."""

import hashlib
import json
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from services.audit.check import Chains, Fault
from services.audit.errors import Unavailable
from services.audit.rows import Head
from services.bus.clock import Clock, now_us
from services.signing import SigningKeys, Value, canonical, fingerprint, is_signed

FORMAT = "veil audit checkpoint 1"
_LINE_MAX = 16 << 20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One line of the file.

    Attributes:
        number: from 0, without gaps.
        previous: SHA-256 of the body before it, in hex.
        body: what is signed.
        key: fingerprint of the key that signed.
    """

    number: int
    at_us: int
    previous: str
    heads: tuple[Head, ...]
    body: bytes
    signature: bytes
    key: str

    @property
    def digest(self) -> str:
        """SHA-256 of the body, in hex: stands in the next one, and in the audit event of this one."""
        return hashlib.sha256(self.body).hexdigest()


class Checkpoints:
    """A file to which lines are only ever added. Keep a copy where whoever may change the database can't write.

    Args:
        file: one JSON object a line.
        keys: sign; needed only to write.
        clock: microseconds since 1970.
    """

    def __init__(self, file: Path, keys: SigningKeys | None = None, clock: Clock = now_us) -> None:
        self.file, self._keys, self._clock = file, keys, clock

    def write(self, heads: Iterable[Head]) -> Checkpoint:
        """Adds one; it is on the disk when this returns. Raises Unavailable, and what the keys raise."""
        if self._keys is None:
            raise Unavailable("There is no key to sign checkpoints with.")
        newest = self.newest()
        number = 0 if newest is None else newest.number + 1
        listed: list[Value] = [{"chain": h.chain, "of": h.key, "events": h.events, "hash": h.hash.hex()} for h in heads]
        previous, at_us = "" if newest is None else newest.digest, self._clock()
        plain: dict[str, Value] = {"format": FORMAT, "number": number, "at_us": at_us, "previous": previous}
        plain["heads"] = listed
        body, key = canonical(plain), self._keys.current()
        line = canonical(
            {"body": body.decode(), "signature": key.sign(body).hex(), "key": fingerprint(key.public_key())}
        )
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as opened:
                opened.write(line + b"\n")
                opened.flush()
                os.fsync(opened.fileno())
        except OSError as error:
            raise Unavailable(f"{self.file}: can't be written ({error.strerror}).") from None
        return _parsed(line)

    def newest(self) -> Checkpoint | None:
        """The last one; None where there is none yet. Raises Unavailable."""
        every = self.read()
        return every[-1] if every else None

    def read(self) -> Sequence[Checkpoint]:
        """All of them. Raises Unavailable where a line is none."""
        try:
            lines = self.file.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unavailable(f"{self.file}: can't be read ({error.strerror}).") from None
        found = []
        for number, line in enumerate(lines, 1):
            try:
                found.append(_parsed(line))
            except (ValueError, KeyError, TypeError):
                raise Unavailable(f"{self.file}, line {number}: is no checkpoint: it was changed.") from None
        return found


def check_checkpoints(
    name: str, checkpoints: Sequence[Checkpoint], keys: Sequence[Ed25519PublicKey], chains: Chains | None
) -> list[Fault]:
    """Looks whether each was signed and follows the one before, and whether the log still holds what they say.

    Args:
        name: what the sentences call them.
        checkpoints: in the order of their file.
        keys: that may have signed.
        chains: the log; None looks at the checkpoints alone.
    """
    known = {fingerprint(key): key for key in keys}
    found, previous = [], ""
    for place, one in enumerate(checkpoints):
        key = known.get(one.key)
        if key is None:
            found.append(Fault(name, f"checkpoint {one.number} is signed with a key that is not ours: {one.key}"))
        elif not is_signed(key, one.signature, one.body):
            found.append(Fault(name, f"checkpoint {one.number} was changed: its signature does not hold"))
        if one.number != place or one.previous != previous:
            found.append(Fault(name, f"checkpoint {one.number} does not follow the one before it: some were removed"))
            return found
        previous = one.digest
    if chains is not None:
        found += _missed(name, checkpoints, chains)
    return found


def _missed(name: str, checkpoints: Sequence[Checkpoint], chains: Chains) -> list[Fault]:
    """Heads that the log has not; of each chain the first."""
    found: dict[tuple[str, str], Fault] = {}
    hashes = {where: [link.hash for link in links] for where, links in chains.items()}
    for one in checkpoints:
        for head in one.heads:
            there = hashes.get((head.chain, head.key), [])
            if len(there) >= head.events and there[head.events - 1] == head.hash:
                continue
            cut = f"has {len(there)} now: its end was cut off"
            now = cut if len(there) < head.events else "others stand there now"
            says = f"had {head.events} events at checkpoint {one.number}, and {now}"
            where = f"{name}, chain {head.chain} of {head.key}"
            found.setdefault((head.chain, head.key), Fault(where, says))
    return list(found.values())


def _parsed(line: bytes) -> Checkpoint:
    if len(line) > _LINE_MAX:
        raise ValueError("too long")
    outer = json.loads(line)
    body = str(outer["body"]).encode()
    plain: dict[str, Any] = json.loads(body)
    if plain["format"] != FORMAT:
        raise ValueError("another format")
    heads = tuple(
        Head(str(h["chain"]), str(h["of"]), int(h["events"]), bytes.fromhex(h["hash"])) for h in plain["heads"]
    )
    return Checkpoint(
        number=int(plain["number"]),
        at_us=int(plain["at_us"]),
        previous=str(plain["previous"]),
        heads=heads,
        body=body,
        signature=bytes.fromhex(outer["signature"]),
        key=str(outer["key"]),
    )
