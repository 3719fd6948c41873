"""Disclosure's component: opens originals for requests, reached by the console alone, with what it makes on a disk."""

from pathlib import Path
from typing import TypeVar

import pytest
import yaml
from pydantic_settings import BaseSettings

from services.accounts.settings import AccountSettings
from services.bus.kafka_table import kafka_acls
from services.bus.topics import AUDIT
from services.console.settings import ConsoleSettings
from services.disclosure.opening import policies_in
from services.disclosure.rest.settings import ApiSettings
from services.disclosure.settings import DisclosureSettings
from services.policy.site import load_site
from services.vault.settings import VaultSettings
from tests.k8s.test_agreement import acls_of
from tests.support.manifests import K8S, Object, built, combined, containers_of, environment_of, of_kind, pod_of, stages

OBJECTS = combined(("strimzi", "disruption", "network", "monitoring", "vault", "console", "disclosure"))
GIVEN = environment_of(stages(OBJECTS)["disclosure"], OBJECTS)

_Settings = TypeVar("_Settings", bound=BaseSettings)


def pod(name: str = "disclosure") -> Object:
    spec: Object = pod_of(stages(OBJECTS)[name])["spec"]
    return spec


def mounted(folder: Path, name: str = "disclosure") -> Object:
    """The volume that is mounted at a folder of its container."""
    (container,) = containers_of(stages(OBJECTS)[name])
    (volume,) = [each["name"] for each in container["volumeMounts"] if each["mountPath"] == str(folder)]
    (found,) = [each for each in pod(name)["volumes"] if each["name"] == volume]
    return dict(found)


def settings_of(kind: type[_Settings], given: dict[str, str] = GIVEN) -> _Settings:
    """The settings as the pod would read them."""
    fields = {f"{kind.model_config['env_prefix']}{name.upper()}": name for name in kind.model_fields}
    return kind(**{fields[key]: value for key, value in given.items() if key in fields})


def test_it_is_closed_in_as_every_stage_is() -> None:
    # Kustomize reads no file of another folder: what every stage has stands here once more.
    mine, every = (
        yaml.safe_load((K8S / file).read_text())["spec"]["template"]
        for file in ("components/disclosure/stage.yaml", "base/stage-deployment.yaml")
    )
    assert mine == every


def test_it_can_not_be_chosen_without_the_console_whose_page_it_answers() -> None:
    with pytest.raises(AssertionError, match="console-settings"):
        combined(("vault", "disclosure"))


def test_the_console_finds_it_and_believes_its_certificate() -> None:
    api = settings_of(ApiSettings)
    assert api.secure
    assert not api.behind_tls
    assert api.certificate is not None
    assert api.certificate_key is not None
    files = {item["path"] for item in mounted(api.certificate.parent)["secret"]["items"]}
    assert files == {api.certificate.name, api.certificate_key.name}
    (container,) = containers_of(stages(OBJECTS)["disclosure"])
    (port,) = [port for port in container["ports"] if port["name"] == "https"]
    assert port["containerPort"] == api.port == ApiSettings.model_fields["port"].default
    (service,) = [each for name, each in of_kind(OBJECTS, "Service").items() if name == "disclosure"]
    assert [(each["port"], each["targetPort"]) for each in service["spec"]["ports"]] == [(443, "https")]
    console = settings_of(ConsoleSettings, environment_of(stages(OBJECTS)["console"], OBJECTS))
    assert console.disclosure_url == "https://disclosure"
    assert console.disclosure_ca_file is not None
    # Of disclosure's Secret the console has what it trusts, and not the key.
    trusted = mounted(console.disclosure_ca_file.parent, "console")["secret"]
    assert trusted["secretName"] == mounted(api.certificate.parent)["secret"]["secretName"]
    assert [item["path"] for item in trusted["items"]] == [console.disclosure_ca_file.name]
    for name, side in (("disclosure", "ingress"), ("disclosure-clients", "egress")):
        (rule,) = of_kind(OBJECTS, "NetworkPolicy")[name]["spec"][side]
        assert [each["port"] for each in rule["ports"]] == [api.port]


def test_passwords_and_policies_are_files_that_are_mounted() -> None:
    settings = settings_of(DisclosureSettings)
    assert settings.database.startswith("postgresql://")
    for file in (
        settings.database_password_file,
        settings_of(AccountSettings).database_password_file,
        settings_of(VaultSettings).index_password_file,
    ):
        assert file is not None
        assert file.name in {item["path"] for item in mounted(file.parent)["secret"]["items"]}
    assert settings.policies is not None
    assert mounted(settings.policies)["configMap"]["name"].startswith("disclosure-policies")
    # As many as the node has cores would be more than the pod has memory for.
    assert settings.workers > 0


def test_what_it_makes_is_private_on_an_encrypted_disk_of_its_own() -> None:
    settings = settings_of(DisclosureSettings)
    (name,) = {
        mounted(folder.parent)["persistentVolumeClaim"]["claimName"] for folder in (settings.folder, settings.keys)
    }
    claim = of_kind(OBJECTS, "PersistentVolumeClaim")[name]["spec"]
    assert (claim["storageClassName"], claim["accessModes"]) == ("encrypted", ["ReadWriteOnce"])
    # One that holds the volume ends before the next begins.
    workload = stages(OBJECTS)["disclosure"]["spec"]
    assert (workload["replicas"], workload["strategy"]) == (1, {"type": "Recreate"})
    # Signing keys that the group may read are refused, and a start would let it.
    assert pod()["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"


def test_i4_it_has_keys_and_its_own_passwords_and_no_camera() -> None:
    secrets = {each["secret"]["secretName"] for each in pod()["volumes"] if "secret" in each}
    shared = {"keys", "veil-cluster-ca-cert", "console-store", "vault-store"}
    assert secrets == shared | {"disclosure", "disclosure-tls", "disclosure-store"}
    (container,) = containers_of(stages(OBJECTS)["disclosure"])
    credentials = [each["valueFrom"]["secretKeyRef"] for each in container["env"] if each["name"].startswith("AWS_")]
    # Not the vault's, which may write and remove.
    assert {each["name"] for each in credentials} == {"disclosure-store"}
    acls = acls_of(of_kind(OBJECTS, "KafkaUser")["disclosure"])
    assert acls == {acl for acl in kafka_acls() if acl.principal == "User:disclosure"}
    assert {(acl.name, acl.operation) for acl in acls} == {(AUDIT.name, "WRITE"), (AUDIT.name, "DESCRIBE")}


def test_footage_that_the_overlay_keeps_can_be_shown_under_its_policy(tmp_path: Path) -> None:
    objects = built("originals")
    maps = {name.rpartition("-")[0]: each["data"] for name, each in of_kind(objects, "ConfigMap").items()}
    (tmp_path / "policies").mkdir()
    for name, text in maps["disclosure-policies"].items():
        (tmp_path / "policies" / name).write_text(text)
    site = tmp_path / "site.yaml"
    site.write_text(maps["site"]["site.yaml"].replace("/run/secrets/cameras/password", str(K8S.parent / "LICENSE")))
    kept = {policy.fingerprint for policy in load_site(site).policies.values() if policy.originals == "keep"}
    assert kept
    assert kept <= set(policies_in(tmp_path / "policies"))
