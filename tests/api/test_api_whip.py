"""WHIP: publishers begin, trickle and end as RFC 9725 says."""

import httpx
import pytest
from tests.api.stand_ins import OFFER, TOKEN, Backend, porch

from vms.api.ice_servers import IceServer

CAMERAS = "/api/v1/cameras"
WHIP = f"{CAMERAS}/stage/whip"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = OFFER.replace("v=0\r\n", "a=mid:0\r\n") + "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n"
TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}


@pytest.fixture(autouse=True)
async def stage(backend: Backend) -> None:
    """A camera that is published."""
    await backend.registry.create(porch(id="stage", source="whip://publish"))


async def begin(client: httpx.AsyncClient) -> httpx.Response:
    answer = await client.post(WHIP, content=OFFER, headers=SDP)
    assert answer.status_code == 201, answer.text
    return answer


async def test_an_offer_is_answered_with_a_session(backend: Backend, client: httpx.AsyncClient) -> None:
    backend.ice_servers = [IceServer(("stun:stun.example.net",))]
    answer = await begin(client)
    assert answer.text == "v=0\r\nthe answer\r\n"
    assert answer.headers["content-type"].partition(";")[0] == "application/sdp"
    assert answer.headers["location"] == f"{WHIP}/publisher-1"
    assert answer.headers["etag"].startswith('"')
    assert 'rel="ice-server"' in answer.headers["link"]
    assert answer.headers["cache-control"] == "no-store"


async def test_delete_ends_the_publisher_once(backend: Backend, client: httpx.AsyncClient) -> None:
    location = (await begin(client)).headers["location"]
    assert (await client.delete(location)).status_code == 204
    assert backend.publishers.sessions == {}
    assert (await client.delete(location)).status_code == 404


async def test_a_second_publisher_is_told_to_come_again_or_takes_the_place(client: httpx.AsyncClient) -> None:
    location = (await begin(client)).headers["location"]
    refused = await client.post(WHIP, content=OFFER, headers=SDP)
    assert refused.status_code == 409
    assert refused.json()["reason"] == "publisher_present"
    assert int(refused.headers["retry-after"]) > 0
    taken = await client.post(WHIP, params={"replace": "true"}, content=OFFER, headers=SDP)
    assert taken.status_code == 201
    assert (await client.get(location)).status_code == 404


async def test_a_camera_that_is_pulled_cannot_be_published(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{CAMERAS}/porch/whip", content=OFFER, headers=SDP)
    assert answer.status_code == 409
    assert answer.json()["reason"] == "not_published"
    assert "whip://publish" in answer.json()["detail"]
    assert (await client.post(f"{CAMERAS}/nobody/whip", content=OFFER, headers=SDP)).status_code == 404


async def test_what_is_no_offer_is_refused(client: httpx.AsyncClient) -> None:
    assert (await client.post(WHIP, content="hello", headers=SDP)).status_code == 400
    assert (await client.post(WHIP, content=b"\xff", headers=SDP)).status_code == 400
    answer = await client.post(WHIP, content=OFFER)
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/sdp"


async def test_candidates_are_taken_and_new_credentials_restart_ice(client: httpx.AsyncClient) -> None:
    answer = await begin(client)
    location, tag = answer.headers["location"], answer.headers["etag"]
    assert (await client.patch(location, content=FRAGMENT, headers=TRICKLE)).status_code == 428
    other = TRICKLE | {"If-Match": '"another"'}
    assert (await client.patch(location, content=FRAGMENT, headers=other)).status_code == 412
    mine = TRICKLE | {"If-Match": tag}
    assert (await client.patch(location, content=FRAGMENT, headers=mine)).status_code == 204
    fresh = FRAGMENT.replace("abcd", "efgh")
    restarted = await client.patch(location, content=fresh, headers=mine)
    assert restarted.status_code == 200
    assert restarted.headers["etag"] != tag
    assert "ice-ufrag" in restarted.text


async def test_a_session_belongs_to_its_camera_and_is_no_viewers(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    location = (await begin(client)).headers["location"]
    assert (await client.delete(location.replace("stage", "porch"))).status_code == 404
    assert (await client.delete(location.replace("whip", "whep"))).status_code == 404
    assert backend.publishers.sessions


async def test_preflights_need_no_token_and_publishing_does(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        preflight = {"Origin": "http://elsewhere.example", "Access-Control-Request-Method": "POST"}
        answer = await client.options(WHIP, headers=preflight)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "*"
        assert answer.headers["accept-post"] == "application/sdp"
        assert (await client.post(WHIP, content=OFFER, headers=SDP)).status_code == 401
        known = SDP | {"Authorization": f"Bearer {TOKEN}"}
        assert (await client.post(WHIP, content=OFFER, headers=known)).status_code == 201
