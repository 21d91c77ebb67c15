"""How Alembic reaches the database: over the connection that `vms.gateway.database` hands it."""

from alembic import context

from vms.gateway.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
