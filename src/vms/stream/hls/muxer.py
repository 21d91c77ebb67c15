"""One stream of a camera as HLS, while somebody asks for it: the sink of its hub, and who waits for its next part.

Belongs here: beginning, ending, blocking. Does not: requests and addresses (service), cutting (rendition).
"""

import asyncio
from collections.abc import Callable

from vms.common.clock import NS
from vms.common.errors import Conflict, InvalidInput, Unavailable
from vms.format.codecs import codec_string
from vms.format.errors import FormatError
from vms.media import AccessUnit, Codec, Gap, MediaKind
from vms.stream.hls.parts import aac_frame_ns, part_target_ns
from vms.stream.hls.playlist import Variant, media, multivariant, rendition_edge
from vms.stream.hls.rendition import Rendition
from vms.stream.hls.timeline import TARGET_DURATION_S, Timeline
from vms.stream.hubs import HubLease

VIDEO_CODECS = frozenset({Codec.H264, Codec.H265})
AUDIO_CODECS = frozenset({Codec.AAC})
WAITERS_MAX = 1000
BLOCK_MAX_S = 3 * TARGET_DURATION_S
AHEAD_MAX = 2
"""A playlist may be asked for this many segments ahead of the newest one (RFC 8216bis §6.2.5.2)."""
_BANDWIDTH_FIRST = 4_000_000


