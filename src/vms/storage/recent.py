"""The directories of a camera's days, and where files without a row are to be expected.

Belongs here: listing. Does not: rows (catalog), what becomes of the files (recovery), reading them (growing).
"""

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vms.common.ids import CameraId
from vms.storage.layout import DAY_NS, day_name, day_start_ns, is_day_directory, is_recording_file

_USUAL_LENGTH = len("2026-11-23")
NEWEST_DAYS = 2  # a segment open at midnight lies in the directory of the day before


@dataclass(frozen=True, slots=True)
class DayDirectory:
    """start_ns: of the day (UTC)."""

    camera_id: CameraId
    path: Path
    start_ns: int


def recent_days(camera: Path, now_ns: int) -> list[DayDirectory]:
    """Of a camera's directory, where files without a row are to be expected. Raises OSError.

    The newest days, and those around now: a camera whose clock was once far ahead has days that stay the newest.
    """
    names = _day_names(camera)
    odd = [name for name in names if len(name) != _USUAL_LENGTH or name.startswith("-")]
    usual = sorted(
        names.difference(odd)
    )  # of these years the order of names is that of time; a year has many
    around = {day_name(now_ns + days * DAY_NS) for days in range(1 - NEWEST_DAYS, NEWEST_DAYS + 1)}
    days = _days(camera, {*odd, *usual[-NEWEST_DAYS:], *around.intersection(usual)})
    return days[:NEWEST_DAYS] + [
        day for day in days[NEWEST_DAYS:] if abs(now_ns - day.start_ns) < NEWEST_DAYS * DAY_NS
    ]


def recordings_in(day: DayDirectory) -> list[str]:
    """The names, relative to the volume, of the recording files of a day, in order. Raises OSError."""
    try:
        with os.scandir(day.path) as entries:
            names = sorted(entry.name for entry in entries if is_recording_file(entry.name))
    except FileNotFoundError:  # retention emptied the day meanwhile
        return []
    return [f"{day.camera_id}/{day.path.name}/{name}" for name in names]


def days_of(camera: Path) -> list[DayDirectory]:
    """The days of a camera, from the newest on."""
    return _days(camera, _day_names(camera))


def _day_names(camera: Path) -> set[str]:
    try:
        with os.scandir(camera) as entries:
            return {entry.name for entry in entries if is_day_directory(entry.name)}
    except (FileNotFoundError, NotADirectoryError):  # it has none, or retention removed the last
        return set()


def _days(camera: Path, names: Iterable[str]) -> list[DayDirectory]:
    days = [
        DayDirectory(CameraId(camera.name), camera / name, start_ns)
        for name in names
        if (start_ns := day_start_ns(name)) is not None
    ]
    return sorted(days, key=lambda day: day.start_ns, reverse=True)
