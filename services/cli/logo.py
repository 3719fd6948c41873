"""`veil logo`: trade marks that policies with the kind `logo` mask, registered as pictures."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer
from rich.table import Table

from services.cli.console import complain, fail, out, say, tells_errors
from services.embedded.errors import ExitCode

if TYPE_CHECKING:
    from services.detect.interface import Image
    from services.detect.logo import Found
    from services.detect.logo_folder import LogoError

# OpenCV is imported where it is needed, because --help should not wait for it.

_TRY_S = 60.0
_PADDING = 0.15
_MASK = (96, 96, 96)

app = typer.Typer(
    help="Trade marks that are masked where a policy asks for the kind `logo`, registered as pictures of them.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n[green]veil logo add acme acme.png[/]  a picture of the logo alone, from the front"
    "\n\n[green]veil logo try street.jpg --out found.png[/]  says which are found where, and masks them"
    "\n\n[green]veil redact street.mp4 masked.mp4 --kinds face,logo[/]",
)

_Name = Annotated[str, typer.Argument(metavar="NAME", help="Small letters, digits, - and _.")]
_Folder = Annotated[
    Path | None, typer.Option("--logos", metavar="DIR", help="Where the logos are; VEIL_LOGOS or next to the models.")
]


@app.command()
@tells_errors
def add(
    name: _Name,
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="PNG or JPEG; transparent parts become white.")],
    folder: _Folder = None,
) -> None:
    """Registers a logo; one of the same name is replaced. Refused if it has too little detail to be found again."""
    from services.detect.logo_folder import LogoError, LogoFolder

    if not picture.is_file():
        fail(f"{picture}: there is no such file", ExitCode.INPUT)
    try:
        path = LogoFolder(folder).add(name, picture)
    except LogoError as error:
        fail(str(error), ExitCode.USAGE)
    say(f"{name} is registered: {path}")


@app.command("list")
@tells_errors
def list_logos(folder: _Folder = None) -> None:
    """Lists the registered logos with size and features. Ends with 4 if one can't be used."""
    from services.detect.logo_features import logo_features
    from services.detect.logo_folder import LogoError, LogoFolder

    logos = LogoFolder(folder)
    table = Table("logo", "size", "features", box=None, header_style="dim", pad_edge=False)
    faults = []
    try:
        names = logos.names()
    except LogoError as error:
        _refuse(error)
    for name in names:
        try:
            logo = logos.read(name)
        except LogoError as error:
            faults.append(str(error))
            table.add_row(name, "unusable", "")
        else:
            table.add_row(name, f"{logo.shape[1]}×{logo.shape[0]}", str(len(logo_features(logo))))
    if not names:
        say(f"no logo is registered in {logos.folder}: `veil logo add NAME PICTURE` adds one")
        return
    out.print(table)
    for fault in faults:
        complain(fault)
    if faults:
        raise typer.Exit(ExitCode.MODEL)


@app.command()
@tells_errors
def remove(name: _Name, folder: _Folder = None) -> None:
    """Forgets a logo."""
    from services.detect.logo_folder import LogoError, LogoFolder

    try:
        LogoFolder(folder).remove(name)
    except LogoError as error:
        fail(str(error), ExitCode.USAGE)
    say(f"{name} is removed")


@app.command("try")
@tells_errors
def try_picture(
    picture: Annotated[Path, typer.Argument(metavar="PICTURE", help="A picture as the camera gives it.")],
    masked: Annotated[
        Path | None, typer.Option("--out", metavar="PATH", help="Write the picture with the found logos masked.")
    ] = None,
    folder: _Folder = None,
) -> None:
    """Says which registered logos are found where in a picture, with the score that policies' thresholds mean."""
    from services.detect.logo import LogoDetector
    from services.detect.logo_folder import LogoError, LogoFolder, opened

    try:
        logos, stamp = LogoFolder(folder).read_all()
    except LogoError as error:
        _refuse(error)
    if not logos:
        fail("no logo is registered: run `veil logo add NAME PICTURE`", ExitCode.MODEL)
    try:
        image = opened(picture)
    except LogoError as error:
        fail(str(error), ExitCode.INPUT)
    found = LogoDetector(logos, stamp).find(image, _TRY_S)
    for one in found:
        x1, y1, x2, y2 = _corners(image, one, 0)
        say(f"{one.name}: score {one.score:.2f}, at {x1},{y1} to {x2},{y2}")
    if not found:
        say("no registered logo was found")
    if masked is not None:
        _write(masked, image, found)


def _refuse(error: "LogoError") -> NoReturn:
    fail(str(error), ExitCode.MODEL)


def _corners(image: "Image", found: "Found", padding: float) -> tuple[int, int, int, int]:
    """The upright box around a found logo, inside the picture, each side padded by a share of it."""
    (x1, y1), (x2, y2) = found.corners.min(axis=0), found.corners.max(axis=0)
    wide, high = (x2 - x1) * padding, (y2 - y1) * padding
    height, width, _ = image.shape
    return (
        max(0, int(x1 - wide)),
        max(0, int(y1 - high)),
        min(width, int(x2 + wide) + 1),
        min(height, int(y2 + high) + 1),
    )


def _write(path: Path, image: "Image", found: "list[Found]") -> None:
    import cv2

    for one in found:
        x1, y1, x2, y2 = _corners(image, one, _PADDING)
        image[y1:y2, x1:x2] = _MASK
    try:
        done, data = cv2.imencode(path.suffix or ".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    except cv2.error:
        done = False
    if not done:
        fail(f"{path}: give a name that ends in .png or .jpg", ExitCode.USAGE)
    try:
        path.write_bytes(data.tobytes())
    except OSError as error:
        fail(f"{path} can't be written: {(error.strerror or 'failed').lower()}", ExitCode.OUTPUT)
    say(f"{path}: the picture with {len(found)} masked")
