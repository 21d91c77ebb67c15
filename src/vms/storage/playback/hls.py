"""HLS playlists over recording files: VOD, fragmented MP4, straight from byte ranges (RFC 8216bis).

A media segment is a whole number of groups of pictures of one file, near 4 s where the camera's key
pictures allow it, so any of them can be played first. Every file brings its own EXT-X-MAP; that alone is
no discontinuity, for decoding times carry on from file to file.

Belongs here: grouping fragments, and the text of a playlist.
Does not: choosing what to show (cutlist), serving bytes (download).
"""

from collections.abc import AsyncIterable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from vms.common.clock import NS, rfc3339
from vms.format.hybrid import Fragment
from vms.media import Track
from vms.storage.playback.cutlist import Cut, leading_track, of_track

AIM_S = 4.0
LEAST_S = 2.0


@dataclass(frozen=True, slots=True)
class MediaSegment:
    """One EXTINF: `size` bytes from `offset` of a recording file, captured from `start_ns` on."""

    offset: int
    size: int
    start_ns: int
    duration_s: float


async def playlist(cuts: AsyncIterable[list[Cut]], segment_url: Callable[[UUID], str]) -> str | None:
    """The playlist text; None when there is nothing to play. Closes the files of the cuts.

    segment_url: the address of a recording file, absolute or relative to the playlist.
    """
    lines: list[str] = []
    longest_s = 0.0
    async for file_cuts in cuts:
        opened = file_cuts[0].opened
        try:
            url = segment_url(opened.segment.id)
            offset, size = opened.file.init
            for cut in file_cuts:
                segments = media_segments(cut.fragments, leading_track(opened.file.tracks))
                if lines and not cut.joined:
                    lines.append("#EXT-X-DISCONTINUITY")
                if cut is file_cuts[0]:
                    lines.append(f'#EXT-X-MAP:URI="{url}",BYTERANGE="{size}@{offset}"')
                for segment in segments:
                    lines += _lines(segment, url)
                    longest_s = max(longest_s, segment.duration_s)
        finally:
            opened.close()
    if not lines:
        return None
    head = [
        "#EXTM3U",
        "#EXT-X-VERSION:7",
        "#EXT-X-PLAYLIST-TYPE:VOD",
        f"#EXT-X-TARGETDURATION:{max(int(longest_s + 0.5), 1)}",
        "#EXT-X-MEDIA-SEQUENCE:0",
        "#EXT-X-INDEPENDENT-SEGMENTS",
    ]
    return "\n".join([*head, *lines, "#EXT-X-ENDLIST", ""])


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
