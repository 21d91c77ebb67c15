"""Sound over WebTransport: to whom it is sent, in what, and what is left out when it is late."""

import json
from itertools import pairwise

import pytest
from tests.stream.scripted_stream import Camera, h264_pictures
from tests.stream.test_stream_webtransport_streams import Pair
from tests.stream.webtransport_client import Client, ServedQuic, connected, serving

from vms.common.clock import NS, ManualClock
from vms.format.codecs import audio_track
from vms.media import AccessUnit, Codec, Track
from vms.stream.quic.messages import SoundFrame
from vms.stream.quic.sound import HOLD_NS, MAX_HANDED_OVER, MAX_WAITING, Sound

ON, OFF = b'{"type":"sound","on":true}', b'{"type":"sound","on":false}'
G711 = audio_track(2, Codec.PCMA, sample_rate=8_000, channels=1)
AAC = audio_track(2, Codec.AAC, sample_rate=48_000, channels=2)


async def listening(client: Client, served: ServedQuic) -> None:
    client.ask(served.path())
    await client.until(lambda: client.pictures)
    client.say(ON)
    (viewer,) = served.service.viewers
    await client.until(lambda: viewer.sound.wanted)


def heard(camera: Camera, track: Track, data: bytes, pts: int = 8_000) -> None:
    """The camera's microphone has taken this."""
    unit = AccessUnit(track, data, pts, pts, True, False, camera.clock.wall_ns(), camera.clock.monotonic_ns())
    camera.hub.push(unit)


async def test_sound_is_sent_to_who_asks_for_it_and_only_as_long_as_it_is_wanted() -> None:
    camera = Camera(audio=Codec.PCMA)
    async with (
        serving(camera) as served,
        camera.live(),
        connected(served.port) as deaf,
        connected(served.port) as client,
    ):
        deaf.ask(served.path())
        await deaf.until(lambda: len(deaf.pictures) > 5)
        client.ask(served.path())
        await client.until(lambda: len(client.pictures) > 5)
        assert client.configs[1]["sound"] == "alaw"
        assert client.sounds == []
        client.say(ON)
        await client.until(lambda: len(client.sounds) > 10)
        client.say(OFF)
        listener = next(each for each in served.service.viewers if each.sound.sent)
        await client.until(lambda: not listener.sound.wanted)
        sent = listener.sound.sent
        pictures = len(client.pictures)
        await client.until(lambda: len(client.pictures) > pictures + 5)
        assert listener.sound.sent == sent
        assert deaf.sounds == []
        assert len(deaf.sound_configs) == 0


async def test_g711_comes_as_it_was_made_in_datagrams_that_are_numbered() -> None:
    camera = Camera(audio=Codec.PCMA)
    async with serving(camera) as served, camera.live(), connected(served.port) as client:
        await listening(client, served)
        await client.until(lambda: len(client.sounds) > 10 and client.sound_configs)
        first = client.sounds[0]
        assert client.sound_configs[first.generation] == {
            "type": "sound",
            "generation": 1,
            "codec": "alaw",
            "description": None,
            "sample_rate": 8_000,
            "channels": 1,
            "clock_rate": 8_000,
        }
        for one, other in pairwise(client.sounds):
            assert other.sequence_number > one.sequence_number
            assert other.pts - one.pts == 320 * (other.sequence_number - one.sequence_number)
        assert {each.data for each in client.sounds} == {bytes([0xD5]) * 320}
        assert all(each.by_datagram for each in client.sounds)
        assert all(each.sent_ns >= each.capture_ns for each in client.sounds)


async def test_aac_comes_with_what_a_decoder_wants() -> None:
    camera = Camera()
    camera.hub.announce([camera.track, AAC])
    camera.push()
    async with serving(camera) as served, connected(served.port) as client:
        await listening(client, served)
        heard(camera, AAC, b"frame")
        await client.until(lambda: client.sounds and client.sound_configs)
        told = client.sound_configs[client.sounds[0].generation]
        assert (told["codec"], told["sample_rate"], told["channels"]) == ("mp4a.40.2", 48_000, 2)
        assert told["description"] == "EZA="  # AudioSpecificConfig: AAC-LC, 48 kHz, 2 channels
        assert client.sounds[0].data == b"frame"


