"""The stages as processes: one service each, or several stages fused into one."""

import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from deploy.stack.process import ServerProcess

STAGES = ("decoder", "inference", "tracker", "renderer", "encoder")
FUSED = ("decoder", "inference", "tracker", "renderer+encoder")
AUDITOR = "auditor"
"""Beside the line: it reads what viewers read."""
VAULT = "vault"
"""Beside the line: it keeps what the decoder sends."""

_ASK_S = 2.0
_READY_S = 60.0


def principal_of(service: str) -> str:
    """The Kafka user that a service logs in as; one that fuses stages has its own."""
    return service.replace("+", "-")


class ServiceProcess(ServerProcess):
    """One replica of a service. `start` returns at once, `wait_ready` when it works.

    Args:
        service: a stage, or stages joined by "+".
        replica: counted from 1.
        port: of /live, /ready and /metrics.
        folder: for the log.
        env: how it reaches broker, site file, keys and models.
    """

    def __init__(self, service: str, replica: int, port: int, folder: Path, env: Mapping[str, str]) -> None:
        self.service = service
        self.port = port
        name = principal_of(service) + (f"-{replica}" if replica > 1 else "")
        program = ["-m", "services", "service", service] if "+" in service else ["-m", f"services.{service}"]
        health = {"VEIL_SERVICE_HEALTH_PORT": str(port), "VEIL_SERVICE_HEALTH_HOST": "127.0.0.1"}
        super().__init__(name, [sys.executable, *program], folder / f"{name}.log", {**env, **health})

    @property
    def ready_url(self) -> str:
        """Says 200 once it works."""
        return f"http://127.0.0.1:{self.port}/ready"

    @property
    def metrics_url(self) -> str:
        """Metrics in Prometheus' format."""
        return f"http://127.0.0.1:{self.port}/metrics"

    @property
    def ready(self) -> bool:
        """What it says itself."""
        try:
            with urlopen(self.ready_url, timeout=_ASK_S) as answer:  # noqa: S310, an address of ours
                return bool(answer.status == 200)
        except (URLError, OSError):
            return False

    def wait_ready(self, timeout_s: float = _READY_S) -> None:
        """Returns when it works. Raises StartError."""
        self.wait_until(lambda: self.ready, timeout_s)
