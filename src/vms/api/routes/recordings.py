"""Recorded footage: the timeline, HLS playback, export, pictures, the files themselves."""

from email.utils import formatdate
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Response
from starlette.requests import Request

from vms.api.documents import GapDocument, Recordings, SegmentDocument, SpanDocument
from vms.api.guard import API_PREFIX
from vms.api.live_picture import LivePictures
from vms.api.ports import Segment, Timeline
from vms.api.ranges import BytesInMemory, ByteSourceResponse
from vms.api.routes.dependencies import (
    CameraIdInPath,
    KnownCamera,
    PortsDependency,
    content,
    problems,
    readable,
)
from vms.api.times import (
    LONGEST_PLAYBACK_NS,
    LONGEST_TIMELINE_NS,
    TimeText,
    parse_range,
    parse_range_or_last_day,
    parse_time,
)
from vms.common.clock import NS, rfc3339
from vms.common.ids import CameraId
from vms.media import Codec

router = APIRouter(prefix=f"{API_PREFIX}/cameras/{{camera_id}}", tags=["recordings"])
PLAYLIST_TYPE = "application/vnd.apple.mpegurl"  # RFC 8216 §4
SegmentId = Annotated[UUID, Path(description="`id` of a segment of the timeline")]
_UNKNOWN = "no such camera, or nothing recorded then"
_TIME = "a time or range is wrong"
_RANGES = {
    206: content("video/mp4", "the byte range asked for", format="binary"),
    304: {"description": "unchanged since the If-None-Match tag"},
} | problems(s412="changed since the If-Match tag", s416="the byte range is behind the end")


@readable(router, "/recordings", responses=problems(s400=_TIME, s404="no such camera"))
async def get_recordings(
    camera: KnownCamera,
    ports: PortsDependency,
    response: Response,
    start: Annotated[TimeText | None, Query(description="default: 24 hours before end")] = None,
    end: Annotated[TimeText | None, Query(description="default: now")] = None,
) -> Recordings:
    """What is recorded between two times, and what is missing there, with the reason."""
    wanted = parse_range_or_last_day(start, end, ports.clock.wall_ns(), LONGEST_TIMELINE_NS)
    camera_id = camera.camera.id
    timeline = await ports.playback.timeline(camera_id, wanted.start_ns, wanted.end_ns)
    response.headers["Cache-Control"] = "no-store"
    return _recordings(camera_id, timeline)


@readable(
    router,
    "/playback.m3u8",
    response_class=Response,
    responses={200: content(PLAYLIST_TYPE, "an HLS playlist of type VOD (RFC 8216)")}
    | problems(s400=_TIME, s404=_UNKNOWN),
)
async def get_playlist(
    camera: KnownCamera,
    ports: PortsDependency,
    start: Annotated[TimeText | None, Query(description="default: 24 hours before end")] = None,
    end: Annotated[TimeText | None, Query(description="default: now")] = None,
) -> Response:
    """An HLS playlist over byte ranges of the recordings, those being written included.

    EXT-X-PROGRAM-DATE-TIME gives wall-clock times; there is a discontinuity at every gap. Sound is left out
    unless all recordings in it have AAC or all have Opus throughout: browsers would not play the pictures.
    """
    wanted = parse_range_or_last_day(start, end, ports.clock.wall_ns(), LONGEST_PLAYBACK_NS)
    camera_id = camera.camera.id
    text = await ports.playback.playlist(
        camera_id,
        wanted.start_ns,
        wanted.end_ns,
        segment_url=lambda segment: _segment_url(camera_id, segment),
        init_url=lambda segment: _init_url(camera_id, segment),
    )
    return Response(text, media_type=PLAYLIST_TYPE, headers={"Cache-Control": "no-store"})


@readable(
    router,
    "/export.mp4",
    response_class=Response,
    responses={200: content("video/mp4", "one MP4 file, moov first", format="binary")}
    | _RANGES
    | problems(s400=_TIME, s404=_UNKNOWN, s503="too many exports at once"),
)
async def get_export(
    camera: KnownCamera,
    ports: PortsDependency,
    start: TimeText,
    end: TimeText,
    exact: Annotated[
        bool, Query(description="begin with the picture at `start`, by an edit list; players obey it")
    ] = False,
) -> Response:
    """One ordinary MP4 from the key frame before `start` up to `end`, assembled while it is sent.

    With `exact` it holds the same pictures and tells players to begin with the one at `start`.
    """
    wanted = parse_range(start, end, LONGEST_PLAYBACK_NS)
    export = await ports.playback.export(camera.camera.id, wanted.start_ns, wanted.end_ns, exact=exact)
    moment = rfc3339(export.start_ns).partition(".")[0].replace(":", "-")
    headers = {
        "Content-Disposition": f'attachment; filename="{camera.camera.id}_{moment}Z.mp4"',
        "Cache-Control": "private, no-cache",
    }
    return ByteSourceResponse(export, "video/mp4", headers)


