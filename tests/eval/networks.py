"""What stays exposed with the installed models and with Veil's own network, kind by kind.

A network becomes the default for a kind where no band of sizes is worse with it.
"""

from collections.abc import Callable, Mapping, Sequence

from rich.table import Table

from services.detect.catalogue import catalogue
from services.policy.model import Profile
from tests.eval import comparison, report
from tests.eval.exposure import Exposure
from tests.eval.programs import Program, veil

_INSTALLED = {"face": "centerface", "plate": "clp_det", "person": "ssd_mobilenetv2_oidv4"}


def choices(kinds: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Name → models by detector: all installed, each own network for one kind each, and for all that it finds."""
    installed = {kind: _INSTALLED[kind] for kind in kinds}
    made = {"installed": installed}
    for name, entry in catalogue().models.items():
        found = [kind for kind in kinds if kind in entry.finds] if entry.source.manager == "bundled" else []
        made |= {f"{name} for {kind}": {**installed, kind: name} for kind in found}
        if len(found) > 1:
            made[f"{name} for all"] = {**installed, **dict.fromkeys(found, name)}
    return made


def measure(*, short: bool = False, say: Callable[[str], None] = print) -> dict[str, dict[str, Exposure]]:
    """Group of videos → choice of models → what the profile evidence leaves exposed with them."""

    def programs(kinds: tuple[str, ...]) -> list[Program]:
        return [veil(Profile.EVIDENCE, kinds, models=models, name=name) for name, models in choices(kinds).items()]

    return comparison.compared(programs, short=short, say=say)


def table(name: str, figures: Mapping[str, Exposure]) -> Table:
    """One group."""
    return report.table(figures, f"Exposed, by networks: {name}")
