"""`veil verify`: whether a package is as it was signed."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import complain, fail, say, tells_errors
from services.cli.disclose.errors import sentence
from services.embedded.errors import ExitCode

VERIFY_EPILOG = """[bold]Examples[/]

[green]veil verify disclosure-20260302-1f0c9a7e.zip[/]

[green]veil verify disclosure-20260302-1f0c9a7e.zip --key city.public.pem[/]  also that it is the city's own

It needs neither a network nor a secret. A package brings its public key along, which is enough to find damage; whoever
exchanges everything can exchange that too: compare the fingerprint with one that came to you on another way.

[bold]Exit codes[/]: 0 as it was signed · 1 changed · 2 no package"""


@tells_errors
def verify(
    package: Annotated[Path, typer.Argument(metavar="PACKAGE", help="The zip, or the folder it was unpacked to.")],
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Public key of who must have signed it.")] = None,
    fingerprint: Annotated[str, typer.Option(metavar="HEX", help="Fingerprint that their key must have.")] = "",
) -> None:
    """Tells whether a package is as it was signed, and names every file that was changed, removed or added."""
    from services.disclosure import verify as checks

    try:
        public = key.read_bytes() if key is not None else None
    except OSError as error:  # not 1, which says that the package was changed
        fail(f"{key}: can't be read: {(error.strerror or 'failed').lower()}", ExitCode.USAGE)
    try:
        verdict = checks.verify(package, public, fingerprint)
    except checks.PackageError as error:
        fail(sentence(error), ExitCode.USAGE)
    for fault in verdict.faults:
        complain(fault.removesuffix("."))
    if verdict.fingerprint:
        say(f"signed with the key {verdict.fingerprint}")
    if not verdict.holds:
        raise typer.Exit(1)
    say("every file is as it was signed")
