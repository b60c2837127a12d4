"""Alembic's way in. The program hands over its own connection; nothing here opens a database."""

from alembic import context

from warmup.ledger.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    # SQLite alters a table by making it anew.
    render_as_batch=True,
    transactional_ddl=True,
)
context.run_migrations()
