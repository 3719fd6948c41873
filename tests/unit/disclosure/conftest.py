"""A house with its API, for the tests of the API."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from services.schema import pb

if TYPE_CHECKING:
    from tests.support.api import City


@pytest.fixture(scope="session")
def units(tmp_path_factory: pytest.TempPathFactory) -> list[pb.AccessUnit]:
    """The access units of a film with two people."""
    from tests.support.own_footage import film

    return film(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.fixture
def house(tmp_path: Path, units: list[pb.AccessUnit]) -> Iterator["City"]:
    """That film, an account of each role, and the API over HTTP."""
    # Here, as it needs packages that tests of other rooms do without.
    from tests.support.api import city

    with city(tmp_path, units) as made:
        yield made
