"""Chooses COCO's pictures whose licence allows training: `python -m deploy.models.train.coco --instances FILE …`.

COCO's annotations (CC BY 4.0) name the licence of every picture. Those under CC BY 2.0, without known copyright
restrictions, or made for the United States government are copied into a folder with a manifest.json that names origin
and licence of each and holds the boxes of its persons: what `--photographs` takes.
"""

import argparse
import json
import shutil
from pathlib import Path
from typing import Any

_ALLOWED = {4: "CC BY 2.0", 7: "No known copyright restrictions", 8: "United States government work"}
_PERSON = 1


def chosen(instances: dict[str, Any], have: set[str]) -> list[dict[str, Any]]:
    """The manifest's entries for the pictures named in `have`, from a COCO file of instances."""
    entries = {
        image["id"]: {
            "file": image["file_name"],
            "licence": _ALLOWED[image["license"]],
            "origin": image["flickr_url"],
            "people": [],
            "crowd": [],
        }
        for image in instances["images"]
        if image["license"] in _ALLOWED and image["file_name"] in have
    }
    for found in instances["annotations"]:
        if found["category_id"] == _PERSON and found["image_id"] in entries:
            x, y, width, height = found["bbox"]
            which = "crowd" if found["iscrowd"] else "people"
            entries[found["image_id"]][which].append([x, y, x + width, y + height])
    return [entry for entry in entries.values() if entry["people"]]


def main() -> None:
    """Copies what may be used."""
    parser = argparse.ArgumentParser(prog="python -m deploy.models.train.coco", description=__doc__)
    parser.add_argument(
        "--instances", type=Path, required=True, help="instances_train2017.json or instances_val2017.json"
    )
    parser.add_argument("--images", type=Path, required=True, help="folder of COCO's pictures")
    parser.add_argument("--out", type=Path, required=True, help="folder for the copies and manifest.json")
    given = parser.parse_args()
    have = {path.name for path in given.images.glob("*.jpg")}
    entries = chosen(json.loads(given.instances.read_bytes()), have)
    given.out.mkdir(parents=True, exist_ok=True)
    for entry in entries:
        shutil.copyfile(given.images / entry["file"], given.out / entry["file"])
    (given.out / "manifest.json").write_text(json.dumps({"pictures": entries}, indent=1))
    print(f"{len(entries)} of {len(have)} pictures may be used")  # noqa: T201


if __name__ == "__main__":
    main()
