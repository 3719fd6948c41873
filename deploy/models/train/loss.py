"""What training minimises: scores that say how well a cell's box fits, and boxes that fit.

Which cells answer for an object is fixed: those near its centre, in the grids fit for its size (as in FCOS, Tian et al.
2019). A small network that chooses them itself learns more slowly than it forgets. Cells under an area where a kind is
not labelled count neither way.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from deploy.models.train.batches import cell_strides
from services.detect.cells import centres

_REACH = 1.0
"""How far from an object's centre cells answer for it, in cells."""
_FIT = (2.0, 8.0)
"""Sizes of objects that a grid answers for, in cells; the finest takes all smaller ones, the coarsest all larger."""
_LEAST_TARGET = 0.5
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
        owner, target = assign(found, boxes, cells)
    score = _score_loss(logit, target)
    score = torch.where(ignored & (target == 0), torch.zeros_like(score), score).sum()
    hit = target > 0
    if not bool(hit.any()):
        return score, torch.zeros(())
    wanted = torch.gather(boxes, 1, owner[..., None].expand(-1, -1, 4))[hit]
    fit = ((1 - giou(found[hit], wanted)) * target[hit]).sum()
    return score + _BOX_WEIGHT * fit, target.sum()


def assign(found: Tensor, boxes: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
    """(n, cells) index of the object each cell answers for, and the score it should give: 0 where for none.

    Cells that answer should do so with a half at least, and with more the better their box `found` fits.
    """
    if boxes.shape[1] == 0:
        none = found[..., 0]
        return torch.zeros_like(none, dtype=torch.long), torch.zeros_like(none)
    size = boxes[..., 2:] - boxes[..., :2]
    # A cell that several objects want answers for the smallest, which fewer cells can see.
    area = torch.where(_answering(boxes, cells), size.prod(dim=-1)[..., None], torch.inf)
    least, owner = area.min(dim=1)
    mine = torch.gather(boxes, 1, owner[..., None].expand(-1, -1, 4))
    target = _LEAST_TARGET + (1 - _LEAST_TARGET) * iou(found, mine).clamp(min=0)
    return owner, torch.where(torch.isfinite(least), target, torch.zeros_like(target))


def _answering(boxes: Tensor, cells: Cells) -> Tensor:
    """(n, objects, cells): of a grid fit for the object's size, near its centre and in it, or next to it if tiny."""
    size = boxes[..., 2:] - boxes[..., :2]
    centre = (boxes[..., :2] + boxes[..., 2:]) / 2
    away = (cells.centre[None, None] - centre[:, :, None]).abs()
    stride = cells.stride[None, None, :, None]
    near = (away <= torch.minimum(_REACH * stride, torch.maximum(size[:, :, None] / 2, 0.5 * stride))).all(dim=3)
    across = size.prod(dim=-1).clamp(min=0).sqrt()[..., None] / cells.stride
    low = torch.where(cells.stride == cells.stride.min(), 0.0, _FIT[0])
    high = torch.where(cells.stride == cells.stride.max(), torch.inf, _FIT[1])
    return near & (across >= low) & (across <= high) & (size[..., :1] > 0)


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
