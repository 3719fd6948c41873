"""Measures activation ranges: `python -m services.detect.calibrate centerface|clp_det PICTURE …` prints the table.

The tables lie in *-ranges.yaml, so that an installation needs no pictures and every machine makes the same
8-bit files. Whoever changes one measures recall before and after, and records the new hash in the catalogue.
"""

import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime as ort
import yaml

from services.detect.catalogue import Bundled, Source, catalogue
from services.detect.convert import float_centerface, float_clp_det
from services.detect.fetch import fetch
from services.detect.interface import Image
from services.detect.postprocess import stack_padded

_LONG_SIDE = 640


def measure(model: onnx.ModelProto, names: Sequence[str], pictures: Iterable[Image]) -> dict[str, tuple[float, float]]:
    """Least (at most 0) and greatest value of each named tensor over all `pictures`."""
    followed = onnx.ModelProto.FromString(model.SerializeToString())
    known = {output.name for output in followed.graph.output}
    followed.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    session = ort.InferenceSession(followed.SerializeToString(), providers=["CPUExecutionProvider"])
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for picture in pictures:
        values = session.run(list(names), {"images": stack_padded([picture], 32)})
        for name, value in zip(names, values, strict=True):
            low, high = ranges[name]
            ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return ranges


def every_step(model: onnx.ModelProto) -> list[str]:
    """Results of all convolutions, Relus and Adds but the last ones, which decide scores and boxes: for CenterFace."""
    graph = model.graph
    last = {output.name for output in graph.output}
    last |= {node.input[0] for node in graph.node if node.op_type == "Sigmoid"}
    before_relu = {node.input[0] for node in graph.node if node.op_type == "Relu"}
    results = [node.output[0] for node in graph.node if node.op_type in {"Conv", "Relu", "Add"}]
    return [name for name in results if name not in last | before_relu]


def around_large_convolutions(model: onnx.ModelProto) -> list[str]:
    """What convolutions of 3×3 over at least 16 channels read and write: for clp_det."""
    graph = model.graph
    shapes = {tensor.name: tensor.dims for tensor in graph.initializer}
    ends: dict[str, None] = {}
    for node in graph.node:
        if node.op_type == "Conv" and shapes[node.input[1]][1] >= 16 and shapes[node.input[1]][2] == 3:
            ends |= dict.fromkeys((node.input[0], node.output[0]))
    return list(ends)


_MODELS = {
    "centerface": (float_centerface, every_step),
    "clp_det": (float_clp_det, around_large_convolutions),
}


def _source(name: str) -> Source:
    source = catalogue().entry(name).source
    if isinstance(source, Bundled):
        raise SystemExit(f"{name} comes with Veil as it is: there is nothing to calibrate")
    return source


def main(name: str, paths: Sequence[str]) -> None:
    """Prints the table of the model `name` for the pictures at `paths`."""
    make, choose = _MODELS[name]
    with tempfile.TemporaryDirectory() as work:
        model = make(fetch(_source(name), Path(work), timeout_s=300))
    ranges = measure(model, choose(model), (_open(path) for path in paths))
    rounded = {tensor: [round(low, 4), round(high, 4)] for tensor, (low, high) in ranges.items()}
    yaml.safe_dump(rounded, sys.stdout, sort_keys=False, default_flow_style=None)


def _open(path: str) -> Image:
    picture = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise SystemExit(f"{path} is not a picture")
    scale = _LONG_SIDE / max(picture.shape[:2])
    resized = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
