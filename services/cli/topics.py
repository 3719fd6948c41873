"""`veil topics`: what a Kafka broker should have, what it has, and making the two agree."""

import json
import logging
from datetime import timedelta
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from services.bus.interface import BusLost
from services.cli.console import EXIT_CODES, debugging, fail, out, say, tells_errors
from services.consume.errors import ConsumeError
from services.embedded.errors import ExitCode

if TYPE_CHECKING:
    from services.bus.kafka_admin import Plan
    from services.bus.kafka_table import Acl
    from services.bus.topics import Topic

EPILOG = f"""[bold]Examples[/]

[green]veil topics --env out/stack/admin.env[/]  the table, and what differs on the broker

[green]veil topics --env out/stack/admin.env --apply[/]  makes topics, settings and access rules as the table says

[bold]Connection[/]: VEIL_KAFKA_… in the environment, or a file of such lines (--env), for an administrator.

Access that the table doesn't name is taken away, as far as it touches these topics, groups or users. Topics are never
deleted, and never change their number of partitions.

{EXIT_CODES}"""


@tells_errors
def topics(
    apply: Annotated[bool, typer.Option("--apply", metavar="", help="Change the broker, not only look.")] = False,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="Table and differences as JSON.")] = False,
    env: Annotated[Path | None, typer.Option(metavar="FILE", help="File with lines VEIL_KAFKA_…=….")] = None,
) -> None:
    """Compares the topics and access rules of a Kafka broker with the table, and mends them."""
    # Here, because these bring Kafka along, and --help should not wait for it.
    from services.bus.kafka_admin import AdminError, KafkaAdmin
    from services.bus.kafka_table import as_plain_data
    from services.consume.connection import kafka_settings

    if not debugging():
        # What goes wrong is said here in a sentence; the library would add a line for each attempt.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        settings = kafka_settings(env)
        with KafkaAdmin(settings) as admin:
            plan = admin.plan()
            if as_json:
                out.print_json(json.dumps({"table": as_plain_data(settings), "plan": plan.as_plain_data()}))
            else:
                _show(plan)
            if apply:
                admin.apply(plan)
    except BusLost as error:
        fail(str(error), ExitCode.INPUT)
    except (AdminError, ConsumeError) as error:
        fail(str(error), ExitCode.USAGE)
    if not as_json:
        say(_verdict(plan, applied=apply))


def _show(plan: "Plan") -> None:
    from services.bus.kafka_table import all_topics

    heads = (Column("topic", no_wrap=True), "kept", "written by", "read by", "on the broker")
    table = Table(*heads, box=None, header_style="dim", pad_edge=False)
    for topic in all_topics():
        readers = ", ".join((*topic.readers, *topic.audience))
        table.add_row(topic.name, _span(topic.retention), ", ".join(topic.writers), readers, _state(topic, plan))
    out.print(table)
    for sign, acls in (("+", plan.add), ("-", plan.remove)):
        for what, same in groupby(acls, key=_words):
            say(f"{sign} {what}: {', '.join(acl.operation for acl in same)}")
    for problem in plan.problems:
        say(problem)


def _state(topic: "Topic", plan: "Plan") -> str:
    if any(topic.name == missing.name for missing in plan.create):
        return "missing"
    change = plan.configs.get(topic.name)
    return ", ".join(f"{key} should be {value}" for key, value in change.items()) if change else "as it should be"


def _words(acl: "Acl") -> str:
    begins = "…" if acl.pattern == "PREFIXED" else ""
    return f"{acl.permission.lower()} {acl.principal} {acl.resource.lower()} {acl.name}{begins}"


def _span(time: timedelta) -> str:
    for name, length in (("years", timedelta(days=365)), ("days", timedelta(days=1)), ("h", timedelta(hours=1))):
        if time >= length:
            return f"{time / length:.0f} {name}"
    return f"{time / timedelta(minutes=1):.0f} min"


def _verdict(plan: "Plan", *, applied: bool) -> str:
    if plan.empty:
        return "The broker is as the table says."
    what = f"{len(plan.create)} topics to make, {len(plan.configs)} to set right, {len(plan.add)} access rules to add, "
    what += f"{len(plan.remove)} to take away"
    return f"Done: {what}." if applied else f"{what}; --apply does it."
