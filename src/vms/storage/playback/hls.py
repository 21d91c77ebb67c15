"""HLS playlists over recording files: VOD, fragmented MP4, straight from byte ranges (RFC 8216bis).

A media segment is a whole number of groups of pictures of one file, near 4 s where the camera's key
pictures allow it, so any of them can be played first. Every file brings its own EXT-X-MAP; that alone is
no discontinuity, for decoding times carry on from file to file.

Browsers play a file only when every track that its init segment lists is of a codec that Media Source
Extensions take, and goes on as long as the pictures do; and all files of a playlist only when they have the
same tracks. Where that does not hold for sound, the playlist names init segments in which it is hidden.

Belongs here: grouping fragments, and the text of a playlist.
Does not: choosing what to show (cutlist), serving bytes (download).
"""

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from vms.common.clock import NS, rfc3339
from vms.format.errors import FormatError
from vms.format.hybrid import Fragment, hide_tracks
from vms.media import Codec, MediaKind, Track
from vms.storage.playback.cutlist import Cut, leading_track, of_track
from vms.storage.playback.errors import RecordingDamaged
from vms.storage.segment import OpenSegment

AIM_S = 4.0
LEAST_S = 2.0


BROWSER_SOUND = frozenset({Codec.AAC, Codec.OPUS})
"""What browsers take in MP4 by Media Source Extensions. G.711 is not in it (tried: Chromium 156)."""
_SILENCE_NS = NS  # players wait for sound, or leave out pictures, where it is missing for longer


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """One EXTINF: `size` bytes from `offset` of a recording file, captured from `start_ns` on."""

    offset: int
    size: int
    start_ns: int
    duration_s: float


@dataclass(frozen=True, slots=True)
class _Map:
    """Where the playlist names a file's init segment. sound: the codec if browsers can play all of it.

    hideable: there is sound, and something besides.
    """

    line: int
    segment_id: UUID
    range: tuple[int, int]
    sound: Codec | None
    hideable: bool


