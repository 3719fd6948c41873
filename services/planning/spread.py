"""How unevenly cameras fall to partitions and processes: by the hash of their names, as Kafka's clients do it."""

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache


def names(cameras: int, cell: int = 0) -> list[str]:
    """Names such as a city would give."""
    return [f"c{cell:02d}-{number:05d}" for number in range(1, cameras + 1)]


def partition_of(name: str, partitions: int) -> int:
    """The partition of a camera: Kafka's default, murmur2 of the key."""
    return (_murmur2(name.encode()) & 0x7FFFFFFF) % partitions


def member_of(partition: int, partitions: int, members: int) -> int:
    """The member of a group that has a partition, by Range: neighbours go together, the first members have one more."""
    each, more = divmod(partitions, members)
    first = more * (each + 1)
    return partition // (each + 1) if partition < first else more + (partition - first) // each


@lru_cache(maxsize=256)
def by_member(cameras: int, partitions: int, members: int) -> tuple[int, ...]:
    """Cameras of each member of a group that has any."""
    return tuple(
        Counter(member_of(partition_of(name, partitions), partitions, members) for name in names(cameras)).values()
    )


def _murmur2(data: Sequence[int]) -> int:
    # Austin Appleby's MurmurHash2, in the public domain, with Kafka's seed.
    mask, m = 0xFFFFFFFF, 0x5BD1E995
    length = len(data)
    h = 0x9747B28C ^ length
    for at in range(0, length - length % 4, 4):
        k = (data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24) * m & mask
        h = (h * m & mask) ^ ((k ^ k >> 24) * m & mask)
    rest = data[length - length % 4 :]
    if rest:
        for place, byte in enumerate(rest):
            h ^= byte << 8 * place
        h = h * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15
