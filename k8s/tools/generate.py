"""Writes the manifests that follow from the code: topics, users, rules. `python -m k8s.tools.generate [--check]`."""

import argparse
import sys
from collections.abc import Iterable, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

import yaml

from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import Acl, KafkaTopic, kafka_acls, kafka_topics, principals
from services.bus.topics import TOPICS

ROOT = Path(__file__).resolve().parents[2]
_COMPONENTS = ROOT / "k8s" / "components"
_RULES = ROOT / "deploy" / "prometheus" / "rules.yaml"

_CLUSTER = "veil"
_PATTERNS = {"LITERAL": "literal", "PREFIXED": "prefix"}
_HEAD = "# Made by `python -m k8s.tools.generate` from {source}: change that instead.\n"


def manifests() -> dict[Path, str]:
    """File → what it should hold."""
    table = "services/bus/kafka_table.py"
    # Overlays set partitions and copies; these are what most of them have.
    topics = kafka_topics(KafkaSettings(partitions=64, replication=3))
    users = {name: [acl for acl in sorted(kafka_acls()) if acl.principal == f"User:{name}"] for name in principals()}
    made = {
        _COMPONENTS / "strimzi" / "topics.yaml": _file(table, map(_topic, topics)),
        _COMPONENTS / "strimzi" / "users.yaml": _file(table, (_user(name, acls) for name, acls in users.items())),
    }
    if _RULES.exists():
        rules = yaml.safe_load(_RULES.read_text(encoding="utf-8"))
        made[_COMPONENTS / "monitoring" / "rules.yaml"] = _file("deploy/prometheus/rules.yaml", [_rules(rules)])
    return made


def _topic(topic: KafkaTopic) -> dict[str, Any]:
    # Dead letters have one partition, however many the others have.
    keyed = {"veil.io/keyed-by": "camera"} if topic.name in {each.name for each in TOPICS} else {}
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaTopic",
        "metadata": {"name": topic.name, "labels": {"strimzi.io/cluster": _CLUSTER, **keyed}},
        "spec": {"partitions": topic.partitions, "replicas": topic.replication, "config": topic.configs},
    }


def _user(name: str, acls: Iterable[Acl]) -> dict[str, Any]:
    return {
        "apiVersion": "kafka.strimzi.io/v1",
        "kind": "KafkaUser",
        "metadata": {"name": name, "labels": {"strimzi.io/cluster": _CLUSTER}},
        "spec": {
            "authentication": {"type": "scram-sha-512"},
            "authorization": {
                "type": "simple",
                "acls": [_rule(list(same)) for _, same in groupby(acls, key=_place)],
            },
        },
    }


def _place(acl: Acl) -> tuple[str, ...]:
    return acl.resource, acl.name, acl.pattern, acl.permission, acl.host


def _rule(same: list[Acl]) -> dict[str, Any]:
    """One rule of Strimzi: everything that is allowed on one resource."""
    one = same[0]
    return {
        "type": one.permission.lower(),
        "resource": {"type": one.resource.lower(), "name": one.name, "patternType": _PATTERNS[one.pattern]},
        "operations": sorted(acl.operation.title() for acl in same),
        "host": one.host,
    }


def _rules(rules: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "veil"},
        "spec": {"groups": rules["groups"]},
    }


def _file(source: str, objects: Iterable[Mapping[str, Any]]) -> str:
    dumped = (yaml.safe_dump(each, sort_keys=False, allow_unicode=True, width=120) for each in objects)
    return _HEAD.format(source=source) + "---\n".join(dumped)


def main() -> int:
    """Writes the files, or says which differ; the exit status is then 1."""
    parser = argparse.ArgumentParser(prog="python -m k8s.tools.generate", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="change nothing, and fail where a file is not as it should be"
    )
    check = parser.parse_args().check
    stale = [path for path, text in manifests().items() if not path.exists() or path.read_text("utf-8") != text]
    for path in stale:
        if not check:
            path.write_text(manifests()[path], encoding="utf-8")
        sys.stdout.write(f"{path.relative_to(ROOT)} {'is not what the code says' if check else 'written'}\n")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
