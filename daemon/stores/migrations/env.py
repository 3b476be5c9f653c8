"""Alembic's entry: runs revisions on the connection that `migration.py` hands over; never opens one of its own."""

from alembic import context

from daemon.stores.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
