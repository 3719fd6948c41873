"""`veil topics`: what it says of a plan, and of a broker that isn't there."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from services.bus.kafka_admin import AdminError, Plan
from services.bus.kafka_client import BusUnreachable
from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import Acl, as_plain_data, kafka_topics
from services.cli import app
from services.embedded.errors import ExitCode

SETTINGS = KafkaSettings()
PLAN = Plan(
    create=kafka_topics(SETTINGS)[:2],
    configs={"detections": {"retention.ms": "21600000"}},
    add=(Acl("User:tracker", "GROUP", "tracker", "READ"),),
    remove=(Acl("User:mallory", "TOPIC", "video.", "READ", "PREFIXED"),),
)


class Broker:
    """Stands in for the administrator's connection."""

    def __init__(self, plan: Plan) -> None:
        self.found = plan
        self.applied: list[Plan] = []

    def __call__(self, settings: KafkaSettings) -> "Broker":
        return self

    def __enter__(self) -> "Broker":
        return self

    def __exit__(self, *_: object) -> None: ...

    def plan(self) -> Plan:
        return self.found

    def apply(self, plan: Plan) -> None:
        if plan.problems:
            raise AdminError(" ".join(plan.problems))
        self.applied.append(plan)


def run(monkeypatch: pytest.MonkeyPatch, broker: Broker, *arguments: str) -> tuple[int, str, str]:
    monkeypatch.setattr("services.bus.kafka_admin.KafkaAdmin", broker)
    monkeypatch.setattr("services.cli.console.out.width", 160, raising=False)
    result = CliRunner().invoke(app, ["topics", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_what_differs_is_shown_and_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(PLAN)
    code, said, _ = run(monkeypatch, broker)
    assert code == ExitCode.OK
    assert not broker.applied
    assert said.count("missing") == 2
    assert "retention.ms should be 21600000" in " ".join(said.split())
    assert "+ allow User:tracker group tracker: READ" in said
    assert "- allow User:mallory topic video.…: READ" in said
    assert "--apply does it" in said


def test_apply_makes_exactly_the_changes_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Broker(PLAN)
    code, said, _ = run(monkeypatch, broker, "--apply")
    assert code == ExitCode.OK
    assert broker.applied == [PLAN]
    assert "Done" in said


def test_json_holds_the_table_and_the_differences(monkeypatch: pytest.MonkeyPatch) -> None:
    _, said, _ = run(monkeypatch, Broker(PLAN), "--json")
    data: dict[str, Any] = json.loads(said)
    assert data["table"] == as_plain_data(SETTINGS)
    assert data["plan"]["remove"][0]["principal"] == "User:mallory"


def test_what_cannot_be_changed_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, said = run(monkeypatch, Broker(Plan(problems=("Topics are joined badly.",))), "--apply")
    assert code == ExitCode.USAGE
    assert "Topics are joined badly." in said


def test_a_broker_out_of_reach_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent(Broker):
        def __call__(self, settings: KafkaSettings) -> Broker:
            raise BusUnreachable(f"Kafka at {settings.bootstrap} can't be used: no answer")

    code, _, said = run(monkeypatch, Absent(PLAN))
    assert code == ExitCode.INPUT
    assert "Kafka at 127.0.0.1:9092 can't be used: no answer" in said
