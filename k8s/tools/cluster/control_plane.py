"""A control plane on loopback for as long as a check takes: etcd, the API server, what makes pods, who plays nodes."""

import json
import secrets
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from deploy.stack.certificates import make_certificates
from deploy.stack.ports import free_ports
from deploy.stack.process import ServerProcess
from deploy.stack.secret_files import write_secret
from k8s.tools.cluster.kubectl import Kubectl
from k8s.tools.cluster.programs import Programs

# Of each that logs on: what it may do is RBAC's to say, and only who applies may do everything.
_USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    # Writes what happens to nodes and pods, which Kubernetes knows no role for.
    "kwok": "system:masters",
}
_START_S = 180.0
_STOP_S = 5.0
_FIRST_PORT = 21_000


@contextmanager
def control_plane(programs: Programs) -> Iterator[Kubectl]:
    """A cluster without nodes, asked as an administrator; nothing of it is left behind.

    Raises StartError when one of its programs doesn't come up, Refused without kubectl.
    """
    with tempfile.TemporaryDirectory(prefix="veil-cluster-") as scratch, ExitStack() as running:
        folder = Path(scratch)
        ports = free_ports(_FIRST_PORT)
        etcd_url, peer_url = (f"http://127.0.0.1:{next(ports)}" for _ in range(2))
        port = next(ports)
        make_certificates(folder, "server")
        tokens = _tokens(folder)
        kubectl = Kubectl(_kubeconfig(folder, "admin", port, tokens))

        def start(name: str, program: Path, options: Mapping[str, object]) -> ServerProcess:
            command = [str(program), *(f"--{key}={value}" for key, value in options.items())]
            server = ServerProcess(name, command, folder / f"{name}.log", cwd=folder)
            running.callback(server.stop, _STOP_S)
            server.start()
            return server

        start("etcd", programs.etcd, _etcd(folder, etcd_url, peer_url))
        server = start("kube-apiserver", programs.api_server, _api_server(folder, etcd_url, port))
        server.wait_until(lambda: not kubectl.refusal("get", "--raw=/readyz"), _START_S)
        for name, program, options in (
            ("kube-controller-manager", programs.controller_manager, _controller_manager(folder)),
            ("kube-scheduler", programs.scheduler, {"leader-elect": "false", "secure-port": 0}),
            ("kwok", programs.kwok, {"manage-all-nodes": "true", "node-port": 0, "config": programs.stages}),
        ):
            user = name if name in _USERS else f"system:{name}"
            start(name, program, {"kubeconfig": _kubeconfig(folder, user, port, tokens), **options})
        yield kubectl


def _etcd(folder: Path, url: str, peer_url: str) -> dict[str, object]:
    return {
        "data-dir": folder / "etcd",
        "listen-client-urls": url,
        "advertise-client-urls": url,
        "listen-peer-urls": peer_url,
        "initial-advertise-peer-urls": peer_url,
        "initial-cluster": f"default={peer_url}",
        # What is lost when the machine fails may be lost.
        "unsafe-no-fsync": "true",
    }


def _api_server(folder: Path, etcd_url: str, port: int) -> dict[str, object]:
    pem = folder / "server.pem"
    return {
        "etcd-servers": etcd_url,
        "bind-address": "127.0.0.1",
        "advertise-address": "127.0.0.1",
        # An address of loopback is none that pods could reach: nobody is told of it.
        "endpoint-reconciler-type": "none",
        "secure-port": port,
        "tls-cert-file": pem,
        "tls-private-key-file": pem,
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        # Lists that come as a stream need a newer etcd than Debian's: clients are told so, and ask for them whole.
        "feature-gates": "WatchList=false",
        "service-cluster-ip-range": "10.96.0.0/16",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-signing-key-file": pem,
        "service-account-key-file": pem,
    }


def _controller_manager(folder: Path) -> dict[str, object]:
    return {
        "leader-elect": "false",
        "secure-port": 0,
        # A node whose sign of life is late has its pods called unready, and kwok's never call themselves ready again.
        "node-monitor-grace-period": "1h",
        "use-service-account-credentials": "true",
        "service-account-private-key-file": folder / "server.pem",
        "root-ca-file": folder / "ca.pem",
    }


def _tokens(folder: Path) -> dict[str, str]:
    """User → what it logs on with; the API server reads the same from a file."""
    tokens = {user: secrets.token_hex(16) for user in _USERS}
    lines = [f'{tokens[user]},{user},{user},"{group}"\n' for user, group in _USERS.items()]
    write_secret(folder / "tokens.csv", "".join(lines).encode())
    return tokens


def _kubeconfig(folder: Path, user: str, port: int, tokens: Mapping[str, str]) -> Path:
    file = folder / f"{user.replace(':', '-')}.kubeconfig"
    cluster = {"server": f"https://127.0.0.1:{port}", "certificate-authority": str(folder / "ca.pem")}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "here",
        "contexts": [{"name": "here", "context": {"cluster": "here", "user": user}}],
        "clusters": [{"name": "here", "cluster": cluster}],
        "users": [{"name": user, "user": {"token": tokens[user]}}],
    }
    write_secret(file, json.dumps(config).encode())
    return file