@readable(
    router,
    "/segments/{segment_id}.mp4",
    response_class=Response,
    responses={200: content("video/mp4", "the recording file", format="binary")}
    | _RANGES
    | problems(s404="no such camera, or no such recording of it"),
)
async def get_segment(camera_id: CameraIdInPath, segment_id: SegmentId, ports: PortsDependency) -> Response:
    """A recording file; one that is being written, up to its last whole fragment."""
    await ports.registry.get(camera_id)
    source = await ports.playback.segment_bytes(camera_id, segment_id)
    # An open file grows: a cache would serve its old length. A closed one never changes again.
    lifetime = "private, max-age=3600" if source.closed else "no-store"
    return ByteSourceResponse(source, "video/mp4", {"Cache-Control": lifetime})


@readable(
    router,
    "/segments/{segment_id}/init.mp4",
    response_class=Response,
    responses={200: content("video/mp4", "the init segment", format="binary")}
    | _RANGES
    | problems(s404="no such camera, or no such recording of it"),
)
async def get_init_segment(
    camera_id: CameraIdInPath, segment_id: SegmentId, ports: PortsDependency
) -> Response:
    """A recording's init segment with its sound hidden, for players that cannot take it, such as G.711.

    Playlists name it where that is so; media segments are byte ranges of the recording file all the same.
    """
    await ports.registry.get(camera_id)
    init = BytesInMemory(await ports.playback.init_segment(camera_id, segment_id))
    # A file's beginning never changes, also while it is being written
    return ByteSourceResponse(init, "video/mp4", {"Cache-Control": "private, max-age=3600"})


@readable(
    router,
    "/snapshot.jpg",
    response_class=Response,
    responses={200: content("image/jpeg", "the picture", format="binary")}
    | problems(s400=_TIME, s404=_UNKNOWN, s503="the camera is not live"),
)
async def get_snapshot(
    camera: KnownCamera,
    ports: PortsDependency,
    request: Request,
    at: Annotated[
        TimeText | None,
        Query(description="default: now, from the live stream; whole milliseconds mean all of each"),
    ] = None,
) -> Response:
    """The camera's picture now, or as it was recorded at a time in the past."""
    camera_id = camera.camera.id
    if at is not None:
        jpeg = await ports.playback.snapshot(camera_id, parse_time(at, "at"))
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=60"})
    pictures: LivePictures = request.app.state.live_pictures
    picture = await pictures.newest(camera_id)
    taken = formatdate(picture.capture_ns / NS, usegmt=True)
    headers = {"Cache-Control": "no-store", "Last-Modified": taken}
    return Response(picture.jpeg, media_type="image/jpeg", headers=headers)


def _segment_url(camera_id: CameraId, segment_id: UUID) -> str:
    return f"{API_PREFIX}/cameras/{camera_id}/segments/{segment_id}.mp4"


def _init_url(camera_id: CameraId, segment_id: UUID) -> str:
    return f"{API_PREFIX}/cameras/{camera_id}/segments/{segment_id}/init.mp4"


def _recordings(camera_id: CameraId, timeline: Timeline) -> Recordings:
    return Recordings(
        spans=[
            SpanDocument(start=rfc3339(span.start_ns), end=rfc3339(span.end_ns)) for span in timeline.spans
        ],
        segments=[_segment(camera_id, segment) for segment in timeline.segments],
        gaps=[
            GapDocument(
                start=rfc3339(gap.start_ns),
                end=None if gap.end_ns is None else rfc3339(gap.end_ns),
                reason=gap.reason,
            )
            for gap in timeline.gaps
        ],
    )


def _segment(camera_id: CameraId, segment: Segment) -> SegmentDocument:
    return SegmentDocument(
        id=segment.id,
        start=rfc3339(segment.start_ns),
        end=rfc3339(segment.end_ns),
        bytes=segment.size_bytes,
        video=_name(segment.video),
        audio=_name(segment.audio),
        closed=segment.closed,
        tier=segment.tier,
        url=_segment_url(camera_id, segment.id),
    )


def _name(codec: Codec | None) -> str | None:
    return None if codec is None else codec.value
