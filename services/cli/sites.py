"""`veil run`: masks all cameras of a site file, live, in one process."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import EXIT_CODES, complain, debugging, say, tells_errors
from services.embedded.errors import ExitCode, RunError
from services.policy.site import Site, load_site

if TYPE_CHECKING:
    from services.bus.interface import Bus
    from services.embedded.record import Outcome
    from services.embedded.site import Beside

EPILOG = f"""[bold]Examples[/]

[green]veil run shop.yaml[/]  until Ctrl-C; a second Ctrl-C ends at once

[green]veil run shop.yaml --check[/]  only say what is wrong with the file

[green]veil run shop.yaml --console 8080[/]  look at it in a browser: http://127.0.0.1:8080/

[green]VEIL_KEYS_FOLDER=keys veil run shop.yaml --vault originals[/]  keep originals too; veil vault --help

docs/policy.md shows a site file.

{EXIT_CODES}"""


_STATUS_EVERY_S = 10.0


@tells_errors
def run(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")],
    check: Annotated[
        bool, typer.Option("--check", metavar="", help="Only check the site file and its policies.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", metavar="", help="No line of figures every ten seconds.")
    ] = False,
    health_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", min=1, max=65535, help="Serve /live, /ready and /metrics on this machine only."),
    ] = None,
    models: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Where the models are; VEIL_MODELS or the usual place.")
    ] = None,
    vault: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep originals there, encrypted with the keys of VEIL_KEYS_FOLDER, of cameras whose policy says "
            "`originals: keep`.",
        ),
    ] = None,
    console: Annotated[
        int | None,
        typer.Option(
            metavar="PORT",
            min=0,
            max=65535,
            help="Show the masked cameras in a browser on this machine; 0 for any free port. docs/console.md.",
        ),
    ] = None,
    json_logs: Annotated[bool, typer.Option("--json-logs", metavar="", help="Log as JSON, one object a line.")] = False,
) -> None:
    """Masks the cameras of a site file, live, until it is stopped."""
    loaded = load_site(site)
    for camera in loaded.config.cameras:
        policy = loaded.policies[camera.id]
        say(f"{camera.id}: {camera.shown_source}, policy {policy.name}, masks {', '.join(policy.kinds)}")
    absent = dict(_absent(loaded))
    if check:
        # Not wrong in itself: the file may be meant for another machine.
        for sentence in absent.values():
            say(f"note: {sentence}, on this machine")
        return
    for sentence in absent.values():
        complain(sentence)
    if len(absent) == len(loaded.config.cameras):
        raise typer.Exit(ExitCode.INPUT)
    # Here, because the line brings FFmpeg, OpenCV and ONNX Runtime along, and --help should not wait for them.
    from services.embedded.site import run_site
    from services.runtime.lifecycle import stop_on_signals
    from services.runtime.logs import configure_logs

    configure_logs("DEBUG" if debugging() else "INFO", as_json=json_logs)
    status = (lambda _: None) if quiet else _Status()
    with stop_on_signals() as stop:
        beside = None if console is None else _console(loaded, console, vault)
        run_site(loaded, stop, status, health_port, models, vault=vault, beside=beside)


def _absent(site: Site) -> Iterator[tuple[str, str]]:
    """Cameras whose file isn't there, or the folder of their recording, with a sentence: else it is told at the end."""
    for camera in site.config.cameras:
        source, outputs = camera.source.get_secret_value(), camera.outputs
        if "://" not in source and not source.isdigit() and not Path(source).exists():
            yield camera.id, f"camera {camera.id}: {source}: there is no such file"
        elif outputs is not None and outputs.mp4 is not None and not outputs.mp4.parent.is_dir():
            yield camera.id, f"camera {camera.id}: {outputs.mp4}: its folder does not exist"


def _console(site: Site, port: int, vault: Path | None) -> "Beside":
    """The console of a line in this process, which says where it can be seen."""
    try:
        from services.console.process import console_beside
        from services.console.server import ConsoleError
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        raise RunError(f"a console needs the package {package}: pip install 'veil[server]'", ExitCode.USAGE) from error

    @contextmanager
    def beside(bus: "Bus") -> Iterator[None]:
        try:
            with console_beside(site, port, bus, vault) as at:
                say(f"console at {at.address} (Ctrl-C ends it)")
                yield
        except ConsoleError as error:
            raise RunError(str(error), ExitCode.USAGE) from error

    return beside


class _Status:
    """One line of figures for each camera, now and then."""

    def __init__(self) -> None:
        self._next = time.monotonic() + _STATUS_EVERY_S

    def __call__(self, outcomes: Mapping[str, "Outcome"]) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + _STATUS_EVERY_S
        for camera_id, outcome in sorted(outcomes.items()):
            tally = outcome.tally
            masks = [f"{count} {kind} masks" for kind, count in sorted(tally.masked.items())]
            say(f"{camera_id}: {', '.join((f'{tally.frames} frames', *masks, f'{tally.closed} closed'))}")
