"""Shows how far a run is: a bar on a terminal, plain lines every few seconds elsewhere."""

import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from services.cli.console import err
from services.report.wording import clock

if TYPE_CHECKING:
    from services.auditor.video import FileAudit
    from services.embedded.redact import Progress

_LINE_EVERY_S = 5.0


class _Show:
    """One file's bar or lines.

    Args:
        name: what is being masked.
        quiet: shows nothing.
        console: where to show it.
        now: seconds, monotonic.
    """

    def __init__(
        self, name: str, *, quiet: bool = False, console: Console = err, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._name = name
        self._quiet = quiet
        self._console = console
        self._now = now
        self._next_line = now() + _LINE_EVERY_S
        self._bar = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f} %"),
            TextColumn("{task.fields[words]}", markup=False),
            console=console,
            transient=True,
            disable=quiet or not console.is_terminal,
        )
        self._task = self._bar.add_task(name, total=None, words="starting")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def _update(self, seen: float, total: float | None, figures: str) -> None:
        if self._quiet:
            return
        if self._console.is_terminal:
            # What a file's header says is an estimate: the bar must not run past its end.
            self._bar.update(
                self._task, completed=seen if total is None else min(seen, total), total=total, words=figures
            )
        elif self._now() >= self._next_line:
            self._next_line = self._now() + _LINE_EVERY_S
            self._console.print(f"{self._name}: {figures}", markup=False, highlight=False, soft_wrap=True)


class ProgressShow(_Show):
    """Takes each Progress of one file by being called."""

    def __call__(self, progress: "Progress") -> None:
        """Shows the newest figures."""
        self._update(progress.frames, progress.total_frames, words(progress))


class AuditShow(_Show):
    """Takes how far the audit of one file is."""

    def audited(self, audit: "FileAudit", total_s: float | None) -> None:
        """Shows the newest figures; `total_s` is the length of the video, None if unknown."""
        suspects = f" · {len(audit.suspects)} suspects" if audit.suspects else ""
        self._update(audit.duration_s, total_s, f"{clock(audit.duration_s)} · {audit.looks} looks{suspects}")


def words(progress: "Progress") -> str:
    """One line of figures."""
    total = "" if progress.total_frames is None else f"/{max(progress.frames, progress.total_frames)}"
    parts = [f"{progress.frames}{total} frames", f"{progress.fps:.0f} fps"]
    if progress.eta_s is not None:
        parts.append(f"{clock(progress.eta_s)} left")
    parts += [f"{count} {kind} masks" for kind, count in sorted(progress.masked.items())]
    if progress.closed:
        parts.append(f"{progress.closed} closed")
    return " · ".join(parts)
