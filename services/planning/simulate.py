"""A discrete-event simulation of the line, cell by cell: every frame and look of every camera, at every stage.

Each process is a waiting line of its own. Cameras fall to partitions by the hash of their names and partitions to
members as Kafka's Range assignor deals them out, as in the real line. Service times scatter as they were measured. What
is left out: batches of the broker's client, replays after a rebalance (their work, not their wait), and pods that
Kubernetes starts elsewhere: whoever is gone stays gone.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from services.inference.settings import InferenceSettings
from services.planning.calibration import Calibration, PublishedDetection
from services.planning.demand import FUSED, work
from services.planning.plan import CellPlan, Plan
from services.planning.queues import Times, batched, fifo, pool
from services.planning.scenario import Scenario
from services.planning.spread import member_of, names, partition_of
from services.policy.model import Detection

Whole = NDArray[np.int64]
Truth = NDArray[np.bool_]

_Z95 = 1.645
# Ages from a millisecond to an hour: a step is a hundredth of the age.
AGES = np.geomspace(1e-3, 3600, 1520)


@dataclass
class Result:
    """What came of a run; runs of several cells add up.

    Attributes:
        cameras: simulated.
        captured, shown, closed, shed, dark: frames: of all cameras, that went out open or closed; that went out closed;
            that a decoder dropped; that no decoder was there for.
        ages: number of frames by age, in bins of AGES; age is from capture to the end of the line.
        lag: stage → most seconds that anything waited, by second of the run.
        age_by_second, closed_by_second, shown_by_second: mean age, and frames, by second of capture.
        busy: stage → busiest process's share of its time.
    """

    seconds: int
    cameras: int = 0
    captured: int = 0
    shown: int = 0
    closed: int = 0
    shed: int = 0
    dark: int = 0
    ages: Whole = field(default_factory=lambda: np.zeros(AGES.size + 1, np.int64))
    lag: dict[str, Times] = field(default_factory=dict)
    age_sum: Times = field(default_factory=lambda: np.zeros(0))
    closed_by_second: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    shown_by_second: Whole = field(default_factory=lambda: np.zeros(0, np.int64))
    busy: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.age_sum.size:
            self.age_sum = np.zeros(self.seconds)
            self.closed_by_second = np.zeros(self.seconds, np.int64)
            self.shown_by_second = np.zeros(self.seconds, np.int64)

    def add(self, other: "Result") -> None:
        """Takes another cell in."""
        self.cameras += other.cameras
        self.captured += other.captured
        self.shown += other.shown
        self.closed += other.closed
        self.shed += other.shed
        self.dark += other.dark
        self.ages += other.ages
        self.age_sum += other.age_sum
        self.closed_by_second += other.closed_by_second
        self.shown_by_second += other.shown_by_second
        for stage, lag in other.lag.items():
            self.lag[stage] = np.maximum(self.lag.get(stage, np.zeros(self.seconds)), lag)
        for stage, busy in other.busy.items():
            self.busy[stage] = max(self.busy.get(stage, 0.0), busy)

    @property
    def age_by_second(self) -> Times:
        """Mean age of the frames that were captured in each second."""
        return np.asarray(self.age_sum / np.maximum(1, self.shown_by_second), np.float64)

    def age(self, share: float) -> float:
        """Age in seconds that this share of frames does not exceed, to a hundredth of itself."""
        if not self.shown:
            return math.nan
        place = int(np.searchsorted(np.cumsum(self.ages), share * self.shown))
        return float(AGES[min(place, AGES.size - 1)])


def simulate(
    plan: Plan, figures: Calibration, scenario: Scenario, say: Callable[[int], None] = lambda _: None
) -> Result:
    """Runs every cell of a plan. A broker or GPU fails in the first cell, a zone in all of them. Raises PlanError.

    `say` is told how many cameras are done.
    """
    scenario.check()
    seconds = math.ceil(scenario.seconds)
    total, number = Result(seconds), 0
    for count, cell in plan.cells:
        for _ in range(count):
            total.add(_Cell(plan, cell, figures, scenario, number).run())
            number += 1
            say(total.cameras)
    return total


class _Cell:
    """One cell. Frames are (cameras, frames) arrays; looks are those of them that detectors see."""

    def __init__(self, plan: Plan, cell: CellPlan, figures: Calibration, scenario: Scenario, number: int) -> None:
        self._ask, self._plan, self._cell, self._figures, self._scenario = plan.ask, plan, cell, figures, scenario
        self._first = number == 0
        self._random = np.random.default_rng([scenario.seed, number])
        self._work = work(
            plan.ask.camera,
            figures,
            fused=plan.ask.fused,
            gpu=plan.published is not None,
            encoder_threads=plan.ask.encoder_threads,
        )
        self._names = names(cell.cameras, number)
        self._partition = np.array([partition_of(name, cell.partitions) for name in self._names])
        self._zone_gone = scenario.failure("zone")
        self._result = Result(math.ceil(scenario.seconds), cameras=cell.cameras)

    def run(self) -> Result:
        """The whole cell, stage by stage: what one gives is what the next gets."""
        captured, look = self._cameras()
        sent, lost = self._decoders(captured, look)
        arrived, shed = self._over_the_bus(sent)
        lost |= shed
        looked, ran = self._looks(captured, arrived, look & ~lost)
        released, whole = self._spans(captured, look, lost, looked, ran)
        deadline = arrived + self._scenario.look_ahead_s + self._scenario.deadline_s
        closed = (released > deadline) | ~whole
        ready = np.maximum.accumulate(np.maximum(arrived, np.minimum(released, deadline)), axis=1)
        out = self._last_stages(ready)
        self._count(captured, out, closed, lost)
        return self._result

    def _cameras(self) -> tuple[Times, Truth]:
        """When each frame is captured, and which are looked at."""
        scenario, camera = self._scenario, self._ask.camera
        # A little longer than is counted, so that the last frames find the looks that release them.
        frames = math.ceil((scenario.seconds + scenario.look_ahead_s + 1.5) * camera.fps)
        phase = self._random.random((self._cell.cameras, 1))
        captured = (np.arange(frames) + phase) / camera.fps
        rare = max(scenario.every_max, camera.cadence)
        load = 0.5 - 0.5 * np.cos(2 * np.pi * captured / scenario.seconds) if scenario.day else np.ones_like(captured)
        # Frames between two looks, never further apart than the policy's gap.
        gap = np.clip(camera.cadence + (rare - camera.cadence) * (1 - load), 1.0, Detection().gap_max_s * camera.fps)
        turns = np.cumsum(1 / gap, axis=1) + self._random.random((self._cell.cameras, 1))
        look = np.diff(np.floor(turns), axis=1, prepend=-1.0) > 0
        return captured, look

    def _decoders(self, captured: Times, look: Truth) -> tuple[Times, Truth]:
        """When each frame leaves its decoder, and which none read."""
        scenario, costs, camera = self._scenario, self._figures.stages, self._ask.camera
        replicas = self._cell.stages["decoder"].replicas
        member = np.broadcast_to(self._dealt(range(replicas))[self._partition][:, None], captured.shape)
        lost = np.zeros(captured.shape, np.bool_)
        if self._zone_gone is not None:
            # Nobody reads the cameras of a decoder that is gone until its lease has ended.
            back = self._zone_gone + scenario.takeover_s
            lost = (member % self._ask.zones == 0) & (captured >= self._zone_gone) & (captured < back)
            self._result.dark += int(np.count_nonzero(lost & (captured < scenario.seconds)))
            left = [one for one in range(replicas) if one % self._ask.zones]
            member = np.where(captured >= back, self._dealt(left)[self._partition][:, None], member)
        beside = self._figures.processes.per_frame_ms.get("decoder", 0.0)
        took = self._scatter(captured.shape, costs.decoder.ms(camera.megapixels) + beside, costs.decoder.spread)
        took += look * self._scatter(captured.shape, costs.look.ms(camera.look_megapixels), costs.look.spread)
        arrives = captured + self._random.exponential(scenario.jitter_s, captured.shape)
        # A thread for each camera, on several cores: one fast server, and the rest of each frame's own time after it.
        cores = self._ask.decoder_cores
        took[lost] = 0.0
        done = self._lines("decoder", member, arrives, took / cores) + took * (1 - 1 / cores)
        return done, lost

    def _dealt(self, members: Sequence[int]) -> Whole:
        """Partition → the one of these members of a group that has it."""
        partitions = self._cell.partitions
        return np.array([members[member_of(one, partitions, len(members))] for one in range(partitions)])

    def _over_the_bus(self, sent: Times) -> tuple[Times, Truth]:
        """When each record is at its reader, and which were held for too long."""
        arrived = sent.copy()
        brokers = np.arange(self._cell.brokers)
        gone: list[tuple[float, NDArray[np.int64]]] = []
        broker = self._scenario.failure("broker")
        if broker is not None and self._first:
            gone.append((broker, brokers[:1]))
        if self._zone_gone is not None:
            gone.append((self._zone_gone, brokers[brokers % self._ask.zones == 0]))
        for at, which in gone:
            led = np.isin(self._partition % self._cell.brokers, which)[:, None]
            back = at + self._scenario.leader_s
            arrived = np.where(led & (arrived >= at) & (arrived < back), back, arrived)
        shed = arrived - sent > self._scenario.outbox_s
        self._result.shed += int(np.count_nonzero(shed))
        return self._in_order(arrived + self._hop(sent.shape)), shed

    def _looks(self, captured: Times, arrived: Times, look: Truth) -> tuple[Times, Truth]:
        """When the tracker has each look, and whether its detectors ran. Of frames that are no look: nan."""
        cell, ask, scenario = self._cell, self._ask, self._scenario
        camera, at = np.nonzero(look)
        came = arrived[camera, at]
        rate = ask.camera.looks
        took = self._scatter(came.shape, self._work["inference"].loop / rate * 1e3, self._look_spread())
        replicas = cell.stages["inference"].replicas
        servers = 1 if ask.gpu else ask.inference_workers
        limit = captured[camera, at] + scenario.live_age_s
        done, ran = self._served("inference", camera, came, took, replicas, servers, limit)
        if self._plan.published is not None:
            done, ran = self._on_gpus(done, ran, self._plan.published)
        had = self._in_order_of(camera, done + self._hop(done.shape))
        beside = self._work["tracker"].loop / rate * 1e3
        tracked, _ = self._served(
            "tracker",
            camera,
            had,
            self._scatter(had.shape, beside, self._figures.stages.tracker.spread),
            cell.stages["tracker"].replicas,
        )
        told = np.full(arrived.shape, np.nan)
        told[camera, at] = self._in_order_of(camera, tracked + self._hop(tracked.shape))
        worked = np.zeros(arrived.shape, np.bool_)
        worked[camera, at] = ran
        return told, worked

    def _on_gpus(self, asked: Times, ran: Truth, published: PublishedDetection) -> tuple[Times, Truth]:
        """All GPUs of a cell are one line: clients go round by themselves. A look's networks are one call here."""
        camera, ask = self._ask.camera, self._ask
        networks = sum(camera.rates().values()) / camera.looks
        each = camera.look_megapixels * networks / (published.megapixels_per_s * ask.gpu_share)
        order = np.argsort(asked, kind="stable")
        served_at, in_time = asked.copy(), ran.copy()
        settings = InferenceSettings(home="triton")
        failed = self._scenario.failure("gpu") if self._first else None
        lost = {at: count for at, count in ((failed, 1), (self._zone_gone, self._cell.gpus // ask.zones)) if at}
        left = self._cell.gpus
        for start, end in pairwise([0.0, *sorted(lost), math.inf]):
            left -= lost.get(start, 0)
            part = order[(asked[order] >= start) & (asked[order] < end) & ran[order]]
            served_at[part], in_time[part] = batched(
                asked[part], 0.0, each, max(1, left), settings.max_batch, settings.timeout_s
            )
        self._result.lag["triton"] = self._lag(asked[ran], served_at[ran] - each)
        return served_at, in_time

    def _spans(self, captured: Times, look: Truth, lost: Truth, told: Times, ran: Truth) -> tuple[Times, Truth]:
        """When each frame's span is at the renderer, and whether it is COMPLETE."""
        released = np.full(captured.shape, np.inf)
        whole = np.zeros(captured.shape, np.bool_)
        for row in range(captured.shape[0]):
            at = np.flatnonzero(look[row] & ~lost[row])
            if not at.size:
                continue
            times = captured[row, at]
            before = np.searchsorted(at, np.arange(captured.shape[1]), side="right") - 1
            # The span from one look to the next goes out with the look that is look_ahead_s past its first frame, to
            # the nearest frame.
            ahead = times[np.maximum(before, 0)] + self._scenario.look_ahead_s - 0.5001 / self._ask.camera.fps
            with_look = np.maximum(before + 1, np.searchsorted(times, ahead))
            known = with_look < at.size
            released[row, known] = told[row, at][with_look[known]]
            good = ran[row, at]
            inside = known & (before >= 0)
            whole[row, inside] = good[before[inside]] & good[before[inside] + 1]
        return released, whole

    def _last_stages(self, ready: Times) -> Times:
        """When each frame's masked access unit is on video.redacted."""
        spread = self._figures.stages.encoder.spread
        for name in (FUSED,) if self._ask.fused else ("renderer", "encoder"):
            took = self._scatter(ready.shape, self._work[name].loop / self._ask.camera.fps * 1e3, spread)
            camera = np.repeat(np.arange(ready.shape[0]), ready.shape[1])
            done, _ = self._served(name, camera, ready.ravel(), took.ravel(), self._cell.stages[name].replicas)
            ready = self._in_order(done.reshape(ready.shape) + self._hop(ready.shape))
        return ready

    def _count(self, captured: Times, out: Times, closed: Truth, lost: Truth) -> None:
        result = self._result
        counted = captured < self._scenario.seconds
        result.captured += int(np.count_nonzero(counted))
        went = counted & ~lost
        ages = (out - captured)[went]
        second = captured[went].astype(np.int64)
        shut = closed[went]
        result.shown += ages.size
        result.closed += int(np.count_nonzero(shut))
        result.ages += np.bincount(np.searchsorted(AGES, ages), minlength=AGES.size + 1)
        result.age_sum += np.bincount(second, ages, minlength=result.seconds)[: result.seconds]
        result.shown_by_second += np.bincount(second, minlength=result.seconds)[: result.seconds]
        result.closed_by_second += np.bincount(second[shut], minlength=result.seconds)[: result.seconds]

    def _served(
        self,
        stage: str,
        camera: Whole,
        came: Times,
        took: Times,
        replicas: int,
        servers: int = 1,
        limit: Times | None = None,
    ) -> tuple[Times, Truth]:
        """When each is done by the member of a group that has its partition, and whether it was worked on."""
        partition = self._partition[camera]
        member, available = self._dealt(range(replicas))[partition], came
        if self._zone_gone is not None:
            member, available = self._moved(partition, member, came, took, servers, replicas)
        done, ran = self._each(member, available, took, servers, limit)
        self._note(stage, came, done - took, member, took, servers)
        return done, ran

    def _moved(
        self, partition: Whole, member: Whole, came: Times, took: Times, servers: int, replicas: int
    ) -> tuple[Whole, Times]:
        """Who works on what once a zone is gone: what its members had not finished waits for the group to decide."""
        at = self._zone_gone or 0.0
        back = at + self._scenario.session_s
        dealt = self._dealt([one for one in range(replicas) if one % self._ask.zones])
        done, _ = self._each(member, came, took, servers, None)
        gone = (member % self._ask.zones == 0) & (done > at)
        available = np.where(gone, np.maximum(came, back), came)
        return np.where(gone | (came >= back), dealt[partition], member), available

    def _each(self, member: Whole, came: Times, took: Times, servers: int, limit: Times | None) -> tuple[Times, Truth]:
        """All members' lines, one after the other."""
        order = np.lexsort((came, member))
        bounds = np.flatnonzero(np.diff(member[order], prepend=-1)) if order.size else np.zeros(0, np.int64)
        done, ran = came.copy(), np.ones(came.shape, np.bool_)
        for start, end in zip(bounds, [*bounds[1:], order.size], strict=True):
            part = order[start:end]
            if servers == 1 and limit is None:
                done[part] = fifo(came[part], took[part])
            else:
                done[part], ran[part] = pool(came[part], took[part], servers, None if limit is None else limit[part])
        return done, ran

    def _lines(self, stage: str, server: Whole, came: Times, took: Times) -> Times:
        """As `_each`, for frames and their servers as (cameras, frames)."""
        member = server.ravel()
        done, _ = self._each(member, came.ravel(), took.ravel(), 1, None)
        self._note(stage, came.ravel(), done - took.ravel(), member, took.ravel(), 1)
        return done.reshape(came.shape)

    def _note(self, stage: str, came: Times, began: Times, member: Whole, took: Times, servers: int) -> None:
        self._result.lag[stage] = self._lag(came, began)
        span = float(came.max() - came.min()) if came.size else 1.0
        load = np.bincount(member, took)
        self._result.busy[stage] = float(load.max(initial=0.0)) / max(1e-9, span * servers)

    def _lag(self, came: Times, began: Times) -> Times:
        """Most that anything had waited at the end of each second, or until it began within that second."""
        seconds = self._result.seconds
        lag = np.zeros(seconds)
        first = np.clip(came, 0, seconds - 1e-9).astype(np.int64)
        last = np.clip(began, 0, seconds - 1e-9).astype(np.int64)
        inside = came < seconds
        np.maximum.at(lag, last[inside], np.minimum(began, last + 1.0)[inside] - came[inside])
        across = inside & (last > first)
        first, last, came = first[across], last[across], came[across]
        for second in range(seconds if came.size else 0):
            waits = (first <= second) & (last > second)
            if waits.any():
                lag[second] = max(lag[second], second + 1.0 - came[waits].min())
        return lag

    def _look_spread(self) -> float:
        known = self._figures.detectors
        return max((known[name].spread for name in self._ask.camera.rates() if name in known), default=0.0)

    def _scatter(self, shape: tuple[int, ...], mean_ms: float, spread: float) -> Times:
        """Seconds with this mean and this standard deviation over it, log-normal."""
        if spread <= 0:
            return np.full(shape, mean_ms / 1e3)
        sigma = math.sqrt(math.log1p(spread**2))
        drawn = self._random.standard_normal(shape, np.float32)
        return np.asarray(mean_ms / 1e3 * np.exp(sigma * drawn - sigma**2 / 2), np.float64)

    def _hop(self, shape: tuple[int, ...]) -> Times:
        """Seconds over the broker, from its measured p50 and p95, log-normal."""
        middle, high = self._figures.processes.hop_ms["p50"], self._figures.processes.hop_ms["p95"]
        sigma = math.log(max(high, middle) / middle) / _Z95
        drawn = self._random.standard_normal(shape, np.float32)
        return np.asarray(middle / 1e3 * np.exp(sigma * drawn), np.float64)

    def _in_order(self, times: Times) -> Times:
        """Nothing of a camera overtakes."""
        return np.asarray(np.maximum.accumulate(times, axis=1), np.float64)

    def _in_order_of(self, camera: Whole, times: Times) -> Times:
        """As above, for a flat list that is sorted by camera."""
        # Cameras are lifted apart, so that one running maximum serves all of them.
        lift = 1e6 * camera
        return np.asarray(np.maximum.accumulate(times + lift) - lift, np.float64)
