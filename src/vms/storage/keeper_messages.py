"""What is asked of a keeper, and its answers, as messages between processes.

Belongs here: values to messages and back. Does not: the socket (keeper_control).
"""

from collections.abc import Mapping, Sequence
from uuid import UUID

from vms.common.errors import InvalidInput
from vms.common.evidence_lock import EvidenceLock
from vms.common.ids import CameraId, camera_id
from vms.format.hybrid import PreviousFile
from vms.media import Gap, GapReason
from vms.proto import evidence_pb2, storage_pb2
from vms.storage.keeping import EventRange, History, KeeperState, TierState
from vms.storage.retention_rule import RetentionRule


def camera(text: str) -> CameraId:
    """Raises InvalidInput."""
    try:
        return camera_id(text)
    except ValueError as error:
        raise InvalidInput(str(error)) from error


def pack_gap(camera_id: CameraId, gap: Gap) -> storage_pb2.Gap:
    return storage_pb2.Gap(
        camera_id=camera_id,
        start_ns=gap.start_ns,
        end_ns=gap.end_ns,
        reason=gap.reason,
        detail=gap.detail.encode(errors="replace").decode(),
    )


def unpack_gap(gap: storage_pb2.Gap) -> tuple[CameraId, Gap]:
    """Raises InvalidInput."""
    end_ns = gap.end_ns if gap.HasField("end_ns") else None
    try:
        reason = GapReason(gap.reason)
    except ValueError:  # of a newer version
        reason = GapReason.UNKNOWN
    return camera(gap.camera_id), Gap(gap.start_ns, end_ns, reason, gap.detail)


def pack_rules(rules: Mapping[CameraId, RetentionRule]) -> storage_pb2.Retentions:
    return storage_pb2.Retentions(
        rules={
            str(key): storage_pb2.RetentionRule(
                age_ns=rule.age_ns,
                event_age_ns=rule.event_age_ns,
                minimum_ns=rule.minimum_ns,
                maximum_ns=rule.maximum_ns,
                size_bytes=rule.size_bytes,
            )
            for key, rule in rules.items()
        }
    )


def unpack_rules(message: storage_pb2.Retentions) -> dict[CameraId, RetentionRule]:
    """Raises InvalidInput."""
    rules = {camera(key): RetentionRule(age_ns, age_ns) for key, age_ns in message.retention_ns.items()}
    for key, rule in message.rules.items():
        rules[camera(key)] = RetentionRule(
            age_ns=rule.age_ns,
            event_age_ns=rule.event_age_ns,
            minimum_ns=rule.minimum_ns,
            maximum_ns=rule.maximum_ns if rule.HasField("maximum_ns") else None,
            size_bytes=rule.size_bytes if rule.HasField("size_bytes") else None,
        )
    return rules


def pack_ranges(ranges: Sequence[EventRange]) -> storage_pb2.EventRanges:
    return storage_pb2.EventRanges(
        ranges=[
            storage_pb2.EventRange(
                camera_id=each.camera_id, start_ns=each.start_ns, end_ns=each.end_ns, kind=each.kind
            )
            for each in ranges
        ]
    )


def unpack_ranges(message: storage_pb2.EventRanges) -> list[EventRange]:
    """Raises InvalidInput."""
    return [
        EventRange(camera(each.camera_id), each.start_ns, each.end_ns, each.kind) for each in message.ranges
    ]


def pack_locks(locks: Sequence[EvidenceLock], revision: int) -> storage_pb2.VolumeLocks:
    return storage_pb2.VolumeLocks(locks=[_pack_lock(lock) for lock in locks], revision=revision)


def unpack_locks(message: storage_pb2.VolumeLocks) -> list[EvidenceLock]:
    """Raises InvalidInput."""
    return [_unpack_lock(lock) for lock in message.locks]


def _pack_lock(lock: EvidenceLock) -> evidence_pb2.EvidenceLock:
    return evidence_pb2.EvidenceLock(
        id=str(lock.id),
        camera_id=lock.camera_id,
        start_ns=lock.start_ns,
        end_ns=lock.end_ns,
        reason=lock.reason,
        created_by=lock.created_by,
        created_ns=lock.created_ns,
        released_ns=lock.released_ns,
        released_by=lock.released_by,
        release_reason=lock.release_reason,
    )


def _unpack_lock(lock: evidence_pb2.EvidenceLock) -> EvidenceLock:
    try:
        id_ = UUID(lock.id)
    except ValueError as error:
        raise InvalidInput(f"{lock.id!r} is no id of an evidence lock") from error
    return EvidenceLock(
        id=id_,
        camera_id=camera(lock.camera_id),
        start_ns=lock.start_ns,
        end_ns=lock.end_ns,
        reason=lock.reason,
        created_by=lock.created_by,
        created_ns=lock.created_ns,
        released_ns=lock.released_ns if lock.HasField("released_ns") else None,
        released_by=lock.released_by,
        release_reason=lock.release_reason,
    )


def pack_history(history: History) -> storage_pb2.History:
    return storage_pb2.History(
        last_end_ns={str(key): value for key, value in history.last_end_ns.items()},
        lasting=[pack_gap(each, gap) for each, gap in history.lasting],
        resumed_ns={str(key): value for key, value in history.resumed_ns.items()},
        last_file={
            str(key): storage_pb2.PreviousFile(
                segment_id=file.segment_id.bytes, chain_digest=file.chain_digest
            )
            for key, file in history.last_file.items()
        },
    )


def unpack_history(message: storage_pb2.History) -> History:
    return History(
        {CameraId(key): value for key, value in message.last_end_ns.items()},
        [unpack_gap(gap) for gap in message.lasting],
        {CameraId(key): value for key, value in message.resumed_ns.items()},
        {
            CameraId(key): PreviousFile(UUID(bytes=file.segment_id), file.chain_digest)
            for key, file in message.last_file.items()
        },
    )


def pack_state(state: KeeperState) -> storage_pb2.KeeperState:
    return storage_pb2.KeeperState(
        path=state.path,
        volume_id=state.volume_id.bytes if state.volume_id is not None else b"",
        error=state.error,
        used_bytes=max(state.used_bytes, 0),
        quota_bytes=state.quota_bytes,
        room_bytes=state.room_bytes,
        recovered=state.recovered,
        encrypted=state.encrypted,
        tiers=[
            storage_pb2.TierState(
                name=tier.name,
                kind=tier.kind,
                used_bytes=max(tier.used_bytes, 0),
                quota_bytes=tier.quota_bytes,
                error=tier.error,
            )
            for tier in state.tiers
        ],
        locked_bytes=max(state.locked_bytes, 0),
        found=dict(state.found),
        alarms=state.alarms,
    )


def unpack_state(message: storage_pb2.KeeperState) -> KeeperState:
    return KeeperState(
        path=message.path,
        volume_id=UUID(bytes=message.volume_id) if message.volume_id else None,
        error=message.error,
        used_bytes=message.used_bytes,
        quota_bytes=message.quota_bytes,
        room_bytes=message.room_bytes,
        recovered=message.recovered,
        encrypted=message.encrypted,
        tiers=tuple(
            TierState(tier.name, tier.kind, tier.used_bytes, tier.quota_bytes, tier.error)
            for tier in message.tiers
        ),
        locked_bytes=message.locked_bytes,
        found=dict(message.found),
        alarms=tuple(message.alarms),
    )
