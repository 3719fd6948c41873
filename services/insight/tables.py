"""The tables of the statistics, the same on SQLite and PostgreSQL. Times are microseconds since 1970."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, Table, Text

SCHEMA = 1
"""Version of these tables; a database of another one is refused."""

METADATA = MetaData()

GRID = Table(
    "insight_grid",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, nullable=False),
    Column("step_s", Integer, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("least", Integer, nullable=False),
)
"""One row: what the numbers in the other tables were made with."""


def _counted() -> tuple[Column[str] | Column[int], ...]:
    return (
        Column("camera_id", Text, primary_key=True),
        Column("level", Text, primary_key=True),  # step, hour, day
        Column("at_us", BigInteger, primary_key=True, autoincrement=False),
        Column("measure", Text, primary_key=True),  # entered, zone, forward, backward, flow, dwell, heat
        Column("place", Text, primary_key=True),  # zone, line or pair of zones; empty: the camera
        Column("kind", Text, primary_key=True),
        Column("bin", Integer, primary_key=True, autoincrement=False),
    )


OPEN = Table("insight_open", METADATA, *_counted(), Column("value", BigInteger, nullable=False))
"""Counts of intervals that are not over, by the leaf they belong to."""

LEFT = Table(
    "insight_left",
    METADATA,
    *_counted(),
    Column("value", BigInteger, nullable=False),
    # Where a day ends, what was left out of its hours goes.
    Index("ix_insight_left_at", "level", "at_us"),
)
"""What is not told of intervals that are over, until the interval around them is over too."""

CELLS = Table(
    "insight_cells",
    METADATA,
    *_counted(),
    Column("value", BigInteger, nullable=False),
    Column("whole", Boolean, nullable=False),
    Index("ix_insight_cells_at", "level", "at_us"),
)
"""What is told."""

FRAMES = Table(
    "insight_frames",
    METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("frames", BigInteger, nullable=False),
    Column("incomplete", BigInteger, nullable=False),
    Index("ix_insight_frames_at", "at_us"),
)
"""Frames of each finest interval, and those in which detectors were blind. They are nobody's."""

SEEN = Table(
    "insight_seen",
    METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("at_us", BigInteger, primary_key=True, autoincrement=False),
    Column("what", LargeBinary, primary_key=True),
)
"""What was counted in an hour that is not over, so that it isn't counted twice; gone when the hour is."""

CAMERAS = Table(
    "insight_cameras",
    METADATA,
    Column("camera_id", Text, primary_key=True),
    Column("newest_us", BigInteger, nullable=False),
    Column("closed_us", BigInteger, nullable=False),
)
"""How far each camera's stream has come, and until when its intervals are closed: nothing older is taken."""
