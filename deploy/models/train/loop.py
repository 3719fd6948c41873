"""The training loop: seeds, learning rate, running average of the weights, progress, checkpoints, the ONNX file."""

import copy
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import onnx
import torch
from torch import Tensor

from deploy.models.train.architecture import Shape
from deploy.models.train.batches import Batch, batches
from deploy.models.train.graph import build
from deploy.models.train.loss import Cells, kind_loss
from deploy.models.train.net import Net
from deploy.models.train.samples import SIZE, Sampler

_WARM_UP = 150
_SAY_EVERY, _SAVE_EVERY = 50, 500


@dataclass(frozen=True)
class Plan:
    """How long and how fast to learn.

    Attributes:
        steps: batches in all.
        batch: samples in each.
        rate: learning rate, reached after the first steps.
        cooling: last steps, along which the rate falls to a fiftieth in a straight line. Until then training may be
            stopped, given more pictures, lengthened and gone on with.
        decay: of weights (AdamW).
        average: share of the running average that stays in each step.
        seed: of samples and first weights.
        workers: processes that make samples.
        threads: of PyTorch.
        begin: checkpoint of another network whose layers of the same name and size are taken over, if any.
    """

    steps: int = 3000
    batch: int = 16
    rate: float = 2e-3
    cooling: int = 1500
    decay: float = 0.02
    average: float = 0.998
    seed: int = 1
    workers: int = 1
    threads: int = 1
    begin: Path | None = None


def train(shape: Shape, plan: Plan, sampler: Callable[[], Sampler], folder: Path, say: Callable[[str], None]) -> Path:
    """Trains a network, or goes on with the one in `folder`, and returns the path of its ONNX file."""
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    net = Net(shape).to(memory_format=torch.channels_last)
    if plan.begin is not None:
        _take_over(plan.begin, net)
    mean = copy.deepcopy(net)
    optimiser = torch.optim.AdamW(_groups(net, plan.decay), lr=plan.rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _share_of_rate(plan, step))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps({"shape": asdict(shape), "plan": asdict(plan)}, indent=1, default=str))
    parts = {"net": net, "mean": mean, "optimiser": optimiser, "schedule": schedule}
    start = _resumed(folder / "last.pt", parts)
    cells, progress = Cells.of(SIZE[1], SIZE[0]), _Progress(plan.steps, start, say)
    for step, batch in enumerate(batches(sampler, plan.seed, plan.batch, start, plan.steps, plan.workers), start + 1):
        losses = _losses(net, batch, cells)
        optimiser.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimiser.step()
        schedule.step()
        _follow(mean, net, min(plan.average, step / (step + 10)))
        progress.step({kind: loss.item() for kind, loss in losses.items()})
        if step % _SAVE_EVERY == 0 or step == plan.steps:
            torch.save({"step": step, **{name: part.state_dict() for name, part in parts.items()}}, folder / "last.pt")
            export(mean, folder / "net.onnx")
    return folder / "net.onnx"


def _share_of_rate(plan: Plan, step: int) -> float:
    left = (plan.steps - step) / max(min(plan.cooling, plan.steps), 1)
    return max(min(1.0, (step + 1) / _WARM_UP, left), 0.02)


def export(net: Net, path: Path) -> None:
    """Writes the network's ONNX file."""
    path.write_bytes(build(net.shape, net.folded()).SerializeToString(deterministic=True))
    onnx.checker.check_model(str(path))


def _losses(net: Net, batch: Batch, cells: Cells) -> dict[str, Tensor]:
    pictures = torch.from_numpy(batch.rgb).permute(0, 3, 1, 2).float().div(255)
    answers = net(pictures.contiguous(memory_format=torch.channels_last))
    losses = {}
    for kind, answer in answers.items():
        boxes, ignored = torch.from_numpy(batch.boxes[kind]), torch.from_numpy(batch.ignored[kind])
        loss, found = kind_loss(answer, boxes, ignored, cells)
        losses[kind] = loss / found.clamp(min=1.0)
    return losses


def _groups(net: Net, decay: float) -> list[dict[str, object]]:
    """Kernels are drawn towards zero; biases and normalisation are not."""
    kernels = [parameter for parameter in net.parameters() if parameter.ndim > 1]
    others = [parameter for parameter in net.parameters() if parameter.ndim <= 1]
    return [{"params": kernels, "weight_decay": decay}, {"params": others, "weight_decay": 0.0}]


def _follow(mean: Net, net: Net, stays: float) -> None:
    with torch.no_grad():
        for old, new in zip(mean.state_dict().values(), net.state_dict().values(), strict=True):
            if old.is_floating_point():
                old.lerp_(new, 1 - stays)
            else:
                old.copy_(new)


def _take_over(path: Path, net: Net) -> None:
    """Begins where another network ended; heads of kinds that it had not begin afresh."""
    known, own = torch.load(path, weights_only=True)["mean"], net.state_dict()
    net.load_state_dict({name: _fitting(known, name, value) for name, value in own.items()})


def _fitting(known: Mapping[str, Tensor], name: str, value: Tensor) -> Tensor:
    other = known.get(name)
    return value if other is None or other.shape != value.shape else other


def _resumed(path: Path, parts: dict[str, object]) -> int:
    """Loads a checkpoint into the parts; the step it was made at, or 0."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(state[name])  # type: ignore[attr-defined]
    return int(state["step"])


class _Progress:
    """Says now and then how far it is and what the losses were since."""

    def __init__(self, steps: int, done: int, say: Callable[[str], None]) -> None:
        self._steps, self._done, self._say = steps, done, say
        self._begun, self._first = time.monotonic(), done
        self._losses: list[dict[str, float]] = []

    def step(self, losses: dict[str, float]) -> None:
        """One more step is done."""
        self._done += 1
        self._losses.append(losses)
        if self._done % _SAY_EVERY and self._done != self._steps:
            return
        each = (time.monotonic() - self._begun) / (self._done - self._first)
        means = " ".join(f"{kind} {sum(x[kind] for x in self._losses) / len(self._losses):.3f}" for kind in losses)
        self._losses.clear()
        left = each * (self._steps - self._done) / 60
        self._say(f"step {self._done}/{self._steps}  {means}  {each:.2f} s each, {left:.0f} min left")
