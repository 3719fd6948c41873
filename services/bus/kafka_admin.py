"""Brings a broker's topics and access rules in line with the table: `plan` says what differs, `apply` changes it."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    ACLResourcePatternType,
    ConfigResource,
    ConfigResourceType,
    KafkaAdminClient,
    ResourcePattern,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.errors import KafkaError

from services.bus.kafka_client import check_broker, client_options, prepare_process
from services.bus.kafka_settings import KafkaSettings
from services.bus.kafka_table import Acl, KafkaTopic, kafka_acls, kafka_topics, principals

_LOOK_S = 0.2


class AdminError(RuntimeError):
    """The broker refused a request or left it unanswered; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a broker has of the wanted topics, and all its access rules."""

    topics: Mapping[str, KafkaTopic]
    acls: frozenset[Acl]


@dataclass(frozen=True, slots=True)
class Plan:
    """What has to change.

    Attributes:
        create: topics that are missing.
        configs: name of a topic → its settings that differ, with the values they should have.
        add: access rules that are missing.
        remove: access rules that are too many.
        problems: what can't be changed here, a sentence each: with one of these nothing is applied.
    """

    create: tuple[KafkaTopic, ...] = ()
    configs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    add: tuple[Acl, ...] = ()
    remove: tuple[Acl, ...] = ()
    problems: tuple[str, ...] = ()

    @property
    def empty(self) -> bool:
        """True where the broker is as it should be."""
        return not (self.create or self.configs or self.add or self.remove or self.problems)

    def as_plain_data(self) -> dict[str, Any]:
        """The same as dicts and lists."""
        return asdict(self)


def difference(topics: Collection[KafkaTopic], acls: frozenset[Acl], found: Found) -> Plan:
    """What turns `found` into these topics and access rules."""
    there = [(topic, found.topics[topic.name]) for topic in topics if topic.name in found.topics]
    changes = {wanted.name: _changed(wanted.configs, actual.configs) for wanted, actual in there}
    ours = {topic.name for topic in topics}
    return Plan(
        create=tuple(topic for topic in topics if topic.name not in found.topics),
        configs={name: change for name, change in changes.items() if change},
        add=tuple(sorted(acls - found.acls)),
        remove=tuple(sorted(acl for acl in found.acls - acls if _concerns_us(acl, ours))),
        problems=tuple(_problems(there)),
    )


class KafkaAdmin:
    """Looks at a broker, and changes it, as its administrator. Every request ends within `settings.request_timeout_s`.

    Raises BusUnreachable where there is no broker, or it refuses the credentials, and AdminError where it refuses a
    request.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        prepare_process()
        check_broker(settings)
        with _one_sentence(f"Kafka at {settings.bootstrap} could not be reached"):
            self._client = KafkaAdminClient(**client_options(settings))

    def plan(self) -> Plan:
        """What differs from the table; without users there are no access rules to compare."""
        secured = self._settings.username is not None
        with _one_sentence("topics and access rules could not be read"):
            found = Found(self._topics(), self._acls() if secured else frozenset())
        return difference(kafka_topics(self._settings), kafka_acls() if secured else frozenset(), found)

    def apply(self, plan: Plan) -> None:
        """Makes the changes and waits until the broker shows them; access that is too much is taken away first.

        Never deletes a topic, never moves a camera. Raises AdminError where the plan has problems: then nothing was
        changed.
        """
        if plan.problems:
            raise AdminError(" ".join(plan.problems))
        with _one_sentence("access rules could not be removed"):
            self._remove(plan.remove)
        with _one_sentence("topics could not be made"):
            self._create(plan.create)
        with _one_sentence("topic settings could not be changed"):
            self._configure(plan.configs)
        with _one_sentence("access rules could not be added"):
            self._add(plan.add)
        # The controller answers before the brokers know.
        deadline = time.monotonic() + self._settings.delivery_timeout_s
        while not self.plan().empty:
            if time.monotonic() > deadline:
                raise AdminError("the broker took the changes but does not show them yet: look again with veil topics")
            time.sleep(_LOOK_S)

    def close(self) -> None:
        """Closes the connection."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _topics(self) -> dict[str, KafkaTopic]:
        wanted = {topic.name: topic for topic in kafka_topics(self._settings)}
        described = [
            topic for topic in self._client.describe_topics() if topic["name"] in wanted and not topic["error_code"]
        ]
        configs = self._configs([topic["name"] for topic in described])
        return {
            topic["name"]: KafkaTopic(
                topic["name"],
                len(topic["partitions"]),
                min(len(partition["replica_nodes"]) for partition in topic["partitions"]),
                wanted[topic["name"]].joined,
                configs[topic["name"]],
            )
            for topic in described
        }

    def _configs(self, names: Collection[str]) -> dict[str, dict[str, str]]:
        if not names:
            return {}
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        answer = self._client.describe_configs(resources, config_filter="all")
        return {
            name: {key: entry["value"] for key, entry in configs.items()} for name, configs in answer["topic"].items()
        }

    def _acls(self) -> frozenset[Acl]:
        everything = ResourcePatternFilter(ResourceType.ANY, None, ACLResourcePatternType.ANY)
        acls, _ = self._client.describe_acls(ACLFilter(None, None, ACLOperation.ANY, ACLPermissionType.ANY, everything))
        return frozenset(_from_kafka(acl) for acl in acls)

    def _create(self, topics: Collection[KafkaTopic]) -> None:
        if topics:
            self._client.create_topics(
                {
                    topic.name: {
                        "num_partitions": topic.partitions,
                        "replication_factor": topic.replication,
                        "configs": topic.configs,
                    }
                    for topic in topics
                },
                wait_for_metadata=True,
            )

    def _configure(self, configs: Mapping[str, Mapping[str, str]]) -> None:
        if not configs:
            return
        resources = [ConfigResource(ConfigResourceType.TOPIC, name, dict(change)) for name, change in configs.items()]
        answer = self._client.alter_configs(resources)
        refused = {name: result for name, result in answer["topic"].items() if result != "OK"}
        if refused:
            raise AdminError(f"topic settings were refused: {refused}")

    def _add(self, acls: Collection[Acl]) -> None:
        if acls:
            failed = self._client.create_acls([_to_kafka(acl) for acl in acls])["failed"]
            if failed:
                raise AdminError(f"{len(failed)} access rules were refused: {failed[0].__name__}")

    def _remove(self, acls: Collection[Acl]) -> None:
        if acls:
            results = self._client.delete_acls([_to_kafka(acl) for acl in acls])
            failed = [error for _, removed, error in results if not removed]
            if failed:
                raise AdminError(f"{len(failed)} access rules could not be removed: {failed[0].__name__}")


@contextmanager
def _one_sentence(what: str) -> Iterator[None]:
    try:
        yield
    except KafkaError as error:
        raise AdminError(f"{what}: {error}") from error


def _changed(wanted: Mapping[str, str], actual: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in wanted.items() if actual.get(key) != value}


def _problems(there: Sequence[tuple[KafkaTopic, KafkaTopic]]) -> Iterator[str]:
    joined = {f"{have.name} {have.partitions}": have.partitions for want, have in there if want.joined}
    if len({*joined.values()}) > 1:
        yield (
            "Topics that are joined have different numbers of partitions, so frames would miss their masks: "
            f"{', '.join(joined)}. Make them anew."
        )
    if many := [f"{have.name} {have.partitions}" for want, have in there if have.partitions != want.partitions]:
        yield (
            f"Partitions are another number than VEIL_KAFKA_PARTITIONS asks for: {', '.join(many)}. Set it to what is "
            "there, or make the topics anew: cameras would change partitions with frames on their way."
        )
    copies = [
        f"{actual.name} {actual.replication}" for wanted, actual in there if actual.replication != wanted.replication
    ]
    if copies:
        yield (
            f"Copies are another number than VEIL_KAFKA_REPLICATION asks for: {', '.join(copies)}. Set it to what is "
            "there, or reassign the partitions."
        )


def _concerns_us(acl: Acl, topics: Collection[str]) -> bool:
    """True for rules on our topics, groups and users; what other users of the cluster may do elsewhere is theirs."""
    if acl.principal in {"User:*", *(f"User:{name}" for name in principals())}:
        return True
    names = {"TOPIC": topics, "GROUP": principals()}.get(acl.resource, ())
    if acl.pattern == "PREFIXED":
        return any(name.startswith(acl.name) for name in names)
    return acl.name in names or (acl.name == "*" and bool(names))


def _from_kafka(acl: ACL) -> Acl:
    pattern = acl.resource_pattern
    return Acl(
        acl.principal,
        pattern.resource_type.name,
        pattern.resource_name,
        acl.operation.name,
        pattern.pattern_type.name,
        acl.permission_type.name,
        acl.host,
    )


def _to_kafka(acl: Acl) -> ACL:
    pattern = ResourcePattern(ResourceType[acl.resource], acl.name, ACLResourcePatternType[acl.pattern])
    return ACL(acl.principal, acl.host, ACLOperation[acl.operation], ACLPermissionType[acl.permission], pattern)
