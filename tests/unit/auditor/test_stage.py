"""The auditor as a stage: one chained event and one count for each suspect, closed pictures left out, no waiting."""

import threading
import time
from collections.abc import Sequence

import pytest
from prometheus_client import REGISTRY

from services.audit_chain import first_break
from services.auditor.eyes import Eyes, load_eyes
from services.auditor.find import Find
from services.auditor.settings import AuditorSettings
from services.auditor.stage import AuditorStage
from services.bus.interface import Message, Position, Record, TopicPartition
from services.bus.memory import MemoryBus
from services.bus.topics import AUDIT, VIDEO_REDACTED
from services.detect.interface import DetectorError, Image
from services.media.picture import Picture
from services.runtime.runner import Runner
from services.runtime.settings import RunnerSettings
from services.schema import pb
from tests.support.leaks import EPOCH, FPS, SIZE, Leak, masked_pictures, redacted_units

FACE = Find("face", 0.9, (20, 20, 60, 60))


class Seen(Eyes):
    """Finds what it is told to; notes how often it looked."""

    def __init__(self, *finds: Find, error: Exception | None = None) -> None:
        self.finds, self.error, self.looks = finds, error, 0
        self.go = threading.Event()
        self.go.set()

    def look(self, picture: Picture, image: Image) -> Sequence[Find]:
        self.go.wait(10)
        self.looks += 1
        assert (picture.width, picture.height) == SIZE == image.shape[1::-1]
        if self.error is not None:
            raise self.error
        return self.finds


@pytest.fixture(scope="module")
def clean() -> list[pb.RedactedUnit]:
    return redacted_units(list(masked_pictures())[: 3 * FPS], live=True)


def record(body: pb.RedactedUnit | pb.EndOfStream) -> Record:
    message = pb.RedactedMessage(unit=body) if isinstance(body, pb.RedactedUnit) else pb.RedactedMessage(end=body)
    return Record(VIDEO_REDACTED, body.camera_id, message.SerializeToString())


def feed(stage: AuditorStage, bodies: Sequence[pb.RedactedUnit], *, patient: bool = True) -> list[pb.AuditEvent]:
    """Hands over messages; a patient caller lets each look end before the next message. Checks that each is done."""
    events, done = [], 0
    for offset, body in enumerate(bodies):
        stage.submit(Message(record(body), Position(TopicPartition(VIDEO_REDACTED.name, 0), offset), 0))
        until = time.monotonic() + 20
        while True:
            for emission in stage.completed():
                done += len(emission.done)
                events += [pb.AuditEvent.FromString(one.value) for one in emission.records]
            if not patient or stage._look is None or time.monotonic() > until:
                break
            time.sleep(0.001)
    stage.close()
    for emission in stage.join(20):
        done += len(emission.done)
        events += [pb.AuditEvent.FromString(one.value) for one in emission.records]
    assert done == len(bodies)
    return events


