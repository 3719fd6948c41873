"""Veil's own networks: one pass over the picture answers for every kind that the network was trained on.

Such a file takes `images`, (n, height, width, 3) uint8 RGB with sides that are multiples of 32, and has one output for
each kind, named after its detector: (n, 5, cells) float32, as services/detect/cells.py reads it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx

from services.detect.catalogue import ModelEntry
from services.detect.cells import STRIDES, centres, decode
from services.detect.interface import Boxes, Image, Session, Tensors
from services.detect.network import NetworkDetector
from services.detect.postprocess import grow, stack_padded, suppress, to_boxes
from services.schema import pb

MULTIPLE = STRIDES[-1]


@dataclass(frozen=True, slots=True)
class _Reading:
    """How one output is read.

    Attributes:
        iou: overlap from which two boxes are one.
        grow: of each side, as a share of the box, horizontally and vertically.
        grow_from: height in pixels from which boxes grow: a large object is more than the network sees at once, and
            its box is cut short.
    """

    kind: pb.Kind
    iou: float
    grow: tuple[float, float] = (0.0, 0.0)
    grow_from: float = 0.0


_READINGS: Mapping[str, _Reading] = {
    "face": _Reading(pb.KIND_FACE, iou=0.4),
    "plate": _Reading(pb.KIND_PLATE, iou=0.4, grow=(0.1, 0.2), grow_from=20),
    # Persons in a crowd overlap more than faces do.
    "person": _Reading(pb.KIND_PERSON, iou=0.5),
}
KINDS = frozenset(_READINGS)
"""Detectors that such a network can be."""


class OwnDetector(NetworkDetector):
    """One kind of one of Veil's own networks.

    Args:
        session: shared by all kinds of the network.
        entry: the network in the catalogue.
        name: which kind, of KINDS.
        floor: as for every detector.
    """

    def __init__(self, session: Session, entry: ModelEntry, name: str, floor: float = 0.1) -> None:
        super().__init__(session, entry.stamp, floor, entry.scale(name))
        self.name, self.model, self.outputs = name, entry.model, (name,)
        self._reading = _READINGS[name]

    def inputs(self, image: Image) -> Sequence[Image]:
        """The image, black below and to the right up to full cells."""
        return [stack_padded([image], MULTIPLE)[0]]

    def _shapes(self, height: int, width: int, /) -> Sequence[tuple[int, ...]]:
        return ((5, len(centres(height, width))),)

    def _boxes(self, image: Image, answers: Sequence[Tensors]) -> Boxes:
        ((answer,),) = answers
        reading = self._reading
        height, width, _ = image.shape
        rows, columns = (-(-side // MULTIPLE) * MULTIPLE for side in (height, width))
        xyxy, score = decode(answer, rows, columns, self._floor)
        keep = suppress(xyxy, score, reading.iou)
        found = xyxy[keep]
        large = found[:, 3] - found[:, 1] >= reading.grow_from
        found[large] = grow(found[large], np.array(reading.grow, np.float32))
        return to_boxes(found, score[keep], reading.kind, width, height)


def only(model: bytes, outputs: Collection[str]) -> bytes:
    """The network with these outputs alone: ONNX Runtime runs all of a graph, whichever outputs it is asked for."""
    loaded = onnx.load_from_string(model)
    graph = loaded.graph
    needed = set(outputs)
    nodes: list[onnx.NodeProto] = []
    # Nodes stand behind those whose results they read.
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            nodes.insert(0, node)
    constants = [tensor for tensor in graph.initializer if tensor.name in needed]
    answers = [value for value in graph.output if value.name in outputs]
    for name, values in (("node", nodes), ("initializer", constants), ("output", answers)):
        graph.ClearField(name)
        getattr(graph, name).extend(values)
    return bytes(loaded.SerializeToString())
