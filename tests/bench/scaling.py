"""What a small camera costs beside few and beside many: `python -m tests.bench.scaling [--cameras 1 2 4 8 16]`.

Stacks of separate services on one broker, detectors in process, cameras of 320×180 at 5 frames a second, small enough
for sixteen on two cores. Then cameras stay at `--shared` and every service runs as one, two and three processes, over
which Kafka spreads the partitions. In both tables each further one should cost as much as the one before, or less.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from tests.bench.run import OUT
from tests.bench.stack_cost import Load, running, stack_load

_WIDTH, _RATE = 320, 5
_WARM_S = 30.0


@dataclass(frozen=True)
class Cost:
    """Of one stack, over the time of measuring.

    Attributes:
        cameras: how many.
        processes: of each service.
        services, broker: cores in use.
        came: masked frames over those that the cameras sent; below 1 where the machine could not keep up.
    """

    cameras: int
    processes: int
    services: float
    broker: float
    came: float


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.bench.scaling", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cameras", type=int, nargs="+", default=[1, 2, 4, 8, 16], help="how many, one stack each")
    parser.add_argument("--shared", type=int, default=8, help="cameras that one to three processes share")
    parser.add_argument("--seconds", type=float, default=30.0, help="of each measurement")
    parser.add_argument("--out", type=Path, default=OUT / "scaling.json", help="the figures as JSON")
    options = parser.parse_args(arguments)
    costs: list[Cost] = []
    with TemporaryDirectory(prefix="veil-scaling-") as name:
        for cameras in sorted({*options.cameras, options.shared}):
            print(f"{cameras} cameras …", flush=True)
            with running(Path(name) / str(cameras), cameras, rate=_RATE, width=_WIDTH) as stack:
                for processes in (1, 2, 3) if cameras == options.shared else (1,):
                    for service in stack.services:
                        stack.scale(service, processes)
                    load, _ = stack_load(stack, options.seconds, _WARM_S)
                    costs.append(_cost(load, cameras, processes, options.seconds))
    Console(width=110).print(table(costs))
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps([asdict(cost) for cost in costs], indent=2) + "\n", encoding="utf-8")
    return 0


def _cost(load: Load, cameras: int, processes: int, seconds: float) -> Cost:
    broker = sum(spent for name, spent in load.cpu_s.items() if name.startswith("kafka"))
    services = sum(load.cpu_s.values()) - broker
    return Cost(cameras, processes, services / seconds, broker / seconds, load.frames / (cameras * _RATE * seconds))


def table(costs: Sequence[Cost]) -> Table:
    """One row for each stack."""
    made = Table(title=f"{_WIDTH}×{_WIDTH * 9 // 16}, {_RATE} frames a second", caption="in thousandths of a core")
    for heading in ("cameras", "processes a service", "services", "broker", "all, a camera", "frames that came"):
        made.add_column(heading, justify="right")
    for cost in costs:
        each = 1000 * (cost.services + cost.broker) / cost.cameras
        cores = (f"{1000 * cost.services:.0f}", f"{1000 * cost.broker:.0f}", f"{each:.0f}", f"{cost.came:.1%}")
        made.add_row(str(cost.cameras), str(cost.processes), *cores)
    return made


if __name__ == "__main__":
    sys.exit(main())