def count(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0.0


def test_a_suspect_is_told_once_with_its_place(clean: list[pb.RedactedUnit]) -> None:
    eyes = Seen(FACE)
    before = count("veil_auditor_suspects_total", camera="gate", kind="face")
    (event,) = feed(AuditorStage(AuditorSettings(every_s=0.5), eyes, lambda: 7), clean)
    assert eyes.looks == 6
    assert count("veil_auditor_suspects_total", camera="gate", kind="face") == before + 1
    assert (event.action, event.actor, event.at_us) == ("leak.suspected", "auditor", 7)
    assert event.object == f"gate/{EPOCH}/0"
    assert event.details["box"] == "20,20,60,60"
    assert first_break([event]) is None


def test_a_weak_find_must_be_there_in_two_looks(clean: list[pb.RedactedUnit]) -> None:
    weak = Find("face", 0.45, FACE.box)
    settings = AuditorSettings(every_s=0.5)
    assert len(feed(AuditorStage(settings, Seen(weak)), clean)) == 1
    assert not feed(AuditorStage(settings, Seen(weak)), clean[:5])


def test_events_of_a_camera_are_a_chain_that_goes_on_after_a_restart(clean: list[pb.RedactedUnit]) -> None:
    finds = [Find("face", 0.9, (x, 20.0, x + 40.0, 60.0)) for x in (10.0, 200.0, 400.0)]
    events = feed(AuditorStage(AuditorSettings(), Seen(*finds)), clean[:1])
    assert len(events) == 3
    after = AuditorStage(AuditorSettings(), Seen(FACE))
    for event in events:
        newest = Record(AUDIT, "gate", event.SerializeToString())
        after.remember(Message(newest, Position(TopicPartition(AUDIT.name, 0), 0), 0))
    events += feed(after, clean[:1])
    assert first_break(events) is None
    events[1].details["box"] = "0,0,1,1"
    assert first_break(events) == 1


def test_closed_pictures_are_left_out(clean: list[pb.RedactedUnit]) -> None:
    closed = [pb.RedactedUnit.FromString(unit.SerializeToString()) for unit in clean]
    for unit in closed:
        unit.closed = True
    eyes = Seen(FACE)
    assert not feed(AuditorStage(AuditorSettings(every_s=0.5), eyes), closed)
    assert not eyes.looks


def test_nothing_waits_for_a_slow_look(clean: list[pb.RedactedUnit]) -> None:
    eyes = Seen(FACE)
    eyes.go.clear()
    stage = AuditorStage(AuditorSettings(every_s=0.5), eyes)
    before = count("veil_auditor_skipped_total", reason="busy")
    threading.Timer(0.5, eyes.go.set).start()
    assert len(feed(stage, clean, patient=False)) == 1
    assert count("veil_auditor_skipped_total", reason="busy") > before


@pytest.mark.parametrize("error", [DetectorError("broken"), TimeoutError("late")])
def test_a_look_that_fails_is_counted(clean: list[pb.RedactedUnit], error: Exception) -> None:
    before = count("veil_auditor_skipped_total", reason="failed")
    assert not feed(AuditorStage(AuditorSettings(), Seen(error=error)), clean[:10])
    assert count("veil_auditor_skipped_total", reason="failed") == before + 1


def test_rubbish_is_passed_over(clean: list[pb.RedactedUnit]) -> None:
    stage = AuditorStage(AuditorSettings(), Seen(FACE))
    stage.submit(Message(Record(VIDEO_REDACTED, "gate", b"\xff"), Position(TopicPartition("video.redacted", 0), 0), 0))
    damaged = pb.RedactedUnit.FromString(clean[0].SerializeToString())
    damaged.payload = b"\0" * 100
    before = count("veil_auditor_skipped_total", reason="undecodable")
    feed(AuditorStage(AuditorSettings(), Seen(FACE)), [damaged])
    assert count("veil_auditor_skipped_total", reason="undecodable") == before + 1
    assert len(stage.completed()) == 1
    stage.join(1)


def test_cameras_that_went_elsewhere_are_dropped(clean: list[pb.RedactedUnit]) -> None:
    stage = AuditorStage(AuditorSettings(), Seen(FACE))
    stage.submit(Message(record(clean[0]), Position(TopicPartition(VIDEO_REDACTED.name, 0), 0), 0))
    stage.forget([TopicPartition(VIDEO_REDACTED.name, 0)])
    assert not [emission for emission in stage.join(5) if emission.records]


@pytest.mark.models
def test_on_the_memory_bus_a_leak_raises_the_metric_and_one_event() -> None:
    settings = AuditorSettings(every_s=0.5)
    eyes: Eyes = load_eyes(("face", "plate"), settings.least, 30)
    pictures = list(masked_pictures([Leak("face", range(30, 90))]))[:100]
    bus = MemoryBus(groups={VIDEO_REDACTED: ("auditor",), AUDIT: ("reader",)})
    producer, reader = bus.producer(), bus.consumer("reader", (AUDIT,))
    stop = threading.Event()
    runner = Runner(AuditorStage(settings, eyes), bus, RunnerSettings(drain_s=30))
    loop = threading.Thread(target=runner.run, args=(stop,))
    before = count("veil_auditor_suspects_total", camera="gate", kind="face")
    loop.start()
    try:
        for unit in redacted_units(pictures):
            producer.publish(record(unit))
            # A camera's pace, and time for each look: none of those due is left out.
            time.sleep(0.15)
        until = time.monotonic() + 30
        while not (messages := reader.poll(0.1, 10)) and time.monotonic() < until:
            pass
    finally:
        stop.set()
        loop.join()
    messages = [*messages, *reader.poll(0.1, 10)]
    (event,) = [pb.AuditEvent.FromString(message.record.value) for message in messages]
    assert event.details["kind"] == "face"
    assert count("veil_auditor_suspects_total", camera="gate", kind="face") == before + 1
