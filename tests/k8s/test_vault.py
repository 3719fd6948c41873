"""The vault's component: its own user and keys, its index and store, and nothing else that it could reach."""

import yaml

from services.bus.kafka_table import kafka_acls
from services.cli.service import stages_of
from services.envelope.settings import KeySettings
from services.runtime.settings import RunnerSettings
from services.vault.database import index_url
from services.vault.settings import VaultSettings
from tests.k8s.test_agreement import acls_of
from tests.support.manifests import K8S, Object, combined, containers_of, environment_of, of_kind, pod_of, stages

OBJECTS = combined(("strimzi", "disruption", "network", "monitoring", "vault"))


def vault() -> Object:
    return stages(OBJECTS)["vault"]


def test_its_settings_are_settings() -> None:
    given = environment_of(vault(), OBJECTS)
    fields = {f"VEIL_VAULT_{name.upper()}": name for name in VaultSettings.model_fields}
    mine = {fields[key]: value for key, value in given.items() if key.startswith("VEIL_VAULT_")}
    settings = VaultSettings(**mine)
    assert index_url(settings.model_copy(update={"index_password_file": None})).drivername == "postgresql+psycopg"
    assert given["VEIL_KEYS_FOLDER"]
    assert KeySettings(folder=given["VEIL_KEYS_FOLDER"])
    # Its name as a writer is the pod's, which a StatefulSet gives again after a restart.
    (container,) = containers_of(vault())
    (writer,) = (each["valueFrom"] for each in container["env"] if each["name"] == "VEIL_VAULT_WRITER")
    assert writer == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert vault()["kind"] == "StatefulSet"


def test_it_is_closed_in_as_every_stage_is() -> None:
    # Kustomize reads no file of another folder: what every stage has stands here once more.
    mine, every = (
        yaml.safe_load((K8S / file).read_text())["spec"]["template"]
        for file in ("components/vault/stage.yaml", "base/stage-deployment.yaml")
    )
    assert mine == every
    spec = pod_of(vault())["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["automountServiceAccountToken"] is False
    (container,) = containers_of(vault())
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert stages_of(container["args"][1]) == ("vault",)
    assert spec["terminationGracePeriodSeconds"] > RunnerSettings.model_fields["drain_s"].default
    for volume in spec["volumes"]:
        assert {*volume} - {"name"} <= {"secret", "configMap", "emptyDir"}
        assert volume.get("emptyDir", {"medium": "Memory"})["medium"] == "Memory"


def test_i4_it_has_keys_and_its_own_password_and_no_camera() -> None:
    secrets = {each["secret"]["secretName"] for each in pod_of(vault())["spec"]["volumes"] if "secret" in each}
    assert secrets == {"keys", "vault", "vault-store", "veil-cluster-ca-cert"}
    user = of_kind(OBJECTS, "KafkaUser")["vault"]
    assert acls_of(user) == {acl for acl in kafka_acls() if acl.principal == "User:vault"}
    reads = {acl.name for acl in acls_of(user) if (acl.resource, acl.operation) == ("TOPIC", "READ")}
    assert reads == {"video.source", "redactions"}


def test_i4_it_reaches_brokers_its_index_and_its_store_and_nobody_else_does() -> None:
    labels = pod_of(vault())["metadata"]["labels"]
    policies = of_kind(OBJECTS, "NetworkPolicy")
    chosen = {
        name
        for name, each in policies.items()
        if all(labels.get(key) == value for key, value in each["spec"]["podSelector"].get("matchLabels", {}).items())
    }
    assert chosen == {"nothing", "dns", "kafka", "metrics", "vault"}
    for name, stage in stages(OBJECTS).items():
        assert ("veil.io/originals" in pod_of(stage)["metadata"]["labels"]) == (name == "vault")
    ports = [port["port"] for rule in policies["vault"]["spec"]["egress"] for port in rule["ports"]]
    assert ports == [5432, 443]
