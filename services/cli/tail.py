"""`veil tail`: redacted video into a player, a file or a server; metadata into JSON lines or Parquet."""

import logging
import sys
from collections.abc import Collection
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from services.bus.clock import now_us
from services.bus.interface import BusLost
from services.bus.topics import TOPICS, VIDEO_REDACTED, VIDEO_RENDERED, Topic, dead_letters_of
from services.cli.console import EXIT_CODES, debugging, fail, tells_errors
from services.consume.errors import ConsumeError
from services.consume.window import Window, parse_window
from services.embedded.errors import ExitCode

if TYPE_CHECKING:
    from services.consume.connection import Connection
    from services.consume.follow import Tail
    from services.consume.progress import Progress
    from services.media.muxing import Writer

EPILOG = f"""[bold]Video[/]: each frame once and in order, from a keyframe on, sound left out

[green]veil tail video.redacted --camera gate | ffplay -[/]  live; MPEG-TS, which every player takes from a pipe

[green]veil tail video.redacted --camera gate --from -10m --for 2m --out gate.mp4[/]  two minutes of the past

[green]veil tail video.redacted --camera gate --out rtsp://10.0.0.5:8554/gate[/]  pushed to a server, until Ctrl-C

When a camera comes back, or its picture changes size, a pipe, .ts and HLS go on, an RTSP server is published to anew,
and gate.mp4 is followed by gate-2.mp4. Ctrl-C finishes the file.

[bold]Metadata[/]: a row for each message, with partition, offset and time of its record

[green]veil tail metadata.tracks | jq .kind[/]  live, as JSON lines

[green]veil tail metadata.stats --from 2025-11-12 --until now --out stats.parquet[/]  a day and what followed it

[green]veil tail frames.detect.dlq --from oldest[/]  why messages were refused; never what they held

[bold]Connection[/]: VEIL_KAFKA_… in the environment, a file of such lines (--env), or options, which win.

docs/consuming.md has the topics, what they guarantee, and how to read them without this command.

{EXIT_CODES}"""


@dataclass(frozen=True, slots=True)
class _Request:
    """What was asked for, checked."""

    topic: Topic
    window: Window
    cameras: tuple[str, ...]
    partition: int | None
    epoch: int | None
    form: str | None
    out: str | None
    overwrite: bool
    quiet: bool


@tells_errors
def tail(
    topic: Annotated[str, typer.Argument(metavar="TOPIC", help="video.redacted, metadata.tracks, metadata.stats, …")],
    camera: Annotated[
        list[str] | None, typer.Option("--camera", "-c", metavar="ID", help="Only this camera; video needs one.")
    ] = None,
    start: Annotated[
        str,
        typer.Option("--from", metavar="WHERE", help="newest, oldest, an offset, -10m, or 2025-11-12T14:03 (local)."),
    ] = "newest",
    until: Annotated[str | None, typer.Option(metavar="TIME", help="End there: now, -5m, 2025-11-12T15:00.")] = None,
    span: Annotated[str | None, typer.Option("--for", metavar="DURATION", help="End after 30s, 10m, 1h30m.")] = None,
    epoch: Annotated[int | None, typer.Option(metavar="N", min=0, help="Only this epoch of the video.")] = None,
    form: Annotated[
        str | None,
        typer.Option("--format", "-f", metavar="F", help="Of standard output: ts, h264, mp4, mkv; jsonl; parquet."),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="WHERE", help="A file by its suffix, DIR/index.m3u8, or rtsp://…"),
    ] = None,
    partition: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Only this partition; an offset without --camera needs it.")
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", metavar="", help="Replace a file that is there already.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", metavar="", help="No progress on standard error.")] = False,
    env: Annotated[Path | None, typer.Option(metavar="FILE", help="File with lines VEIL_KAFKA_…=….")] = None,
    bootstrap: Annotated[str | None, typer.Option(metavar="HOST:PORT", help="Brokers, with commas.")] = None,
    ca: Annotated[Path | None, typer.Option(metavar="FILE", help="CA certificate: turns TLS on.")] = None,
    user: Annotated[str | None, typer.Option(metavar="NAME", help="SASL/SCRAM user.")] = None,
    password_file: Annotated[Path | None, typer.Option(metavar="FILE", help="Its first line is the password.")] = None,
) -> None:
    """Follows a topic: redacted video to watch or keep, metadata to count with."""
    try:
        window = parse_window(start, until, span, now_us())
    except ValueError as error:
        fail(str(error), ExitCode.USAGE)
    request = _Request(_topic(topic), window, tuple(camera or ()), partition, epoch, form, out, overwrite, quiet)
    _check(request)
    # Here, because these bring Kafka and FFmpeg along, and --help should not wait for them.
    from services.consume.connection import connect, kafka_settings
    from services.runtime.lifecycle import stop_on_signals
    from services.runtime.logs import configure_logs

    configure_logs("WARNING")
    if not debugging():
        # What it can't reach is said here in a sentence; the library would add a line for each attempt.
        logging.getLogger("kafka").setLevel(logging.CRITICAL)
    try:
        settings = kafka_settings(env, bootstrap=bootstrap, ca_file=ca, username=user, password_file=password_file)
        with stop_on_signals() as stop, closing(connect(settings)) as connection:
            _run(request, connection, stop)
    except BusLost as error:
        fail(str(error), ExitCode.INPUT)
    except ConsumeError as error:
        fail(str(error), ExitCode.USAGE)


