"""`veil watch`: frames, lag and age of every camera at every stage, live in the terminal."""

import json
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live

from services.cli.console import EXIT_CODES, fail, out, say, tells_errors
from services.embedded.errors import ExitCode
from services.watch.scrape import Scraper
from services.watch.show import lines, table
from services.watch.targets import NoTargets, Target, from_stack, from_urls
from services.watch.view import View, Watcher

EPILOG = f"""[bold]Examples[/]

[green]veil watch[/]  the stack that `make stack` started, until Ctrl-C

[green]veil watch --metrics http://10.0.0.5:9100/metrics --metrics http://10.0.0.6:9100/metrics[/]  these processes

[green]veil watch --once --json | jq .cameras[/]  for scripts: looks for three seconds, then says it once

{EXIT_CODES}"""

_ONCE_S = 3.0


@tells_errors
def watch(
    stack: Annotated[
        Path, typer.Option(metavar="PATH", help="stack.json of a running stack; read anew every time.")
    ] = Path("out/stack/stack.json"),
    metrics: Annotated[
        list[str] | None, typer.Option(metavar="URL", help="Address of a process's metrics, instead; may be repeated.")
    ] = None,
    every: Annotated[float, typer.Option(metavar="S", min=0.2, max=3600, help="Seconds between two looks.")] = 1.0,
    timeout: Annotated[float, typer.Option(metavar="S", min=0.1, max=60, help="Deadline of each answer.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", metavar="", help="Look for three seconds, say it once, end.")] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="One JSON object a line.")] = False,
) -> None:
    """Shows frames per second, lag and age per camera and stage, live. Needs nothing but the services' metrics."""

    def targets() -> tuple[Target, ...]:
        return from_urls(metrics) if metrics else from_stack(stack)

    try:
        # Ctrl-C is the way out, and leaves nothing behind.
        with Scraper(timeout) as scraper, suppress(KeyboardInterrupt):
            _watch(targets, scraper, every, once=once, as_json=as_json)
    except NoTargets as problem:
        fail(str(problem), ExitCode.INPUT)


def _watch(
    targets: Callable[[], tuple[Target, ...]], scraper: Scraper, every_s: float, *, once: bool, as_json: bool
) -> None:
    watcher = Watcher()

    def look() -> View:
        return watcher.take(scraper.ask(targets()))

    view = look()
    if once:
        time.sleep(_ONCE_S)
        _say(look(), as_json)
    elif out.is_terminal and not as_json:
        with Live(table(view), console=out, screen=True, auto_refresh=False) as live:
            while True:
                time.sleep(every_s)
                live.update(table(look()), refresh=True)
    else:
        while True:
            time.sleep(every_s)
            _say(look(), as_json)


def _say(view: View, as_json: bool) -> None:
    if as_json:
        out.print_json(json.dumps(view.as_plain_data()), indent=None, highlight=False)
    elif out.is_terminal:
        out.print(table(view))
    else:
        for line in lines(view):
            say(line)
