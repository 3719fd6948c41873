"""Every overlay and every combination of components builds, and every object is one that an API server takes."""

import os
from collections import Counter

import pytest
import yaml

from services.policy.site import load_site
from tests.support.manifests import COMPONENTS, K8S, OVERLAYS, built, choices, combined, of_kind, workloads
from tests.support.schemas import check, is_operators

# All 1062 take minutes: `make k8s-check`.
CHOICES = [*choices(every=bool(os.environ.get("VEIL_K8S_ALL")))]

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def test_every_component_and_overlay_is_tried() -> None:
    assert {each.name for each in (K8S / "components").iterdir()} == set(COMPONENTS)
    assert {each.name for each in (K8S / "overlays").iterdir()} == set(OVERLAYS)
    every = [*choices(every=True)]
    assert len(every) == len(set(every)) == 1062
    assert {name for chosen in CHOICES for name in chosen} == set(COMPONENTS)


@each_overlay
def test_kubernetes_own_objects_are_valid(overlay: str) -> None:
    for each in built(overlay):
        if not is_operators(each):
            check(each)


@each_overlay
def test_the_operators_objects_are_valid(overlay: str) -> None:
    for each in built(overlay):
        if is_operators(each):
            check(each)


@pytest.mark.parametrize("components", CHOICES, ids=lambda names: "+".join(names) or "base")
def test_every_combination_builds_and_is_valid(components: tuple[str, ...]) -> None:
    objects = combined(components)
    for each in objects:
        if not is_operators(each):
            check(each)
    names = Counter((each["kind"], each["metadata"]["name"]) for each in objects)
    assert max(names.values()) == 1
    # Nothing scales or guards what is not there, whatever else was chosen.
    for scaled in of_kind(objects, "ScaledObject").values():
        assert scaled["spec"]["scaleTargetRef"]["name"] in workloads(objects)
    for budget in of_kind(objects, "PodDisruptionBudget").values():
        assert budget["spec"]["selector"]["matchLabels"]["app.kubernetes.io/name"] in workloads(objects)


def test_a_wrong_object_is_refused() -> None:
    (kafka,) = of_kind(built("local"), "Kafka").values()
    with pytest.raises(AssertionError, match="listenerz"):
        check({**kafka, "spec": {**kafka["spec"], "kafka": {**kafka["spec"]["kafka"], "listenerz": []}}})
    deployment = workloads(built("local"))["tracker"]
    with pytest.raises(AssertionError, match="replicaz"):
        check({**deployment, "spec": {**deployment["spec"], "replicaz": 2}})


@each_overlay
def test_everything_is_in_one_namespace_that_restricts_pods(overlay: str) -> None:
    (namespace,) = of_kind(built(overlay), "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    rest = [each for each in built(overlay) if each["kind"] != "Namespace"]
    assert {each["metadata"]["namespace"] for each in rest} == {namespace["metadata"]["name"]}


@each_overlay
def test_the_site_file_can_be_read(overlay: str, tmp_path: object) -> None:
    sites = [each for name, each in of_kind(built(overlay), "ConfigMap").items() if name.startswith("site-")]
    (text,) = (each["data"]["site.yaml"] for each in sites)
    password = K8S.parent / "LICENSE"
    file = tmp_path / "site.yaml"  # type: ignore[operator]
    file.write_text(text.replace("/run/secrets/cameras/password", str(password)))
    assert load_site(file).policies
    assert yaml.safe_load(text)["cameras"]
