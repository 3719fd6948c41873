"""What is masked for nothing: the share of the picture that is masked where no subject is.

By profile it comes out of the exposure run. By mode it is measured on the scene made of packages: all modes fill the
same boxes, so that they differ by no more than what the yardstick takes for altered.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from rich.table import Table

from services.policy.model import Mode, Profile
from tests.eval.comparison import videos
from tests.eval.exposure import by_pixels
from tests.eval.programs import veil

_MODES = (Mode.SOLID, Mode.MOSAIC, Mode.BLUR)


def measure(exposure: Mapping[str, Any], say: Callable[[str], None] = print) -> dict[str, object]:
    """The section of eval.json.

    Args:
        exposure: the section of that name.
        say: told what is being done.
    """
    by_program = {
        group: {name: program["over_masked"] for name, program in figures["programs"].items()}
        for group, figures in exposure.items()
    }
    return {"programs": by_program, "modes": _by_mode(say)}


def _by_mode(say: Callable[[str], None]) -> dict[str, float]:
    found = {}
    with tempfile.TemporaryDirectory(prefix="veil-eval-") as folder:
        video = next(videos(Path(folder), short=True))
        for mode in _MODES:
            say(f"over-masking: {mode}")
            output = Path(folder) / f"{mode}.mp4"
            veil(Profile.EVIDENCE, video.kinds, mode).mask(video.path, output)
            found[mode.value] = round(by_pixels(video.path, output, video.truth).over_masked, 5)
    return found


def table(section: Mapping[str, Any]) -> Table:
    """One row for each group of videos, one column for each program; then the modes."""
    programs: dict[str, dict[str, float]] = section["programs"]
    names = list({name: None for figures in programs.values() for name in figures})
    made = Table(title="Masked for nothing, share of the picture")
    made.add_column("videos")
    for name in names:
        made.add_column(name, justify="right")
    for group, figures in programs.items():
        made.add_row(group, *(f"{figures[name]:.2%}" if name in figures else "–" for name in names))
    made.add_section()
    for mode, share in section["modes"].items():
        cells = (f"{share:.2%}" if name == "veil evidence" else "" for name in names)
        made.add_row(f"packages, {mode}", *cells)
    return made
