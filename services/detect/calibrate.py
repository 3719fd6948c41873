"""Measures the activation ranges of CenterFace: `python -m services.detect.calibrate PICTURE …` prints the table.

The table lies in centerface-ranges.yaml, so that an installation needs no pictures and every machine makes the same
8-bit file. Whoever changes it measures recall before and after, and records the new hash in the catalogue.
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

from services.detect.catalogue import catalogue
from services.detect.convert import float_centerface
from services.detect.fetch import fetch
from services.detect.interface import Image
from services.detect.postprocess import stack_padded

_LONG_SIDE = 640
_KEPT = {"Conv", "Relu", "Add"}


def measure(model: onnx.ModelProto, pictures: Iterable[Image]) -> dict[str, tuple[float, float]]:
    """Least (at most 0) and greatest value of each result of a convolution, Relu or Add over all `pictures`."""
    graph = model.graph
    published = {output.name for output in graph.output}
    # What feeds only the final Sigmoid decides scores: it stays float, like the outputs themselves.
    published |= {node.input[0] for node in graph.node if node.output[0] in published and node.op_type == "Sigmoid"}
    followed = {node.input[0] for node in graph.node if node.op_type == "Relu"}
    names = [
        node.output[0]
        for node in graph.node
        if node.op_type in _KEPT and node.output[0] not in published and node.output[0] not in followed
    ]
    graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    ranges = dict.fromkeys(names, (0.0, 0.0))
    for picture in pictures:
        values = session.run(names, {"images": stack_padded([picture], 32)})
        for name, value in zip(names, values, strict=True):
            low, high = ranges[name]
            ranges[name] = (min(low, float(value.min())), max(high, float(value.max())))
    return ranges


def main(paths: Sequence[str]) -> None:
    """Prints the table for the pictures at `paths`."""
    with tempfile.TemporaryDirectory() as work:
        model = float_centerface(fetch(catalogue()["face"].source, Path(work), timeout_s=300))
    ranges = measure(model, (_open(path) for path in paths))
    rounded = {name: [round(low, 4), round(high, 4)] for name, (low, high) in ranges.items()}
    yaml.safe_dump(rounded, sys.stdout, sort_keys=False, default_flow_style=None)


def _open(path: str) -> Image:
    picture = cv2.imread(path, cv2.IMREAD_COLOR_RGB)
    if picture is None:
        raise SystemExit(f"{path} is not a picture")
    scale = _LONG_SIDE / max(picture.shape[:2])
    resized = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return resized.astype(np.uint8, copy=False)


if __name__ == "__main__":
    main(sys.argv[1:])
