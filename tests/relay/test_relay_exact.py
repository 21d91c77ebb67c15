"""Whatever goes into a hub comes out of the hub at the other end of a relay, equal in everything but arrival."""

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import uvloop
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.relay.conftest import CAMERA, relaying, until
from tests.relay.material import PPS, SPS, Recorder, without_arrival

from vms.format import nal
from vms.media import AccessUnit, Codec, Gap, GapReason, Hub, MediaKind, Track

Event = AccessUnit | Gap
EARLIEST_NS, LATEST_NS = 1, 4_000_000_000 * 1_000_000_000  # 1970 to 2096

H265_SETS = (
    bytes.fromhex("40010c01ffff0408000003009808000003"),
    bytes.fromhex("420101040800000300980800000300003f9000a0402e3e24a5"),
    bytes.fromhex("4401c07030603120"),
)
VIDEO_TRACKS = (
    Track(1, Codec.H264, 90_000, (SPS, PPS), width=1280, height=720, max_reorder=2),
    Track(1, Codec.H265, 90_000, H265_SETS, version=3, width=1920, height=1080),
)
AUDIO_TRACKS = (
    Track(2, Codec.AAC, 48_000, (bytes.fromhex("1190"),), sample_rate=48_000, channels=2),
    Track(2, Codec.OPUS, 48_000, sample_rate=48_000, channels=1),
    Track(2, Codec.PCMU, 8000, sample_rate=8000, channels=1),
    Track(2, Codec.PCMA, 16_000, sample_rate=16_000, channels=2),
)
LARGEST_FRAME = {Codec.AAC: 8191, Codec.OPUS: 1275, Codec.PCMU: 60_000, Codec.PCMA: 60_000}


@dataclass(repr=False)
class Plan:
    """The tracks as they are announced first, and what follows."""

    tracks: tuple[Track, ...]
    events: list[Event]

    def __repr__(self) -> str:  # hypothesis shows what failed; a picture is too much to look at
        lines = [str(track) for track in self.tracks]
        for event in self.events:
            if isinstance(event, Gap):
                lines.append(repr(event))
            else:
                track, data = event.track, event.data
                heads = (
                    [(bytes(n[:2]).hex(), len(n)) for n in nal.split(data)] if track.id == 1 else len(data)
                )
                lines.append(f"unit {track.id} v{track.version} {heads} {event[2:]}")
        return "\n".join(lines)


sizes = st.one_of(st.integers(0, 40), st.integers(59_900, 60_100), st.integers(0, 200_000))


@st.composite
def h264_nals(draw: st.DrawFn) -> bytes:
    """Any header byte, types that packets use for themselves included."""
    header = draw(st.integers(0, 255))
    return bytes((header,)) + bytes((draw(st.integers(0, 255)),)) * draw(sizes)


@st.composite
def h265_nals(draw: st.DrawFn) -> bytes:
    header = bytes((draw(st.integers(0, 255)), draw(st.integers(0, 255))))
    return header + bytes((draw(st.integers(0, 255)),)) * draw(sizes)


@st.composite
def unit_data(draw: st.DrawFn, track: Track) -> bytes:
    if track.kind is MediaKind.AUDIO:
        return bytes((draw(st.integers(0, 255)),)) * draw(st.integers(1, LARGEST_FRAME[track.codec]))
    nals = h264_nals() if track.codec is Codec.H264 else h265_nals()
    return nal.join(draw(st.lists(nals, min_size=1, max_size=5)))


@st.composite
def gaps(draw: st.DrawFn) -> Gap:
    start_ns = draw(st.integers(EARLIEST_NS, LATEST_NS))
    end_ns = draw(st.none() | st.integers(start_ns, LATEST_NS))
    return Gap(start_ns, end_ns, draw(st.sampled_from(GapReason)), draw(st.text(max_size=40)))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    tracks = draw(
        st.sampled_from(
            [
                *[(video,) for video in VIDEO_TRACKS],
                *[(audio,) for audio in AUDIO_TRACKS],
                *[(video, audio) for video in VIDEO_TRACKS for audio in AUDIO_TRACKS],
            ]
        )
    )
    now = {track.id: track for track in tracks}
    times = {
        track.id: draw(st.sampled_from([0, 90_000, (1 << 32) - 5000, (1 << 40) + 7])) for track in tracks
    }
    events: list[Event] = []
    for kind in draw(st.lists(st.sampled_from("uuuuuugt"), min_size=1, max_size=25)):
        if kind == "g":
            events.append(draw(gaps()))
            continue
        track = now[draw(st.sampled_from(sorted(now)))]
        if kind == "t":
            sets = (
                (*track.parameter_sets[:-1], track.parameter_sets[-1] + b"\1") if track.parameter_sets else ()
            )
            track = replace(track, version=track.version + 1, parameter_sets=sets)
            now[track.id] = track
        dts = times[track.id] = times[track.id] + draw(st.integers(1, 100_000))
        pts = max(0, dts + draw(st.integers(-20_000, 400_000))) if track.kind is MediaKind.VIDEO else dts
        events.append(
            AccessUnit(
                track,
                draw(unit_data(track)),
                dts,
                pts,
                track.kind is MediaKind.AUDIO or draw(st.booleans()),
                draw(st.booleans()),
                draw(st.integers(EARLIEST_NS, LATEST_NS)),
                draw(st.integers(0, 1 << 62)),
            )
        )
    return Plan(tracks, events)


def put(hub: Hub, event: Event) -> None:
    if isinstance(event, Gap):
        hub.gap(event)
        return
    if event.track not in hub.tracks:
        hub.announce([event.track if known.id == event.track.id else known for known in hub.tracks])
    hub.push(event)


def expected(hub: Hub, rest: Sequence[Event]) -> list[Event]:
    """What a client that joins now gets: the group of pictures, or the gap, then all from where it can begin."""
    first: list[Event] = list(hub.gop)
    begun = bool(first)
    if not begun and hub.lasting_gap is not None:
        first.append(hub.lasting_gap)
    has_video = hub.track(MediaKind.VIDEO) is not None
    for event in rest:
        if isinstance(event, AccessUnit) and not begun:
            begun = not has_video or (event.track.kind is MediaKind.VIDEO and event.key)
        if begun or isinstance(event, Gap):
            first.append(event)
    return first


async def relayed(tracks: Sequence[Track], before: Sequence[Event], after: Sequence[Event]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with relaying(Path(folder) / "media-0.rtsp") as relay:
            source = relay.source
            source.announce(tracks)
            for event in before:
                put(source, event)
            wanted = expected(source, after)
            lease = relay.pool.acquire(CAMERA)
            recorder = Recorder()
            lease.hub.attach(recorder)
            await lease.ready(5)
            for event in after:
                put(source, event)
            await until(lambda: len(recorder.events) >= len(wanted))
            assert without_arrival(recorder.events) == without_arrival(wanted)
            if wanted and not isinstance(wanted[-1], Gap):
                ids = {event.track.id for event in wanted if isinstance(event, AccessUnit)}
                assert [t for t in lease.hub.tracks if t.id in ids] == [
                    t for t in source.tracks if t.id in ids
                ]
            same = {id(unit.track): unit.track for unit in recorder.units}
            assert len(same) == len(set(same.values())), "one object stands for a track"


@settings(max_examples=80, deadline=None)
@given(data=st.data(), share=st.floats(0, 1))
def test_any_units_and_gaps_come_out_of_a_relay_as_they_went_in(data: st.DataObject, share: float) -> None:
    plan = data.draw(plans())
    cut = round(share * len(plan.events))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(relayed(plan.tracks, plan.events[:cut], plan.events[cut:]))
