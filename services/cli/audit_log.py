"""`veil audit-log`: who did what with footage, whether the log is whole, and the export for a regulator."""

import getpass
import json
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec

import typer
from pydantic import ValidationError
from rich.table import Column, Table

from services.cli.console import complain, fail, out, say, tells_errors
from services.embedded.errors import ExitCode, RunError

if TYPE_CHECKING:
    from services.audit.check import Chains, Fault
    from services.audit.export import Verdict
    from services.audit.links import Link
    from services.audit.select import Wanted
    from services.audit.settings import AuditSettings
    from services.audit.sources import Source
    from services.schema import pb
    from services.signing import SigningKeys

_P = ParamSpec("_P")
_FAULTY = 1

app = typer.Typer(
    help="Who looked at, searched, disclosed, approved, changed or destroyed what, and whether that log is whole.\n\n"
    "Every event holds the hash of the one before it. `verify` finds what was removed, changed, reordered, put in or "
    "moved: within the logs, against the topic audit, against signed checkpoints and in exports. What is cut off at "
    "the end of a log is found if the topic, a checkpoint or an export still knows it: write checkpoints every hour, "
    "and keep them elsewhere.\n\n"
    "The logs are those of VEIL_AUDIT_DATABASE, of the vault (VEIL_VAULT_INDEX or VEIL_VAULT_STORE) and of disclosure "
    "(VEIL_DISCLOSURE_DATABASE or VEIL_DISCLOSURE_FOLDER), as far as these are set, and of --database. No key of "
    "originals is needed. services/audit/README.md tells what can be found and what can't.",
    no_args_is_help=True,
    epilog="[bold]Examples[/]\n\n"
    "[green]veil audit-log verify[/]  all logs and checkpoints\n\n"
    "[green]veil audit-log verify --topic[/]  against Kafka's copy too (VEIL_KAFKA_…)\n\n"
    "[green]veil audit-log verify march/ --key city.public.pem[/]  an export, anywhere, without the logs\n\n"
    "[green]veil audit-log show --camera gate --action vault.open --purpose 'who opened it?'[/]\n\n"
    "[green]veil audit-log export march/ --from 2026-03-01 --to 2026-04-01 --purpose 'inquiry 12'[/]\n\n"
    "[green]veil audit-log checkpoint[/]  to be run every hour\n\n"
    "[green]veil audit-log publish[/]  to be kept running where there is Kafka",
)

_Purpose = Annotated[str, typer.Option("--purpose", metavar="TEXT", help="What for; it stands in the log itself.")]
_Who = Annotated[
    str, typer.Option("--who", metavar="NAME", help="Who you are; the name you are logged in under if left out.")
]
_From = Annotated[str, typer.Option("--from", metavar="TIME", help="Only from then on, ISO 8601; UTC without a zone.")]
_To = Annotated[str, typer.Option("--to", metavar="TIME", help="Only until then; this moment is left out.")]
_Camera = Annotated[str, typer.Option("--camera", metavar="CAMERA", help="Only what is about this camera.")]
_Actor = Annotated[str, typer.Option("--actor", metavar="NAME", help="Only what this account did.")]
_Action = Annotated[str, typer.Option("--action", metavar="ACTION", help="Only this, or what begins so: vault.")]
_Databases = Annotated[
    list[str] | None,
    typer.Option("--database", metavar="URL", help="One more log: sqlite:///FILE or postgresql://…; may be repeated."),
]


def _tells(command: Callable[_P, None]) -> Callable[_P, None]:
    """Turns what the log says into sentences and an exit code."""

    @tells_errors
    @wraps(command)
    def wrapped(*args: _P.args, **kwargs: _P.kwargs) -> None:
        try:
            from services.audit.errors import AuditError, NoPurpose
            from services.signing import SigningError
        except ImportError as error:
            package = (error.name or "").partition(".")[0]
            fail(f"the audit log needs the package {package}: pip install 'veil[vault]'", ExitCode.USAGE)
        try:
            command(*args, **kwargs)
        except NoPurpose as error:
            raise RunError(_sentence(error), ExitCode.USAGE) from error
        except (AuditError, SigningError) as error:
            raise RunError(_sentence(error), ExitCode.INPUT) from error

    return wrapped


