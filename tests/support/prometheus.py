"""A real Prometheus with deploy/prometheus' own rules and jobs, on the processes of a stack."""

import json
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from deploy.prometheus.install import prometheus
from deploy.stack.ports import free_ports
from deploy.stack.process import ServerProcess
from deploy.stack.stack import Stack

_FOLDER = Path(__file__).resolve().parents[2] / "deploy" / "prometheus"
_TIMEOUT_S = 10
_START_S = 60.0


def targets_of(stack: Stack) -> dict[str, dict[str, list[str]]]:
    """Job → service → its addresses."""
    names = {name.replace("+", "-"): replicas for name, replicas in stack.services.items()}
    jobs = {"veil": {name: [f"127.0.0.1:{each.port}" for each in replicas] for name, replicas in names.items()}}
    if stack.triton is not None:
        jobs["triton"] = {"triton": [stack.triton.metrics.removeprefix("http://").removesuffix("/metrics")]}
    return jobs


class PrometheusServer(ServerProcess):
    """One server on loopback. Raises Unavailable where the program can't be had.

    Args:
        folder: for settings, data and log.
        jobs: as `targets_of` gives them; their services are found here without DNS.
        every_s: between two scrapes, and two evaluations of the rules.
    """

    def __init__(self, folder: Path, jobs: dict[str, dict[str, list[str]]], every_s: int = 5) -> None:
        self.port = next(free_ports())
        config = yaml.safe_load((_FOLDER / "prometheus.yaml").read_text())
        config["global"] |= {"scrape_interval": f"{every_s}s", "scrape_timeout": f"{every_s}s"}
        config["global"]["evaluation_interval"] = f"{every_s}s"
        config["rule_files"] = [str(_FOLDER / file) for file in config["rule_files"]]
        ours = [each for each in config["scrape_configs"] if each["job_name"] in jobs]
        for each in ours:
            # What it takes from a name in the DNS, it is told here.
            del each["dns_sd_configs"], each["relabel_configs"]
            services = jobs[each["job_name"]].items()
            each["static_configs"] = [{"targets": found, "labels": {"service": name}} for name, found in services]
        config["scrape_configs"] = ours
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / "prometheus.yaml"
        file.write_text(yaml.safe_dump(config))
        command = [str(prometheus()), f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}"]
        command += [f"--web.listen-address=127.0.0.1:{self.port}"]
        super().__init__("prometheus", command, folder / "prometheus.log", cwd=folder)

    def start(self) -> None:
        """Returns once it answers. Raises StartError."""
        super().start()
        self.wait_until(self._answers, _START_S)

    def ask(self, path: str, **parameters: str) -> Any:
        """What its API says of /api/v1/PATH; a refusal is an answer too."""
        url = f"http://127.0.0.1:{self.port}/api/v1/{path}?{urlencode(parameters)}"
        with urlopen(url, timeout=_TIMEOUT_S) as answer:
            said = json.load(answer)
        assert said["status"] == "success", said
        return said["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The series of an expression, now. Raises HTTPError where it is no PromQL."""
        found: list[dict[str, Any]] = self.ask("query", query=expression)["result"]
        return found

    def _answers(self) -> bool:
        try:
            self.ask("targets")
        except (URLError, OSError):
            return False
        return True
