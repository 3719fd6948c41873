"""How each account's wall looks: kept beside the accounts, so that it is the same at every desk."""

import json
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Column, MetaData, Table, Text, delete, insert, select

from services.accounts.web import Who, allows
from services.sql import Database

_METADATA = MetaData()
_LAYOUTS = Table(
    "console_layouts",
    _METADATA,
    Column("account", Text, primary_key=True),  # its id, which is never used again
    Column("layout", Text, nullable=False),  # JSON
)

_CAMERAS_MAX = 1000
_CameraId = Annotated[str, Field(min_length=1, max_length=64)]


class Layout(BaseModel):
    """A wall.

    Attributes:
        side: tiles in a row, and as many in a column.
        cameras: those that are shown, in order; None for all.
    """

    model_config = ConfigDict(extra="forbid")

    side: int = Field(2, ge=1, le=8)
    cameras: list[_CameraId] | None = Field(None, max_length=_CAMERAS_MAX)


class Layouts:
    """The layouts of all accounts.

    Args:
        database: of accounts; the table is made where it is missing.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        with database.alone() as connection:
            _METADATA.create_all(connection)
        self.router = APIRouter(prefix="/api/v1/layout")
        self.router.add_api_route("", self.show, methods=["GET"], **allows())
        self.router.add_api_route("", self.keep, methods=["PUT"], status_code=204, **allows())

    def show(self, who: Who) -> Layout:
        """The account's wall; one of four tiles where it has kept none."""
        with self._database.read() as connection:
            kept = connection.execute(select(_LAYOUTS.c.layout).where(_LAYOUTS.c.account == who.id)).scalar()
        return Layout() if kept is None else Layout.model_validate(json.loads(kept))

    def keep(self, layout: Layout, who: Who) -> None:
        """Keeps the account's wall. It names cameras and shows nothing of them: rights are checked where video is."""
        with self._database.write() as connection:
            connection.execute(delete(_LAYOUTS).where(_LAYOUTS.c.account == who.id))
            connection.execute(insert(_LAYOUTS).values(account=who.id, layout=layout.model_dump_json()))
