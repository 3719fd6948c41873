"""What every pod may do, and how it is started, asked how it is, and stopped."""

import pytest

from services.bus.kafka_settings import KafkaSettings
from services.cli.service import SERVERS, stages_of
from services.runtime.service import ServiceSettings
from services.runtime.settings import RunnerSettings
from tests.support.manifests import (
    COMPONENTS,
    OVERLAYS,
    Object,
    built,
    combined,
    containers_of,
    environment_of,
    of_kind,
    pod_of,
    stages,
    user_of,
    workloads,
)

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)
_SETTLING_S = 5
_PIXELS = {"decoder", "inference", "renderer", "renderer-encoder", "vault", "disclosure"}


def secrets_of(workload: Object) -> set[str]:
    volumes = pod_of(workload)["spec"]["volumes"]
    return {each["secret"]["secretName"] for each in volumes if "secret" in each}


@each_overlay
def test_no_pod_can_do_more_than_it_must(overlay: str) -> None:
    objects = built(overlay)
    accounts = of_kind(objects, "ServiceAccount")
    for name, workload in workloads(objects).items():
        spec = pod_of(workload)["spec"]
        assert spec["serviceAccountName"] == name
        assert accounts[name]["automountServiceAccountToken"] is False
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] > 0
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(spec)
        for container in containers_of(workload):
            context = container["securityContext"]
            assert context["readOnlyRootFilesystem"] is True
            assert context["allowPrivilegeEscalation"] is False
            assert context["capabilities"] == {"drop": ["ALL"]}
            assert "memory" in container["resources"]["limits"]
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])
            assert container["image"].rpartition(":")[2] not in {"", "latest"}


