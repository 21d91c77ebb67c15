"""Volumes and alarms: how recording fares, and what a person has to look at."""

from fastapi import APIRouter, Response
from starlette.requests import Request

from vms.api.alarms import AlarmBoard
from vms.api.guard import API_PREFIX
from vms.api.routes.dependencies import PortsDependency, readable, wired
from vms.api.volume_documents import AlarmList, VolumeList, alarm_list, volume_document

router = APIRouter(prefix=API_PREFIX, tags=["system"])


@readable(router, "/volumes")
async def list_volumes(ports: PortsDependency, response: Response) -> VolumeList:
    """The volumes as their keepers see them, at most two seconds ago. One whose keeper is away is `failed`."""
    response.headers["Cache-Control"] = "no-store"
    volumes = await wired(ports.volumes, "volumes are not known").volumes()
    return VolumeList(volumes=[volume_document(volume) for volume in volumes])


@readable(router, "/alarms")
async def list_alarms(request: Request, response: Response) -> AlarmList:
    """What is wrong now: cameras that should be recorded and are not, volumes and tiers that cannot be used."""
    response.headers["Cache-Control"] = "no-store"
    board: AlarmBoard = request.app.state.alarm_board
    return alarm_list(await board.alarms())
