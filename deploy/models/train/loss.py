"""What training minimises: scores that say how well a cell's box fits, and boxes that fit.

Which cells answer for an object is decided anew in every step by the network itself (task-aligned assignment, Feng et
al. 2021): the cells near its centre whose score and box together are best. Cells under an area where a kind is not
labelled count neither way.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deploy.models.train.batches import cell_strides
from services.detect.cells import centres

_CANDIDATES = 7
"""Cells that answer for one object at most."""
_SCORE_POWER, _FIT_POWER = 0.5, 4.0
_REACH = 2.5
"""How far from an object's centre cells may answer for it, in cells."""
_BOX_WEIGHT = 2.0


@dataclass(frozen=True)
class Cells:
    """Centres (cells, 2) in pixels and strides (cells,) of all grids of one picture size."""

    centre: Tensor
    stride: Tensor

    @classmethod
    def of(cls, height: int, width: int) -> "Cells":
        """Of pictures of this size, in the order of the network's answer."""
        return cls(torch.from_numpy(centres(height, width).copy()), torch.from_numpy(cell_strides(height, width)))


def kind_loss(answer: Tensor, boxes: Tensor, ignored: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
    """Sum of score and box loss of one kind over a batch, and how much was to be found.

    Args:
        answer: (n, cells, 5) from the network.
        boxes: (n, objects, 4) x1, y1, x2, y2; rows of zeros are padding.
        ignored: (n, cells) bool, cells that count neither way.
        cells: of the picture size.
    """
    logit, sides = answer[..., 0], answer[..., 1:]
    found = torch.cat([cells.centre - sides[..., :2], cells.centre + sides[..., 2:]], dim=2)
    with torch.no_grad():
        owner, target = assign(logit.sigmoid(), found, boxes, cells)
    score = _score_loss(logit, target)
    score = torch.where(ignored & (target == 0), torch.zeros_like(score), score).sum()
    hit = target > 0
    if not bool(hit.any()):
        return score, torch.zeros(())
    wanted = torch.gather(boxes, 1, owner[..., None].expand(-1, -1, 4))[hit]
    fit = ((1 - giou(found[hit], wanted)) * target[hit]).sum()
    return score + _BOX_WEIGHT * fit, target.sum()


def assign(score: Tensor, found: Tensor, boxes: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
    """(n, cells) index of the object each cell answers for, and the score it should give: 0 where for none."""
    if boxes.shape[1] == 0:
        return torch.zeros_like(score, dtype=torch.long), torch.zeros_like(score)
    real = (boxes[..., 2] > boxes[..., 0])[..., None]
    may = _near(boxes, cells) & real
    fit = iou(boxes[:, :, None], found[:, None]).clamp(min=0) * may
    merit = score[:, None].pow(_SCORE_POWER) * fit.pow(_FIT_POWER)
    best = merit.topk(min(_CANDIDATES, merit.shape[2]), dim=2)
    chosen = torch.zeros_like(merit).scatter_(2, best.indices, (best.values > 0).float()).bool() & may
    # A cell that several objects want goes to the one it fits best.
    rival = torch.where(chosen, fit, torch.full_like(fit, -1.0))
    fit_of_cell, owner = rival.max(dim=1)
    mine = chosen & (torch.arange(boxes.shape[1])[None, :, None] == owner[:, None])
    # The best cell of an object is to say how well it fits, the others in proportion.
    merit = merit * mine
    scale = (fit * mine).amax(dim=2, keepdim=True) / merit.amax(dim=2, keepdim=True).clamp(min=1e-9)
    target = (merit * scale).amax(dim=1)
    return owner, torch.where(fit_of_cell >= 0, target, torch.zeros_like(target))


def _near(boxes: Tensor, cells: Cells) -> Tensor:
    """(n, objects, cells): in the box, or within a cell of its centre, but never farther than _REACH cells."""
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    half = (boxes[..., 2:] - boxes[..., :2]) / 2
    away = (cells.centre[None, None] - centre[:, :, None]).abs()
    stride = cells.stride[None, None, :, None]
    inside = away <= torch.maximum(half[:, :, None], 0.75 * stride)
    return (inside & (away <= _REACH * stride)).all(dim=3)


def _score_loss(logit: Tensor, target: Tensor) -> Tensor:
    """Quality focal loss: what is already right counts little."""
    wrong = (logit.detach().sigmoid() - target).abs()
    return functional.binary_cross_entropy_with_logits(logit, target, reduction="none") * wrong.square()


def iou(a: Tensor, b: Tensor) -> Tensor:
    """Intersection over union of boxes (…, 4) whose leading dimensions broadcast."""
    common, union, _ = _overlap(a, b)
    return common / union


def giou(a: Tensor, b: Tensor) -> Tensor:
    """IoU less the share of the common frame that neither covers: it has a slope where boxes don't meet."""
    common, union, frame = _overlap(a, b)
    return common / union - (frame - union) / frame


def _overlap(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    common = (torch.minimum(a[..., 2:], b[..., 2:]) - torch.maximum(a[..., :2], b[..., :2])).clamp(min=0).prod(dim=-1)
    area_a = (a[..., 2:] - a[..., :2]).clamp(min=0).prod(dim=-1)
    area_b = (b[..., 2:] - b[..., :2]).clamp(min=0).prod(dim=-1)
    frame = (torch.maximum(a[..., 2:], b[..., 2:]) - torch.minimum(a[..., :2], b[..., :2])).prod(dim=-1)
    return common, (area_a + area_b - common).clamp(min=1e-6), frame.clamp(min=1e-6)
