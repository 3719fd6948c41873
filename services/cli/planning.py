"""`veil plan` and `veil simulate`: what a number of cameras needs and costs, and how late its pictures would be."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from services.cli.console import EXIT_CODES, err, fail, out, say, tells_errors
from services.embedded.errors import ExitCode
from services.planning.calibration import calibration
from services.planning.chart import svg
from services.planning.demand import Camera
from services.planning.errors import PlanError
from services.planning.manifests import BASE, write
from services.planning.outcome import as_plain_data, outcome
from services.planning.plan import Ask
from services.planning.plan import plan as reckoned
from services.planning.prices import bill, prices
from services.planning.scenario import Scenario, failure
from services.planning.show import markdown, table
from services.planning.simulate import simulate as simulated

PLAN_EPILOG = f"""[bold]Examples[/]

[green]veil plan --cameras 22000 --resolution 1920x1080 --fps 25[/]  processes, brokers, disks, network, storage

[green]veil plan --cameras 400 --gpu t4 --prices prices.yaml[/]  detectors on GPUs, by published figures, and money

[green]veil plan --cameras 22000 --write out/plan[/]  overlays that build on {BASE}

Costs are measured on one machine (--calibration: on yours, by make bench), those of GPUs published by others.
docs/planning.md says how to read a plan; veil simulate tries it.

{EXIT_CODES}"""

SIMULATE_EPILOG = f"""[bold]Examples[/]

[green]veil simulate --cameras 1000 --fps 10 --resolution 1280x720[/]  a minute of the line that veil plan plans

[green]veil simulate --cameras 22000 --fail zone@20 --svg age.svg[/]  the first zone is gone after 20 seconds

[green]veil simulate --cameras 100 --fail broker@20 --fail gpu@40 --gpu t4 --day[/]  a day pressed into a minute

The same seed gives the same run. Whatever fails stays away: nothing is started elsewhere.

