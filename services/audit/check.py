"""Finds events that were removed, changed, reordered, inserted, doubled or moved, in a chain and between two copies."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from services.audit.links import Link

Chains = Mapping[tuple[str, str], Sequence[Link]]
"""Chain and key → its links, in the order in which they were found."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong, in one sentence without a full stop.

    Attributes:
        where: the log, the topic or the file, and the chain in it.
    """

    where: str
    says: str

    def __str__(self) -> str:
        return f"{self.where}: {self.says}"


def by_chain(links: Iterable[Link]) -> Chains:
    """Links of each chain."""
    found: dict[tuple[str, str], list[Link]] = {}
    for link in links:
        found.setdefault((link.chain, link.key), []).append(link)
    return found


def without_repeats(links: Iterable[Link]) -> Iterable[Link]:
    """The first of each event: the topic may hold one several times. Another content under the same id stays."""
    seen: set[tuple[str, bytes, str]] = set()
    for link in links:
        identity = (link.event_id, link.hash, link.fault)
        if identity not in seen:
            seen.add(identity)
            yield link


def check_chains(source: str, chains: Chains, *, whole: bool) -> list[Fault]:
    """Looks at every chain by itself.

    Args:
        source: what the sentences call it.
        chains: of it.
        whole: whether a chain must be there from its first event on; what a topic or an export holds may begin later.
    """
    found = []
    for (chain, key), links in sorted(chains.items()):
        where = f"{source}, chain {chain}" if key == chain else f"{source}, chain {chain} of {key}"
        found += [Fault(where, says) for says in _faults(links, whole=whole)]
    return found


def _faults(links: Sequence[Link], *, whole: bool) -> list[str]:
    found: list[str] = []
    hashes = {link.hash for link in links}
    ids: dict[str, str] = {}
    before: Link | None = None
    for link in links:
        if link.event_id and link.event_id in ids:
            found.append(f"{link.name} stands there twice: the first is at {ids[link.event_id]}")
            continue
        ids[link.event_id] = link.place
        if link.fault:
            found.append(f"{link.name} {link.fault}")
        # What a broken event says of the one before it is worth nothing.
        elif before is None or not before.fault:
            found += _break(before, link, hashes, whole=whole)
        before = link
    return found


def _break(before: Link | None, link: Link, hashes: set[bytes], *, whole: bool) -> list[str]:
    """What is wrong between two events that are each as they were written."""
    if before is None:
        if not link.previous or not whole:
            return []
        return [f"{_missing(0, link.number)} before {link.name}, the first that is there"]
    if link.previous == before.hash:
        return []
    if not link.previous and not whole and link.number is None:
        return []  # the auditor begins anew after it was away for long
    numbers = None if link.number is None or before.number is None else (before.number, link.number)
    if link.previous in hashes or (numbers is not None and numbers[1] < numbers[0]):
        return [f"{link.name} stands behind {before.name}, which it does not follow: they were put in another order"]
    if numbers is not None and numbers[1] > numbers[0] + 1:
        return [f"{_missing(numbers[0] + 1, numbers[1])} between {before.name} and {link.name}"]
    return [f"{link.name} does not follow {before.name}: one of them was put in, or an event in place of another"]


def _missing(first: int, behind: int | None) -> str:
    if behind is None or behind <= first:
        return "events are missing"
    last = behind - 1
    return f"event {first} is missing" if first == last else f"events {first} to {last} are missing"


def check_against(source: str, chains: Chains, witness: str, seen: Chains) -> list[Fault]:
    """What a copy that somebody else keeps holds, and the log has not.

    Args:
        source: what the sentences call the log.
        chains: of the log, read after the copy: an event is in the log first.
        witness: what the sentences call the copy.
        seen: the copy, each event once. Chains that the log has none of its name of are passed over.
    """
    names = {chain for chain, _ in chains}
    found = []
    for (chain, key), links in sorted(seen.items()):
        if chain not in names:
            continue
        there = {link.hash for link in chains.get((chain, key), ())}
        gone = [link for link in links if link.hash not in there]
        if gone:
            says = f"{witness} holds {_first_of(gone)} that the log has not: removed, cut off or changed"
            found.append(Fault(f"{source}, chain {chain} of {key}", says))
    return found


def check_published(source: str, chains: Chains, witness: str, seen: Chains, since_us: int) -> list[Fault]:
    """What a log says is on the topic, and is not there.

    Args:
        source: what the sentences call the log.
        chains: of the log, read before the topic: an event is marked once the topic has it.
        witness: what the sentences call the topic.
        seen: the topic, each event once.
        since_us: what is older may have expired there.
    """
    found = []
    for (chain, key), links in sorted(chains.items()):
        there = {link.hash for link in seen.get((chain, key), ())}
        marked = (link for link in links if link.published and link.at_us >= since_us and not link.fault)
        lost = [link for link in marked if link.hash not in there]
        if lost:
            says = f"{_first_of(lost)} went to the bus and {witness} has not got it: put in, or removed there"
            found.append(Fault(f"{source}, chain {chain} of {key}", says))
    return found


def _first_of(links: Sequence[Link]) -> str:
    return links[0].name + (f" and {len(links) - 1} more" if len(links) > 1 else "")