class HlsMuxer:
    """Serves one stream from `start` to `close`. names: ``video`` and, with sound that players take, ``audio``.

    units_refused: units that could not be written. waiters: requests that wait for a part. changes: how often a part or
    segment was added.
    """

    def __init__(self, lease: HubLease) -> None:
        self.timeline = Timeline()
        self.renditions: dict[str, Rendition] = {}
        self.units_refused = 0
        self.waiters = 0
        self.changes = 0
        self._lease = lease
        self._waiting: set[asyncio.Future[None]] = set()
        self._texts: dict[tuple[str, bool], tuple[int, str]] = {}
        self._frame_ns: int | None = None
        self._closed = False

    async def start(self, timeout_s: float) -> None:
        """Attach to the hub. Raises Unavailable: nothing comes; Conflict: nothing that HLS can carry."""
        hub = self._lease.hub
        try:
            async with asyncio.timeout(timeout_s):
                await self._lease.ready(timeout_s)
                await hub.live()
        except TimeoutError:
            raise Unavailable("the camera is not live; try again in a moment") from None
        video, audio = hub.track(MediaKind.VIDEO), hub.track(MediaKind.AUDIO)
        if video is None or video.codec not in VIDEO_CODECS:
            raise Conflict("the camera sends no video that HLS can carry; set it to H.264 or H.265")
        self._frame_ns = _frame_ns([unit for unit in hub.gop if unit.track.kind is MediaKind.VIDEO])
        self.renditions["video"] = Rendition(self.timeline, part_target_ns(self._frame_ns))
        if audio is not None and audio.codec in AUDIO_CODECS:
            target_ns = part_target_ns(aac_frame_ns(audio.clock_rate))
            self.renditions["audio"] = Rendition(self.timeline, target_ns)
        for unit in hub.gop:
            self.push(unit)
        hub.attach(self)
        hub.request_key()

    def close(self) -> None:
        """Let go of the hub; whoever waits is told."""
        if self._closed:
            return
        self._closed = True
        self._lease.hub.detach(self)
        self._lease.release()
        self._wake()

    # Sink

    def push(self, unit: AccessUnit) -> None:
        rendition = self.renditions.get(unit.track.kind.value)
        if rendition is None or unit.track.codec not in VIDEO_CODECS | AUDIO_CODECS:
            return
        before = rendition.changes
        try:
            rendition.push(unit)
        except FormatError:
            self.units_refused += 1
            rendition.interrupt()
        if rendition.changes != before:
            self.changes += 1
            self._wake()

    def gap(self, gap: Gap) -> None:
        for rendition in self.renditions.values():
            rendition.interrupt()
        self.changes += 1
        self._wake()

    @property
    def kept_bytes(self) -> int:
        """Held in memory."""
        return sum(rendition.bytes for rendition in self.renditions.values())

    @property
    def overruns(self) -> int:
        return sum(rendition.overruns for rendition in self.renditions.values())

    # playlists

    async def multivariant(self) -> str:
        """Once there is a segment: players that know no parts find nothing in a playlist without one."""
        await self._until(lambda: all(self._has_segment(name) for name in self.renditions), BLOCK_MAX_S)
        return multivariant(self._variant())

    async def playlist(self, name: str, number: int | None, part: int | None, *, skip: bool = False) -> str:
        """A media playlist; with `number` once it has that segment, or the part of it.

        Raises InvalidInput: too far ahead, or a part of no segment; Unavailable: it did not come in time.
        """
        rendition = self.renditions[name]
        if number is None:
            if part is not None:
                raise InvalidInput("_HLS_part is of no use without _HLS_msn")
            await self._until(lambda: self._has_segment(name), BLOCK_MAX_S)
        else:
            newest = rendition_edge(rendition)[0]
            if number > newest + AHEAD_MAX:
                raise InvalidInput(f"_HLS_msn={number} is too far ahead; the next segment is {newest}")
            wanted = (number, part) if part is not None else (number + 1, -1)
            await self._until(lambda: self._has(rendition, wanted), BLOCK_MAX_S)
        return self._text(name, skip)

    def text(self, name: str) -> str | None:
        """A media playlist as it is now; None while players would find nothing in it."""
        return self._text(name, skip=False) if self._has_segment(name) else None

    async def part(self, name: str, number: int, index: int) -> bytes | None:
        """A part; the next one when it is there. None: there is none, and will be none."""
        rendition = self.renditions[name]
        if (number, index) == rendition_edge(rendition):
            await self._until(lambda: self._has(rendition, (number, index)), BLOCK_MAX_S)
        segment = rendition.segment(number)
        return segment.parts[index].data if segment is not None and index < len(segment.parts) else None

    def _has_segment(self, name: str) -> bool:
        return any(segment.complete for segment in self.renditions[name].segments)

    @staticmethod
    def _has(rendition: Rendition, wanted: tuple[int, int]) -> bool:
        """Whether the part is there, or what comes after it: a part beyond a segment's last is the next one's first."""
        return bool(rendition.segments) and rendition_edge(rendition) > wanted

    def _text(self, name: str, skip: bool) -> str:
        changes = self.changes
        kept = self._texts.get((name, skip))
        if kept is None or kept[0] != changes:
            others = [each for each in self.renditions.items() if each[0] != name]
            text = media(name, self.renditions[name], self.timeline, others, skip=skip)
            kept = self._texts[name, skip] = (changes, text)
        return kept[1]

    def _variant(self) -> Variant:
        tracks = [each.track for each in self.renditions.values() if each.track is not None]
        video = next(track for track in tracks if track.kind is MediaKind.VIDEO)
        sound = self._lease.hub.track(MediaKind.AUDIO)
        left_out = sound is not None and "audio" not in self.renditions
        return Variant(
            ",".join(codec_string(track) for track in tracks),
            video.width,
            video.height,
            NS / self._frame_ns if self._frame_ns else None,
            sum(_peak(rendition) for rendition in self.renditions.values()) or _BANDWIDTH_FIRST,
            "audio" in self.renditions,
            f"sound is left out: HLS players take AAC, and this is {sound.codec}"
            if sound and left_out
            else "",
        )

    # waiting

    async def _until(self, condition: Callable[[], bool], timeout_s: float) -> None:
        if condition():
            return
        if self.waiters >= WAITERS_MAX:
            raise Unavailable("too many players wait for this stream; try again in a moment")
        self.waiters += 1
        try:
            async with asyncio.timeout(timeout_s):
                while not condition():
                    if self._closed:
                        raise Unavailable("the stream has ended; ask again")
                    changed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._waiting.add(changed)
                    try:
                        await changed
                    finally:
                        self._waiting.discard(changed)
        except TimeoutError:
            raise Unavailable("the camera sent nothing in time; try again in a moment") from None
        finally:
            self.waiters -= 1

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, set()
        for changed in waiting:
            if not changed.done():
                changed.set_result(None)


def _frame_ns(units: list[AccessUnit]) -> int | None:
    """What a picture lasts, as the newest group says; None when it is too short to tell."""
    if len(units) < 2:
        return None
    ticks = (units[-1].dts - units[0].dts) // (len(units) - 1)
    return ticks * NS // units[0].track.clock_rate or None


def _peak(rendition: Rendition) -> int:
    """Bits a second of the largest segment; short ones, which say little, left out."""
    rates = [
        segment.size * 8 * NS // segment.duration_ns
        for segment in rendition.segments
        if segment.complete and not segment.missing and segment.duration_ns > NS // 2
    ]
    return max(rates, default=0)
