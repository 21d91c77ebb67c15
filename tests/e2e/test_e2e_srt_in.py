"""Encoders that send by SRT, to the real system: live, recorded as they were sent, and back after every kill."""

import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import pytest
from tests.e2e.system import Process, System, camera, wait_for
from tests.free_ports import free_port
from tests.ingest.srt_in import ffmpeg, footage_with_sound

pytestmark = [pytest.mark.e2e, pytest.mark.needs("ffmpeg", "libsrt")]

SECRET = "a-passphrase-of-some-length"


@pytest.fixture
def encode() -> Iterator[Callable[..., Process]]:
    """Starts an encoder; it is killed after the test."""
    running: list[Process] = []

    def encode(*command: str) -> Process:
        running.append(Process(*command))
        return running[-1]

    yield encode
    for process in running:
        process.stop(signal.SIGKILL)


def _h265(path: Path, source: Path) -> Path:
    """Real footage as H.265 with B-frames."""
    parameters = "log-level=error:bframes=2:keyint=25"
    options = ["-t", "4", "-an", "-vf", "scale=320:-2,fps=25", "-c:v", "libx265", "-x265-params", parameters]
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(source), *options, str(path)], check=True, timeout=60)
    return path


def _url(port: int, camera_id: str) -> str:
    return f"srt://127.0.0.1:{port}?streamid=publish:{camera_id}&passphrase={SECRET}"


def _recorded(system: System, camera_id: str, path: Path) -> list[bytes]:
    """The pictures of the first span, as they were recorded."""
    span = system.recordings(camera_id)["spans"][0]
    answer = system.http.get(
        f"/cameras/{camera_id}/export.mp4", params={"start": span["start"], "end": span["end"]}
    )
    answer.raise_for_status()
    path.write_bytes(answer.content)
    return _pictures(path)


def _pictures(path: Path) -> list[bytes]:
    """The slices of each picture: without what is written anew on the way, parameter sets and delimiters."""
    with av.open(path) as container:
        hevc = container.streams.video[0].codec_context.name == "hevc"
        return [_slices(bytes(packet), hevc) for packet in container.demux(video=0) if packet.size]


def _slices(data: bytes, hevc: bool) -> bytes:
    at, found = 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4])
        unit = data[at + 4 : at + 4 + size]
        kind = unit[0] >> 1 & 0x3F if hevc else unit[0] & 0x1F
        if kind < 32 if hevc else 1 <= kind <= 5:
            found.append(unit)
        at += 4 + size
    return b"".join(found)


def _part_of_loop(part: list[bytes], loop: list[bytes]) -> bool:
    """Whether a source that is sent again and again looks like that, from where `part` begins on."""
    first = loop.index(part[0])
    return part == (loop * (2 + len(part) // len(loop)))[first : first + len(part)]


def _sending(system: System, camera_id: str, encode: Callable[[], Process]) -> Process:
    """An encoder by which the camera is live: one that is refused tries again, as encoders do."""
    encoders = [encode()]

    def probe() -> Process | None:
        if encoders[-1].ended:
            encoders.append(encode())
        now = system.camera(camera_id)
        return encoders[-1] if now["state"] == "live" and now["recording"] else None

    return wait_for(f"{camera_id} live", probe)


def test_encoders_are_recorded_as_they_send_and_come_back_after_every_kill(
    serve: Callable[..., System], encode: Callable[..., Process], footage: dict[str, Path], tmp_path: Path
) -> None:
    port, door = free_port(), free_port()
    hevc = _h265(tmp_path / "h265.mp4", footage["people"])
    system = serve(
        [
            camera("stage", "whip://publish"),
            camera("dock", f"srt://127.0.0.1:{door}?passphrase={SECRET}&latency=100"),
        ],
        srt={"port": port, "passphrase": SECRET},
    )
    publish = ffmpeg(*footage_with_sound(footage["vtest"]), url=_url(port, "stage"))
    listen = ffmpeg(
        "-stream_loop", "-1", "-i", str(hevc), "-c", "copy",
        url=f"srt://127.0.0.1:{door}?mode=listener&passphrase={SECRET}",
    )  # fmt: skip
    wait_for("a place", lambda: system.camera("stage").get("reason_code") == "no_publisher")
    publisher = _sending(system, "stage", lambda: encode(*publish))
    listener = _sending(system, "dock", lambda: encode(*listen))
    for name in ("stage", "dock"):
        system.wait_recorded(name, 4)

    publisher.stop(signal.SIGKILL)
    wait_for("the place is free", lambda: system.camera("stage").get("reason_code") == "no_publisher")
    came = _recorded(system, "stage", tmp_path / "stage.mp4")
    sent = _pictures(footage["vtest"])
    assert len(came) > 25
    assert _part_of_loop(came, sent), "with its B-frames, bit for bit"

    publisher = _sending(system, "stage", lambda: encode(*publish))
    gaps = {name: len(system.recordings(name)["gaps"]) for name in ("stage", "dock")}
    before = system.wait_running()
    system.kill("srt-0")
    for name in ("stage", "dock"):
        wait_for(f"it is noticed of {name}", lambda name=name: system.camera(name)["state"] != "live")
    system.wait_replaced(before, ["srt-0"])
    for encoder in (publisher, listener):
        encoder.stop(signal.SIGKILL)
    _sending(system, "dock", lambda: encode(*listen))
    _sending(system, "stage", lambda: encode(*publish))
    for name in ("stage", "dock"):
        wait_for(f"a gap in {name}", lambda name=name: len(system.recordings(name)["gaps"]) > gaps[name])

    came = _recorded(system, "dock", tmp_path / "dock.mp4")
    sent = _pictures(hevc)
    assert len(came) > 50
    assert _part_of_loop(came, sent)
    assert SECRET not in system.output
