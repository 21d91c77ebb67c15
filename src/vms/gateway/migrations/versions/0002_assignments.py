"""Where cameras run: assignments, nodes, and the revision that every change raises."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("camera", sa.Column("revision", sa.BigInteger, nullable=False, server_default="0"))
    op.create_table(
        "assignment",
        sa.Column("site", sa.String, nullable=False),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("node", sa.String, nullable=False),
        sa.Column("worker", sa.String, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("standby", sa.String, nullable=False),
        sa.Column("assigned_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("site", "camera", name="pk_assignment"),
        sa.ForeignKeyConstraint(
            ["site", "camera"], ["camera.site", "camera.id"], name="fk_assignment_camera", ondelete="CASCADE"
        ),
    )
    op.create_table(
        "node",
        sa.Column("site", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("capacity_bitrate", sa.BigInteger, nullable=True),
        sa.Column("capacity_cameras", sa.Integer, nullable=True),
        sa.Column("last_seen_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("site", "id", name="pk_node"),
    )
    op.create_table(
        "registry",
        sa.Column("site", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("site", name="pk_registry"),
    )


def downgrade() -> None:
    op.drop_table("registry")
    op.drop_table("node")
    op.drop_table("assignment")
    op.drop_column("camera", "revision")
