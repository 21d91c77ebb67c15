"""Cameras, and the proof that the key file belongs to the database."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "installation",
        sa.Column("id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("key_check", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_installation"),
    )
    op.create_table(
        "camera",
        sa.Column("site", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("name", sa.String, nullable=False),
        sa.Column("source", sa.LargeBinary, nullable=False),
        sa.Column("transport", sa.String, nullable=False),
        sa.Column("record", sa.String, nullable=False),
        sa.Column("retention_s", sa.Float, nullable=False),
        sa.Column("managed_by", sa.String, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("site", "id", name="pk_camera"),
    )


def downgrade() -> None:
    op.drop_table("camera")
    op.drop_table("installation")
