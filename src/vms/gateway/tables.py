"""The tables of the database. A change here needs a migration beside it (migrations/versions)."""

from sqlalchemy import BigInteger, Float, LargeBinary, MetaData
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

DEFAULT_SITE = "default"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
    )


class InstallationRow(Base):
    """One row: what proves that the key file belongs to this database.

    key_check: a known text, sealed with the key.
    """

    __tablename__ = "installation"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    key_check: Mapped[bytes] = mapped_column(LargeBinary)


class CameraRow(Base):
    """One camera as configured. `source` is sealed; times are Unix nanoseconds."""

    __tablename__ = "camera"

    site: Mapped[str] = mapped_column(primary_key=True)
    id: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    source: Mapped[bytes] = mapped_column(LargeBinary)
    transport: Mapped[str]
    record: Mapped[str]
    retention_s: Mapped[float] = mapped_column(Float)
    managed_by: Mapped[str]
    created_ns: Mapped[int] = mapped_column(BigInteger)
    updated_ns: Mapped[int] = mapped_column(BigInteger)
