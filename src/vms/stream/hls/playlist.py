"""Playlists as text (RFC 8216bis), out of what a rendition holds.

Belongs here: tags. Does not: what is in the segments (rendition), waiting (muxer). A token stands in every address, as
`TOKEN`, to be replaced by a viewer's own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from vms.common.clock import NS
from vms.stream.hls.rendition import Rendition, Segment
from vms.stream.hls.timeline import TARGET_DURATION_S, Timeline

TOKEN = "%TOKEN%"  # noqa: S105 - what stands for one
VERSION = 9  # EXT-X-SKIP without EXT-X-DATERANGE in it
CAN_SKIP_S = 6 * TARGET_DURATION_S
PARTS_SHOWN_NS = 3 * TARGET_DURATION_S * NS


@dataclass(frozen=True, slots=True)
class Variant:
    """What the multivariant playlist says. bandwidth: peak, in bits a second. note: for a person; one line."""

    codecs: str
    width: int
    height: int
    frame_rate: float | None
    bandwidth: int
    audio: bool
    note: str = ""


def multivariant(variant: Variant) -> str:
    lines = ["#EXTM3U", f"#EXT-X-VERSION:{VERSION}"]
    if variant.note:
        lines.append(f"# {variant.note}")
    attributes = [f"BANDWIDTH={variant.bandwidth}", f'CODECS="{variant.codecs}"']
    if variant.width and variant.height:
        attributes.append(f"RESOLUTION={variant.width}x{variant.height}")
    if variant.frame_rate is not None:
        attributes.append(f"FRAME-RATE={variant.frame_rate:.3f}")
    if variant.audio:
        lines.append(
            '#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID="sound",NAME="Sound",DEFAULT=YES,AUTOSELECT=YES,'
            f'URI="audio.m3u8?token={TOKEN}"'
        )
        attributes.append('AUDIO="sound"')
    lines += ["#EXT-X-STREAM-INF:" + ",".join(attributes), f"video.m3u8?token={TOKEN}", ""]
    return "\n".join(lines)


def media(
    name: str,
    rendition: Rendition,
    timeline: Timeline,
    others: Sequence[tuple[str, Rendition]] = (),
    *,
    skip: bool = False,
) -> str:
    """The playlist of a rendition. name: the folder of its segments. skip: a delta update."""
    segments = [segment for segment in rendition.segments if segment.parts or segment.missing]
    skipped = _skippable(segments) if skip else 0
    part_s = rendition.part_target_ns / NS
    longest_s = max(each.part_target_ns for each in (rendition, *(other for _, other in others))) / NS
    lines = [
        "#EXTM3U",
        f"#EXT-X-VERSION:{VERSION}",
        f"#EXT-X-TARGETDURATION:{TARGET_DURATION_S}",
        f"#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,PART-HOLD-BACK={max(3 * part_s, 2 * longest_s):.3f},"
        f"CAN-SKIP-UNTIL={CAN_SKIP_S:.1f},HOLD-BACK={3 * TARGET_DURATION_S:.1f}",
        f"#EXT-X-PART-INF:PART-TARGET={part_s:.3f}",
    ]
    if segments:
        first = segments[0].number
        broken = timeline.breaks_at(first)
        lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
        lines.append(f"#EXT-X-DISCONTINUITY-SEQUENCE:{timeline.discontinuities(first) - broken}")
    if skipped:
        lines.append(f"#EXT-X-SKIP:SKIPPED-SEGMENTS={skipped}")
    left_ns = sum(segment.duration_ns for segment in segments)
    init = ""
    for index, segment in enumerate(segments):
        if index >= skipped:
            if timeline.breaks_at(segment.number):
                lines.append("#EXT-X-DISCONTINUITY")
            if segment.init != init:
                init = segment.init
                lines.append(f'#EXT-X-MAP:URI="{name}/{init}.mp4?token={TOKEN}"')
            lines += _segment(name, segment, parts=left_ns <= PARTS_SHOWN_NS)
        else:
            init = segment.init
        left_ns -= segment.duration_ns
    number, part = rendition_edge(rendition)
    if segments:
        lines.append(f'#EXT-X-PRELOAD-HINT:TYPE=PART,URI="{name}/{number}.{part}.mp4?token={TOKEN}"')
    lines += _reports(others)
    lines.append("")
    return "\n".join(lines)


def rendition_edge(rendition: Rendition) -> tuple[int, int]:
    """Number and part of what comes next."""
    if not rendition.segments:
        return 0, 0
    newest = rendition.segments[-1]
    return (newest.number + 1, 0) if newest.complete else (newest.number, len(newest.parts))


def _segment(name: str, segment: Segment, *, parts: bool) -> list[str]:
    if not segment.complete:
        return _lines(name, segment, parts=parts)
    if parts not in segment.lines:
        segment.lines[parts] = _lines(name, segment, parts=parts)
    return segment.lines[parts]


def _lines(name: str, segment: Segment, *, parts: bool) -> list[str]:
    lines = [f"#EXT-X-PROGRAM-DATE-TIME:{_date(segment.capture_ns)}"]
    if segment.missing:
        lines.append("#EXT-X-GAP")
    elif parts:
        for index, part in enumerate(segment.parts):
            independent = ",INDEPENDENT=YES" if part.independent else ""
            lines.append(
                f"#EXT-X-PART:DURATION={part.duration_ns / NS:.5f},"
                f'URI="{name}/{segment.number}.{index}.mp4?token={TOKEN}"{independent}'
            )
    if segment.complete:
        lines.append(f"#EXTINF:{segment.duration_ns / NS:.5f},")
        lines.append(f"{name}/{segment.number}.mp4?token={TOKEN}")
    return lines


def _skippable(segments: Sequence[Segment]) -> int:
    """How many segments from the first on end more than `CAN_SKIP_S` before the end."""
    left_ns = sum(segment.duration_ns for segment in segments)
    for index, segment in enumerate(segments):
        left_ns -= segment.duration_ns
        if left_ns < CAN_SKIP_S * NS:
            return index
    return 0


def _reports(others: Sequence[tuple[str, Rendition]]) -> list[str]:
    lines = []
    for name, other in others:
        number, part = rendition_edge(other)
        if not other.segments:
            continue
        last = (number, part - 1)
        if part == 0:
            last = (number - 1, max(len(other.segments[-1].parts) - 1, 0))
        lines.append(
            f'#EXT-X-RENDITION-REPORT:URI="{name}.m3u8?token={TOKEN}",LAST-MSN={last[0]},LAST-PART={last[1]}'
        )
    return lines


def _date(wall_ns: int) -> str:
    moment = datetime.fromtimestamp(wall_ns // NS, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{wall_ns % NS // 1_000_000:03}Z"
