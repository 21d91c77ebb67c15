"""GET …/live: the ways to watch a camera, as the ports tell them, for this viewer alone."""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import httpx
import pytest
from tests.api.stand_ins import Backend

from vms.api.application import ApiSettings, create_app
from vms.api.ice_servers import IceServer
from vms.common.ids import CameraId
from vms.common.stream_name import StreamName

LIVE = "/api/v1/cameras/porch/live"


@dataclass(frozen=True)
class Option:
    protocol: str = "websocket"
    stream: str = "main"
    url: str | None = "ws://vms.example:8189/live/porch?token=t"
    playable: bool = True
    reason: str | None = None
    detail: str = ""
    mime_type: str | None = 'video/mp4; codecs="avc1.640028"'
    transcoded: bool = False
    certificate_hashes: list[str] = field(default_factory=lambda: ["q80="])


@dataclass
class Ladders:
    """Notes what it is asked."""

    asked: list[tuple[CameraId, StreamName, set[str], str]] = field(default_factory=list)

    def options(
        self, camera_id: CameraId, preferred: StreamName, supports: Collection[str], host: str
    ) -> Sequence[Option]:
        self.asked.append((camera_id, preferred, set(supports), host))
        return [
            Option(),
            Option("webrtc", "compat", None, False, "no_transcoder", "nobody transcodes", None, True),
        ]


@pytest.fixture
def ladders() -> Ladders:
    return Ladders()


@pytest.fixture
def laddered(backend: Backend, ladders: Ladders, tmp_path: Path) -> httpx.AsyncClient:
    ports = replace(
        backend.ports,
        live_options=ladders,
        ice_servers=lambda: [IceServer(("turn:turn.example",), "vms", "word")],
    )
    app = create_app(ports, ApiSettings(None, b"s" * 32, True, tmp_path))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8080")


async def test_the_options_come_as_the_ladder_gives_them_and_are_kept_by_nobody(
    laddered: httpx.AsyncClient, ladders: Ladders
) -> None:
    answer = await laddered.get(LIVE, params={"supports": "H265,webtransport"})
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    document = answer.json()
    assert (document["camera_id"], document["stream"]) == ("porch", "main")
    assert document["options"][0] == asdict(Option())
    assert document["options"][1]["reason"] == "no_transcoder"
    assert document["ice_servers"] == [
        {"urls": ["turn:turn.example"], "username": "vms", "credential": "word"}
    ]
    assert ladders.asked == [("porch", StreamName.MAIN, {"h265", "webtransport"}, "localhost")]


@pytest.mark.parametrize("query", [{"width": "0"}, {"height": "99999999"}, {"supports": "x" * 300}])
async def test_what_no_tile_is_like_is_refused(laddered: httpx.AsyncClient, query: dict[str, str]) -> None:
    assert (await laddered.get(LIVE, params=query)).status_code in (400, 422)


async def test_an_unknown_camera_has_no_ways(laddered: httpx.AsyncClient, ladders: Ladders) -> None:
    assert (await laddered.get(LIVE.replace("porch", "attic"))).status_code == 404
    assert ladders.asked == []


async def test_a_process_that_cannot_tell_says_so(client: httpx.AsyncClient) -> None:
    assert (await client.get(LIVE)).status_code == 503


async def test_pages_may_connect_to_the_stream_workers_of_their_own_host_alone(
    laddered: httpx.AsyncClient,
) -> None:
    for host in ("vms.example:8080", "[::1]:8080", "evil.example; script-src *"):
        policy = (await laddered.get("/", headers={"host": host})).headers["content-security-policy"]
        (connect,) = [part for part in policy.split("; ") if part.startswith("connect-src")]
        name = host.removesuffix(":8080").partition(";")[0]
        assert connect == f"connect-src 'self' ws://{name}:* wss://{name}:* https://{name}:*"
        assert "script-src 'self'" in policy
