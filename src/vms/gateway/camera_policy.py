"""What of a camera is kept as one JSON object, in its row and in messages: when it is recorded, and what bounds its retention.

    {"record": "events", "events": {"kinds": ["motion"], "pre_roll": 10.0, "post_roll": 30.0}}

An object is written, whole, where it differs from the default, durations in seconds and sizes in bytes. A reader leaves out fields that it
does not know, so that an older version reads what a newer one wrote. Such a version knows the column `record` alone, and
its modes continuous and off: for every other mode that column says continuous, which loses nothing.

Belongs here: these fields ↔ JSON. Does not: the rest of a camera (registered).
"""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic_core import from_json, to_json

from vms.common.camera import (
    Camera,
    EventRecording,
    RecordMode,
    RetentionLimits,
    Schedule,
    ScheduleEntry,
)
from vms.common.errors import InvalidInput

_NESTED: Mapping[str, type[BaseModel]] = {
    "events": EventRecording,
    "schedule": Schedule,
    "limits": RetentionLimits,
}
_FIELDS = {*_NESTED, "retention_class"}
_PLAIN_MODES = (RecordMode.CONTINUOUS, RecordMode.OFF)


def plain_record(camera: Camera) -> str:
    """The camera's mode as every version knows it."""
    return (camera.record if camera.record in _PLAIN_MODES else RecordMode.CONTINUOUS).value


def policy_text(camera: Camera) -> str:
    """The JSON object; "" for a camera that is as by default."""
    # Whole objects, so that a default that changes one day changes no camera
    changed = {name for name in _FIELDS if getattr(camera, name) != Camera.model_fields[name].get_default()}
    fields: dict[str, Any] = camera.model_dump(include=changed)
    if camera.record not in _PLAIN_MODES:
        fields["record"] = camera.record.value
    return to_json(fields).decode() if fields else ""


def policy_fields(text: str, record: str) -> dict[str, Any]:
    """Fields of a camera from `policy_text` and its plain mode. Raises InvalidInput for a text that is no JSON object."""
    try:
        found = from_json(text) if text else {}
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InvalidInput("policy: is no JSON object")
    fields = {name: _known(name, value) for name, value in found.items() if name in _FIELDS}
    # Off was said later, by a version that does not know the policy
    fields["record"] = found.get("record", record) if record == RecordMode.CONTINUOUS else record
    return fields


def _known(name: str, value: Any) -> Any:
    model = _NESTED.get(name)
    if model is None or not isinstance(value, dict):
        return value
    fields = {key: each for key, each in value.items() if key in model.model_fields}
    if model is Schedule and isinstance(entries := fields.get("entries"), list):
        fields["entries"] = [_known_entry(entry) for entry in entries]
    return fields


def _known_entry(entry: Any) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {key: each for key, each in entry.items() if key in ScheduleEntry.model_fields}
