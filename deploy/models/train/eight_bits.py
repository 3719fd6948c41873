"""Makes the 8-bit network: `python -m deploy.models.train.eight_bits NET.onnx OUT.onnx --data FOLDER`.

Ranges of activations are measured on samples as training makes them, with a seed of their own. The last convolution of
each head stays as it is: it decides scores and sides.
"""

import argparse
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import onnx

from deploy.models.train.graph import PIXELS
from deploy.models.train.pictures import Rgb
from deploy.models.train.recipes import RECIPES, Material
from services.detect.calibrate import every_step, measure
from services.detect.quantise import quantise

_SAMPLES = 200
_SEED = 7


def eight_bits(model: onnx.ModelProto, pictures: Iterable[Rgb]) -> onnx.ModelProto:
    """A quantised copy of a network that `graph.build` made, its activations' ranges those of `pictures`."""
    steps = [name for name in every_step(model) if not name.endswith(".out.sum")]
    ranges = measure(model, steps, pictures)
    copy = onnx.ModelProto.FromString(model.SerializeToString())
    quantise(copy, ranges, PIXELS)
    onnx.checker.check_model(copy)
    return copy


def main() -> None:
    """Quantises a trained network."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.eight_bits", description=__doc__)
    parser.add_argument("net", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="both", help="whose samples to measure on")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="with faces/, plates/, video/")
    parser.add_argument("--pictures", type=Path, help="folder of further pictures with a manifest.json")
    parser.add_argument("--lessons", type=Path, default=Path(".cache/train/lessons.json"), help="the teachers' answers")
    given = parser.parse_args()
    sampler = RECIPES[given.recipe].sampler(Material(given.data, given.lessons, given.pictures))()
    samples = (sampler.sample(np.random.default_rng((_SEED, i))).rgb for i in range(_SAMPLES))
    made = eight_bits(onnx.load(str(given.net)), samples)
    given.out.write_bytes(made.SerializeToString(deterministic=True))


if __name__ == "__main__":
    main()
