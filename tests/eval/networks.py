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

OWN = "veil"
_INSTALLED = {"face": "centerface", "plate": "clp_det", "person": "ssd_mobilenetv2_oidv4"}


def choices(kinds: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Name → models by detector: all installed, the own network for one kind each, and for all that it finds."""
    own = [kind for kind in kinds if kind in catalogue().models[OWN].finds]
    installed = {kind: _INSTALLED[kind] for kind in kinds}
    made = {"installed": installed, **{f"{OWN} for {kind}": {**installed, kind: OWN} for kind in own}}
    if len(own) > 1:
        made[f"{OWN} for all"] = {**installed, **dict.fromkeys(own, OWN)}
    return made


def measure(*, short: bool = False, say: Callable[[str], None] = print) -> dict[str, dict[str, Exposure]]:
    """Group of videos → choice of models → what the profile evidence leaves exposed with them."""

    def programs(kinds: tuple[str, ...]) -> list[Program]:
        return [veil(Profile.EVIDENCE, kinds, models=models, name=name) for name, models in choices(kinds).items()]

    return comparison.compared(programs, short=short, say=say)


def table(name: str, figures: Mapping[str, Exposure]) -> Table:
    """One group."""
    return report.table(figures, f"Exposed, by networks: {name}")
