"""The database: SQLite in the data directory, brought to this version's schema when opened.

Belongs here: the engine, its settings, migrations, file modes. Does not: what the rows mean (registry).
"""

import logging
import os
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.util import CommandError
from sqlalchemy import Connection, event
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from vms.gateway.errors import DatabaseUnusable

DATABASE_NAME = "vms.sqlite"
_MIGRATIONS = Path(__file__).parent / "migrations"


class Database:
    """An open database. Made by `open`; `close` when done."""

    def __init__(self, engine: AsyncEngine, path: Path) -> None:
        self.path = path
        self._engine = engine
        self._sessions = async_sessionmaker(engine, expire_on_commit=False)

    @classmethod
    async def open(cls, data_dir: Path) -> "Database":
        """Open ``data_dir/vms.sqlite`` (made with mode 0600) and migrate it. Raises DatabaseUnusable."""
        path = data_dir / DATABASE_NAME
        try:
            data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
            # SQLite gives its -wal and -shm files the mode of the database file.
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
            path.chmod(0o600)
        except OSError as error:
            raise DatabaseUnusable(f"{path}: {error.strerror}; name a writable --data-dir") from error
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", pool_size=1, max_overflow=0)
        event.listen(engine.sync_engine, "connect", _configure)
        database = cls(engine, path)
        try:
            await database._migrate()
        except BaseException:
            await database.close()
            raise
        return database

    async def close(self) -> None:
        await self._engine.dispose()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block, or rolls back when it raises.

        Raises DatabaseUnusable when the database refuses: a full or read-only disk, another process's lock.
        """
        try:
            async with self._sessions.begin() as session:
                yield session
        except SQLAlchemyError as error:
            raise DatabaseUnusable(f"{self.path}: {_cause(error)}") from None

    async def _migrate(self) -> None:
        try:
            async with self._engine.begin() as connection:
                await connection.run_sync(_upgrade)
        except CommandError as error:
            raise DatabaseUnusable(
                f"{self.path} was made by a newer version of this system ({error}); "
                "install that version, or restore a backup of the database"
            ) from error
        except SQLAlchemyError as error:
            raise DatabaseUnusable(f"{self.path} cannot be used as the database: {_cause(error)}") from None


def alembic_config() -> AlembicConfig:
    """The migrations that ship in the package; for the start and for writing new ones."""
    config = AlembicConfig()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    return config


def _upgrade(connection: Connection) -> None:
    logging.getLogger("alembic.runtime.plugins").setLevel(logging.WARNING)
    logging.getLogger("alembic.runtime.migration").setLevel(logging.WARNING)
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _configure(connection: Any, record: object) -> None:
    # WAL with FULL: a committed change survives power loss, and readers never wait for the writer.
    cursor = connection.cursor()
    for setting in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "foreign_keys=ON",
        "busy_timeout=5000",
        "secure_delete=ON",
    ):
        cursor.execute(f"PRAGMA {setting}")
    cursor.close()


def _cause(error: SQLAlchemyError) -> str:
    # SQLAlchemy's own text quotes the statement and its parameters; only the driver's reason is shown.
    original = getattr(error, "orig", None)
    return str(original) if isinstance(original, sqlite3.Error) else type(error).__name__
