"""`veil compliance`: the report that a data protection officer hands to the regulator."""

import getpass
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import complain, fail, say, tells_errors
from services.cli.told import Purpose, Who, tell
from services.embedded.errors import ExitCode, RunError
from services.policy.site import load_site

if TYPE_CHECKING:
    from services.audit.check import Fault
    from services.audit.settings import AuditSettings
    from services.compliance.checklist import Framework
    from services.compliance.gather import Sources
    from services.schema import pb

_DAY_US = 24 * 3600 * 1_000_000
_NOT_MET = 1

EPILOG = """[bold]Examples[/]

[green]veil compliance site.yaml --to report.html --house 'The City' --purpose 'yearly report'[/]

[green]veil compliance site.yaml --to report.html --law pipa --suspects suspects.json --purpose 'inquiry 12'[/]

It looks at what is set up: the vault's index (VEIL_VAULT_INDEX or VEIL_VAULT_STORE), requests
(VEIL_DISCLOSURE_DATABASE or VEIL_DISCLOSURE_FOLDER), the audit logs (veil audit-log --help), and files of
`veil audit --json`, whose masked videos are named after their cameras. It needs no key. What isn't at hand is said so.
Print the page to get a PDF.

[bold]Exit codes[/]: 0 nothing is unmet · 1 a point of the law is not met · 2 wrong usage or policy · 3 unreadable"""


@tells_errors
def compliance(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")],
    to: Annotated[Path, typer.Option(metavar="PATH", help="The page to write (HTML).")],
    purpose: Purpose = "",
    who: Who = "",
    house: Annotated[str, typer.Option(metavar="TEXT", help="Whose cameras they are.")] = "",
    days: Annotated[int, typer.Option(metavar="N", min=1, max=3660, help="Accesses of the last so many days.")] = 90,
    law: Annotated[list[str] | None, typer.Option(metavar="NAME", help="pipa, edpb or cnil; all if left out.")] = None,
    suspects: Annotated[
        list[Path] | None, typer.Option(metavar="PATH", help="What `veil audit --json` wrote; may be repeated.")
    ] = None,
) -> None:
    """Writes what each camera is for, what is masked and kept, who saw it, and what three laws ask for."""
    try:
        from services.audit.settings import AuditSettings
        from services.compliance.checklist import Status
        from services.compliance.gather import ComplianceError, gather
        from services.compliance.page import page
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        fail(f"the report needs the package {package}: pip install 'veil[vault]'", ExitCode.USAGE)
    from services.audit.errors import AuditError

    if not purpose.strip():
        fail("--purpose: nothing is looked at without a purpose", ExitCode.USAGE)
    laws = _laws(law or [])
    loaded = load_site(site, addresses=())
    settings, now_us = AuditSettings(), round(datetime.now(UTC).timestamp() * 1e6)
    tell("compliance.report", who, purpose, str(to))
    try:
        with ExitStack() as opened:
            sources, faults = _sources(settings, suspects or [], opened)
            facts = gather(
                loaded.config.name,
                loaded.policies,
                sources,
                house=house,
                who=who or getpass.getuser(),
                purpose=purpose,
                at_us=now_us,
                start_us=now_us - days * _DAY_US,
                end_us=now_us + 1,
                faults=faults,
            )
    except (AuditError, ComplianceError) as error:
        raise RunError(str(error).removesuffix("."), ExitCode.INPUT) from error
    to.write_text(page(facts, laws), encoding="utf-8")
    unmet = [
        f"{each.title}, {point.where}: {judged.evidence.removesuffix('.')}"
        for each in laws
        for point in each.points
        if (judged := point.judge(facts)).status is Status.NOT_MET
    ]
    for line in facts.unknown:
        say(f"not known: {line.removesuffix('.')}")
    for line in unmet:
        complain(f"not met: {line}")
    say(f"{to}: {len(facts.cameras)} cameras, {len(laws)} laws, {len(unmet)} points not met")
    if unmet:
        raise typer.Exit(_NOT_MET)


def _sources(settings: "AuditSettings", suspects: list[Path], opened: ExitStack) -> tuple["Sources", list["Fault"]]:
    """Whatever is set up and there; and what is wrong with the log."""
    from services.audit.check import check_chains
    from services.audit.errors import Unavailable
    from services.audit.sources import Source, addresses
    from services.compliance.gather import Sources, open_requests
    from services.sql import Database, Words, parsed

    words = Words("the vault's index", Unavailable, Unavailable, "Another writer was faster.", "VEIL_VAULT_INDEX")
    sources = Sources(suspects=suspects)
    faults: list[Fault] = []
    events: list[pb.AuditEvent] = []
    named = addresses(settings)
    for name, address, password in named:
        source = Source(name, address, password)
        opened.callback(source.close)
        faults += check_chains(name, source.chains(), whole=True)
        events += list(source.events())
        if name == "vault":
            sources.vault = Database(parsed(address, words, password), words)
            opened.callback(sources.vault.close)
        elif name == "disclosure":
            sources.requests = open_requests(address, password)
            opened.callback(sources.requests.close)
    if named:
        sources.events = events
    return sources, faults


def _laws(names: list[str]) -> list["Framework"]:
    from services.compliance.checklist import FRAMEWORKS

    for name in names:
        if name not in FRAMEWORKS:
            fail(f"--law {name}: there are {', '.join(FRAMEWORKS)}", ExitCode.USAGE)
    return [FRAMEWORKS[name] for name in dict.fromkeys(names)] or list(FRAMEWORKS.values())
