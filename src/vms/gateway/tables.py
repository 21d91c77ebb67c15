"""The tables of the database. A change here needs a migration beside it (migrations/versions)."""

from sqlalchemy import BigInteger, Float, ForeignKeyConstraint, Index, LargeBinary, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "pk": "pk_%(table_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(referred_table_name)s",
        }
    )


class InstallationRow(Base):
    """One row: what proves that the key file belongs to this database.

    key_check: a known text, sealed with the key.
    """

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key_check: Mapped[bytes] = mapped_column(LargeBinary)


class CameraRow(Base):
    """One camera as configured. `source` and `sub_source` are sealed; times are Unix nanoseconds.

    record, policy: see vms.gateway.camera_policy. revision: that of the registry when the camera or its assignment last changed.
    """

    __tablename__ = "camera"

    site: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    source: Mapped[bytes] = mapped_column(LargeBinary)
    sub_source: Mapped[bytes | None] = mapped_column(LargeBinary)
    transport: Mapped[str]
    record: Mapped[str]
    policy: Mapped[str] = mapped_column(server_default="")
    retention_s: Mapped[float] = mapped_column(Float)
    managed_by: Mapped[str]
    created_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)
    revision: Mapped[int] = mapped_column(BigInteger, server_default="0")


class AssignmentRow(Base):
    """Where one camera runs; it goes with its camera.

    pinned: a person chose the worker. standby: JSON list of workers, the first to take over first.
    """

    __tablename__ = "assignment"
    __table_args__ = (
        ForeignKeyConstraint(["site", "camera"], ["camera.site", "camera.id"], ondelete="CASCADE"),
    )

    site: Mapped[str] = mapped_column(primary_key=True)
    camera: Mapped[str] = mapped_column(primary_key=True)
    node: Mapped[str]
    worker: Mapped[str]
    pinned: Mapped[bool]
    standby: Mapped[str]
    assigned_ns: Mapped[int] = mapped_column(BigInteger)


class NodeRow(Base):
    """One machine. Its capacity, in bits a second and in cameras, is unlimited where none is set."""

    __tablename__ = "node"

    site: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    capacity_bitrate: Mapped[int | None] = mapped_column(BigInteger)
    capacity_cameras: Mapped[int | None]
    last_seen_ns: Mapped[int] = mapped_column(BigInteger)


class RegistryRow(Base):
    """One row a site: the revision of its registry, which every committed change raises."""

    __tablename__ = "registry"

    site: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)


class LockRow(Base):
    """One evidence lock; a released one stays as a record. Times are Unix nanoseconds.

    revision: that of the site's locks when it was made or released.
    """

    __tablename__ = "evidence_lock"
    __table_args__ = (Index("ix_evidence_lock_created", "site", "created_ns", "id"),)

    site: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    camera: Mapped[str]
    start_ns: Mapped[int] = mapped_column(BigInteger)
    end_ns: Mapped[int] = mapped_column(BigInteger)
    reason: Mapped[str]
    created_by: Mapped[str]
    created_ns: Mapped[int] = mapped_column(BigInteger)
    released_ns: Mapped[int | None] = mapped_column(BigInteger)
    released_by: Mapped[str]
    release_reason: Mapped[str]
    revision: Mapped[int] = mapped_column(BigInteger)


class LocksRow(Base):
    """One row a site: the revision of its evidence locks, which every committed change raises."""

    __tablename__ = "evidence_locks"

    site: Mapped[str] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(BigInteger)


class BookmarkRow(Base):
    """One bookmark. Times are Unix nanoseconds. search: title and note with their case folded."""

    __tablename__ = "bookmark"
    __table_args__ = (
        Index("ix_bookmark_start", "site", "start_ns", "id"),
        Index("ix_bookmark_camera", "site", "camera", "start_ns"),
    )

    site: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    camera: Mapped[str]
    start_ns: Mapped[int] = mapped_column(BigInteger)
    end_ns: Mapped[int] = mapped_column(BigInteger)
    title: Mapped[str]
    note: Mapped[str]
    created_by: Mapped[str]
    created_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)
    search: Mapped[str]