@app.command()
@_tells
def verify(
    exports: Annotated[
        list[Path] | None, typer.Argument(metavar="[EXPORT]...", help="Folders of exports; the logs if none is named.")
    ] = None,
    key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Public key that exports must be signed with, from its owner.")
    ] = None,
    against_log: Annotated[
        bool, typer.Option("--against-log", metavar="", help="Also whether the logs still hold what the exports do.")
    ] = False,
    topic: Annotated[
        bool, typer.Option("--topic", metavar="", help="Also compare with the topic audit of VEIL_KAFKA_….")
    ] = False,
    env: Annotated[Path | None, typer.Option(metavar="FILE", help="File with VEIL_KAFKA_… lines.")] = None,
    databases: _Databases = None,
    who: _Who = "",
) -> None:
    """Finds events that were removed, changed, reordered, put in or moved. Ends with 1 if there are any."""
    from services.audit.check import by_chain, check_against

    found: list[Fault] = []
    verdicts = [_verdict(path, key) for path in exports or []]
    for path, verdict in zip(exports or [], verdicts, strict=True):
        found += verdict.faults
        if verdict.fingerprint:
            say(f"{path}: {verdict.manifest['events']} events, signed with the key {verdict.fingerprint}")
    if not exports or against_log:
        settings = _settings()
        chains, faults = _checked_logs(settings, databases or [])
        found += faults
        for path, verdict in zip(exports or [], verdicts, strict=True):
            seen = by_chain(link for link in verdict.links if not link.fault)
            found += check_against("log", chains, path.name, seen)
        if topic:
            found += _against_topic(settings, databases or [], chains, env)
        details = {"faults": str(len(found)), "topic": str(topic).lower()}
        _append(settings, "audit.verify", who, "", details)
    for fault in found:
        complain(str(fault))
    if found:
        raise typer.Exit(_FAULTY)
    say("nothing was removed, changed, reordered, put in or moved, as far as this can tell")


@app.command()
@_tells
def show(
    purpose: _Purpose = "",
    who: _Who = "",
    start: _From = "",
    end: _To = "",
    camera: _Camera = "",
    actor: _Actor = "",
    action: _Action = "",
    last: Annotated[int, typer.Option(metavar="N", min=1, max=100_000, help="The newest so many.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", metavar="", help="One JSON object a line, with hashes.")] = False,
    databases: _Databases = None,
) -> None:
    """Shows events, oldest first. Looking is an event too, and needs a purpose."""
    from services.audit.export import as_json as plain
    from services.audit.select import more_of, time_of

    settings, wanted = _settings(), _wanted(start, end, camera, actor, action)
    _append(settings, "audit.show", who, purpose, {"asked_for": wanted.words()})
    found = sorted(filter(wanted.takes, _events(settings, databases or [])), key=lambda event: event.at_us)[-last:]
    if as_json:
        for event in found:
            typer.echo(json.dumps(plain(event), ensure_ascii=False))
        return
    columns = [Column(name, no_wrap=True) for name in ("time (UTC)", "who", "did")]
    table = Table(*columns, "with", "what for", "more", box=None, header_style="dim", pad_edge=False)
    for event in found:
        more = ", ".join(f"{name} {value}" for name, value in more_of(event).items())
        texts = (time_of(event.at_us), event.actor, event.action, event.object, event.purpose, more)
        table.add_row(*(text.replace("[", r"\[") for text in texts))
    if found:
        out.print(table)
    else:
        say("there is no such event")


