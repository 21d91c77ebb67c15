"""Pull a camera by RTSP: a session of vms.wire, its tracks into a feed."""

from collections.abc import Iterator
from contextlib import contextmanager

from vms.common.camera import Camera
from vms.common.clock import Clock
from vms.common.errors import Unavailable, VmsError
from vms.format.codecs import audio_track, video_track
from vms.format.errors import FormatError
from vms.ingest.errors import (
    SourceEnded,
    SourceError,
    SourceNotFound,
    SourceProtocolError,
    SourceRefused,
    SourceUnauthorized,
    SourceUnreachable,
    SourceUnsupported,
)
from vms.ingest.feed import Feed
from vms.media import MediaKind, Track
from vms.wire.errors import (
    AuthenticationFailed,
    PeerGone,
    PeerTimeout,
    PeerUnreachable,
    ProtocolError,
    RequestRefused,
    UnsupportedMedia,
)
from vms.wire.rtsp.client import MediaLine, RtspSession


class RtspSource:
    """Implements `Source` for rtsp:// cameras: the first video and the first audio line that we can take."""

    def __init__(self, camera: Camera, clock: Clock) -> None:
        self._camera = camera
        self._clock = clock

    async def run(self, feed: Feed) -> None:
        camera = self._camera
        with _as_source_errors(f"{camera.id} ({camera.source.safe})"):
            session = await RtspSession.open(camera.source, transport=camera.transport, clock=self._clock)
            try:
                lines = _choose(session.media)
                if not lines:
                    raise SourceUnsupported(_unsupported(session.media))
                await _set_up(session, lines, feed)
                feed.counters = lambda: session.counters
                await session.play()
                feed.request_key = session.request_key_picture
                feed.play()
                await session.wait()
            finally:
                await session.close()
        raise SourceEnded("the camera ended the session")


async def _set_up(session: RtspSession, lines: list[MediaLine], feed: Feed) -> None:
    """Set every line up; a camera that announces sound and then refuses it is pulled without."""
    for number, line in enumerate(lines, 1):
        track = feed.add(_track(number, line))
        try:
            await session.setup(line, track)
        except RequestRefused:
            if line.kind is MediaKind.VIDEO or len(lines) == 1:
                raise
            feed.remove(track)


def _choose(media: tuple[MediaLine, ...]) -> list[MediaLine]:
    usable = [line for line in media if line.codec is not None]
    kinds = (MediaKind.VIDEO, MediaKind.AUDIO)
    chosen = (next((line for line in usable if line.kind is kind), None) for kind in kinds)
    return [line for line in chosen if line is not None]


def _unsupported(media: tuple[MediaLine, ...]) -> str:
    offered = ", ".join(line.encoding_name for line in media) or "nothing"
    return f"the camera offers {offered}; set it to H.264 or H.265"


def _track(number: int, line: MediaLine) -> Track:
    assert line.codec is not None
    if line.kind is MediaKind.AUDIO:
        return audio_track(
            number,
            line.codec,
            sample_rate=line.clock_rate,
            channels=line.channels,
            parameter_sets=line.parameter_sets,
        )
    if not line.parameter_sets:  # they come in band, before the first key picture
        return Track(number, line.codec, line.clock_rate)
    try:
        return video_track(number, line.codec, line.parameter_sets)
    except FormatError:  # the session description is wrong; what comes in band may be right
        return Track(number, line.codec, line.clock_rate)


@contextmanager
def _as_source_errors(where: str) -> Iterator[None]:
    try:
        yield
    except SourceError:
        raise
    except AuthenticationFailed as error:
        raise SourceUnauthorized(f"{where}: user name or password is wrong: {error}") from error
    except RequestRefused as error:
        kind = SourceNotFound if error.status == 404 else SourceRefused
        raise kind(f"{where}: {error}") from error
    except (PeerUnreachable, PeerTimeout, OSError) as error:
        raise SourceUnreachable(f"{where}: no answer: {error}") from error
    except PeerGone as error:
        raise SourceEnded(f"{where}: {error}") from error
    except UnsupportedMedia as error:
        raise SourceUnsupported(f"{where}: {error}") from error
    except (ProtocolError, FormatError) as error:
        raise SourceProtocolError(f"{where}: {error}") from error
    except Unavailable as error:
        raise SourceUnreachable(f"{where}: {error}") from error
    except VmsError as error:
        raise SourceError(f"{where}: {error}") from error
