"""A plan as rows: one list for the terminal, for the page in docs/ and for whoever copies it into a spreadsheet."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.planning.plan import Ask, CellPlan, Plan
from services.planning.prices import Bill


class Row(NamedTuple):
    """One line of the table.

    Attributes:
        cell: of one full cell.
        city: of all cells.
    """

    what: str
    cell: str
    city: str


def rows(plan: Plan, bill: Bill | None = None) -> Iterator[Row]:
    """Everything that is planned."""
    cell, ask = plan.cell, plan.ask
    number = sum(count for count, _ in plan.cells)
    yield Row("cameras", f"{cell.cameras:,}", f"{ask.cameras:,} in {number:,} cell{'s' if number > 1 else ''}")
    for name, stage in cell.stages.items():
        city = f"{plan.replicas(name):,} processes, {plan.stage_cores(name):,.0f} cores"
        yield Row(name, f"{stage.replicas:,} × {stage.request:.1f} cores", city)
    yield Row("partitions of a topic", f"{cell.partitions:,}", "")
    yield Row("brokers", f"{cell.brokers:,}", f"{plan.total('brokers'):,.0f}")
    yield Row("cores of brokers", f"{cell.broker_cores:,.1f}", f"{plan.total('broker_cores'):,.0f}")
    yield Row("disks of brokers", size(cell.disk), size(plan.total("disk")))
    yield Row("disk of one broker", size(cell.disk / cell.brokers), "")
    cameras = ask.camera.bitrate / 8
    yield Row("in from cameras", rate(cell.cameras * cameras), rate(ask.cameras * cameras))
    yield Row("written to brokers", rate(cell.written), rate(plan.total("written")))
    yield Row("copied between brokers", rate(cell.copied), rate(plan.total("copied")))
    yield Row("read from brokers", rate(cell.read), rate(plan.total("read")))
    yield Row("in, each zone", rate(_into(ask, cell) / ask.zones), rate(_all(plan, _into) / ask.zones))
    yield Row("out, each zone", rate(_out_of(ask, cell) / ask.zones), rate(_all(plan, _out_of) / ask.zones))
    yield Row("between zones", rate(cell.cross_zone), rate(plan.total("cross_zone")))
    if ask.gpu:
        yield Row(f"GPUs, {ask.gpu}, as published", f"{cell.gpus:,}", f"{plan.total('gpus'):,.0f}")
    else:
        yield Row("GPUs", "0", "0")
    yield Row("vault", size(plan.vault / ask.cameras * cell.cameras), size(plan.vault))
    if bill is not None:
        for what, money in bill.items.items():
            yield Row(f"{what}, a month", "", f"{money:,.0f} {bill.currency}")
        yield Row("all, a month", "", f"{bill.total:,.0f} {bill.currency}")
        yield Row("a camera, a month", "", f"{bill.per_camera:,.2f} {bill.currency}")


def assumptions(ask: Ask) -> Iterator[tuple[str, str]]:
    """What was asked for, or taken for granted: name and value."""
    camera = ask.camera
    yield "pictures", f"{camera.width}×{camera.height}, {camera.fps:g} a second"
    yield "bitrate of a camera, masked", f"{camera.bitrate / 1e6:g} and {camera.masked_bitrate / 1e6:g} Mbit/s"
    yield "kinds", ", ".join(camera.kinds)
    yield "frames between looks", f"{camera.cadence:g}"
    yield "headroom", f"{ask.headroom:.0%}"
    yield "processes over those that the work needs", f"{ask.crowding:g} times"
    fails = [what for what, there in (("a zone", ask.survive_zone), ("a broker", ask.survive_broker)) if there]
    yield "may fail, one at a time", ", ".join(fails) or "nothing"
    yield "zones, copies of partitions", f"{ask.zones}, {ask.replication}"
    yield "renderer and encoder", "in one process" if ask.fused else "in processes of their own"
    yield "cores a decoder uses at most", f"{ask.decoder_cores}"
    yield "VEIL_INFERENCE_WORKERS", "default of Triton" if ask.gpu else f"{ask.inference_workers}"
    yield "VEIL_ENCODER_THREADS", f"{ask.encoder_threads}"
    yield "a broker", f"{ask.broker_gbit:g} Gbit/s, at most {ask.broker_disk_tb:g} TB and {ask.broker_cores:g} cores"
    yield "originals are kept", f"{ask.retention_days:g} days"
    if ask.gpu:
        yield "counted on of what was published", f"{ask.gpu_share:.0%}"


def table(plan: Plan, bill: Bill | None = None) -> RenderableType:
    """For a terminal, 80 columns wide."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    grid.add_column("")
    grid.add_column("a full cell" if plan.full > 1 or plan.rest else "the cell", justify="right", no_wrap=True)
    grid.add_column("all", justify="right", no_wrap=True)
    for row in rows(plan, bill):
        grid.add_row(*row)
    taken = Table(box=None, pad_edge=False, show_header=False, title="Assumptions", title_justify="left")
    for name, value in assumptions(plan.ask):
        taken.add_row(Text(name, style="dim"), value)
    parts: list[RenderableType] = [grid, taken, Text()]
    parts += [Text(f"! {problem}", style="bold red") for problem in plan.problems]
    parts += [Text(note, style="dim") for note in notes(plan, bill)]
    return Group(*parts)


def notes(plan: Plan, bill: Bill | None) -> Sequence[str]:
    """What a reader must know beside the numbers."""
    return (*plan.notes, *((f"Prices: {bill.note}",) if bill and bill.note else ()))


def markdown(plan: Plan, bill: Bill | None = None) -> str:
    """For a page: the table, the assumptions, problems and notes."""
    lines = ["| | a full cell | all |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows(plan, bill))]
    lines += ["", "| assumed | |", "|---|---|", *(f"| {name} | {value} |" for name, value in assumptions(plan.ask))]
    lines += ["", *(f"- **{problem[:1].upper()}{problem[1:]}.**" for problem in plan.problems)]
    lines += [f"- {note}" for note in notes(plan, bill)]
    return "\n".join(lines) + "\n"


def size(count: float) -> str:
    """Bytes in the unit that suits them."""
    for unit, scale in (("PB", 1e15), ("TB", 1e12), ("GB", 1e9)):
        if count >= scale:
            return f"{count / scale:,.1f} {unit}"
    return f"{count / 1e6:,.1f} MB"


def rate(count: float) -> str:
    """Bytes a second as bits."""
    bits = 8 * count
    return f"{bits / 1e9:,.1f} Gbit/s" if bits >= 1e9 else f"{bits / 1e6:,.1f} Mbit/s"


def _into(ask: Ask, cell: CellPlan) -> float:
    """Bytes that come into machines: from cameras, to brokers, between them, to readers."""
    return cell.cameras * ask.camera.bitrate / 8 + cell.written + cell.copied + cell.read


def _out_of(_: Ask, cell: CellPlan) -> float:
    return cell.written + cell.copied + cell.read


def _all(plan: Plan, of: Callable[[Ask, CellPlan], float]) -> float:
    return sum(count * of(plan.ask, cell) for count, cell in plan.cells)
