"""What the API asks of stream workers, and how long it waits for them."""

from types import SimpleNamespace

from vms.app.remote import RemoteLive
from vms.common.stream_name import StreamName
from vms.proto import live_pb2
from vms.stream.webrtc.egresses import READY_TIMEOUT_S


class Asked:
    """A bus whose every request is answered at once."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes, float]] = []

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        self.requests.append((subject, data, timeout_s))
        return b""


async def test_a_wish_for_another_stream_waits_longer_than_its_worker_does_for_the_subscription() -> None:
    bus, directory = Asked(), SimpleNamespace(worker=lambda name: name)
    live = RemoteLive(bus, SimpleNamespace(), directory)  # type: ignore[arg-type]
    await live.select("stream-0.abc", StreamName.SUB)
    ((subject, data, timeout_s),) = bus.requests
    assert subject.endswith("select")
    assert live_pb2.Select.FromString(data).stream == "sub"
    assert timeout_s > READY_TIMEOUT_S
