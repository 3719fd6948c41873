"""`veil models`: which detection models there are, and whether they are installed as they should be."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from services.cli.console import complain, fail, out, say, tells_errors
from services.detect.catalogue import Bundled, ModelEntry, ModelMissing, catalogue, default_models_dir, read_model
from services.detect.install import AUDIT_NAMES, DEFAULT_NAMES, InstallError
from services.detect.install import install as install_models
from services.detect.triton_repository import INSTANCES, Backend, installed_names, write_repository
from services.embedded.errors import ExitCode

app = typer.Typer(
    help="Detection models: they come with Veil or are installed from published packages, and are refused where their "
    "hash differs. Where several find the same, a site chooses under `models:`.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n[green]veil models list[/]\n\n[green]veil models install face plate person[/]"
    "\n\n[green]veil models verify[/]\n\n[green]veil models repository out/models --backend onnxruntime[/]",
)

_Names = Annotated[
    list[str] | None,
    typer.Argument(metavar="NAME...", help="face, plate, person, text or a model; audit for the auditor's."),
]
_Folder = Annotated[
    Path | None, typer.Option("--models", metavar="DIR", help="Where the models are; VEIL_MODELS or the usual place.")
]


@app.command("list")
@tells_errors
def list_models(folder: _Folder = None) -> None:
    """Lists the models of the catalogue with version, state and licence; * marks what is used where none is chosen."""
    where, known = folder or default_models_dir(), catalogue()
    table = Table("finds", "model", "version", "state", "licence", box=None, header_style="dim", pad_edge=False)
    for model, entry in known.models.items():
        finds = ", ".join(f"{name}*" if known.defaults.get(name) == model else name for name in entry.finds)
        card = f", see {entry.source.card}" if isinstance(entry.source, Bundled) else ""
        table.add_row(finds, model, entry.version, _state(entry, where), entry.licence + card)
    out.print(table)


@app.command()
@tells_errors
def install(names: _Names = None, folder: _Folder = None) -> None:
    """Installs models; faces and plates if none is named. What is there already is only checked."""
    try:
        install_models(_known(names), folder, say)
    except InstallError as error:
        fail(str(error), ExitCode.MODEL)


@app.command()
@tells_errors
def verify(names: _Names = None, folder: _Folder = None) -> None:
    """Checks the hash of installed models; faces and plates if none is named. Ends with 4 if one is not right."""
    where = folder or default_models_dir()
    missing = False
    for name in _known(names):
        try:
            read_model(name, where)
        except ModelMissing as error:
            missing = True
            complain(str(error))
        else:
            say(f"{name}: as it should be")
    if missing:
        raise typer.Exit(ExitCode.MODEL)


@app.command()
@tells_errors
def repository(
    out_folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder to write, one subfolder for each model.")],
    names: _Names = None,
    backend: Annotated[
        Backend, typer.Option(help="What runs the models: python for the server of the PyPI wheel, else NVIDIA's.")
    ] = "onnxruntime",
    instances: Annotated[int, typer.Option(min=1, max=64, help="Of each model; on GPUs, on each.")] = INSTANCES,
    folder: _Folder = None,
) -> None:
    """Writes the model repository that Triton serves; of all installed models if none is named."""
    models = folder or default_models_dir()
    try:
        write_repository(out_folder, _known(names) if names else installed_names(models), backend, models, instances)
    except ModelMissing as error:
        fail(str(error), ExitCode.MODEL)
    except OSError as error:
        fail(f"{out_folder} can't be written: {error.strerror}", ExitCode.OUTPUT)
    say(f"{out_folder}: ready to be served")


def _known(names: Sequence[str] | None) -> Sequence[str]:
    names = [each for name in names or () for each in (AUDIT_NAMES if name == "audit" else (name,))]
    for name in names:
        try:
            catalogue().entry(name)
        except ModelMissing as error:
            fail(str(error), ExitCode.USAGE)
    return names or DEFAULT_NAMES


def _state(entry: ModelEntry, where: Path) -> str:
    try:
        read_model(entry.model, where)
    except ModelMissing:
        return "missing or wrong" if entry.bundled or entry.path(where).exists() else "not installed"
    return "comes with Veil" if entry.bundled else "installed"
