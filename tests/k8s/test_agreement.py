"""Manifests and code say the same: settings, topics, access rules, users, metrics."""

import re
from functools import cache
from pathlib import Path

import pytest
from pydantic_settings import BaseSettings

from deploy import metrics_page
from k8s.tools.generate import manifests
from services.accounts.settings import AccountSettings
from services.auditor.settings import AuditorSettings
from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import Acl, kafka_acls, kafka_topics, principals
from services.console.settings import ConsoleSettings
from services.decoder.settings import DecoderSettings
from services.disclosure.rest.settings import ApiSettings
from services.disclosure.settings import DisclosureSettings
from services.encoder.settings import EncoderSettings
from services.envelope.settings import KeySettings
from services.inference.settings import InferenceSettings
from services.insight.settings import InsightSettings
from services.renderer.settings import RendererSettings
from services.runtime.service import ServiceSettings
from services.runtime.settings import RunnerSettings
from services.tracker.settings import TrackerSettings
from services.vault.settings import VaultSettings
from tests.support.manifests import K8S, OVERLAYS, Object, built, environment_of, of_kind, pod_of, stages, workloads

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)

_SETTINGS: tuple[type[BaseSettings], ...] = (
    AccountSettings,
    ApiSettings,
    AuditorSettings,
    ConsoleSettings,
    DecoderSettings,
    DisclosureSettings,
    EncoderSettings,
    InferenceSettings,
    InsightSettings,
    KafkaSettings,
    KeySettings,
    RendererSettings,
    RunnerSettings,
    ServiceSettings,
    TrackerSettings,
    VaultSettings,
)
# These are there: tests/integration/test_triton.py looks.
_TRITON = {metric.name for metric in metrics_page.TRITON}


def acls_of(user: Object) -> set[Acl]:
    """What Strimzi makes of a KafkaUser that logs in with a password."""
    return {
        Acl(
            f"User:{user['metadata']['name']}",
            rule["resource"]["type"].upper(),
            rule["resource"]["name"],
            operation.upper(),
            {"literal": "LITERAL", "prefix": "PREFIXED"}[rule["resource"]["patternType"]],
            rule["type"].upper(),
            rule["host"],
        )
        for rule in user["spec"]["authorization"]["acls"]
        for operation in rule["operations"]
    }


@cache
def exported() -> frozenset[str]:
    """Every metric that a service exports, under all names that a query may use."""
    names: set[str] = set()
    pattern = re.compile(r'\b(Counter|Gauge|Histogram)\(\s*"(\w+)"')
    for file in (K8S.parent / "services").rglob("*.py"):
        for kind, name in pattern.findall(file.read_text(encoding="utf-8")):
            suffixes = ("_bucket", "_sum", "_count") if kind == "Histogram" else ("",)
            names |= {name + suffix for suffix in suffixes}
    return frozenset(names)


def test_what_is_made_from_the_code_is_what_the_code_says() -> None:
    for path, text in manifests().items():
        assert path.read_text(encoding="utf-8") == text, f"{path} is old: python -m k8s.tools.generate"


@each_overlay
def test_every_variable_is_a_setting_and_has_a_value_it_may_have(overlay: str) -> None:
    objects = built(overlay)
    for name, stage in stages(objects).items():
        given = {key: value for key, value in environment_of(stage, objects).items() if key.startswith("VEIL_")}
        known: set[str] = set()
        for settings in _SETTINGS:
            prefix = settings.model_config["env_prefix"]
            fields = {f"{prefix}{field.upper()}": field for field in settings.model_fields}
            known |= set(fields)
            if values := {fields[key]: value for key, value in given.items() if key in fields}:
                settings(**values)
        assert set(given) <= known, name


@each_overlay
def test_topics_are_those_of_the_table(overlay: str) -> None:
    objects = built(overlay)
    settings = environment_of(stages(objects)["decoder"], objects)
    table = kafka_topics(
        KafkaSettings(
            partitions=int(settings["VEIL_KAFKA_PARTITIONS"]), replication=int(settings["VEIL_KAFKA_REPLICATION"])
        )
    )
    specs = {name: topic["spec"] for name, topic in of_kind(objects, "KafkaTopic").items()}
    wanted = {
        topic.name: {"partitions": topic.partitions, "replicas": topic.replication, "config": topic.configs}
        for topic in table
    }
    assert specs == wanted


