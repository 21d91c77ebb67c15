"""Long views: what is recorded of many cameras, up to 400 days."""

import asyncio
from collections import defaultdict
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from vms.api.coverage import CAMERAS_MAX, Spans, coverage, coverage_json, has_events, resolution_ns
from vms.api.documents import SpanDocument, Time
from vms.api.evidence_ports import Locks
from vms.api.guard import API_PREFIX
from vms.api.ports import Ports
from vms.api.problems import InvalidParameter
from vms.api.routes.dependencies import PortsDependency, problems, readable, wired
from vms.api.times import LONGEST_TIMELINE_NS, TimeRange, TimeText, parse_range_or_last_day
from vms.common.errors import Unavailable
from vms.common.ids import CameraId, camera_id

router = APIRouter(prefix=API_PREFIX, tags=["recordings"])
_LOCKS_A_PAGE = 1000


class CoverageDocument(BaseModel):
    """What is recorded of one camera."""

    id: str
    spans: list[SpanDocument]
    event_spans: Annotated[list[SpanDocument], Field(description="of it, footage around events")]
    locked: Annotated[list[SpanDocument], Field(description="under evidence locks")]


class CoverageList(BaseModel):
    """What is recorded in a range, cut to it. resolution: seconds; holes that are shorter are not shown."""

    start: Time
    end: Time
    resolution: float
    events_known: Annotated[
        bool,
        Field(description="false: event_spans are empty, for more than 400 days of cameras are asked for"),
    ]
    locks_known: Annotated[
        bool, Field(description="false: locked is empty, for the database cannot be asked now")
    ]
    cameras: list[CoverageDocument]


@readable(
    router,
    "/coverage",
    response_model=CoverageList,
    responses=problems(s400="a parameter is wrong; `reason` too_fine: ask for a coarser resolution"),
)
async def get_coverage(
    ports: PortsDependency,
    *,
    cameras: Annotated[
        str, Query(max_length=CAMERAS_MAX * 64, description="ids with commas between; all for every camera")
    ] = "all",
    start: Annotated[TimeText | None, Query(description="default: 24 hours before end")] = None,
    end: Annotated[TimeText | None, Query(description="default: now")] = None,
    resolution: Annotated[
        float | None,
        Query(gt=0, le=86_400 * 400, description="seconds; default: a 2000th of the range, 1 at least"),
    ] = None,
) -> Response:
    """What is recorded of many cameras over at most 400 days, merged to a resolution, for views of weeks and months.

    Asking for fewer cameras or a coarser resolution helps where an answer would be too large (`reason: too_fine`).
    """
    wanted = parse_range_or_last_day(start, end, ports.clock.wall_ns(), LONGEST_TIMELINE_NS)
    step_ns = resolution_ns(resolution, wanted)
    asked = await _cameras(cameras, ports)
    source = wired(ports.coverage, "coverage is not known")
    locked = await _locked(ports.locks, wanted)
    found = await coverage(source, asked, wanted, step_ns, locked or {})
    data = await asyncio.to_thread(
        coverage_json,
        found,
        wanted,
        step_ns,
        events=has_events(asked, wanted),
        locks=locked is not None,
    )
    return Response(data, media_type="application/json", headers={"Cache-Control": "no-store"})


async def _cameras(text: str, ports: Ports) -> list[CameraId]:
    known = [entry.camera.id for entry in await ports.registry.list()]
    if text.strip("()") == "all":
        asked = known
    else:
        try:
            asked = list(dict.fromkeys(camera_id(part.strip()) for part in text.split(",")))
        except ValueError:
            raise InvalidParameter("query.cameras", "must be ids with commas between, or all") from None
    if len(asked) > CAMERAS_MAX:
        raise InvalidParameter("query.cameras", f"names more than {CAMERAS_MAX}; ask in parts")
    return asked


async def _locked(locks: Locks | None, wanted: TimeRange) -> dict[CameraId, Spans] | None:
    """Locked ranges by camera; None where they cannot be asked for."""
    found: defaultdict[CameraId, list[tuple[int, int]]] = defaultdict(list)
    before: tuple[int, str] | None = None
    try:
        while locks is not None:
            page = await locks.list(
                limit=_LOCKS_A_PAGE, start_ns=wanted.start_ns, end_ns=wanted.end_ns, before=before
            )
            for report in page.items:
                found[report.lock.camera_id].append((report.lock.start_ns, report.lock.end_ns))
            if not page.more:
                return dict(found)
            before = page.items[-1].lock.created_ns, str(page.items[-1].lock.id)
    except Unavailable:
        pass
    return None
