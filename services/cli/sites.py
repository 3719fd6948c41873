"""`veil run`: masks all cameras of a site file, live, in one process."""

from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import EXIT_CODES, debugging, say, tells_errors
from services.policy.site import load_site

EPILOG = f"""[bold]Examples[/]

[green]veil run shop.yaml[/]  until Ctrl-C; a second Ctrl-C ends at once

[green]veil run shop.yaml --check[/]  only say what is wrong with the file

docs/policy.md shows a site file.

{EXIT_CODES}"""


@tells_errors
def run(
    site: Annotated[Path, typer.Argument(metavar="SITE.yaml", help="The site file.")],
    check: Annotated[bool, typer.Option("--check", help="Only check the site file and its policies.")] = False,
    json_logs: Annotated[bool, typer.Option("--json-logs", help="Log as JSON, one object a line.")] = False,
) -> None:
    """Masks the cameras of a site file, live, until it is stopped."""
    loaded = load_site(site)
    for camera in loaded.config.cameras:
        policy = loaded.policies[camera.id]
        say(f"{camera.id}: {camera.shown_source}, policy {policy.name}, masks {', '.join(policy.kinds)}")
    if check:
        return
    # Here, because the line brings FFmpeg, OpenCV and ONNX Runtime along, and --help should not wait for them.
    from services.embedded.site import run_site
    from services.runtime.lifecycle import stop_on_signals
    from services.runtime.logs import configure_logs

    configure_logs("DEBUG" if debugging() else "INFO", as_json=json_logs)
    with stop_on_signals() as stop:
        run_site(loaded, stop)
