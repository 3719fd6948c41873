"""The overlays on a real control plane, where one is built already; what is said and ended where it can't come up."""

import os
import stat
import textwrap
from pathlib import Path

import pytest

from deploy.stack.process import StartError
from k8s.tools.cluster import __main__ as command
from k8s.tools.cluster import programs as building
from k8s.tools.cluster.checks import check
from k8s.tools.cluster.control_plane import control_plane
from k8s.tools.cluster.kubectl import Kubectl
from k8s.tools.cluster.nodes import nodes
from k8s.tools.cluster.programs import CannotBuild, Programs, present, programs, version
from k8s.tools.crds import crds
from tests.support.schemas import KUBERNETES


def script(path: Path, text: str) -> Path:
    path.write_text("#!/bin/sh\n" + textwrap.dedent(text))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def nothing_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(building, "_CACHE", tmp_path / "cache")


def test_the_control_plane_is_of_the_version_whose_schemas_are_asked() -> None:
    assert version().rpartition(".")[0] == f"v{KUBERNETES}"


@pytest.mark.usefixtures("nothing_built")
def test_without_go_one_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", ["cluster"])
    assert command.main() == 1
    assert capsys.readouterr().err == "error: Kubernetes is built with Go 1.26 or newer, which is not installed\n"


@pytest.mark.usefixtures("nothing_built")
def test_a_go_that_is_too_old_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "go", "echo go version go1.19.8 linux/amd64")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotBuild, match=r"Go 1\.26 or newer; here is go version go1\.19\.8"):
        programs(print)
    assert present() is None


@pytest.mark.usefixtures("nothing_built")
def test_a_build_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script(tmp_path / "go", 'if [ "$1" = version ]; then echo go1.26.1; else echo no such module >&2; exit 1; fi')
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CannotBuild, match=r"go build failed:\nno such module"):
        programs(lambda said: None)
    assert present() is None
    assert not [*(tmp_path / "cache").iterdir()]


def test_what_was_started_is_ended_when_another_fails(tmp_path: Path) -> None:
    """etcd runs and the API server doesn't: nobody has to look for processes afterwards."""
    pid = tmp_path / "pid"
    etcd = script(tmp_path / "etcd", f"echo $$ > {pid}; exec sleep 600")
    # Once etcd has said who it is.
    server = script(tmp_path / "server", f"while [ ! -s {pid} ]; do sleep 0.1; done; echo no such flag >&2; exit 2")
    given = Programs(etcd, server, etcd, etcd, etcd, stages=tmp_path / "stages.yaml")
    with pytest.raises(StartError, match="kube-apiserver ended at its start:\nno such flag"), control_plane(given):
        pytest.fail("came up")
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_a_definition_without_conditions_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look of a slow server, where `kubectl wait` gives up."""
    yes = '[{"type": "NamesAccepted", "status": "True"}, {"type": "Established", "status": "True"}]'
    found = '{"items": [{"status": {"conditions": %s}}]}'
    script(
        tmp_path / "kubectl",
        f"""\
        case "$*" in *"get crd"*) ;; *) exit 0;; esac
        if [ -e {tmp_path}/asked ]; then echo '{found % yes}'; else echo '{found % "null"}'; fi
        echo >> {tmp_path}/asked""",
    )
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    command.prepare(Kubectl(tmp_path / "config"), "definitions")
    assert (tmp_path / "asked").read_text() == "\n\n"


def test_every_zone_has_nodes_with_gpus_and_without() -> None:
    kinds = {(each["metadata"]["name"][:6], bool(each["spec"]["taints"])) for each in nodes()["items"]}
    assert len(kinds) == 6


@pytest.mark.timeout(900)
def test_the_local_overlay_runs_on_a_real_control_plane() -> None:
    """The others, which have two hundred pods: `make k8s-cluster-check`, which also builds what is missing here."""
    built = present()
    if built is None:
        pytest.skip("no control plane is built yet: make k8s-cluster-check")
    with control_plane(built) as kubectl:
        command.prepare(kubectl, str(crds()))
        seen = [*check(kubectl, "local")]
    assert len(seen) == 6
