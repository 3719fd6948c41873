"""I4: network policies let through what each stage needs, both ways, and nothing else."""

from collections.abc import Iterator
from itertools import product

import pytest

from tests.support.manifests import OVERLAYS, Object, built, of_kind, pod_of, workloads

each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)

_BROKER = {"strimzi.io/cluster": "veil", "strimzi.io/kind": "Kafka", "strimzi.io/broker-role": "true"}
_BROWSERS = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ingress"}}}
_PORTS = (443, 554, 8000, 8001, 8002, 8080, 8090, 9090, 9091, 9092, 9093, 9100)


def selects(selector: Object, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels"}
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())


def rules(objects: tuple[Object, ...], labels: dict[str, str], way: str) -> Iterator[Object]:
    """What policies allow a pod in one direction; the pod is closed but for these."""
    chosen = [each["spec"] for each in of_kind(objects, "NetworkPolicy").values()]
    chosen = [each for each in chosen if selects(each["podSelector"], labels)]
    assert any(way.title() in each["policyTypes"] for each in chosen), "a pod that no policy closes"
    for policy in chosen:
        yield from policy.get(way, [])


def passes(rule: Object, side: str, labels: dict[str, str], port: int) -> bool:
    """Whether a rule lets through pods with these labels, in the same namespace, at a TCP port."""
    if not any(each["port"] == port and each["protocol"] == "TCP" for each in rule["ports"]):
        return False
    peers = [peer for peer in rule.get(side, []) if "namespaceSelector" not in peer and "ipBlock" not in peer]
    return any(selects(peer["podSelector"], labels) for peer in peers)


@each_overlay
def test_i4_pods_reach_brokers_triton_and_disclosure_and_no_other_pod(overlay: str) -> None:
    objects = built(overlay)
    pods = {name: pod_of(each)["metadata"]["labels"] for name, each in workloads(objects).items()}
    served = {("inference", "triton", 8001), ("console", "disclosure", 8090)}
    for (source, labels), (target, others) in product(pods.items(), {**pods, "broker": _BROKER}.items()):
        for port in _PORTS:
            out = any(passes(rule, "to", others, port) for rule in rules(objects, labels, "egress"))
            wanted = (target == "broker" and port == 9093 and source != "triton") or (source, target, port) in served
            # Either side alone is enough. The broker's own is Strimzi's.
            assert out == wanted, f"{source} → {target}:{port}"
            if target != "broker":
                into = any(passes(rule, "from", labels, port) for rule in rules(objects, others, "ingress"))
                assert into == wanted, f"{target}:{port} ← {source}"


@each_overlay
def test_i4_only_who_has_to_reaches_beyond_the_cluster(overlay: str) -> None:
    """Each its own network: cameras; store and index of the vault; databases of accounts, statistics and requests."""
    objects = built(overlay)
    who: dict[str, set[str]] = {}
    for name, workload in workloads(objects).items():
        labels = pod_of(workload)["metadata"]["labels"]
        allowed = list(rules(objects, labels, "egress"))
        assert all(rule.get("to") for rule in allowed), "a rule without a target allows every address"
        for block in (peer["ipBlock"]["cidr"] for rule in allowed for peer in rule["to"] if "ipBlock" in peer):
            who.setdefault(block, set()).add(name)
    # Each overlay names its own networks.
    assert "192.0.2.0/24" not in who
    originals = [{"console", "disclosure", "insight"}, {"decoder"}, {"disclosure", "vault"}]
    beyond = originals if overlay == "originals" else [{"decoder"}]
    assert sorted(who.values(), key=sorted) == beyond


@each_overlay
def test_only_prometheus_comes_in_from_other_namespaces(overlay: str) -> None:
    objects = built(overlay)
    for name, workload in workloads(objects).items():
        pod = pod_of(workload)
        opened = set()
        for rule in rules(objects, pod["metadata"]["labels"], "ingress"):
            assert rule.get("from")
            for peer in rule["from"]:
                if "namespaceSelector" not in peer or peer == _BROWSERS:
                    assert peer != _BROWSERS or (name, [port["port"] for port in rule["ports"]]) == ("console", [8080])
                else:
                    assert peer["podSelector"]["matchLabels"] == {"app.kubernetes.io/name": "prometheus"}
                    opened |= {port["port"] for port in rule["ports"]}
        ports = {each["name"]: each["containerPort"] for each in pod["spec"]["containers"][0]["ports"]}
        assert opened == {ports["metrics" if name == "triton" else "health"]}


@each_overlay
def test_brokers_let_in_whom_the_listener_names(overlay: str) -> None:
    objects = built(overlay)
    (kafka,) = of_kind(objects, "Kafka").values()
    (listener,) = kafka["spec"]["kafka"]["listeners"]
    (peer,) = listener["networkPolicyPeers"]
    for name, workload in workloads(objects).items():
        labels = pod_of(workload)["metadata"]["labels"]
        assert selects(peer["podSelector"], labels) == (name != "triton")
