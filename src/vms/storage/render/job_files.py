"""Export jobs on disk: a directory each, with ``job.json`` and, once it is done, the file that was asked for.

Belongs here: writing so that a crash leaves the old or the new state, and reading. Does not: what happens to jobs (jobs).
All functions block.
"""

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from vms.common.ids import camera_id
from vms.storage.render.values import ExportJob, ExportOrder, JobState
from vms.telemetry.logs import get_logger

log = get_logger(__name__)

EXPORTS = "exports"
"""The directory of all jobs, in the data directory."""
JOB_NAME = "job.json"
_VERSION = 1


def write_job(directory: Path, job: ExportJob) -> None:
    """Durable when this returns. directory: of all jobs. Raises OSError."""
    own = directory / job.id
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = own / f"{JOB_NAME}.new"
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor
        json.dump({"version": _VERSION, **asdict(job)}, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(own / JOB_NAME)
    for each in (own, directory):
        _sync_directory(each)


def read_jobs(directory: Path) -> list[ExportJob]:
    """All jobs; what is no job, or cannot be read, is deleted. Raises OSError."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    jobs = []
    for own in directory.iterdir():
        try:
            job = _parse(json.loads((own / JOB_NAME).read_text(encoding="utf-8")))
            if job.id != own.name:
                raise ValueError(f"it is of {job.id}")
            jobs.append(job)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            log.warning("an export is forgotten: its job cannot be read", export=own.name, reason=str(error))
            shutil.rmtree(own, ignore_errors=True)
    return jobs


def remove_files(directory: Path, job_id: str) -> None:
    """Delete what a job has made; the job itself stays."""
    own = directory / job_id
    for path in own.iterdir() if own.is_dir() else ():
        if path.name != JOB_NAME:
            path.unlink(missing_ok=True)


def remove_job(directory: Path, job_id: str) -> None:
    """Delete a job and all that it has made."""
    shutil.rmtree(directory / job_id, ignore_errors=True)


def _parse(tree: Mapping[str, Any]) -> ExportJob:
    """Raises ValueError, KeyError, TypeError, AttributeError."""
    fields = {key: value for key, value in tree.items() if key not in {"version", "order", "state"}}
    if tree["version"] != _VERSION:
        raise ValueError(f"it is of version {tree['version']}")
    order = ExportOrder(**tree["order"])
    order = replace(
        order,
        cameras=tuple(camera_id(each) for each in order.cameras),
        names={camera_id(key): str(value) for key, value in order.names.items()},
    )
    return ExportJob(order=order, state=JobState(tree["state"]), **fields)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
