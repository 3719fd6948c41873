"""`veil policy`: which policies there are, what they do, and what is wrong with one."""

import getpass
from pathlib import Path
from typing import Annotated

import typer
import yaml
from rich.table import Table

from services.cli.console import complain, fail, out, say, tells_errors
from services.cli.told import Purpose, Who
from services.detect.catalogue import catalogue
from services.detect.install import DEFAULT_NAMES
from services.embedded.errors import ExitCode, RunError
from services.policy.loader import PRESETS, check_policy, is_preset, load_policy, preset_text
from services.policy.problems import ConfigError
from services.policy.site import load_site
from services.policy.words import describe

app = typer.Typer(
    help="Policies: what is masked, how, and what happens when a frame can't be checked.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n[green]veil policy list[/]\n\n[green]veil policy show bank --yaml > lobby.yaml[/]"
    "\n\n[green]veil policy check lobby.yaml[/]"
    "\n\n[green]veil policy record site.yaml --purpose 'a zone over the window'[/]"
    "\n\nEvery key is explained in docs/policy.md.",
)

_LOOK = "--purpose: say why the policy was changed"

_Name = Annotated[str, typer.Argument(metavar="POLICY", help="A preset or a policy file.")]


@app.command("list")
@tells_errors
def list_presets() -> None:
    """Lists the presets, one for each sector."""
    table = Table("preset", "for", "masks", "mode", "profile", box=None, header_style="dim", pad_edge=False)
    for name in PRESETS:
        policy = load_policy(name)
        table.add_row(name, policy.title, ", ".join(policy.kinds), str(policy.mode), str(policy.profile))
    out.print(table)


@app.command()
@tells_errors
def show(
    policy: _Name,
    as_yaml: Annotated[bool, typer.Option("--yaml", metavar="", help="Show the keys instead of words.")] = False,
) -> None:
    """Says in plain words what a policy does."""
    chosen = load_policy(policy)
    if as_yaml:
        text = yaml.safe_dump(chosen.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=120)
        typer.echo(preset_text(policy) if is_preset(policy) else text, nl=False)
        return
    say(f"{chosen.title or chosen.name}: {describe(chosen)}")
    known = catalogue()
    models = [name for name in chosen.detectors if name in known.defaults and not known.entry(name).bundled]
    if not set(models) <= set(DEFAULT_NAMES):
        say(f"It needs more than the usual models: run `veil models install {' '.join(models)}`.")
    if chosen.purpose:
        say(f"Purpose: {chosen.purpose}.")
    if chosen.legal_basis:
        say(f"Legal basis: {chosen.legal_basis}.")


@app.command()
@tells_errors
def check(policies: Annotated[list[str], typer.Argument(metavar="POLICY...", help="Presets or policy files.")]) -> None:
    """Says what is wrong, with line and key, and what deserves a second thought. Ends with 2 if anything is wrong."""
    wrong = False
    for policy in policies:
        try:
            cautions = check_policy(policy if is_preset(policy) else Path(policy))
        except ConfigError as error:
            wrong = True
            for problem in error.problems:
                complain(str(problem))
            continue
        for caution in cautions:
            say(f"note: {caution}")
        say(f"{policy}: can be used")
    if wrong:
        raise typer.Exit(ExitCode.USAGE)


@app.command()
@tells_errors
def record(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")],
    purpose: Purpose = "",
    who: Who = "",
) -> None:
    """Writes into the audit log which cameras of a site have another policy than it knows of, and why.

    Services that see a change tell of it by themselves, but can't say who made it, nor what for.
    """
    if not purpose.strip():
        fail(_LOOK, ExitCode.USAGE)
    loaded = load_site(site, addresses=())
    try:
        from services.audit.errors import AuditError
        from services.audit.sources import open_log
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        fail(f"the audit log needs the package {package}: pip install 'veil[vault]'", ExitCode.USAGE)
    try:
        log = open_log()
        watch = log.watch(loaded.book, who or getpass.getuser(), "admin", purpose)
        told = log.look(watch, [camera.id for camera in loaded.config.cameras])
    except AuditError as error:
        raise RunError(str(error).removesuffix("."), ExitCode.INPUT) from error
    for camera in told:
        say(f"{camera}: {loaded.policies[camera].fingerprint}")
    if not told:
        say("the audit log knows all of these policies")