async def test_a_frame_that_no_datagram_holds_comes_on_a_stream() -> None:
    camera = Camera()
    camera.hub.announce([camera.track, AAC])
    camera.push()
    async with serving(camera) as served, connected(served.port) as client:
        await listening(client, served)
        heard(camera, AAC, bytes(1_500))
        await client.until(lambda: client.sounds)
        assert not client.sounds[0].by_datagram
        assert client.sounds[0].data == bytes(1_500)


async def test_long_g711_is_cut_into_datagrams_that_join() -> None:
    camera = Camera(audio=Codec.PCMA)
    camera.push()
    async with serving(camera) as served, connected(served.port) as client:
        await listening(client, served)
        assert camera.audio is not None
        data = bytes(number % 256 for number in range(4_000))
        heard(camera, camera.audio, data)
        await client.until(lambda: sum(len(each.data) for each in client.sounds) == len(data))
        assert b"".join(each.data for each in client.sounds) == data
        assert len(client.sounds) > 1
        for one, other in pairwise(client.sounds):
            assert other.pts - one.pts == len(one.data)
            assert other.capture_ns - one.capture_ns == len(one.data) * NS // 8_000


async def test_with_another_stream_its_sound_comes() -> None:
    camera = Camera(audio=Codec.PCMA)
    sub = Camera(h264_pictures(50, width=640), audio=Codec.PCMU)
    async with serving(camera, sub) as served, camera.live(), sub.live(), connected(served.port) as client:
        await listening(client, served)
        await client.until(lambda: client.sounds)
        client.say(json.dumps({"type": "select", "stream": "sub"}).encode())
        await client.until(lambda: client.sounds[-1].generation == 2 and 2 in client.sound_configs)
        assert client.sound_configs[2]["codec"] == "ulaw"


async def test_a_camera_without_sound_says_so_and_who_asks_gets_its_pictures_all_the_same() -> None:
    camera = Camera()
    async with serving(camera) as served, camera.live(), connected(served.port) as client:
        await listening(client, served)
        assert client.configs[1]["sound"] is None
        before = len(client.pictures)
        await client.until(lambda: len(client.pictures) > before + 10)
        assert (client.sounds, client.sound_configs) == ([], {})


# what is late


def put(sound: Sound, clock: ManualClock, track: Track = G711, size: int = 320) -> None:
    sound.put(SoundFrame(track, bytes(size), clock.wall_ns(), clock.monotonic_ns(), 0))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def test_sound_that_could_not_be_sent_in_time_is_left_out_and_counted(clock: ManualClock) -> None:
    pair, sound = Pair(), Sound(clock)
    for _ in range(MAX_HANDED_OVER + 5):
        put(sound, clock)
    assert sound.hand_over(pair.streams)
    assert (sound.sent, sound.dropped) == (MAX_HANDED_OVER, 0), "no more than can be sent soon is handed over"
    assert not sound.hand_over(pair.streams)
    clock.advance(HOLD_NS / NS + 0.001)
    assert not sound.hand_over(pair.streams)
    assert sound.dropped == 5
    pair.lose()  # they are sent
    put(sound, clock)
    assert sound.hand_over(pair.streams)
    assert sound.sent == MAX_HANDED_OVER + 1


def test_no_more_sound_waits_than_a_moment_s(clock: ManualClock) -> None:
    sound = Sound(clock)
    for _ in range(MAX_WAITING + 7):
        put(sound, clock)
    assert sound.dropped == 7


def test_sound_that_nobody_wants_any_more_does_not_wait(clock: ManualClock) -> None:
    pair, sound = Pair(), Sound(clock)
    sound.listen(True)
    put(sound, clock)
    sound.listen(False)
    assert not sound.hand_over(pair.streams)
    assert (sound.sent, sound.dropped) == (0, 0)


def test_without_room_for_its_config_sound_waits(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, sound = Pair(), Sound(clock)
    put(sound, clock)
    monkeypatch.setattr(pair.server, "_remote_max_streams_uni", 0)
    assert not sound.hand_over(pair.streams)
    monkeypatch.undo()
    assert sound.hand_over(pair.streams)