def standard_output(stop: Event) -> "Writer":
    """Standard output at the pace of its reader, which may leave at any time."""
    from services.consume.pipe import PipeWriter

    return PipeWriter(sys.stdout.fileno(), stop)


def _topic(name: str) -> Topic:
    known = {topic.name: topic for topic in (*TOPICS, *map(dead_letters_of, TOPICS))}
    topic = known.get(name)
    if topic is None:
        fail(f"{name}: no such topic; there are {', '.join(t.name for t in TOPICS)}, and NAME.dlq", ExitCode.USAGE)
    if topic.sensitive:
        fail(f"{name} holds pictures that are not masked: nobody may look on there", ExitCode.USAGE)
    if topic is VIDEO_RENDERED:
        fail(f"{name} lies between two stages: tail {VIDEO_REDACTED.name}", ExitCode.USAGE)
    return topic


def _check(request: _Request) -> None:
    """Ends the command where the request makes no sense."""
    video = request.topic is VIDEO_REDACTED
    if video and len(request.cameras) != 1:
        fail("one camera's video at a time: --camera ID", ExitCode.USAGE)
    if not video and request.epoch is not None:
        fail("--epoch is for video", ExitCode.USAGE)
    if request.window.start.at == "offset" and request.partition is None and len(request.cameras) != 1:
        fail("an offset is one of a partition: say --partition or --camera", ExitCode.USAGE)
    if video and request.out is None and sys.stdout.isatty():
        fail("video is nothing for a terminal: pipe it into a player, or say --out", ExitCode.USAGE)
    if request.out is not None and not request.overwrite and _would_be_replaced(Path(request.out)):
        fail(f"{request.out} is there already; --overwrite replaces it", ExitCode.USAGE)


def _would_be_replaced(path: Path) -> bool:
    """A live playlist is gone on with."""
    return path.is_file() and path.name != "index.m3u8"


def _run(request: _Request, connection: "Connection", stop: Event) -> None:
    from services.consume.follow import follow
    from services.consume.lookout import Lookout
    from services.consume.progress import Progress
    from services.consume.reading import read
    from services.media.sink import SinkError

    progress = Progress(sys.stderr)
    bus, topic = connection.bus, request.topic
    try:
        with closing(bus.reader(topic, request.window.start, _partitions(request, connection))) as reader:
            tail = _tail(request, stop, progress)
            batches = read(reader, request.window, request.cameras, stop)
            follow(batches, tail, Lookout(progress, request.cameras, bus, topic))
            progress.finish()
    except SinkError as error:
        if not isinstance(error.__cause__, BrokenPipeError):
            fail(str(error), ExitCode.OUTPUT)


def _partitions(request: _Request, connection: "Connection") -> Collection[int] | None:
    if request.partition is not None:
        count = connection.partitions(request.topic)
        if request.partition >= count:
            fail(f"{request.topic.name} has the partitions 0 to {count - 1}", ExitCode.USAGE)
        return (request.partition,)
    if request.cameras:
        return {connection.partition_of(request.topic, camera) for camera in request.cameras}
    return None


def _tail(request: _Request, stop: Event, progress: "Progress") -> "Tail":
    from services.consume.destination import row_table, video_outlet
    from services.consume.follow import RowTail
    from services.consume.progress import RowFigures, VideoFigures
    from services.consume.video import VideoTail

    stdout = partial(standard_output, stop)
    if request.topic is VIDEO_REDACTED:
        outlet = video_outlet(request.form, request.out, stdout, progress.tell, stop.wait)
        video = VideoTail(outlet, progress.tell, request.epoch)
        progress.figures = None if request.quiet else VideoFigures(request.cameras[0], video)
        return video
    rows = RowTail(request.topic, row_table(request.topic, request.form, request.out, stdout))
    if request.out is not None and not request.quiet:
        progress.figures = RowFigures(request.topic.name, rows)
    return rows
