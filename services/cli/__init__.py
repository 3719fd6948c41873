"""The `veil` command: mask files, run a small site, look at policies and models."""

import os
import platform
import signal
import sys
import threading
from importlib import metadata
from typing import Annotated

import typer

from services import __version__
from services.cli.console import EXIT_CODES, out
from services.cli.lazily import Commands

app = typer.Typer(
    name="veil",
    cls=Commands,
    help="Masks faces, number plates and people in camera pictures before anyone sees them.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.command()
def version() -> None:
    """Says which version this is, and of what it is made."""
    parts = ", ".join(f"{name} {metadata.version(name)}" for name in ("av", "onnxruntime", "opencv-python-headless"))
    out.print(f"veil {__version__} (Python {platform.python_version()}, {parts})", highlight=False, soft_wrap=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        version()
        raise typer.Exit


@app.callback()
def _root(
    show: Annotated[
        bool,
        typer.Option("--version", metavar="", callback=_print_version, is_eager=True, help="Say the version and end."),
    ] = False,
) -> None:
    """Masks faces, number plates and people in camera pictures before anyone sees them."""


def main() -> None:
    """Runs the command line and ends the process with its exit code."""
    # SIGTERM ends a run as Ctrl-C does: stages stop, half-written files go.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        app()
    except SystemExit as end:
        if threading.active_count() == 1:
            raise
        # A thread still inside native code, such as an interrupted detector, would abort Python's own way out.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code if isinstance(end.code, int) else 0 if end.code is None else 1)
