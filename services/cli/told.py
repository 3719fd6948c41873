"""What a command tells the house's audit log before it does something: what can't be told isn't done."""

import getpass
from typing import Annotated

import typer

from services.cli.console import fail, say
from services.embedded.errors import ExitCode

Who = Annotated[
    str, typer.Option("--who", metavar="NAME", help="Who you are; the name you are logged in under if left out.")
]
Purpose = Annotated[str, typer.Option("--purpose", metavar="TEXT", help="What for; it stands in the audit log.")]


def tell(action: str, who: str, purpose: str, thing: str, *, must: bool = True) -> None:
    """Writes an event into the log of VEIL_AUDIT_DATABASE, or ends the command with a sentence.

    Args:
        action: what is about to be done.
        who: does it; empty for the name they are logged in under.
        purpose: what for.
        thing: what it is done to.
        must: False lets the act go on where the packages of the log are not installed.
    """
    try:
        from services.audit.errors import AuditError
        from services.audit.sources import open_log
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if must:
            fail(f"the audit log needs the package {package}: pip install 'veil[vault]'", ExitCode.USAGE)
        say(f"no event tells of this: the audit log needs the package {package} (pip install 'veil[vault]')")
        return
    try:
        open_log().append(action, who or getpass.getuser(), purpose=purpose, role="admin", thing=thing)
    except AuditError as error:
        fail(str(error).removesuffix("."), ExitCode.INPUT)
