"""`veil disclose keys`: keys that sign packages."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import say
from services.cli.disclose.errors import tells
from services.cli.told import Purpose, Who, tell


@tells
def create(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the keys.")],
    purpose: Purpose = "",
    who: Who = "",
) -> None:
    """Makes a key that signs from now on. Older public halves stay, for packages that they signed."""
    from services.disclosure.errors import Unavailable
    from services.signing import SigningKeys, fingerprint

    keys = SigningKeys(folder, Unavailable)
    tell("key.signing", who, purpose, str(folder))
    public = keys.create()
    say(f"{public} is the public key: publish it, and its fingerprint")
    say(fingerprint(keys.current().public_key()))