@app.command()
@_tells
def export(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where it goes; must not be there yet.")],
    purpose: _Purpose = "",
    who: _Who = "",
    start: _From = "",
    end: _To = "",
    camera: _Camera = "",
    actor: _Actor = "",
    action: _Action = "",
    house: Annotated[str, typer.Option(metavar="TEXT", help="Whose log it is, as the page says it.")] = "",
    databases: _Databases = None,
) -> None:
    """Writes events for a regulator: JSON Lines, a page to print, a manifest and its signature."""
    from services.audit.export import export as write
    from services.bus.clock import now_us

    settings, wanted = _settings(), _wanted(start, end, camera, actor, action)
    keys = _keys(settings)
    signing = keys.current()
    details = {"asked_for": wanted.words()}
    _append(settings, "audit.export", who, purpose, details, str(folder))
    _, faults = _checked_logs(settings, databases or [])
    events = _events(settings, databases or [])
    name = who or getpass.getuser()
    done = write(events, wanted, folder, signing, who=name, purpose=purpose, at_us=now_us(), house=house, faults=faults)
    say(f"{done.events} events in {folder}; manifest {done.digest}")
    for fault in faults:
        complain(str(fault))
    if faults:
        raise typer.Exit(_FAULTY)


@app.command()
@_tells
def checkpoint(who: _Who = "", databases: _Databases = None) -> None:
    """Signs how far every log has come: what is cut off afterwards is missed. To be run every hour."""
    from services.audit.checkpoints import Checkpoints

    settings = _settings()
    checkpoints = Checkpoints(settings.checkpoints_file, _keys(settings))
    heads = [head for source in _sources(settings, databases or []) for head in source.heads()]
    done = checkpoints.write(heads)
    details = {"number": str(done.number), "digest": done.digest, "chains": str(len(heads))}
    _append(settings, "audit.checkpoint", who, "", details)
    say(f"checkpoint {done.number} of {len(heads)} chains in {checkpoints.file}: {done.digest}")


@app.command("publish")
@_tells
def publish_events(
    env: Annotated[Path | None, typer.Option(metavar="FILE", help="File with VEIL_KAFKA_… lines.")] = None,
    databases: _Databases = None,
) -> None:
    """Brings events of all logs but the vault's to the topic audit, until it is stopped; the vault brings its own.

    Run one for a house, as a Kafka user who may write audit: disclosure or console. The API of disclosures and the
    console bring what they write by themselves; this brings what commands write as well.
    """
    from services.audit.errors import Unavailable
    from services.audit.publish import Publisher
    from services.bus.interface import BusLost
    from services.consume.connection import connect, kafka_settings
    from services.consume.errors import ConsumeError
    from services.runtime.lifecycle import stop_on_signals

    sources = [source for source in _sources(_settings(), databases or []) if source.name != "vault"]
    if not sources:
        fail("there is no log yet: see veil audit-log --help", ExitCode.USAGE)
    try:
        with stop_on_signals() as stop, closing(connect(kafka_settings(env))) as connection:
            publisher = Publisher(sources, connection.bus.producer, (Unavailable,))
            publisher.start()
            say(f"events of {', '.join(source.name for source in sources)} go to the topic audit")
            stop.wait()
            publisher.stop()
    except (BusLost, ConsumeError) as error:
        raise RunError(_sentence(error), ExitCode.INPUT) from error


def _checked_logs(settings: "AuditSettings", databases: Sequence[str]) -> tuple["Chains", list["Fault"]]:
    """Every chain of every log, and what is wrong with them by themselves and against the checkpoints."""
    from services.audit.check import Fault, check_chains
    from services.audit.checkpoints import Checkpoints, check_checkpoints
    from services.audit.links import Link
    from services.bus.clock import now_us

    chains: dict[tuple[str, str], Sequence[Link]] = {}
    faults: list[Fault] = []
    for source in _sources(settings, databases):
        own = source.chains()
        faults += check_chains(source.name, own, whole=True)
        chains.update(own)
        count = sum(map(len, own.values()))
        say(f"{source.name}: {count} events in {len(own)} chains")
    if settings.keys is None:
        say("checkpoints were not looked at: VEIL_AUDIT_KEYS names no keys; an end that was cut off can't be seen")
        return chains, faults
    file = settings.checkpoints_file
    written = Checkpoints(file).read()
    keys = _keys(settings).public()
    faults += check_checkpoints("checkpoints", written, keys, chains)
    if not written:
        say(f"{file}: there is no checkpoint yet; veil audit-log checkpoint writes one")
        return chains, faults
    hours = (now_us() - written[-1].at_us) / 3.6e9
    say(f"{len(written)} checkpoints, the newest of {hours:.1f} hours ago")
    if hours > settings.checkpoint_hours:
        says = f"the newest is {hours:.0f} hours old: some were removed, or nobody writes them"
        faults.append(Fault("checkpoints", says))
    return chains, faults


