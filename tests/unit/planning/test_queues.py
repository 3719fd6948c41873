"""Waiting lines agree with queueing theory, and with each other."""

import math

import numpy as np
import pytest

from services.planning.queues import Times, batched, fifo, pool

COUNT = 400_000


def arrivals(rate: float, seed: int = 10) -> Times:
    return np.cumsum(np.random.default_rng(seed).exponential(1 / rate, COUNT))


def mean_wait(came: Times, done: Times, took: Times) -> float:
    return float(np.mean((done - took - came)[COUNT // 10 :]))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_m_d_1(load: float) -> None:
    """Pollaczek and Khinchine: a wait of rho / (2 (1 - rho)) service times."""
    came, took = arrivals(load), np.ones(COUNT)
    assert mean_wait(came, fifo(came, took), took) == pytest.approx(load / (2 * (1 - load)), rel=0.05)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.8])
def test_m_m_1(load: float) -> None:
    came, took = arrivals(load), np.random.default_rng(2).exponential(1.0, COUNT)
    assert mean_wait(came, fifo(came, took), took) == pytest.approx(load / (1 - load), rel=0.08)


@pytest.mark.parametrize(("servers", "load"), [(2, 0.7), (4, 0.8), (8, 0.85)])
def test_m_m_c(servers: int, load: float) -> None:
    """Erlang's formula for those who have to wait."""
    came, took = arrivals(load * servers), np.random.default_rng(13).exponential(1.0, COUNT)
    done, served = pool(came, took, servers)
    offered = load * servers
    late = offered**servers / math.factorial(servers) / (1 - load)
    erlang = late / (sum(offered**k / math.factorial(k) for k in range(servers)) + late)
    assert served.all()
    assert mean_wait(came, done, took) == pytest.approx(erlang / (servers * (1 - load)), rel=0.08)


def test_one_server_of_a_pool_is_a_line() -> None:
    came, took = arrivals(0.9)[:5000], np.random.default_rng(4).random(5000)
    np.testing.assert_allclose(pool(came, took, 1)[0], fifo(came, took))


def test_nobody_is_done_before_he_came_and_one_is_worked_on_at_a_time() -> None:
    came, took = arrivals(1.1)[:5000], np.full(5000, 1.0)
    done = fifo(came, took)
    assert (done >= came + took - 1e-9).all()
    assert (np.diff(done) >= 1.0 - 1e-9).all()


def test_who_waited_too_long_is_not_worked_on() -> None:
    came, took = np.array([0.0, 0.1, 0.2, 5.0]), np.full(4, 2.0)
    done, served = pool(came, took, 1, came + 1.0)
    assert served.tolist() == [True, False, False, True]
    assert done.tolist() == [2.0, 2.0, 2.0, 7.0]


def test_a_batch_takes_all_that_waits() -> None:
    came = np.array([0.0, 0.1, 0.2, 0.3])
    done, served = batched(came, 1.0, 0.1, 1, most=2, patience_s=10)
    assert served.all()
    assert done == pytest.approx([1.1, 2.3, 2.3, 3.4])


def test_batches_carry_what_single_calls_could_not() -> None:
    came = arrivals(5.0)[:20_000]
    single, _ = pool(came, np.full(came.size, 0.25), 1)
    many, served = batched(came, 0.2, 0.05, 1, most=8, patience_s=math.inf)
    assert served.all()
    assert np.mean(many - came) < 2 < np.mean(single - came)


def test_who_is_sent_away_waited_exactly_that_long() -> None:
    done, served = batched(np.array([0.0, 0.5]), 5.0, 0.0, 1, most=1, patience_s=2.0)
    assert served.tolist() == [True, False]
    assert done.tolist() == [5.0, 2.5]


def test_no_one_comes() -> None:
    nobody = np.zeros(0)
    assert fifo(nobody, nobody).size == pool(nobody, nobody, 3)[0].size == batched(nobody, 1, 1, 1, 8, 1)[0].size == 0
