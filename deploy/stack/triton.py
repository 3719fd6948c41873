"""Triton Inference Server as a child process, on loopback, with the models of this checkout."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from secrets import token_hex

import tritonclient.grpc as triton

from deploy.stack.ports import free_ports
from deploy.stack.process import ServerProcess
from deploy.triton import environment
from services.detect.catalogue import default_models_dir
from services.detect.triton_repository import INSTANCES, installed_names, write_repository

_HOST = "127.0.0.1"
_FIRST_PORT = 21_000
_READY_S = 90.0
_ASK_S = 1.0
_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where the Python backend puts its regions
_SETTLE_S = 5


class TritonServer(ServerProcess):
    """One server that keeps its ports and its repository over restarts.

    Args:
        folder: takes the model repository and the log.
        names: detectors to serve; all that are installed if None.
        repository: a model repository to serve as it is, instead of one made of the installed models.
        grpc_port, metrics_port: free ones if 0.
        instances: of each model, which run at the same time.

    Raises:
        EnvironmentMissing: the server is not installed, or can't run on this machine.
        ModelMissing: a model is not installed.
    """

    def __init__(
        self,
        folder: Path,
        names: Iterable[str] | None = None,
        *,
        repository: Path | None = None,
        grpc_port: int = 0,
        metrics_port: int = 0,
        instances: int = INSTANCES,
    ) -> None:
        installed = environment.find()
        if repository is None:
            repository = folder / "models"
            shutil.rmtree(repository, ignore_errors=True)
            models = default_models_dir()
            write_repository(repository, names or installed_names(models), "python", models, instances)
        ports = free_ports(_FIRST_PORT)
        self._grpc_port, self._metrics_port = grpc_port or next(ports), metrics_port or next(ports)
        # Not by the port: another server may have it by the time this one is cleared away.
        self._regions = f"veil_{token_hex(6)}_"
        command = [
            str(installed.tritonserver),
            f"--model-repository={repository}",
            f"--backend-directory={installed.backends}",
            f"--backend-config=python,shm-region-prefix-name={self._regions}",
            "--model-control-mode=none",
            "--disable-auto-complete-config",
            "--strict-readiness=true",
            "--allow-http=false",
            f"--grpc-address={_HOST}",
            f"--grpc-port={self._grpc_port}",
            f"--metrics-address={_HOST}",
            f"--metrics-port={self._metrics_port}",
            "--allow-gpu-metrics=false",
            "--log-info=false",
            "--pinned-memory-pool-byte-size=0",
            f"--exit-timeout-secs={_SETTLE_S}",
        ]
        super().__init__("triton", command, folder / "triton.log", installed.variables)

    @property
    def grpc(self) -> str:
        """host:port that clients connect to."""
        return f"{_HOST}:{self._grpc_port}"

    @property
    def metrics(self) -> str:
        """URL of the metrics in Prometheus' format."""
        return f"http://{_HOST}:{self._metrics_port}/metrics"

    def start(self) -> None:
        """Starts it and waits until every model is ready. Raises StartError."""
        super().start()
        with triton.InferenceServerClient(self.grpc) as client:
            self.wait_until(lambda: _ready(client), _READY_S)

    def kill(self) -> None:
        """Ends it at once, and removes the shared memory that a killed server leaves behind."""
        super().kill()
        for region in _SHARED_MEMORY.glob(f"{self._regions}*"):
            region.unlink(missing_ok=True)


def _ready(client: triton.InferenceServerClient) -> bool:
    try:
        return bool(client.is_server_ready(client_timeout=_ASK_S))
    except triton.InferenceServerException:
        return False
