"""`veil service`: one stage of the line as a process of its own on Kafka, or some neighbours together."""

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Annotated

import typer

from services.cli.console import EXIT_CODES, fail
from services.embedded.errors import ExitCode

if TYPE_CHECKING:
    from services.runtime.service import MakeStage, Prepare, ServiceSettings
    from services.runtime.stage import Stage

# In the order of the flow. The decoder reads no topic, the auditor what viewers read, and the vault what the renderer
# reads: none of them has neighbours.
_ALONE = ("decoder", "vault", "auditor", "insight")
_CONSUMING = ("inference", "tracker", "renderer", "encoder")
SERVICES = ("decoder", *_CONSUMING, "vault", "auditor", "insight")
# No stages: they serve browsers, and `run` in their process.py does all the rest.
SERVERS = ("console", "disclosure")

_BY_ITSELF = {
    "decoder": "the decoder runs by itself: it opens cameras, which must not wait for another stage",
    "vault": "the vault runs by itself: it waits for its store, and nothing may wait for it",
    "auditor": "the auditor runs by itself: it reads what viewers read, and nothing may wait for it",
    "insight": "insight runs by itself: it reads what analysts read, and waits for its database",
}

EPILOG = f"""[bold]Examples[/]

[green]VEIL_SERVICE_SITE=site.yaml veil service tracker[/]

[green]veil service renderer+encoder[/]  both in one process, without pictures on the bus between them

[green]veil service disclosure[/]  the REST API of requests and accounts (VEIL_API_…, VEIL_DISCLOSURE_…)

Set up by the environment: VEIL_SERVICE_…, VEIL_KAFKA_…, VEIL_KEYS_… and VEIL_<STAGE>_…; services/README.md lists them.

{EXIT_CODES}"""


def service(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="decoder, inference, tracker, renderer, encoder; renderer+encoder; vault; auditor; insight; console; "
            "disclosure.",
        ),
    ],
) -> None:
    """Runs one stage of the line on Kafka until it is stopped, or the console, or the API of requests."""
    if name in SERVERS:
        raise typer.Exit(_serve(name))
    try:
        names = stages_of(name)
    except ValueError as error:
        fail(str(error), ExitCode.USAGE)
    # Here, because stages bring FFmpeg, OpenCV and ONNX Runtime along, and --help should not wait for them.
    from services.runtime.service import serve

    raise typer.Exit(serve("-".join(names), _prepared(names)))


def _serve(name: str) -> int:
    try:
        process = import_module(f"services.{name}.process")
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        fail(f"the {name} needs the package {package}: pip install 'veil[server]'", ExitCode.USAGE)
    status: int = process.run()
    return status


def stages_of(name: str) -> tuple[str, ...]:
    """The stages that `name` asks for, in the order of the flow. Raises ValueError with one sentence."""
    names = tuple(name.split("+"))
    for one in names:
        if one not in (*_ALONE, *_CONSUMING):
            raise ValueError(f"there is no service '{one}'; there are {', '.join((*SERVICES, *SERVERS))}")
    if len(names) == 1:
        return names
    if set(names) & set(_ALONE):
        raise ValueError(_BY_ITSELF[next(one for one in names if one in _ALONE)])
    first = _CONSUMING.index(names[0])
    if names != _CONSUMING[first : first + len(names)]:
        raise ValueError(f"only neighbours share a process, in the order of the flow: {' → '.join(_CONSUMING)}")
    return names


def _prepared(names: Sequence[str]) -> "Prepare":
    prepares: list[Callable[..., MakeStage]] = [import_module(f"services.{name}.process").prepare for name in names]
    if "renderer" in names and "encoder" in names:
        at = names.index("renderer")
        prepares[at] = partial(prepares[at], attached=True)

    def prepare(settings: "ServiceSettings") -> "MakeStage":
        makes = [one(settings) for one in prepares]
        return lambda: _chained(makes)

    return prepare


def _chained(makes: "Sequence[MakeStage]") -> "Stage":
    from services.runtime.chain import Chain

    stage = makes[0]()
    for make in makes[1:]:
        stage = Chain(stage, make())
    return stage
