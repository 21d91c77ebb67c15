"""When a camera is recorded and what bounds its retention: one JSON object (vms.gateway.camera_policy)."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("camera", sa.Column("policy", sa.String, nullable=False, server_default=""))


def downgrade() -> None:
    op.drop_column("camera", "policy")
