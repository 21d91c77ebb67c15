"""When a camera is recorded, and how long footage is kept, on its way through rows, messages and snapshots."""

import json
import sqlite3
from pathlib import Path

import pytest
from tests.gateway.samples import make_camera
from tests.gateway.system import System
from tests.gateway.unsteady_bus import UnsteadyBus

from vms.common.camera import (
    Camera,
    EventRecording,
    RecordMode,
    Schedule,
    ScheduledMode,
    ScheduleEntry,
    Weekday,
)
from vms.common.clock import ManualClock
from vms.common.errors import InvalidInput
from vms.common.ids import CameraId
from vms.common.secrets import Secrets
from vms.gateway.camera_policy import plain_record, policy_fields, policy_text
from vms.gateway.database import DATABASE_NAME
from vms.gateway.errors import CameraUnusable
from vms.gateway.registered import opened_camera, source_purpose
from vms.gateway.registry import CameraRegistry
from vms.gateway.specs import create_command, read_create_command, read_update_command, update_command

PORCH = CameraId("porch")
NIGHTS = Schedule(
    time_zone="America/Sao_Paulo",
    entries=(
        ScheduleEntry(days=(Weekday.MONDAY, Weekday.SUNDAY), start="22:00", end="06:30"),
        ScheduleEntry(record=ScheduledMode.EVENTS),
    ),
)
EVERYTHING: dict[str, object] = {
    "record": "schedule",
    "schedule": NIGHTS,
    "events": EventRecording(kinds=("motion", "door_opened"), pre_roll=2.5, post_roll=90.0),
    "retention_class": "entrance",
    "limits": {"events": "90d", "minimum": "1d", "maximum": "180d", "size": "50GiB"},
}


async def test_every_setting_survives_a_restart_and_reaches_media_processes(system: System) -> None:
    camera = make_camera("porch", **EVERYTHING)
    await system.start()
    client = await system.client()
    await client.create(camera)
    assert (await client.get(PORCH)).camera == camera
    (worker,) = [name for name, media in system.media.items() if camera in media.cameras.values()]
    assert system.gateway is not None
    await system.gateway.stop()
    await system.agents[worker].stop()
    assert isinstance(system.bus, UnsteadyBus)
    system.bus.lose_store()
    await system.start_agent(worker)
    assert system.media[worker].cameras == {PORCH: camera}, "from its snapshot alone"
    gateway = await system.start_gateway()
    assert gateway.first_error is None
    assert (await (await system.client()).get(PORCH)).camera == camera


async def test_settings_come_back_from_the_database(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start()
    camera = make_camera("porch", **EVERYTHING)
    await registry.create(camera)
    await registry.stop()
    again = CameraRegistry(tmp_path, ManualClock())
    await again.start()
    assert (await again.get(PORCH)).camera == camera
    changed = await again.update(PORCH, {"record": "off", "limits": {"maximum": "30d"}})
    assert changed.camera.schedule == NIGHTS, "what a patch does not name stays"
    assert (changed.camera.limits.maximum, changed.camera.limits.size) == (30 * 86_400.0, 50 << 30)
    await again.stop()


async def test_a_row_of_an_older_version_gets_defaults(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start()
    await registry.create(make_camera(record="off"))
    await registry.stop()
    database = sqlite3.connect(tmp_path / DATABASE_NAME)
    assert database.execute("SELECT record, policy FROM camera").fetchall() == [("off", "")]
    database.close()
    await registry.start()
    assert (await registry.get(PORCH)).camera == make_camera(record="off")
    await registry.stop()


@pytest.mark.parametrize("mode", list(RecordMode))
def test_an_older_version_records_all_that_a_newer_mode_would(mode: RecordMode) -> None:
    camera = make_camera(record=mode, schedule=NIGHTS)
    assert plain_record(camera) == ("off" if mode is RecordMode.OFF else "continuous")
    assert policy_fields(policy_text(camera), plain_record(camera))["record"] == mode


def test_off_that_an_older_version_said_counts() -> None:
    assert policy_fields(policy_text(make_camera(record="events")), "off")["record"] == "off"


def test_a_camera_as_by_default_has_no_policy_and_an_object_is_written_whole() -> None:
    assert policy_text(make_camera()) == ""
    changed = make_camera(events={"pre_roll": "3s"})
    assert json.loads(policy_text(changed)) == {
        "events": {"kinds": ["motion", "alarm"], "pre_roll": 3.0, "post_roll": 30.0}
    }


def opened(policy: str, record: str = "continuous") -> Camera:
    secrets = Secrets(bytes(32))
    return opened_camera(
        secrets,
        "default",
        camera_id="porch",
        name="Porch",
        sealed_source=secrets.seal("rtsp://h/s", source_purpose("default", "porch")),
        transport="tcp",
        record=record,
        policy=policy,
        retention_s=86_400.0,
        managed_by="api",
    ).camera


def test_fields_of_a_newer_version_are_left_out() -> None:
    text = json.dumps(
        {
            "record": "schedule",
            "colour": "green",
            "events": {"kinds": ["motion"], "pre_roll": 1.0, "post_roll": 2.0, "zones": [1, 2]},
            "limits": {"events": 10.0, "copies": 3},
            "schedule": {"time_zone": None, "holidays": [], "entries": [{"start": "08:00", "priority": 1}]},
        }
    )
    camera = opened(text)
    assert camera.record is RecordMode.SCHEDULE
    assert camera.events == EventRecording(kinds=("motion",), pre_roll=1.0, post_roll=2.0)
    assert camera.schedule == Schedule(entries=(ScheduleEntry(start="08:00"),))


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ("[1]", "policy"),
        ("{", "policy"),
        ('{"record": "dreams"}', "record"),
        ('{"record": "schedule"}', "schedule"),
        ('{"events": {"pre_roll": "yesterday"}}', "events"),
    ],
)
def test_a_policy_that_this_version_cannot_follow_is_named(policy: str, named: str) -> None:
    with pytest.raises(CameraUnusable, match=named):
        opened(policy)


def test_commands_carry_nested_settings_as_json() -> None:
    secrets = Secrets(bytes(32))
    camera = make_camera("porch", **EVERYTHING)
    assert read_create_command(create_command(camera, secrets), secrets) == camera
    changes = {"events": {"kinds": ["alarm"], "post_roll": "1min"}, "schedule": None, "record": "events"}
    camera_id, read = read_update_command(update_command(PORCH, changes, secrets), secrets)
    assert (camera_id, read) == (PORCH, changes)
    _, read = read_update_command(update_command(PORCH, {"schedule": NIGHTS}, secrets), secrets)
    assert Schedule.model_validate(read["schedule"]) == NIGHTS


async def test_a_patch_that_makes_no_sense_is_refused_and_says_why(tmp_path: Path) -> None:
    registry = CameraRegistry(tmp_path, ManualClock())
    await registry.start()
    await registry.create(make_camera())
    for changes, words in (
        ({"record": "schedule"}, "schedule: is missing"),
        ({"limits": {"minimum": "2d", "maximum": "1d"}}, "minimum is longer than maximum"),
        ({"schedule": {"time_zone": "Mars/Olympus", "entries": [{}]}}, "is no time zone"),
        ({"events": {"pre_roll": "2min"}}, "must be 0ms to 1min"),
    ):
        with pytest.raises(InvalidInput, match=words):
            await registry.update(PORCH, changes)
    assert (await registry.get(PORCH)).camera == make_camera()
    await registry.stop()
