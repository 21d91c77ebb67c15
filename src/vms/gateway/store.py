"""What the database holds of one site, with a copy in memory: cameras, where they run, the nodes.

Every committed change of a camera or of where it runs raises the registry's revision and gives it to that
camera, so that whoever holds two versions of a camera knows the newer one.

Belongs here: transactions, revisions, rows. Does not: who may change what (registry), where cameras should
run (placement).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from vms.common.clock import Clock
from vms.common.ids import CameraId
from vms.common.secrets import SecretUnreadable
from vms.gateway.camera_rows import CameraRows
from vms.gateway.database import Database
from vms.gateway.errors import CameraUnusable
from vms.gateway.placement import Assignment, Capacity
from vms.gateway.registered import RegisteredCamera, StoredCamera
from vms.gateway.tables import AssignmentRow, CameraRow, NodeRow, RegistryRow
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

Change = tuple[RegisteredCamera | None, RegisteredCamera | None]
"""(old, new): old is None for a new camera, new is None for a deleted one."""


class CameraStore:
    """The rows of one site. This process is the only writer, so reads come from memory."""

    def __init__(self, database: Database, rows: CameraRows, clock: Clock) -> None:
        self._database = database
        self._rows = rows
        self._clock = clock
        self._site = rows.site
        self.cameras: dict[CameraId, StoredCamera] = {}
        self.capacities: dict[str, Capacity] = {}  # by node; those without a limit are not in it
        self.revision = 0

    async def load(self) -> None:
        """Read everything anew. A row that makes no camera is said and left out."""
        cameras: dict[CameraId, StoredCamera] = {}
        async with self._database.transaction() as session:
            known = await session.get(RegistryRow, self._site)
            assigned = await session.scalars(select(AssignmentRow).where(AssignmentRow.site == self._site))
            assignments = {row.camera: _assignment(row) for row in assigned}
            rows = await session.scalars(select(CameraRow).where(CameraRow.site == self._site))
            for row in rows:
                try:
                    entry = self._rows.from_row(row)
                except (SecretUnreadable, CameraUnusable) as error:
                    # One camera is not worth the recordings of all others.
                    log.error("a camera is left out; make it anew", camera=row.id, reason=str(error))
                else:
                    cameras[entry.camera.id] = StoredCamera(
                        entry, row.source, row.revision, assignments.get(row.id), row.sub_source
                    )
            nodes = list(await session.scalars(select(NodeRow).where(NodeRow.site == self._site)))
        self.cameras = cameras
        self.revision = known.revision if known is not None else 0
        self.capacities = {row.id: Capacity(row.capacity_bitrate, row.capacity_cameras) for row in nodes}

    async def write(self, changes: Sequence[Change]) -> None:
        """Commit changes of cameras, all or none. Raises DatabaseUnusable."""
        if not changes:
            return
        written: dict[CameraId, StoredCamera | None] = {}
        async with self._database.transaction() as session:
            for old, new in changes:
                revision = await self._next_revision(session)
                if new is not None:
                    written[new.camera.id] = await self._put(session, new, revision)
                elif old is not None:
                    await session.execute(
                        delete(CameraRow).where(CameraRow.site == self._site, CameraRow.id == old.camera.id)
                    )
                    written[old.camera.id] = None
        self.revision = revision
        for camera_id, stored in written.items():
            if stored is None:
                del self.cameras[camera_id]
            else:
                self.cameras[camera_id] = stored

    async def assign(self, assignments: Mapping[CameraId, Assignment]) -> None:
        """Commit where cameras run, all or none; a new standby list alone raises no revision.

        Raises DatabaseUnusable.
        """
        if not assignments:
            return
        written: dict[CameraId, StoredCamera] = {}
        revision = self.revision
        async with self._database.transaction() as session:
            for camera_id, assignment in assignments.items():
                present = self.cameras[camera_id]
                if _same_place(present.assignment, assignment):
                    await self._note_standby(session, camera_id, assignment)
                else:
                    revision = await self._next_revision(session)
                    await session.merge(self._assignment_row(camera_id, assignment))
                    await self._stamp(session, camera_id, revision)
                    present = replace(present, revision=revision)
                written[camera_id] = replace(present, assignment=assignment)
        self.revision = revision
        self.cameras.update(written)

    async def overtake(self, revision: int) -> None:
        """Give every camera a revision above `revision`, which somebody has seen of a later database.

        It is so after a backup was restored: what the others hold would pass for newer than what is true now.
        Raises DatabaseUnusable.
        """
        if revision <= self.revision:
            return
        raised = revision + 1
        async with self._database.transaction() as session:
            await session.merge(RegistryRow(site=self._site, revision=raised))
            await session.execute(
                update(CameraRow).where(CameraRow.site == self._site).values(revision=raised)
            )
        self.revision = raised
        self.cameras = {key: replace(stored, revision=raised) for key, stored in self.cameras.items()}

    async def seen(self, nodes: Iterable[str]) -> None:
        """Note that these nodes are there now. Raises DatabaseUnusable."""
        now_ns = self._clock.wall_ns()
        async with self._database.transaction() as session:
            for node in nodes:
                row = await session.get(NodeRow, (self._site, node))
                if row is None:
                    session.add(NodeRow(site=self._site, id=node, name=node, last_seen_ns=now_ns))
                else:
                    row.last_seen_ns = now_ns

    async def _put(self, session: AsyncSession, entry: RegisteredCamera, revision: int) -> StoredCamera:
        now_ns = self._clock.wall_ns()
        camera_id = entry.camera.id
        known = await session.get(CameraRow, (self._site, camera_id))
        row = self._rows.to_row(entry, known.created_ns if known else now_ns, now_ns, revision)
        sealed_source, sealed_sub_source = row.source, row.sub_source
        await session.merge(row)
        present = self.cameras.get(camera_id)
        assignment = present.assignment if present else None
        return StoredCamera(entry, sealed_source, revision, assignment, sealed_sub_source)

    async def _next_revision(self, session: AsyncSession) -> int:
        row = await session.get(RegistryRow, self._site)
        if row is None:
            # The time in ms, not 1: a database made anew must be newer than what was known of the one before it
            row = RegistryRow(site=self._site, revision=self._clock.wall_ns() // 1_000_000)
            session.add(row)
        row.revision += 1
        await session.flush()
        return row.revision

    async def _stamp(self, session: AsyncSession, camera_id: CameraId, revision: int) -> None:
        await session.execute(
            update(CameraRow)
            .where(CameraRow.site == self._site, CameraRow.id == camera_id)
            .values(revision=revision)
        )

    async def _note_standby(self, session: AsyncSession, camera_id: CameraId, assignment: Assignment) -> None:
        await session.execute(
            update(AssignmentRow)
            .where(AssignmentRow.site == self._site, AssignmentRow.camera == camera_id)
            .values(standby=json.dumps(assignment.standby))
        )

    def _assignment_row(self, camera_id: CameraId, assignment: Assignment) -> AssignmentRow:
        return AssignmentRow(
            site=self._site,
            camera=camera_id,
            node=assignment.node,
            worker=assignment.worker,
            pinned=assignment.pinned,
            standby=json.dumps(assignment.standby),
            assigned_ns=self._clock.wall_ns(),
        )


def _assignment(row: AssignmentRow) -> Assignment:
    try:
        standby = tuple(str(worker) for worker in json.loads(row.standby))
    except (ValueError, TypeError):
        standby = ()  # it is computed anew
    return Assignment(row.node, row.worker, row.pinned, standby)


def _same_place(first: Assignment | None, second: Assignment) -> bool:
    return first is not None and replace(first, standby=()) == replace(second, standby=())
