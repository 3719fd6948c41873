"""`make k8s-cluster-check`: holds the overlays against a real control plane, with nodes that kwok plays."""

import argparse
import signal
import sys
import time
from collections.abc import Iterable
from typing import NoReturn

from deploy.debian import Unavailable
from deploy.stack.process import StartError
from k8s.tools.cluster.checks import OVERLAYS, check
from k8s.tools.cluster.control_plane import control_plane
from k8s.tools.cluster.kubectl import Kubectl, Object, Refused
from k8s.tools.cluster.nodes import ZONES, nodes
from k8s.tools.cluster.pods import Broken, wait
from k8s.tools.cluster.programs import CannotBuild, programs, version
from k8s.tools.crds import crds

_ALL = tuple(sorted(folder.name for folder in OVERLAYS.iterdir()))
_FAILURES = (Broken, CannotBuild, Refused, StartError, Unavailable, RuntimeError)


def main() -> int:
    """Runs the command; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m k8s.tools.cluster",
        description=f"{__doc__} Needs kubectl and what `python -m k8s.tools.crds` needs; the first time Go 1.26, 2 GB "
        "of memory, 5 GB of disk and patience, to compile 2,600 packages into .cache. Everything "
        "listens on loopback and is ended with the command.",
    )
    parser.add_argument("overlays", nargs="*", metavar="OVERLAY", help=f"which: {', '.join(_ALL)} (all)")
    parser.add_argument("--build", action="store_true", help="fetch and build what is needed, and check nothing")
    given = parser.parse_args()
    if unknown := set(given.overlays) - set(_ALL):
        parser.error(f"no overlay {', '.join(sorted(unknown))}: there are {', '.join(_ALL)}")
    signal.signal(signal.SIGTERM, _leave)
    try:
        built, definitions = programs(_say), crds()
        if not given.build:
            with control_plane(built) as kubectl:
                prepare(kubectl, str(definitions))
                _check(kubectl, given.overlays or _ALL)
    except _FAILURES as failure:
        sys.stderr.write(f"error: {failure}\n")
        return 1
    return 0


def prepare(kubectl: Kubectl, definitions: str) -> None:
    """Gives a cluster the definitions of operators' objects, from this folder, and nodes. Raises Refused, Broken."""
    kubectl.run("apply", "--server-side", "--validate=strict", f"--filename={definitions}")
    # `kubectl wait` gives up on a definition that has no conditions yet.
    wait(lambda: all(map(_established, kubectl.items("crd"))), lambda: "the operators' definitions are not established")
    kubectl.run("create", "--filename=-", given=nodes())
    kubectl.run("wait", "--for=condition=Ready", "nodes", "--all", "--timeout=100s")


def _established(definition: Object) -> bool:
    conditions = definition.get("status", {}).get("conditions") or ()
    return any((each["type"], each["status"]) == ("Established", "True") for each in conditions)


def _check(kubectl: Kubectl, overlays: Iterable[str]) -> None:
    _say(f"Kubernetes {version()}, {len(nodes()['items'])} nodes in {len(ZONES)} zones")
    for overlay in overlays:
        begun = time.monotonic()
        try:
            for seen in check(kubectl, overlay):
                _say(f"{overlay}: {seen}")
        except (Broken, Refused) as failure:
            raise Broken(f"overlay {overlay}: {failure}") from failure
        _say(f"{overlay}: as it should be, {time.monotonic() - begun:.0f} s")


def _leave(*_: object) -> NoReturn:
    # As an exception, so that everything is ended on the way.
    sys.exit(128 + signal.SIGTERM)


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