@each_overlay
def test_i4_users_may_do_what_the_table_allows_and_nothing_else(overlay: str) -> None:
    users = of_kind(built(overlay), "KafkaUser")
    assert set(users) == set(principals())
    assert {acl for user in users.values() for acl in acls_of(user)} == kafka_acls()
    for user in users.values():
        assert user["spec"]["authentication"] == {"type": "scram-sha-512"}


@each_overlay
def test_the_brokers_take_passwords_over_tls_and_keep_the_copies_that_topics_want(overlay: str) -> None:
    objects = built(overlay)
    (kafka,) = (each["spec"]["kafka"] for each in of_kind(objects, "Kafka").values())
    (listener,) = kafka["listeners"]
    assert (listener["tls"], listener["authentication"]) == (True, {"type": "scram-sha-512"})
    assert kafka["authorization"] == {"type": "simple"}
    settings = environment_of(stages(objects)["tracker"], objects)
    assert settings["VEIL_KAFKA_BOOTSTRAP"] == f"veil-kafka-bootstrap:{listener['port']}"
    copies = int(settings["VEIL_KAFKA_REPLICATION"])
    config = kafka["config"]
    assert config["auto.create.topics.enable"] is False
    assert {config[key] for key in config if key.endswith("replication.factor")} == {copies}
    assert {config[key] for key in config if key.endswith(("min.isr", "insync.replicas"))} == {max(1, copies - 1)}
    largest = max(int(topic.configs["max.message.bytes"]) for topic in kafka_topics(KafkaSettings()))
    assert config["message.max.bytes"] == config["replica.fetch.max.bytes"] == largest
    pools = of_kind(objects, "KafkaNodePool").values()
    assert sum(pool["spec"]["replicas"] for pool in pools if "broker" in pool["spec"]["roles"]) >= copies


@each_overlay
def test_no_stage_is_scaled_beyond_its_partitions(overlay: str) -> None:
    """A member without partitions is never ready: an update that starts one more pod would wait for it for ever."""
    objects = built(overlay)
    running = stages(objects)
    for name, scaled in of_kind(objects, "ScaledObject").items():
        # KEDA has the number: applying the manifests again must not set it back.
        assert "replicas" not in workloads(objects)[name]["spec"]
        if name in running:
            partitions = int(environment_of(running[name], objects)["VEIL_KAFKA_PARTITIONS"])
            surge = running[name]["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
            assert scaled["spec"]["maxReplicaCount"] + surge <= partitions


@each_overlay
def test_scaling_asks_for_metrics_that_are_exported(overlay: str) -> None:
    objects = built(overlay)
    queries = [
        (name, trigger["metadata"]["query"])
        for name, scaled in of_kind(objects, "ScaledObject").items()
        for trigger in scaled["spec"]["triggers"]
    ]
    assert bool(queries) == (overlay != "local")
    for name, query in queries:
        assert set(re.findall(r"\b(?:veil|nv)_\w+", query)) <= exported() | _TRITON
        # The label `stage` is the name of the process.
        for pattern in re.findall(r'stage=~?"([^"]+)"', query):
            assert re.fullmatch(pattern, name)


def test_what_is_scraped_has_the_labels_that_rules_ask_for() -> None:
    objects = built("production")
    for name, monitor in of_kind(objects, "PodMonitor").items():
        ((key, value),) = monitor["spec"]["selector"]["matchLabels"].items()
        (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
        assert endpoint["path"] == "/metrics"
        assert [each["targetLabel"] for each in endpoint["relabelings"]] == ["service"]
        pods = [pod_of(each) for each in of_kind(objects, "Deployment", "StatefulSet").values()]
        chosen = [pod for pod in pods if pod["metadata"]["labels"].get(key) == value]
        assert chosen
        for pod in chosen:
            assert pod["metadata"]["labels"][monitor["spec"]["jobLabel"]] == name
            ports = [port["name"] for container in pod["spec"]["containers"] for port in container["ports"]]
            assert endpoint["port"] in ports


def test_no_address_of_a_registry_but_images(tmp_path: Path) -> None:
    for file in K8S.rglob("*.yaml"):
        for address in re.findall(r"https?://[^\s/]+", file.read_text(encoding="utf-8")):
            # Prometheus where its operator puts it, an example of a store of one's own, and what the console asks.
            assert address in {
                "http://prometheus-operated.monitoring.svc:9090",
                "https://s3.site.internal",
                "https://disclosure",
            }
