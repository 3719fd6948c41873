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
from services.cli import (
    accounts,
    audit,
    audit_log,
    compliance,
    disclose,
    insight,
    keys,
    logo,
    models,
    planning,
    policies,
    redact,
    review,
    service,
    sites,
    tail,
    topics,
    vault,
    watch,
)
from services.cli.console import EXIT_CODES, out
from services.cli.disclose import verify

app = typer.Typer(
    name="veil",
    help="Masks faces, number plates and people in camera pictures before anyone sees them.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("redact", epilog=redact.EPILOG)(redact.redact)
app.command("audit", epilog=audit.EPILOG)(audit.audit)
app.command("verify", epilog=verify.VERIFY_EPILOG)(verify.verify)
app.command("run", epilog=sites.EPILOG)(sites.run)
app.command("tail", epilog=tail.EPILOG)(tail.tail)
app.command("compliance", epilog=compliance.EPILOG)(compliance.compliance)
app.command("watch", epilog=watch.EPILOG)(watch.watch)
app.command("topics", epilog=topics.EPILOG)(topics.topics)
app.command("plan", epilog=planning.PLAN_EPILOG)(planning.plan)
app.command("simulate", epilog=planning.SIMULATE_EPILOG)(planning.simulate)
app.command("service", epilog=service.EPILOG)(service.service)
app.add_typer(review.app, name="review")
app.add_typer(disclose.app, name="disclose")
app.add_typer(audit_log.app, name="audit-log")
app.add_typer(accounts.app, name="accounts")
app.add_typer(policies.app, name="policy")
app.add_typer(models.app, name="models")
app.add_typer(logo.app, name="logo")
app.add_typer(keys.app, name="keys")
app.add_typer(vault.app, name="vault")
app.add_typer(insight.app, name="insight")


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