@each_overlay
def test_the_namespace_takes_the_pods_that_strimzi_makes(overlay: str) -> None:
    objects = built(overlay)
    templates = [each["spec"]["template"] for each in of_kind(objects, "KafkaNodePool").values()]
    templates += [each["spec"]["entityOperator"]["template"] for each in of_kind(objects, "Kafka").values()]
    for template in templates:
        containers = {name: each for name, each in template.items() if name.endswith("Container")}
        assert len(containers) == 2
        assert template["pod"]["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        for each in containers.values():
            assert each["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


@each_overlay
def test_pods_of_a_workload_are_spread_over_nodes(overlay: str) -> None:
    for workload in workloads(built(overlay)).values():
        labels = pod_of(workload)["metadata"]["labels"]
        (spread,) = (
            each
            for each in pod_of(workload)["spec"]["topologySpreadConstraints"]
            if each["topologyKey"] == "kubernetes.io/hostname"
        )
        # A selector that its own pods don't meet spreads nothing.
        assert spread["labelSelector"]["matchLabels"].items() <= labels.items()
        assert "app.kubernetes.io/name" in {*spread["labelSelector"]["matchLabels"], *spread.get("matchLabelKeys", ())}


@each_overlay
def test_i3_what_a_pod_writes_stays_in_memory(overlay: str) -> None:
    for name, workload in workloads(built(overlay)).items():
        for volume in pod_of(workload)["spec"]["volumes"]:
            kind = next(key for key in volume if key != "name")
            # What is to be handed over outlasts the pod, on an encrypted disk: test_disclosure.py.
            kept = {"persistentVolumeClaim"} if name == "disclosure" else set()
            assert kind in {"secret", "configMap", "emptyDir"} | kept
            # Models are no pictures.
            if kind == "emptyDir" and (name, volume["name"]) != ("triton", "models"):
                assert volume["emptyDir"]["medium"] == "Memory"
                assert volume["emptyDir"]["sizeLimit"]


@each_overlay
def test_i4_only_who_touches_source_pixels_has_keys_and_only_the_decoder_knows_cameras(overlay: str) -> None:
    for name, workload in stages(built(overlay)).items():
        secrets = secrets_of(workload)
        assert ("keys" in secrets) == (name in _PIXELS)
        assert ("cameras" in secrets) == (name == "decoder")


@each_overlay
def test_each_stage_is_started_as_the_command_wants_it(overlay: str) -> None:
    objects = built(overlay)
    for name, workload in stages(objects).items():
        (container,) = containers_of(workload)
        assert container["command"] == ["veil"]
        verb, service = container["args"]
        assert verb == "service"
        assert service in SERVERS or "-".join(stages_of(service)) == name
        assert service == name or "+" in service
        # Kafka knows its user, whose password is the only one of a broker's that the pod has.
        user = user_of(name)
        assert environment_of(workload, objects)["VEIL_KAFKA_USERNAME"] == user
        assert user in secrets_of(workload)
        assert not (set(of_kind(objects, "KafkaUser")) - {user}) & secrets_of(workload)


@each_overlay
def test_probes_ask_where_the_service_answers(overlay: str) -> None:
    objects = built(overlay)
    for workload in stages(objects).values():
        (container,) = containers_of(workload)
        settings = environment_of(workload, objects)
        port = container["ports"][0]
        assert port == {"name": "health", "containerPort": int(settings["VEIL_SERVICE_HEALTH_PORT"]), "protocol": "TCP"}
        assert port["containerPort"] == ServiceSettings.model_fields["health_port"].default
        assert settings["VEIL_SERVICE_HEALTH_HOST"] == "0.0.0.0"
        paths = {"startupProbe": "/live", "livenessProbe": "/live", "readinessProbe": "/ready"}
        for probe, path in paths.items():
            assert container[probe]["httpGet"] == {"path": path, "port": "health"}


@each_overlay
def test_i6_a_pod_has_time_to_finish_what_is_in_hand(overlay: str) -> None:
    """Draining, then the last commit and leaving the group, each of which is one request that may take its longest."""
    objects = built(overlay)
    for workload in stages(objects).values():
        settings = environment_of(workload, objects)
        drain_s = float(settings.get("VEIL_RUNNER_DRAIN_S", RunnerSettings.model_fields["drain_s"].default))
        request_s = KafkaSettings.model_fields["request_timeout_s"].default
        assert pod_of(workload)["spec"]["terminationGracePeriodSeconds"] >= drain_s + 2 * request_s + _SETTLING_S


@each_overlay
def test_every_volume_mounted_and_every_map_named_is_there(overlay: str) -> None:
    objects = built(overlay)
    maps = of_kind(objects, "ConfigMap")
    for workload in workloads(objects).values():
        volumes = {each["name"]: each for each in pod_of(workload)["spec"]["volumes"]}
        for container in containers_of(workload):
            assert {mount["name"] for mount in container["volumeMounts"]} <= set(volumes)
        for volume in volumes.values():
            assert volume.get("configMap", {}).get("name") in {None, *maps}


@each_overlay
def test_every_stage_can_have_any_number_of_pods_up_to_one_less_than_there_are_partitions(overlay: str) -> None:
    """A pod has no number of its own, decoders neither; the one that an update starts first gets partitions too.

    But for the vault: what one has left half written, that very one clears away. Disclosure has one pod.
    """
    objects = built(overlay)
    for name, workload in stages(objects).items():
        assert workload["kind"] == ("StatefulSet" if name == "vault" else "Deployment")
        if name not in ("vault", "disclosure"):
            assert workload["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        settings = environment_of(workload, objects)
        assert workload["spec"].get("replicas", 1) < int(settings["VEIL_KAFKA_PARTITIONS"]), name


@each_overlay
def test_the_lease_of_a_decoder_is_as_short_as_brokers_allow(overlay: str) -> None:
    settings = environment_of(stages(built(overlay))["decoder"], built(overlay))
    least = next(each.ge for each in KafkaSettings.model_fields["session_timeout_s"].metadata if hasattr(each, "ge"))
    assert float(settings["VEIL_KAFKA_SESSION_TIMEOUT_S"]) == least


def test_originals_adds_vault_console_and_disclosure_to_production_and_nothing_else() -> None:
    production, originals = (workloads(built(overlay)) for overlay in ("production", "originals"))
    added = {"vault", "console", "insight", "disclosure"}
    assert set(originals) - set(production) == added
    settings = {name: environment_of(originals[name], built("originals")) for name in added}
    assert settings["vault"]["VEIL_VAULT_STORE"].startswith("s3://")
    # Nobody's addresses are a component's only.
    databases = {
        settings["vault"]["VEIL_VAULT_INDEX"],
        settings["console"]["VEIL_ACCOUNTS_DATABASE"],
        settings["insight"]["VEIL_INSIGHT_DATABASE"],
        settings["disclosure"]["VEIL_DISCLOSURE_DATABASE"],
    }
    assert len(databases) == 4
    assert all("postgres.site.internal" in each for each in databases)
    # Who works on requests has an account of the console's, and opens what the vault keeps.
    for name, other, prefix in (
        ("console", "insight", "VEIL_INSIGHT_"),
        ("disclosure", "console", "VEIL_ACCOUNTS_"),
        ("disclosure", "vault", "VEIL_VAULT_"),
    ):
        mine, others = (
            {key: value for key, value in settings[each].items() if key.startswith(prefix)} for each in (name, other)
        )
        mine.pop("VEIL_VAULT_WRITER", None)
        assert mine
        assert mine == others
    (site,) = (
        each["data"]["site.yaml"] for name, each in of_kind(built("originals"), "ConfigMap").items() if "site" in name
    )
    assert "originals: keep" in site


def test_stages_are_spread_over_zones_and_a_gpu_is_taken_where_there_is_one() -> None:
    for objects in (built("city"), combined(COMPONENTS)):
        for name, workload in workloads(objects).items():
            (constraint,) = (
                each
                for each in pod_of(workload)["spec"]["topologySpreadConstraints"]
                if each["topologyKey"] == "topology.kubernetes.io/zone"
            )
            assert constraint["whenUnsatisfiable"] == ("ScheduleAnyway" if name == "triton" else "DoNotSchedule")
            named = [each["name"] for each in pod_of(workload)["spec"]["containers"][0].get("env", [])]
            assert ("VEIL_KAFKA_RACK" in named) == (name != "triton")


def test_city_runs_renderer_and_encoder_in_one_process() -> None:
    assert set(stages(built("city"))) == {"decoder", "inference", "tracker", "renderer-encoder", "auditor"}
    assert "encoder" not in " ".join(of_kind(built("production"), "ConfigMap"))
    assert not {"renderer", "encoder"} & {
        each["metadata"]["name"] for each in built("city") if "kafka" not in each["apiVersion"]
    }
