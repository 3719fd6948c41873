"""Shows a view: a table for a terminal, plain lines for a log."""

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.watch.view import STAGES, Passage, Process, State, View

LEGEND = "fps out, age of the newest · yellow: over 3 s old · red: nothing comes · –: never"

_STYLES = {State.OK: "green", State.LATE: "yellow", State.STALE: "bold red", State.NEW: "dim"}


def table(view: View) -> RenderableType:
    """Cameras by stage, processes, and one line that sums up: 80 columns wide."""
    return Group(_cameras(view), Text(), _processes(view), Text(), _summary(view), Text(LEGEND, style="dim"))


def lines(view: View) -> Iterator[str]:
    """One line for each camera, for each process that is down, and one that sums up."""
    for camera, stages in view.cameras.items():
        said = [f"{stage} {_words(stages[stage])}" for stage in STAGES if stage in stages]
        yield f"{camera}: {', '.join(said)}"
    for process in view.processes:
        if process.problem:
            yield f"{process.name}: DOWN, {process.problem}"
    yield _summary(view).plain


def _cameras(view: View) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    grid.add_column("camera", max_width=16, no_wrap=True, overflow="ellipsis")
    for stage in STAGES:
        grid.add_column(f"{stage}\nfps   age", justify="right", no_wrap=True)
    for camera, stages in view.cameras.items():
        stale = any(passage.state is State.STALE for passage in stages.values())
        cells = [_cell(stages.get(stage)) for stage in STAGES]
        grid.add_row(Text(camera, style="bold red" if stale else ""), *cells)
    if not view.cameras:
        grid.add_row(Text("no camera yet", style="dim"))
    return grid


def _cell(passage: Passage | None) -> Text:
    if passage is None:
        return Text("–", style="dim")
    style = _STYLES[passage.state]
    if passage.state is State.STALE:
        return Text("stale", style=style)
    fps = "…" if passage.fps is None else f"{passage.fps:.1f}"
    return Text(f"{fps} {_seconds(passage.age_s):>5}", style=style)


def _processes(view: View) -> Table:
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold")
    grid.add_column("service", max_width=22, no_wrap=True, overflow="ellipsis")
    grid.add_column("state", max_width=20)
    for heading in ("lag", "blocked", "dead", "restarts", "CPU", "memory"):
        grid.add_column(heading, justify="right", no_wrap=True)
    for process in view.processes:
        grid.add_row(process.name, *_cells(process))
    return grid


def _cells(process: Process) -> Iterator[Text]:
    if process.problem:
        yield Text(process.problem, style="bold red")
        return
    yield Text("up", style="green")
    yield Text(str(process.lag), style="yellow" if process.lag > 1000 else "")
    yield Text(f"{process.blocked:.0%}", style="yellow" if process.blocked > 0.05 else "")
    yield Text(str(process.dead_letters), style="red" if process.dead_letters else "")
    yield Text(str(process.restarts), style="yellow" if process.restarts else "")
    yield Text("…" if process.cpu is None else f"{process.cpu:.0%}")
    yield Text(f"{process.memory / 1e6:.0f} MB")


def _summary(view: View) -> Text:
    down = sum(bool(process.problem) for process in view.processes)
    closed = "no frames encoded" if view.closed is None else f"{view.closed:.1%} of frames closed"
    waiting = [f"{topic} {count}" for topic, count in view.lag.items() if count]
    parts = [closed, f"{view.shed} shed", f"lag: {', '.join(waiting) or 'none'}"]
    if view.suspects:
        parts.insert(0, f"{view.suspects} suspect{'s' if view.suspects > 1 else ''} (veil tail audit)")
    if down:
        parts.insert(0, f"{down} of {len(view.processes)} services down")
    return Text(" · ".join(parts), style="bold red" if down or view.suspects else "")


def _words(passage: Passage) -> str:
    if passage.state is State.STALE:
        return "STALE"
    fps = "" if passage.fps is None else f"{passage.fps:.1f} fps "
    return f"{fps}{_seconds(passage.age_s)} old"


def _seconds(age_s: float) -> str:
    return f"{age_s:.2f}s" if age_s < 10 else f"{age_s:.0f}s"
