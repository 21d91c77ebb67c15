"""A camera's sub stream: where it is pulled from, sealed as the source is; null for a camera without one."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("camera", sa.Column("sub_source", sa.LargeBinary, nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("camera") as batch:
        batch.drop_column("sub_source")
