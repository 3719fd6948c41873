"""Opens what the console's pages on statistics, cameras and health are made of, and gives their endpoints."""

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager

from fastapi import APIRouter
from pydantic import ValidationError

from services.audit.log import Tell
from services.bus.interface import Bus
from services.console.camera_api import camera_router
from services.console.closures import Closures
from services.console.health_api import HealthBook, HealthSettings, health_router
from services.console.insight_api import insight_router
from services.console.places import Place, Places
from services.console.server import ConsoleError
from services.insight.beside import counting_beside
from services.insight.database import open_database
from services.insight.errors import InsightError
from services.insight.process import make_stage
from services.insight.reading import InsightReader
from services.insight.settings import InsightSettings
from services.policy.site import Site
from services.watch.targets import NoTargets

_NAMED = "VEIL_INSIGHT_DATABASE"


@contextmanager
def rooms(site: Site | None, closures: Closures, tell: Tell, bus: Bus | None = None) -> Iterator[list[APIRouter]]:
    """The endpoints, for as long as the block runs. Raises ConsoleError.

    Args:
        site: cameras and policies; None where there is no site file.
        closures: which frames were closed.
        tell: writes down what is exported.
        bus: of the line in this process, before it starts: its records are counted here. None: another process counts,
            and statistics are shown where VEIL_INSIGHT_DATABASE names them.
    """
    places: Mapping[str, Place] = {} if site is None else Places(site)
    with ExitStack() as open_until_the_end:
        try:
            book = HealthBook(HealthSettings(), own=bus is not None)
            reader = open_until_the_end.enter_context(_statistics(bus))
        except ValidationError as error:
            first = error.errors()[0]
            raise ConsoleError(f"{error.title}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from None
        except (NoTargets, InsightError) as error:
            raise ConsoleError(str(error).removesuffix(".")) from error
        made = [camera_router(reader, places, closures), health_router(book, places)]
        if reader is not None:
            made.append(insight_router(reader, places, tell))
        yield made


@contextmanager
def _statistics(bus: Bus | None) -> Iterator[InsightReader | None]:
    if bus is None and not os.environ.get(_NAMED):
        yield None
        return
    settings = InsightSettings()
    with ExitStack() as open_until_the_end:
        database = open_until_the_end.enter_context(closing(open_database(settings)))
        if bus is not None:
            open_until_the_end.enter_context(counting_beside(bus, make_stage(database, settings)))
        yield InsightReader(database, settings)
