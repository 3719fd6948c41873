"""What the network is made of, written once: training, the ONNX file and the cost table all follow it.

A depthwise-separable backbone reads the picture down to an eighth, a sixteenth and a thirty-second; the coarse maps
are added to the finer ones; and for each kind one small head says, in every cell of the three grids, how surely an
object has its centre there and how far its four sides are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from services.detect.cells import STRIDES

MULTIPLE = STRIDES[-1]
"""Height and width of a picture must be multiples of it."""

T = TypeVar("T")


@dataclass(frozen=True)
class Shape:
    """Sizes of a network.

    Attributes:
        kinds: what it finds; one head each, in the order of the outputs.
        widths: channels at a quarter of the picture's size, an eighth, a sixteenth and a thirty-second.
        depths: how many blocks stand at each of them.
        neck: channels of the maps that the heads read.
        head: channels inside a head.
    """

    kinds: tuple[str, ...]
    widths: tuple[int, int, int, int] = (32, 64, 128, 160)
    depths: tuple[int, int, int, int] = (2, 3, 3, 2)
    neck: int = 64
    head: int = 32


@dataclass(frozen=True)
class Conv:
    """A convolution whose batch normalisation, if it has one, is part of it.

    Attributes:
        name: of its weights.
        kernel: 1, 3, or 6 for the patches of the stem; the picture's edge is padded with zeros.
        depthwise: each channel by itself; such a one is plain sums, which the next convolution mixes.
        answers: the last one of a head: plain sums too.
    """

    name: str
    inputs: int
    outputs: int
    kernel: int = 1
    stride: int = 1
    depthwise: bool = False
    answers: bool = False

    @property
    def padding(self) -> int:
        """Zeros around the map on each side."""
        return (self.kernel - self.stride + 1) // 2

    @property
    def relu(self) -> bool:
        """Whether its sums are normalised and cut off at 0."""
        return not (self.depthwise or self.answers)


class Ops(Protocol, Generic[T]):
    """What a description is carried out with."""

    def conv(self, conv: Conv, x: T) -> T:
        """The convolution's result."""

    def double(self, x: T) -> T:
        """Twice as high and wide, each value four times."""

    def add(self, a: T, b: T) -> T:
        """The sum."""

    def answer(self, kind: str, levels: Sequence[T]) -> T:
        """The head's five planes of every level, made into scores and pixels."""


def run(shape: Shape, ops: Ops[T], picture: T) -> dict[str, T]:
    """Carries the network out: kind → answer."""
    # Patches of 6×6 pixels, each two wider than its place: maps of half the size would take a third of all time.
    x = ops.conv(Conv("stem", 3, shape.widths[0], kernel=6, stride=4), picture)
    before, maps = shape.widths[0], []
    for stage, (width, depth) in enumerate(zip(shape.widths, shape.depths, strict=True)):
        for block in range(depth):
            x = _block(ops, f"stage{stage}.{block}", x, before, width, stride=2 if stage and not block else 1)
            before = width
        maps.append(x)
    neck = _neck(shape, ops, maps[1:])
    return {kind: ops.answer(kind, [_head(shape, ops, kind, i, x) for i, x in enumerate(neck)]) for kind in shape.kinds}


def _block(ops: Ops[T], name: str, x: T, inputs: int, outputs: int, stride: int = 1) -> T:
    x = ops.conv(Conv(f"{name}.depth", inputs, inputs, kernel=3, stride=stride, depthwise=True), x)
    return ops.conv(Conv(f"{name}.point", inputs, outputs), x)


def _neck(shape: Shape, ops: Ops[T], maps: Sequence[T]) -> list[T]:
    """The maps of the three grids, finest first, each with what the coarser ones know."""
    sides = [
        ops.conv(Conv(f"side{i}", width, shape.neck), x)
        for i, (x, width) in enumerate(zip(maps, shape.widths[1:], strict=True))
    ]
    x = sides[-1]
    found = [_block(ops, f"neck{len(sides) - 1}", x, shape.neck, shape.neck)]
    for i in range(len(sides) - 2, -1, -1):
        x = ops.add(sides[i], ops.double(found[0]))
        found.insert(0, _block(ops, f"neck{i}", x, shape.neck, shape.neck))
    return found


def _head(shape: Shape, ops: Ops[T], kind: str, level: int, x: T) -> T:
    x = _block(ops, f"{kind}{level}", x, shape.neck, shape.head)
    return ops.conv(Conv(f"{kind}{level}.out", shape.head, 5, answers=True), x)


class Survey:
    """Carries a description out on map sizes alone: which convolutions there are, and what they cost.

    A map is (height, width). Attributes: `convs` in order, `multiplications` for the given picture.
    """

    def __init__(self) -> None:
        self.convs: list[Conv] = []
        self.multiplications = 0

    def conv(self, conv: Conv, x: tuple[int, int]) -> tuple[int, int]:
        """The size after the convolution."""
        self.convs.append(conv)
        height, width = (-(-side // conv.stride) for side in x)
        inputs = 1 if conv.depthwise else conv.inputs
        self.multiplications += height * width * conv.outputs * inputs * conv.kernel**2
        return height, width

    def double(self, x: tuple[int, int]) -> tuple[int, int]:
        """Twice the size."""
        return 2 * x[0], 2 * x[1]

    def add(self, a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
        """The size of both; raises ValueError if they differ."""
        if a != b:
            raise ValueError(f"maps of {a} and {b} can't be added: sides must be multiples of {MULTIPLE}")
        return a

    def answer(self, kind: str, levels: Sequence[tuple[int, int]]) -> tuple[int, int]:
        """Planes and cells."""
        del kind
        return 5, sum(height * width for height, width in levels)


def survey(shape: Shape, height: int = 384, width: int = 640) -> Survey:
    """The convolutions of a network and their cost for a picture of this size."""
    found = Survey()
    run(shape, found, (height, width))
    return found


def parameters(shape: Shape) -> int:
    """Weights and biases after batch normalisation has become part of them."""
    return sum(
        conv.outputs * (1 + conv.kernel**2 * (1 if conv.depthwise else conv.inputs)) for conv in survey(shape).convs
    )
