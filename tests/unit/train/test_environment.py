"""The training environment is pinned and apart from the product's."""

import re
import tomllib
from pathlib import Path

from deploy.models.train.environment import REQUIREMENTS, ROOT


def test_every_package_is_pinned_and_comes_from_the_registry() -> None:
    lines = [line for line in REQUIREMENTS.read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][0-9a-z.]*", line) for line in lines)
    assert any(line.startswith("torch==") for line in lines)


def test_pytorch_is_no_dependency_of_the_product() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [
        *project["dependencies"],
        *(name for names in project["optional-dependencies"].values() for name in names),
    ]
    assert not [name for name in wanted if name.startswith("torch")]
    imports = re.compile(r"^\s*(from|import) (torch|deploy)\b", re.MULTILINE)
    assert not [path for path in Path(ROOT / "services").rglob("*.py") if imports.search(path.read_text())]
