"""Of all that speak for a frame, the first counts, in whatever order they come."""

import numpy as np

from services.disclosure.claims import Claims


def test_what_is_claimed_twice_stays_with_the_first() -> None:
    claims = Claims()
    assert claims.claim(10, 19) == [(10, 19)]
    assert claims.claim(20, 29) == [(20, 29)]
    assert claims.claim(5, 40) == [(5, 9), (30, 40)]
    assert claims.claim(5, 40) == []
    assert claims.claim(50, 60) == [(50, 60)]
    assert claims.claim(0, 99) == [(0, 4), (41, 49), (61, 99)]
    assert claims.claim(3, 2) == []


def test_any_order_gives_what_a_table_of_frames_would() -> None:
    random = np.random.default_rng(7)
    for _ in range(50):
        claims, owner = Claims(), [-1] * 80
        for number in range(40):
            first = int(random.integers(0, 80))
            last = min(79, first + int(random.integers(0, 12)))
            mine = [seq for low, high in claims.claim(first, last) for seq in range(low, high + 1)]
            assert mine == [seq for seq in range(first, last + 1) if owner[seq] == -1]
            for seq in mine:
                owner[seq] = number
