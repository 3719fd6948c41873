"""Which file becomes which: one file, or every video of a folder."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.embedded.errors import ExitCode, RunError

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mjpeg", ".mjpg", ".h264", ".h265", ".hevc", ".ts", ".mts",
     ".m2ts", ".mpg", ".mpeg", ".wmv", ".flv", ".3gp"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Extras:
    """Further files to write, None for none; folders of them in a batch."""

    report: Path | None = None
    summary: Path | None = None
    metadata: Path | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Those that are wanted."""
        return tuple(path for path in (self.report, self.summary, self.metadata) if path is not None)

    def of(self, name: str) -> "Extras":
        """The files of one video of a batch, in these folders."""
        return Extras(
            report=self.report and self.report / f"{name}.html",
            summary=self.summary and self.summary / f"{name}.json",
            metadata=self.metadata and self.metadata / f"{name}.jsonl",
        )


@dataclass(frozen=True, slots=True)
class Plan:
    """One file to mask; `skip` where it was masked before."""

    input: Path
    output: Path
    extras: Extras
    skip: bool = False


def plan_one(source: Path, target: Path, extras: Extras, overwrite: bool) -> Plan:
    """The plan for one file. Raises RunError where the input is missing or a result is there already."""
    if not source.exists():
        raise RunError(f"{source}: there is no such file", ExitCode.INPUT)
    output = target / f"{source.stem}.mp4" if target.is_dir() else target
    for path in (output, *extras.paths):
        if path.is_dir():
            raise RunError(f"{path}: is a folder; name the file", ExitCode.USAGE)
        if path.exists() and not overwrite:
            raise RunError(f"{path}: is there already; --overwrite replaces it", ExitCode.USAGE)
    return Plan(source, output, extras)


def plan_batch(source: Path, target: Path, extras: Extras, overwrite: bool) -> list[Plan]:
    """A plan for each video directly in `source`; results and extras go to folders, which are made.

    What has been masked before is skipped, so that a batch that broke off can simply be run again. Raises RunError.
    """
    try:
        files = sorted(path for path in source.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
    except OSError as error:
        raise RunError(f"{source}: can't be read: {error.strerror}", ExitCode.INPUT) from error
    if not files:
        raise RunError(f"{source}: holds no video", ExitCode.INPUT)
    if target.resolve() == source.resolve():
        raise RunError(f"{target}: input and output are the same folder", ExitCode.USAGE)
    for folder in (target, *extras.paths):
        _make_folder(folder)
    stems = Counter(path.stem for path in files)
    plans = []
    for path in files:
        # Where two files differ in their ending only, the ending stays part of the name.
        name = path.stem if stems[path.stem] == 1 else path.name
        output = target / f"{name}.mp4"
        plans.append(Plan(path, output, extras.of(name), skip=output.exists() and not overwrite))
    return plans


def failure_code(codes: Sequence[ExitCode]) -> ExitCode:
    """What a batch ends with: the failures' common code, or 1 if they differ."""
    return codes[0] if len(set(codes)) == 1 else ExitCode.INTERNAL


def _make_folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise RunError(f"{path}: must be a folder when IN is one", ExitCode.USAGE) from error
    except OSError as error:
        raise RunError(f"{path}: can't be made: {error.strerror}", ExitCode.OUTPUT) from error
