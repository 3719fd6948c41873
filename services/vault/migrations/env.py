"""How alembic runs the vault's migrations: on the connection it is given, in one transaction."""

from alembic import context

from services.vault.tables import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table="vault_version",
    # SQLite changes a column by copying its table.
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
