"""The statistics as a process of its own, and as a stage in another one."""

from services.insight.database import open_database
from services.insight.errors import InsightError
from services.insight.settings import InsightSettings
from services.insight.stage import InsightStage
from services.insight.store import InsightStore
from services.runtime.service import MakeStage, ServiceError, ServiceSettings
from services.sql import Database


def prepare(settings: ServiceSettings) -> MakeStage:  # noqa: ARG001, it needs no site file: records name their camera
    """Opens the database of VEIL_INSIGHT_…, and makes its tables."""
    insight = InsightSettings()
    try:
        database = open_database(insight)
    except InsightError as error:
        raise ServiceError(str(error)) from error
    return lambda: make_stage(database, insight)


def make_stage(database: Database, settings: InsightSettings) -> InsightStage:
    """The stage that counts into a database."""
    return InsightStage(InsightStore(database, settings), settings)