def _against_topic(
    settings: "AuditSettings", databases: Sequence[str], before: "Chains", env: Path | None
) -> list["Fault"]:
    """What is wrong with the topic by itself, and between it and the logs, which are written to meanwhile."""
    from services.audit.check import check_against, check_chains, check_published
    from services.audit.sources import topic_copy
    from services.bus.clock import now_us
    from services.bus.interface import BusLost, Start
    from services.bus.topics import AUDIT
    from services.consume.connection import connect, kafka_settings
    from services.consume.errors import ConsumeError

    try:
        with (
            closing(connect(kafka_settings(env))) as connection,
            closing(connection.bus.reader(AUDIT, Start("oldest"))) as reader,
        ):
            seen, since_us = topic_copy(reader, now_us())
    except (BusLost, ConsumeError) as error:
        raise RunError(_sentence(error), ExitCode.INPUT) from error
    say(f"topic audit: {sum(map(len, seen.values()))} events in {len(seen)} chains")
    after: dict[tuple[str, str], Sequence[Link]] = {}
    for source in _sources(settings, databases):
        after.update(source.chains())
    found = check_chains("topic audit", seen, whole=False) + check_against("log", after, "the topic", seen)
    return found + check_published("log", before, "the topic", seen, since_us)


def _verdict(path: Path, key: Path | None) -> "Verdict":
    from services.audit.export import check_export
    from services.signing import read_public

    given = None if key is None else read_public(key.read_bytes())
    if key is not None and given is None:
        fail(f"{key}: is no Ed25519 public key", ExitCode.USAGE)
    return check_export(path, given)


def _sources(settings: "AuditSettings", databases: Sequence[str]) -> list["Source"]:
    from services.audit.sources import Source, addresses

    named = addresses(settings)
    return [Source(name, url, file) for name, url, file in named] + [Source(_shown(url), url) for url in databases]


def _events(settings: "AuditSettings", databases: Sequence[str]) -> list["pb.AuditEvent"]:
    return [event for source in _sources(settings, databases) for event in source.events()]


def _append(
    settings: "AuditSettings", action: str, who: str, purpose: str, details: dict[str, str], thing: str = ""
) -> None:
    """Before anything is shown: what can't be told isn't done."""
    from services.audit.sources import open_log

    log = open_log(settings)
    log.append(action, who or getpass.getuser(), purpose=purpose, role="auditor", thing=thing, details=details)


def _settings() -> "AuditSettings":
    from services.audit.settings import AuditSettings

    try:
        return AuditSettings()
    except ValidationError as error:
        fields = ", ".join(f"VEIL_AUDIT_{str(each['loc'][0]).upper()}" for each in error.errors())
        fail(f"the audit log is not set up: see {fields}", ExitCode.USAGE)


def _keys(settings: "AuditSettings") -> "SigningKeys":
    from services.signing import SigningKeys

    if settings.keys is None:
        fail("VEIL_AUDIT_KEYS: a folder of keys is needed to sign; veil disclose keys create makes one", ExitCode.USAGE)
    return SigningKeys(settings.keys)


def _wanted(start: str, end: str, camera: str, actor: str, action: str) -> "Wanted":
    from services.audit.select import Wanted

    begins, ends = (_us(option, text) for option, text in (("--from", start), ("--to", end)))
    if begins is not None and ends is not None and begins >= ends:
        fail("--to: the range ends before it begins", ExitCode.USAGE)
    return Wanted(begins, ends, camera, actor, action)


def _us(option: str, text: str) -> int | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        fail(f"{option} {text}: a time is written like 2026-03-01T14:00", ExitCode.USAGE)
    return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1e6)


def _shown(url: str) -> str:
    """An address without what may be a password."""
    return url.rpartition("@")[2].rpartition("/")[2] or "database"


def _sentence(error: Exception) -> str:
    """As other errors of the command: without a full stop."""
    return str(error).removesuffix(".")
