"""The console's component: what anybody may see, for those who have an account, over TLS, with no key and no camera."""

import yaml

from services.accounts.settings import AccountSettings
from services.bus.kafka_table import kafka_acls
from services.bus.topics import METADATA_STATS, METADATA_TRACKS, TOPICS, VIDEO_REDACTED
from services.console.settings import ConsoleSettings
from services.insight.settings import InsightSettings
from tests.k8s.test_agreement import acls_of
from tests.support.manifests import K8S, combined, containers_of, environment_of, of_kind, pod_of, stages

OBJECTS = combined(("strimzi", "network", "monitoring", "console"))
PODS = {name: stages(OBJECTS)[name] for name in ("console", "insight")}


def test_they_are_closed_in_as_every_stage_is() -> None:
    # Kustomize reads no file of another folder: what every stage has stands here once more.
    mine, every = (
        yaml.safe_load((K8S / file).read_text())
        for file in ("components/console/stage.yaml", "base/stage-deployment.yaml")
    )
    assert mine == every


def test_the_console_speaks_tls_where_its_service_sends_browsers() -> None:
    given = environment_of(PODS["console"], OBJECTS)
    fields = {f"VEIL_CONSOLE_{name.upper()}": name for name in ConsoleSettings.model_fields}
    settings = ConsoleSettings(**{fields[key]: value for key, value in given.items() if key in fields})
    assert settings.secure
    assert not settings.behind_tls
    assert settings.certificate is not None
    (container,) = containers_of(PODS["console"])
    mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
    assert mounted[str(settings.certificate.parent)] == "tls"
    (port,) = [port for port in container["ports"] if port["name"] == "https"]
    assert port["containerPort"] == settings.port == ConsoleSettings.model_fields["port"].default
    (service,) = [each for name, each in of_kind(OBJECTS, "Service").items() if name == "console"]
    assert [each["targetPort"] for each in service["spec"]["ports"]] == ["https"]
    policy = of_kind(OBJECTS, "NetworkPolicy")["console"]["spec"]
    assert [each["port"] for each in policy["ingress"][0]["ports"]] == [settings.port]


def test_passwords_of_databases_are_files_that_are_mounted() -> None:
    for name, kind in (("console", AccountSettings), ("console", InsightSettings), ("insight", InsightSettings)):
        given = environment_of(PODS[name], OBJECTS)
        fields = {f"{kind.model_config['env_prefix']}{field.upper()}": field for field in kind.model_fields}
        settings = kind(**{fields[key]: value for key, value in given.items() if key in fields})
        assert settings.database.startswith("postgresql://")
        assert settings.database_password_file is not None
        (container,) = containers_of(PODS[name])
        folder = str(settings.database_password_file.parent)
        (volume,) = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == folder]
        (secret,) = [each["secret"] for each in pod_of(PODS[name])["spec"]["volumes"] if each["name"] == volume]
        assert settings.database_password_file.name in {item["path"] for item in secret["items"]}


def test_i4_they_see_what_anybody_may_see() -> None:
    for name, user in (("console", "console"), ("insight", "analytics")):
        secrets = {each["secret"]["secretName"] for each in pod_of(PODS[name])["spec"]["volumes"] if "secret" in each}
        assert not secrets & {"keys", "cameras", "vault-store"}
        assert not any(key.startswith("VEIL_KEYS") for key in environment_of(PODS[name], OBJECTS))
        acls = acls_of(of_kind(OBJECTS, "KafkaUser")[user])
        assert acls == {acl for acl in kafka_acls() if acl.principal == f"User:{user}"}
        read = {acl.name for acl in acls if (acl.resource, acl.operation) == ("TOPIC", "READ")}
        assert not read & {topic.name for topic in TOPICS if topic.sensitive}
        pictures = {VIDEO_REDACTED.name} if name == "console" else set()
        assert read == {METADATA_TRACKS.name, METADATA_STATS.name} | pictures