{EXIT_CODES}"""

_BASE = Path(__file__).resolve().parents[2] / BASE

_Cameras = Annotated[int, typer.Option(metavar="N", help="How many cameras.")]
_Resolution = Annotated[str, typer.Option(metavar="WxH", help="Of their pictures.")]
_Fps = Annotated[float, typer.Option(metavar="N", help="Pictures a second.")]
_Bitrate = Annotated[float, typer.Option(metavar="MBIT", help="Of one camera, Mbit/s.")]
_Masked = Annotated[
    float | None, typer.Option(metavar="MBIT", help="Of its masked video; the camera's own if left out.")
]
_Cadence = Annotated[float, typer.Option(metavar="N", help="Frames between two looks, where much moves.")]
_Kinds = Annotated[str, typer.Option(metavar="KIND,…", help="What is masked.")]
_Zones = Annotated[int, typer.Option(metavar="N", help="That everything is spread over.")]
_Replication = Annotated[int, typer.Option(metavar="N", help="Copies of each partition.")]
_Headroom = Annotated[float, typer.Option(metavar="SHARE", help="There beside the need.")]
_Crowding = Annotated[float, typer.Option(metavar="N", help="Times as many processes as the work needs: names crowd.")]
_Survive = Annotated[bool, typer.Option(help="The rest is enough when one zone is gone.")]
_Broker = Annotated[bool, typer.Option(help="The rest is enough when one broker is gone.")]
_Gpu = Annotated[str | None, typer.Option(metavar="NAME", help="Detectors run on these: t4, l4.")]
_GpuShare = Annotated[float, typer.Option(metavar="SHARE", help="Part of the published throughput to count on.")]
_CellSize = Annotated[int | None, typer.Option(metavar="N", min=1, help="Cameras of a full cell; the most that fit.")]
_Separate = Annotated[bool, typer.Option("--separate", metavar="", help="Renderer and encoder are two processes.")]
_DecoderCores = Annotated[int, typer.Option(metavar="N", min=1, max=64, help="That one decoder uses at most.")]
_Workers = Annotated[int, typer.Option(metavar="N", min=1, max=16, help="VEIL_INFERENCE_WORKERS.")]
_Threads = Annotated[int, typer.Option(metavar="N", min=1, max=16, help="VEIL_ENCODER_THREADS.")]
_Calibration = Annotated[
    Path | None, typer.Option("--calibration", metavar="FILE", help="Costs measured on your machine.")
]
_AsJson = Annotated[bool, typer.Option("--json", metavar="", help="Everything as JSON.")]


def camera_of(
    resolution: str, fps: float, bitrate: float, masked_bitrate: float | None, cadence: float, kinds: str
) -> Camera:
    """The camera that options describe: WIDTHxHEIGHT, Mbit/s, kinds separated by commas. Raises PlanError."""
    width, cross, height = resolution.lower().partition("x")
    if not (cross and width.isdecimal() and height.isdecimal()):
        raise PlanError(f"'{resolution}' is no resolution: write it as 1920x1080")
    names = tuple(dict.fromkeys(name.strip() for name in kinds.split(",") if name.strip()))
    masked = bitrate if masked_bitrate is None else masked_bitrate
    return Camera(int(width), int(height), fps, bitrate * 1e6, masked * 1e6, cadence, names)


@tells_errors
def plan(
    cameras: _Cameras,
    resolution: _Resolution = "1920x1080",
    fps: _Fps = 25.0,
    bitrate: _Bitrate = 4.0,
    masked_bitrate: _Masked = None,
    cadence: _Cadence = 5.0,
    kinds: _Kinds = "face,plate",
    retention: Annotated[float, typer.Option(metavar="DAYS", help="For which the vault keeps originals.")] = 30.0,
    replication: _Replication = 3,
    zones: _Zones = 3,
    headroom: _Headroom = 0.3,
    crowding: _Crowding = 1.0,
    survive_zone: _Survive = True,
    survive_broker: _Broker = True,
    gpu: _Gpu = None,
    gpu_share: _GpuShare = 0.5,
    cell: _CellSize = None,
    separate: _Separate = False,
    decoder_cores: _DecoderCores = 4,
    inference_workers: _Workers = 4,
    encoder_threads: _Threads = 1,
    price_file: Annotated[
        Path | None, typer.Option("--prices", metavar="FILE", help="Your prices, as in docs/examples/prices.yaml.")
    ] = None,
    figures: _Calibration = None,
    as_json: _AsJson = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", metavar="", help="As tables for a page.")] = False,
    folder: Annotated[
        Path | None, typer.Option("--write", metavar="FOLDER", help="Write Kustomize overlays there.")
    ] = None,
    base: Annotated[Path, typer.Option(metavar="FOLDER", help=f"{BASE} of this version.", show_default=False)] = _BASE,
) -> None:
    """Says what a number of cameras needs: processes, partitions, brokers, disks, network, GPUs, storage, money."""
    try:
        ask = Ask(
            cameras,
            camera_of(resolution, fps, bitrate, masked_bitrate, cadence, kinds),
            retention_days=retention,
            replication=replication,
            zones=zones,
            headroom=headroom,
            crowding=crowding,
            survive_zone=survive_zone,
            survive_broker=survive_broker,
            fused=not separate,
            gpu=gpu,
            gpu_share=gpu_share,
            cell=cell,
            decoder_cores=decoder_cores,
            inference_workers=inference_workers,
            encoder_threads=encoder_threads,
        )
        planned = reckoned(ask, calibration(figures))
        money = bill(planned, prices(price_file)) if price_file else None
        written = write(planned, folder, base) if folder else []
    except PlanError as error:
        fail(str(error), ExitCode.USAGE)
    if as_json:
        out.print_json(json.dumps(planned.as_plain_data() | ({"bill": asdict(money)} if money else {})))
        return
    if as_markdown:
        out.print(markdown(planned, money), highlight=False, soft_wrap=True, markup=False)
    else:
        out.print(table(planned, money))
    for path in written:
        say(f"{path} written")


@tells_errors
def simulate(
    cameras: _Cameras,
    resolution: _Resolution = "1920x1080",
    fps: _Fps = 25.0,
    bitrate: _Bitrate = 4.0,
    cadence: _Cadence = 5.0,
    kinds: _Kinds = "face,plate",
    zones: _Zones = 3,
    replication: _Replication = 3,
    headroom: _Headroom = 0.3,
    crowding: _Crowding = 1.0,
    survive_zone: _Survive = True,
    survive_broker: _Broker = True,
    gpu: _Gpu = None,
    gpu_share: _GpuShare = 0.5,
    cell: _CellSize = None,
    separate: _Separate = False,
    decoder_cores: _DecoderCores = 4,
    inference_workers: _Workers = 4,
    encoder_threads: _Threads = 1,
    figures: _Calibration = None,
    seconds: Annotated[float, typer.Option(metavar="S", help="Of the cameras' time.")] = 60.0,
    seed: Annotated[int, typer.Option(metavar="N", min=0, help="Of all that is left to chance.")] = 1,
    fails: Annotated[
        list[str] | None, typer.Option("--fail", metavar="WHAT@S", help="broker, zone or gpu is gone from then on.")
    ] = None,
    day: Annotated[bool, typer.Option("--day", metavar="", help="Press a day's coming and going into it.")] = False,
    look_ahead: Annotated[float, typer.Option(metavar="S", min=0, max=10, help="The policy's look_ahead_s.")] = 0.3,
    as_json: _AsJson = False,
    picture: Annotated[Path | None, typer.Option("--svg", metavar="FILE", help="Write the chart as SVG.")] = None,
) -> None:
    """Runs the planned line in a simulation: how old pictures are, who waits, what closes, and what a failure does."""
    try:
        ask = Ask(
            cameras,
            camera_of(resolution, fps, bitrate, None, cadence, kinds),
            replication=replication,
            zones=zones,
            headroom=headroom,
            crowding=crowding,
            survive_zone=survive_zone,
            survive_broker=survive_broker,
            fused=not separate,
            gpu=gpu,
            gpu_share=gpu_share,
            cell=cell,
            decoder_cores=decoder_cores,
            inference_workers=inference_workers,
            encoder_threads=encoder_threads,
        )
        scenario = Scenario(seconds, seed, tuple(map(failure, fails or ())), day=day, look_ahead_s=look_ahead)
        measured = calibration(figures)
        planned = reckoned(ask, measured)
        with err.status("simulating …") as status:
            result = simulated(
                planned, measured, scenario, lambda done: status.update(f"{done} of {cameras} cameras …")
            )
    except PlanError as error:
        fail(str(error), ExitCode.USAGE)
    if picture is not None:
        picture.write_text(svg(result, scenario), encoding="utf-8")
    if as_json:
        out.print_json(json.dumps(as_plain_data(result)))
    else:
        out.print(outcome(planned, result, scenario))
