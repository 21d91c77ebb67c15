"""Evidence locks with the revision that every change of them raises, and bookmarks."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "evidence_lock",
        sa.Column("site", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.String, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("released_ns", sa.BigInteger, nullable=True),
        sa.Column("released_by", sa.String, nullable=False),
        sa.Column("release_reason", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("site", "id", name="pk_evidence_lock"),
    )
    op.create_index("ix_evidence_lock_created", "evidence_lock", ["site", "created_ns", "id"])
    op.create_table(
        "evidence_locks",
        sa.Column("site", sa.String, nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("site", name="pk_evidence_locks"),
    )
    op.create_table(
        "bookmark",
        sa.Column("site", sa.String, nullable=False),
        sa.Column("id", sa.String, nullable=False),
        sa.Column("camera", sa.String, nullable=False),
        sa.Column("start_ns", sa.BigInteger, nullable=False),
        sa.Column("end_ns", sa.BigInteger, nullable=False),
        sa.Column("title", sa.String, nullable=False),
        sa.Column("note", sa.String, nullable=False),
        sa.Column("created_by", sa.String, nullable=False),
        sa.Column("created_ns", sa.BigInteger, nullable=False),
        sa.Column("updated_ns", sa.BigInteger, nullable=False),
        sa.Column("search", sa.String, nullable=False),
        sa.PrimaryKeyConstraint("site", "id", name="pk_bookmark"),
    )
    op.create_index("ix_bookmark_start", "bookmark", ["site", "start_ns", "id"])
    op.create_index("ix_bookmark_camera", "bookmark", ["site", "camera", "start_ns"])


def downgrade() -> None:
    op.drop_table("bookmark")
    op.drop_table("evidence_locks")
    op.drop_table("evidence_lock")
