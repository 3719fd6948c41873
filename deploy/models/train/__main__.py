"""Trains Veil's own detectors: `python -m deploy.models.train RECIPE --data FOLDER --out FOLDER`."""

import argparse
from dataclasses import replace
from pathlib import Path

from deploy.models.train.loop import Plan, train
from deploy.models.train.recipes import RECIPES, Material


def main() -> None:
    """Trains one recipe; begun again, it goes on where it was stopped."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train", description=__doc__)
    parser.add_argument("recipe", choices=sorted(RECIPES))
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with faces/, plates/ and video/"
    )
    parser.add_argument("--pictures", type=Path, help="folder of further pictures with a manifest.json")
    parser.add_argument("--photographs", type=Path, help="folder of photographs of people with a manifest.json")
    parser.add_argument("--roads", type=Path, help="work tree of RobertLucian/license-plate-dataset")
    parser.add_argument("--lessons", type=Path, default=Path(".cache/train/lessons.json"), help="the teachers' answers")
    parser.add_argument("--out", type=Path, required=True, help="folder for checkpoints and the ONNX file")
    parser.add_argument("--steps", type=int, help="batches, if not as many as the recipe says")
    parser.add_argument("--begin", type=Path, help="checkpoint (last.pt) of another recipe to begin with")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="processes that make samples")
    given = parser.parse_args()
    recipe = RECIPES[given.recipe]
    plan = replace(Plan(), steps=given.steps or recipe.steps, seed=given.seed, workers=given.workers, begin=given.begin)
    material = Material(given.data, given.lessons, given.pictures, given.photographs, given.roads)
    path = train(recipe.shape, plan, recipe.sampler(material), given.out, lambda line: print(line, flush=True))  # noqa: T201
    print(path)  # noqa: T201


if __name__ == "__main__":
    main()