async def playlist(
    cuts: AsyncIterable[list[Cut]], segment_url: Callable[[UUID], str], init_url: Callable[[UUID], str]
) -> str | None:
    """The playlist text; None when there is nothing to play. Closes the files of the cuts.

    segment_url: the address of a recording file, absolute or relative to the playlist. init_url: that of
    its init segment without sound (`silent_init`).
    """
    lines: list[str] = []
    maps: list[_Map] = []
    longest_s = 0.0
    async for file_cuts in cuts:
        opened = file_cuts[0].opened
        try:
            url = segment_url(opened.segment.id)
            for cut in file_cuts:
                segments = media_segments(cut.fragments, leading_track(opened.file.tracks))
                if lines and not cut.joined:
                    lines.append("#EXT-X-DISCONTINUITY")
                if cut is file_cuts[0]:
                    maps.append(_map(len(lines), file_cuts))
                    lines.append("")  # its EXT-X-MAP, once it is known what all files have
                for segment in segments:
                    lines += _lines(segment, url)
                    longest_s = max(longest_s, segment.duration_s)
        finally:
            opened.close()
    if not lines:
        return None
    silent = len({each.sound for each in maps}) > 1 or maps[0].sound is None
    for each in maps:
        offset, size = each.range
        if silent and each.hideable:
            # Of the same size. The range is named, though it is the whole: FFmpeg (5.1) takes the size of the range
            # that it read before, on the same connection, for that of an answer without one.
            lines[each.line] = f'#EXT-X-MAP:URI="{init_url(each.segment_id)}",BYTERANGE="{size}@0"'
        else:
            lines[each.line] = f'#EXT-X-MAP:URI="{segment_url(each.segment_id)}",BYTERANGE="{size}@{offset}"'
    head = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXT-X-TARGETDURATION:{max(int(longest_s + 0.5), 1)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    return "\n".join([*head, *lines, "#EXT-X-ENDLIST", ""])


def silent_init(opened: OpenSegment) -> bytes:
    """A file's init segment with its sound hidden; media segments stay what they are.

    Reads the file, so call it in a thread. Raises RecordingDamaged.
    """
    sound = {track.id for track in opened.file.tracks if track.kind is MediaKind.AUDIO}
    try:
        return hide_tracks(opened.read_at(*opened.file.init), sound)
    except (FormatError, OSError) as error:
        raise RecordingDamaged(
            f"the init segment of recording {opened.segment.id} cannot be read: {error}"
        ) from error


def playable_sound(cuts: Sequence[Cut]) -> Track | None:
    """The sound of the cuts of one file, if browsers can play all of it."""
    sound = [track for track in cuts[0].file.tracks if track.kind is MediaKind.AUDIO]
    if len(sound) == 1 and sound[0].codec in BROWSER_SOUND and _heard_throughout(cuts, sound[0].id):
        return sound[0]
    return None


def _map(line: int, cuts: Sequence[Cut]) -> _Map:
    opened = cuts[0].opened
    sounds = sum(track.kind is MediaKind.AUDIO for track in opened.file.tracks)
    sound = playable_sound(cuts)
    return _Map(
        line,
        opened.segment.id,
        opened.file.init,
        sound.codec if sound is not None else None,
        0 < sounds < len(opened.file.tracks),
    )


def _heard_throughout(cuts: Sequence[Cut], track_id: int) -> bool:
    """Whether a track is never missing for long while others go on."""
    for cut in cuts:
        missing_ns = 0
        for fragment in cut.fragments:
            if of_track(fragment, track_id) is not None:
                missing_ns = 0
                continue
            missing_ns += fragment.duration_ns
            if missing_ns > _SILENCE_NS:
                return False
    return True


def media_segments(fragments: Sequence[Fragment], track: Track) -> list[MediaSegment]:
    """Fragments that carry on from each other, in groups that begin with a key picture.

    track: the one whose decoding times give the durations. A group of pictures is never cut, so a camera
    with key pictures far apart gets longer segments.
    """
    groups: list[list[Fragment]] = []
    pictures: list[Fragment] = []
    for fragment in fragments:
        if fragment.key and pictures:
            _append(groups, pictures)
            pictures = []
        pictures.append(fragment)
    if pictures:
        _append(groups, pictures)
    places = [_place_s(group, track) for group in groups]
    segments = []
    for group, place, following in zip(groups, places, [*places[1:], None], strict=True):
        start_s, end_s = place or (0.0, _wall_s(group))
        if place and following:
            end_s = following[0]
        size = group[-1].end - group[0].offset
        segments.append(MediaSegment(group[0].offset, size, group[0].start_ns, end_s - start_s))
    return segments


def _append(groups: list[list[Fragment]], pictures: list[Fragment]) -> None:
    """Add a group of pictures to the segment being filled, or begin the next one with it."""
    if groups:
        filled_s = _wall_s(groups[-1])
        if filled_s < LEAST_S or filled_s + _wall_s(pictures) / 2 < AIM_S:  # it comes nearer to the aim
            groups[-1] += pictures
            return
    groups.append(list(pictures))


def _wall_s(fragments: Sequence[Fragment]) -> float:
    return sum(fragment.duration_ns for fragment in fragments) / NS


def _place_s(group: Sequence[Fragment], track: Track) -> tuple[float, float] | None:
    """Where fragments begin and end on the stream's timeline; None when they have nothing of the track."""
    parts = [part for fragment in group if (part := of_track(fragment, track.id))]
    if not parts:
        return None
    return parts[0].first_dts / track.clock_rate, (
        parts[-1].first_dts + parts[-1].duration
    ) / track.clock_rate


def _lines(segment: MediaSegment, url: str) -> list[str]:
    return [
        f"#EXT-X-PROGRAM-DATE-TIME:{rfc3339(segment.start_ns)}",
        f"#EXTINF:{segment.duration_s:.6f},",
        f"#EXT-X-BYTERANGE:{segment.size}@{segment.offset}",
        url,
    ]
