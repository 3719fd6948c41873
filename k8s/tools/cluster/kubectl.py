"""A cluster as a client sees it: through kubectl, and nothing else."""

import json
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

Object = Mapping[str, Any]

_TIMEOUT_S = 120.0


class Refused(Exception):
    """The cluster, or kubectl, did not do what was asked; the text is what it said."""


class Kubectl:
    """Calls kubectl with one kubeconfig, and says no to what takes longer than `timeout_s`."""

    def __init__(self, kubeconfig: Path) -> None:
        found = shutil.which("kubectl")
        if found is None:
            raise Refused("a cluster is asked with kubectl, which is not installed")
        self._command = [found, f"--kubeconfig={kubeconfig}", f"--cache-dir={kubeconfig.parent / 'kubectl'}"]

    def run(self, *arguments: str, given: object = None, timeout_s: float = _TIMEOUT_S) -> str:
        """What it wrote; `given` is what it reads: text, or an object. Raises Refused."""
        text = given if isinstance(given, str | None) else json.dumps(given)
        try:
            done = subprocess.run(  # noqa: S603, the command is ours
                [*self._command, *arguments],
                input=text,
                stdin=subprocess.DEVNULL if text is None else None,
                check=True,
                capture_output=True,
                text=True,
                timeout=timeout_s,
            )
        except subprocess.TimeoutExpired as error:
            raise Refused(f"kubectl {arguments[0]} took longer than {timeout_s:.0f} s") from error
        except subprocess.CalledProcessError as error:
            raise Refused((error.stderr or error.stdout).strip()[-2000:]) from error
        return done.stdout

    def items(self, *arguments: str, given: str | None = None) -> list[Any]:
        """The objects that `kubectl get` finds. Raises Refused."""
        found = json.loads(self.run("get", *arguments, "--output=json", given=given))
        return list(found["items"]) if "items" in found else [found]

    def apply(self, manifests: object) -> None:
        """Applies on the server's side; a field that the server doesn't know is refused. Raises Refused."""
        self.run("apply", "--server-side", "--validate=strict", "--filename=-", given=manifests)

    def refusal(self, *arguments: str, given: object = None) -> str:
        """Why the cluster refused something; empty if it didn't."""
        try:
            self.run(*arguments, given=given)
        except Refused as error:
            return str(error)
        return ""
