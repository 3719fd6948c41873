"""The database of the statistics, with its tables, and the grid that all its numbers are in."""

from sqlalchemy import Connection, insert, select, update

from services.insight.errors import Conflict, Unavailable
from services.insight.settings import InsightSettings
from services.insight.tables import GRID, METADATA, SCHEMA
from services.sql import Database, Words, parsed

_WORDS = Words(
    "the database of the statistics",
    Unavailable,
    Conflict,
    "Another process counted the same.",
    variable="VEIL_INSIGHT_DATABASE",
)


def open_database(settings: InsightSettings) -> Database:
    """Connects, and makes the tables where they are missing. Raises Unavailable, also on numbers of another grid."""
    database = Database(parsed(settings.database, _WORDS, settings.database_password_file), _WORDS)
    with database.alone() as connection:
        METADATA.create_all(connection)
        _hold_grid(connection, settings)
    return database


def _hold_grid(connection: Connection, settings: InsightSettings) -> None:
    """Notes the grid of a new database; refuses one of another grid. Raises Unavailable."""
    grid = {"version": SCHEMA, "step_s": settings.step_s, "time_zone": settings.time_zone}
    known = connection.execute(select(GRID)).mappings().first()
    if known is None:
        connection.execute(insert(GRID).values(id=1, least=settings.least, **grid))
        return
    for name, wanted in grid.items():
        if known[name] != wanted:
            raise Unavailable(
                f"The statistics were made with {name} {known[name]}, not {wanted}: numbers of two grids could be "
                f"subtracted from each other, so take a new database."
            )
    connection.execute(update(GRID).values(least=settings.least))
