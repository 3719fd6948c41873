"""SQL as every room here uses it: SQLite in a file or PostgreSQL, with deadlines, and errors in one sentence."""

from services.sql.address import parsed
from services.sql.database import Database
from services.sql.words import Words

__all__ = ["Database", "Words", "parsed"]
