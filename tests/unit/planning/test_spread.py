"""Cameras fall to partitions as Kafka's clients deal them out."""

from kafka.partitioner.default import murmur2

from services.planning.spread import by_member, member_of, names, partition_of


def test_partitions_are_those_of_kafkas_client() -> None:
    for name in [*names(500), "", "a", "ab", "abc", "Straße", "x" * 64]:
        assert partition_of(name, 240) == (murmur2(name.encode()) & 0x7FFFFFFF) % 240


def test_range_deals_neighbours_out_evenly() -> None:
    dealt = [member_of(partition, 10, 4) for partition in range(10)]
    assert dealt == [0, 0, 0, 1, 1, 1, 2, 2, 3, 3]
    assert {member_of(partition, 240, 240) for partition in range(240)} == set(range(240))


def test_the_busiest_has_more_than_its_share_and_nobody_is_lost() -> None:
    assert by_member(1000, 240, 1) == (1000,)
    spread = by_member(1000, 240, 60)
    assert sum(spread) == 1000
    assert max(spread) > 1000 / 60
