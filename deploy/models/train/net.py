"""The network as PyTorch trains it, and its weights as the ONNX file wants them."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from deploy.models.train.architecture import Conv, Shape, run, survey
from services.detect.cells import STRIDES

_RARE = -4.6
"""Logit of a share of 0.01: who begins by seeing objects everywhere spends the first minutes unlearning it."""
_SIDE = 1.5
"""Where sides begin, in cells before softplus."""


class Net(nn.Module):
    """The described network; its maps are (n, channels, rows, columns)."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        self.layers = nn.ModuleDict({_key(conv.name): _layer(conv) for conv in survey(shape).convs})

    def forward(self, pictures: Tensor) -> dict[str, Tensor]:
        """Kind → (n, cells, 5): logit, then the four sides in pixels. `pictures` (n, 3, height, width), 0–1."""
        return run(self.shape, self, pictures)

    def conv(self, conv: Conv, x: Tensor) -> Tensor:
        """One layer."""
        result: Tensor = self.layers[_key(conv.name)](x)
        return result

    def double(self, x: Tensor) -> Tensor:
        """Each value four times."""
        return nn.functional.interpolate(x, scale_factor=2, mode="nearest")

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        """The sum."""
        return a + b

    def answer(self, kind: str, levels: Sequence[Tensor]) -> Tensor:
        """As the ONNX file answers, but for the logit's sigmoid and the order of the dimensions."""
        del kind
        found = []
        for stride, level in zip(STRIDES, levels, strict=True):
            flat = level.float().flatten(2).transpose(1, 2)
            found.append(torch.cat([flat[..., :1], nn.functional.softplus(flat[..., 1:]) * stride], dim=2))
        return torch.cat(found, dim=1)

    def folded(self) -> dict[str, NDArray[np.float32]]:
        """Weights and biases with batch normalisation's running figures inside: `graph.Weights`."""
        weights = {}
        for conv in survey(self.shape).convs:
            layer = self.layers[_key(conv.name)]
            weight, bias = _fold(layer[0], layer[1]) if conv.relu else (layer.weight, layer.bias)
            weights[f"{conv.name}.weight"] = weight.detach().contiguous().numpy().astype(np.float32)
            weights[f"{conv.name}.bias"] = bias.detach().numpy().astype(np.float32)
        return weights


def _key(name: str) -> str:
    """PyTorch takes a dot for a module in a module."""
    return name.replace(".", "_")


def _layer(conv: Conv) -> nn.Module:
    groups = conv.inputs if conv.depthwise else 1
    layer = nn.Conv2d(
        conv.inputs, conv.outputs, conv.kernel, conv.stride, conv.padding, groups=groups, bias=not conv.relu
    )
    nn.init.kaiming_normal_(layer.weight, mode="fan_out" if not conv.depthwise else "fan_in", nonlinearity="relu")
    if conv.relu:
        return nn.Sequential(layer, nn.BatchNorm2d(conv.outputs, momentum=0.03), nn.ReLU(inplace=True))
    bias = torch.zeros(conv.outputs)
    if conv.answers:
        nn.init.normal_(layer.weight, std=0.01)
        bias[:] = _SIDE
        bias[0] = _RARE
    layer.bias = nn.Parameter(bias)
    return layer


def _fold(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return conv.weight * factor[:, None, None, None], norm.bias - norm.running_mean * factor
