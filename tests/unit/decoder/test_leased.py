"""Several decoders that share cameras: who reads which, in which epoch, and what a lost lease stops."""

import time
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

import pytest

from services.bus.interface import Committable, Consumer, InvalidMessage, Message, Position, Record, TopicPartition
from services.bus.memory import MemoryBus
from services.bus.topics import CAMERAS, FRAMES_DETECT, VIDEO_SOURCE, Topic
from services.decoder.leased import LeasedDecoder
from services.decoder.process import prepare
from services.decoder.settings import DecoderSettings
from services.media.sources import Camera
from services.runtime.runner import Runner
from services.runtime.service import ServiceSettings
from services.runtime.settings import RunnerSettings
from services.schema import pb
from tests.support.book import Book
from tests.support.keys import add_key
from tests.support.videos import make_video
from tests.unit.decoder.harness import policy

NAMES = ("gate", "hall", "yard", "door", "till", "roof")
PARTITIONS = 4
PACE = RunnerSettings(commit_every_s=0.0, idle_min_s=1e-4, idle_max_s=2e-3, drain_s=5)
PATIENCE_S = 20.0
SECOND = 1_000_000


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("v") / "a.mp4", frames=1500, size=(96, 64), fps=50, gop=10)


class Leasing:
    """A memory bus whose members can be made to lose their lease without a word."""

    def __init__(self, bus: MemoryBus) -> None:
        self._bus = bus
        self.holds = True

    def __getattr__(self, name: str) -> object:
        return getattr(self._bus, name)

    def consumer(self, group: str, topics: Collection[Topic], listener: object = None) -> Consumer:
        consumer = self._bus.consumer(group, topics, listener)
        leasing = self

        class Member:
            def __getattr__(self, name: str) -> object:
                return getattr(consumer, name)

            @property
            def holds(self) -> bool:
                return leasing.holds

        return Member()


