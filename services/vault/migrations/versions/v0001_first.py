"""The first tables: keys, segments, epochs, usage, purges, holds, events."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Makes them."""
    op.create_table(
        "vault_epochs",
        sa.Column("camera_id", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ended_us", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("frames", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("camera_id", "epoch", name="pk_vault_epochs"),
    )
    op.create_table(
        "vault_events",
        sa.Column("id", _ID, nullable=False),
        sa.Column("camera_id", sa.Text(), nullable=False),
        sa.Column("event", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("published", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault_events"),
    )
    op.create_index("ix_vault_events_camera_id", "vault_events", ["camera_id"], unique=False)
    op.create_index(
        "ix_vault_events_unpublished",
        "vault_events",
        ["id"],
        unique=False,
        sqlite_where=sa.text("NOT published"),
        postgresql_where=sa.text("NOT published"),
    )
    op.create_table(
        "vault_holds",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("camera_id", sa.Text(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("released_us", sa.BigInteger(), nullable=True),
        sa.Column("released_by", sa.Text(), nullable=True),
        sa.Column("released_why", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vault_holds"),
    )
    op.create_index("ix_vault_holds_camera_id", "vault_holds", ["camera_id"], unique=False)
    op.create_table(
        "vault_keys",
        sa.Column("id", _ID, nullable=False),
        sa.Column("camera_id", sa.Text(), nullable=False),
        sa.Column("hour_us", sa.BigInteger(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("wrapped_by", sa.Text(), nullable=False),
        sa.Column("made_us", sa.BigInteger(), nullable=False),
        sa.Column("gone_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vault_keys"),
        sa.UniqueConstraint("key_id", name="uq_vault_keys_key_id"),
    )
    op.create_index(
        "uq_vault_keys_alive",
        "vault_keys",
        ["camera_id", "hour_us"],
        unique=True,
        sqlite_where=sa.text("gone_us IS NULL"),
        postgresql_where=sa.text("gone_us IS NULL"),
    )
    op.create_table(
        "vault_lock",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_vault_lock"),
    )
    op.create_table(
        "vault_purges",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("camera_id", sa.Text(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("segments", sa.Integer(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("done_us", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_vault_purges"),
    )
    op.create_index("ix_vault_purges_camera_id", "vault_purges", ["camera_id"], unique=False)
    op.create_table(
        "vault_usage",
        sa.Column("camera_id", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("camera_id", name="pk_vault_usage"),
    )
    op.create_table(
        "vault_segments",
        sa.Column("id", _ID, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("camera_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("epoch", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=True),
        sa.Column("key", _ID, nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("writer", sa.Text(), nullable=False),
        sa.Column("begun_us", sa.BigInteger(), nullable=False),
        sa.Column("start_us", sa.BigInteger(), nullable=False),
        sa.Column("end_us", sa.BigInteger(), nullable=False),
        sa.Column("first_seq", sa.BigInteger(), nullable=False),
        sa.Column("last_seq", sa.BigInteger(), nullable=False),
        sa.Column("marks", sa.LargeBinary(), nullable=False),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("keyframe", sa.Boolean(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("purge", sa.Text(), nullable=True),
        sa.Column("gone_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["key"], ["vault_keys.id"], name="fk_vault_segments_key"),
        sa.ForeignKeyConstraint(["purge"], ["vault_purges.id"], name="fk_vault_segments_purge"),
        sa.PrimaryKeyConstraint("id", name="pk_vault_segments"),
        sa.UniqueConstraint(
            "camera_id", "kind", "epoch", "number", name="uq_vault_segments_camera_id_kind_epoch_number"
        ),
        sa.UniqueConstraint("name", name="uq_vault_segments_name"),
    )
    op.create_index("ix_vault_segments_due", "vault_segments", ["state", "due_us"], unique=False)
    op.create_index("ix_vault_segments_key", "vault_segments", ["key"], unique=False)
    op.create_index("ix_vault_segments_purge", "vault_segments", ["purge"], unique=False)
    op.create_index("ix_vault_segments_seq", "vault_segments", ["camera_id", "kind", "epoch", "last_seq"], unique=False)
    op.create_index("ix_vault_segments_time", "vault_segments", ["camera_id", "kind", "start_us"], unique=False)
    op.execute("INSERT INTO vault_lock (id) VALUES (1)")


def downgrade() -> None:
    """Removes them, and with them every way to read what lies in the store."""
    for table in (
        "vault_segments",
        "vault_usage",
        "vault_purges",
        "vault_lock",
        "vault_keys",
        "vault_holds",
        "vault_events",
        "vault_epochs",
    ):
        op.drop_table(table)