class City:
    """Decoders on one bus, all turned by one thread, and what they sent."""

    def __init__(self, video: Path) -> None:
        self.bus = MemoryBus(PARTITIONS, dict.fromkeys((VIDEO_SOURCE, FRAMES_DETECT, CAMERAS), ("watch",)))
        self.watcher = self.bus.consumer("watch", (VIDEO_SOURCE, FRAMES_DETECT, CAMERAS))
        self.cameras = [Camera(name, str(video), live=True, loop=True) for name in NAMES]
        self.decoders: list[tuple[Runner, LeasedDecoder, Leasing]] = []
        self.units: dict[str, list[pb.AccessUnit]] = defaultdict(list)
        self.claims: dict[str, list[pb.CameraClaim]] = defaultdict(list)

    def start(self, clock: Callable[[], int] | None = None) -> tuple[Runner, LeasedDecoder, Leasing]:
        stage = LeasedDecoder(
            DecoderSettings(transport="encoded"),
            self.cameras,
            Book(policy()),
            plaintext=True,
            clock=clock or (lambda: time.time_ns() // 1000),
        )
        bus = Leasing(self.bus)
        made = Runner(stage, bus, PACE), stage, bus
        self.decoders.append(made)
        return made

    def turn(self) -> None:
        for runner, _, _ in self.decoders:
            runner._turn(0.001)
        for message in self.watcher.poll(0, 1000):
            self._take(message)
            self.watcher.commit({message.position.source: Committable.after(message.position)})

    def until(self, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not done():
            assert time.monotonic() < deadline, {name: len(self.units[name]) for name in NAMES}
            self.turn()

    def all_flow(self) -> None:
        had = {name: len(self.units[name]) for name in NAMES}
        self.until(lambda: all(len(self.units[name]) > had[name] + 5 for name in NAMES))

    def holder(self, name: str) -> str:
        epochs = {claim.epoch: claim.holder for claim in self.claims[name]}
        return epochs[self.units[name][-1].epoch]

    def end(self) -> None:
        for runner, stage, _ in self.decoders:
            stage.close()
            stage.join(10)
            assert runner._consumer is not None
            runner._consumer.close()

    def _take(self, message: Message) -> None:
        if message.record.topic == CAMERAS:
            claim = pb.CameraClaim.FromString(message.record.value)
            self.claims[claim.camera_id].append(claim)
        elif message.record.topic == VIDEO_SOURCE:
            body = pb.SourceMessage.FromString(message.record.value)
            if body.HasField("unit"):
                self.units[body.unit.camera_id].append(body.unit)


@pytest.fixture
def city(video: Path) -> Iterator[City]:
    made = City(video)
    yield made
    made.end()


def assert_each_epoch_is_one_decoders_and_none_returns(city: City) -> None:
    for name in NAMES:
        holders = defaultdict(set)
        for claim in city.claims[name]:
            holders[claim.epoch].add(claim.holder)
        assert all(len(each) == 1 for each in holders.values())
        frames = [(unit.epoch, unit.seq) for unit in city.units[name]]
        assert frames == sorted(set(frames)), name
        assert {epoch for epoch, _ in frames} <= set(holders), f"{name}: an epoch that nobody claimed"


def test_a_camera_goes_from_decoder_to_decoder_and_is_never_that_of_two(city: City) -> None:
    first = city.start()
    city.all_flow()
    before = {name: city.holder(name) for name in NAMES}
    assert len({*before.values()}) == 1
    city.start()
    city.until(lambda: len({city.holder(name) for name in NAMES}) == 2)
    city.all_flow()
    stayed = [name for name in NAMES if city.holder(name) == before[name]]
    assert stayed
    for name in stayed:
        epochs = [unit.epoch for unit in city.units[name]]
        assert len(set(epochs)) == 1 + sum(unit.seq == 0 for unit in city.units[name][1:]), "it went on as it was"
    runner, stage, _ = city.decoders.pop(city.decoders.index(first))
    runner._drain()
    assert runner._consumer is not None
    runner._consumer.close()
    city.until(lambda: len({city.holder(name) for name in NAMES}) == 1)
    city.all_flow()
    assert {city.holder(name) for name in NAMES}.isdisjoint(before.values())
    assert not stage._readers.keys() & {name for name in NAMES if city.holder(name) != before[name]} or stage.finished
    assert_each_epoch_is_one_decoders_and_none_returns(city)


def test_a_new_holder_begins_above_all_that_was_claimed_though_its_clock_is_behind(city: City) -> None:
    ahead = lambda: time.time_ns() // 1000 + 600 * SECOND  # noqa: E731
    runner, stage, _ = city.start(ahead)
    city.all_flow()
    city.decoders.clear()
    stage.close()
    stage.join(10)
    assert runner._consumer is not None
    runner._consumer.close()
    highest = {name: max(claim.epoch for claim in city.claims[name]) for name in NAMES}
    city.start()
    city.until(lambda: all(city.units[name][-1].epoch > highest[name] for name in NAMES))
    assert_each_epoch_is_one_decoders_and_none_returns(city)


def test_where_the_lease_runs_out_nothing_more_goes_out_and_the_cameras_are_let_go(city: City) -> None:
    runner, stage, leasing = city.start()
    city.all_flow()
    leasing.holds = False
    city.until(lambda: not stage._readers)
    assert not runner._pending
    had = {name: len(city.units[name]) for name in NAMES}
    for _ in range(20):
        city.turn()
    assert {name: len(city.units[name]) for name in NAMES} == had
    epochs = {name: city.units[name][-1].epoch for name in NAMES}
    leasing.holds = True
    city.until(lambda: all(city.units[name][-1].epoch > epochs[name] for name in NAMES))
    assert_each_epoch_is_one_decoders_and_none_returns(city)


def test_what_is_ready_is_dropped_between_two_looks_at_the_lease(city: City) -> None:
    """The lease may run out in the midst of publishing: each record is asked for."""
    runner, stage, leasing = city.start()
    city.all_flow()
    deadline = time.monotonic() + PATIENCE_S
    while not runner._pending:
        assert time.monotonic() < deadline
        runner._take(stage.completed())
    published = []
    inner = runner._producer.publish

    def publish(record: Record) -> None:
        published.append(record)
        inner(record)
        leasing.holds = False

    runner._pending.extend([*runner._pending] * 3)
    runner._producer.publish = publish
    runner._publish(0.0)
    assert len(published) == 1


def test_a_claim_from_elsewhere_above_the_epoch_in_use_makes_the_holder_begin_anew(city: City) -> None:
    """A decoder that wakes up sends the claim it was about to make; its clock may be ahead."""
    city.start()
    city.all_flow()
    stray = pb.CameraClaim(camera_id="gate", epoch=time.time_ns() // 1000 + 300 * SECOND, holder="frozen")
    city.bus.producer().publish(Record(CAMERAS, "gate", stray.SerializeToString()))
    before = city.units["gate"][-1].epoch
    city.until(lambda: city.units["gate"][-1].epoch > stray.epoch)
    frames = [unit.seq for unit in city.units["gate"] if unit.epoch == before]
    assert len(frames) < 1500, "it did not wait for the end of its own"
    assert len({unit.epoch for unit in city.units["hall"]}) == 1 + sum(u.seq == 0 for u in city.units["hall"][1:])


@pytest.mark.parametrize("epoch", [7, 4_000 * SECOND])
def test_a_stray_claim_that_nobody_would_follow_changes_nothing(city: City, epoch: int) -> None:
    city.start()
    city.all_flow()
    before = city.units["gate"][-1].epoch
    number = epoch if epoch < SECOND else time.time_ns() // 1000 + epoch
    stray = pb.CameraClaim(camera_id="gate", epoch=number, holder="elsewhere")
    city.bus.producer().publish(Record(CAMERAS, "gate", stray.SerializeToString()))
    city.all_flow()
    own = {claim.epoch for claim in city.claims["gate"] if claim.holder != "elsewhere"}
    assert before in own
    assert city.units["gate"][-1].epoch in own
    assert city.units["gate"][-1].epoch < time.time_ns() // 1000 + 60 * SECOND


def test_a_claim_counts_only_if_nobody_claimed_higher_before_it(video: Path) -> None:
    """Both were on their way at once: the one that came second is made again."""
    stage = LeasedDecoder(
        DecoderSettings(transport="encoded"), [Camera("gate", str(video))], Book(policy()), plaintext=True
    )
    stage.hold(["gate"])
    first = next_claim(stage)
    earlier = pb.CameraClaim(camera_id="gate", epoch=first.epoch + 300 * SECOND, holder="earlier")
    submit(stage, earlier, offset=0)
    submit(stage, first, offset=1)
    second = next_claim(stage)
    assert second.epoch > earlier.epoch
    time.sleep(0.2)
    assert not units(stage), "nothing before it is granted"
    submit(stage, second, offset=2)
    deadline = time.monotonic() + PATIENCE_S
    while not (sent := units(stage)):
        assert time.monotonic() < deadline
    assert {unit.epoch for unit in sent} == {second.epoch}
    stage.close()
    stage.join(5)


def test_the_newest_claim_of_each_camera_stays_to_be_read(city: City) -> None:
    runner, stage, _ = city.start()
    city.all_flow()
    for name in NAMES:
        for number in range(3):
            newer = pb.CameraClaim(camera_id=name, epoch=time.time_ns() // 1000 + number, holder="another")
            city.bus.producer().publish(Record(CAMERAS, name, newer.SerializeToString()))
    city.all_flow()
    assert runner._consumer is not None
    for partition in range(PARTITIONS):
        source = TopicPartition(CAMERAS.name, partition)
        committed = runner._consumer.committed(source)
        needed = [newest.position.offset for newest in stage._newest.values() if newest.position.source == source]
        if needed:
            assert (0 if committed is None else committed.next_offset) <= min(needed)
    assert runner._ledger.unfinished < 3 * len(NAMES)


def test_claims_older_than_the_topic_keeps_them_hold_back_no_commit() -> None:
    now = [1_700_000_000 * SECOND]
    stage = LeasedDecoder(
        DecoderSettings(transport="encoded"),
        [Camera("gate", "a.mp4")],
        Book(policy()),
        plaintext=True,
        clock=lambda: now[0],
    )
    position = submit(stage, pb.CameraClaim(camera_id="gate", epoch=now[0], holder="x"), at_us=now[0])
    assert done(stage) == []
    now[0] += round(CAMERAS.retention.total_seconds() * 1e6) + 120 * SECOND
    assert done(stage) == [position]
    now[0] += 120 * SECOND
    assert done(stage) == []


@pytest.mark.parametrize(("alone", "inputs"), [("true", ()), ("false", (CAMERAS,))])
def test_a_process_shares_its_cameras_unless_it_is_to_be_alone(
    alone: str, inputs: tuple[Topic, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site.yaml").write_text("name: x\ncameras:\n  - {id: gate, source: a.mp4}\n")
    add_key(tmp_path, "one")
    monkeypatch.setenv("VEIL_KEYS_FOLDER", str(tmp_path))
    monkeypatch.setenv("VEIL_DECODER_ALONE", alone)
    assert prepare(ServiceSettings(site=tmp_path / "site.yaml"))().inputs == inputs


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"\xff", "not a CameraClaim"),
        (pb.CameraClaim(camera_id="hall", epoch=5, holder="x").SerializeToString(), "not the key"),
        (pb.CameraClaim(camera_id="gate", holder="x").SerializeToString(), "without epoch"),
        (pb.CameraClaim(camera_id="gate", epoch=5).SerializeToString(), "without epoch"),
    ],
)
def test_what_is_no_claim_is_refused(value: bytes, reason: str) -> None:
    stage = LeasedDecoder(DecoderSettings(transport="encoded"), [Camera("gate", "a")], Book(policy()), plaintext=True)
    with pytest.raises(InvalidMessage, match=reason):
        stage.submit(Message(Record(CAMERAS, "gate", value), Position(TopicPartition("cameras", 0), 0), 0))


def test_a_decoder_with_a_part_of_the_files_waits_and_one_with_all_of_them_ends(tmp_path: Path) -> None:
    video = make_video(tmp_path / "a.mp4", frames=30, size=(96, 64))
    bus = MemoryBus(PARTITIONS, {VIDEO_SOURCE: (), FRAMES_DETECT: ()})
    files = [Camera(name, str(video), live=False) for name in NAMES]

    def start() -> tuple[Runner, LeasedDecoder]:
        stage = LeasedDecoder(DecoderSettings(transport="encoded"), files, Book(policy()), plaintext=True)
        return Runner(stage, bus, PACE), stage

    first, second = start(), start()
    deadline = time.monotonic() + PATIENCE_S
    while not all(stage._readers and all(run.done() for run in stage._runs.values()) for _, stage in (first, second)):
        assert time.monotonic() < deadline
        for runner, _ in (first, second):
            runner._turn(0.001)
    for runner, stage in (first, second):
        for _ in range(20):
            runner._turn(0.001)
        assert not stage.finished
    second[1].close()
    second[1].join(5)
    assert second[0]._consumer is not None
    second[0]._consumer.close()
    while not first[1].finished:
        assert time.monotonic() < deadline
        first[0]._turn(0.001)
    first[1].join(5)


def submit(stage: LeasedDecoder, claim: pb.CameraClaim, at_us: int = 0, offset: int = 0) -> Position:
    position = Position(TopicPartition("cameras", 0), offset)
    stage.submit(Message(Record(CAMERAS, claim.camera_id, claim.SerializeToString()), position, at_us))
    return position


def records(stage: LeasedDecoder) -> list[Record]:
    return [record for emission in stage.completed() for record in emission.records]


def next_claim(stage: LeasedDecoder) -> pb.CameraClaim:
    deadline = time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < deadline
        for record in records(stage):
            assert record.topic == CAMERAS
            return pb.CameraClaim.FromString(record.value)


def units(stage: LeasedDecoder) -> list[pb.AccessUnit]:
    bodies = [pb.SourceMessage.FromString(one.value) for one in records(stage) if one.topic == VIDEO_SOURCE]
    return [body.unit for body in bodies if body.HasField("unit")]


def done(stage: LeasedDecoder) -> Sequence[Position]:
    return [position for emission in stage.completed() for position in emission.done]
