"""WHEP: viewers begin, trickle and end as draft-ietf-wish-whep says."""

import httpx
import pytest
from tests.api.stand_ins import OFFER, TOKEN, Backend

from vms.api.ice_servers import IceServer
from vms.common.stream_name import StreamName

WHEP = "/api/v1/cameras/porch/whep"
SDP = {"Content-Type": "application/sdp"}
FRAGMENT = OFFER.replace("v=0\r\n", "a=mid:0\r\n") + "a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n"
TRICKLE = {"Content-Type": "application/trickle-ice-sdpfrag"}


async def begin(client: httpx.AsyncClient) -> httpx.Response:
    answer = await client.post(WHEP, content=OFFER, headers=SDP)
    assert answer.status_code == 201
    return answer


async def test_an_offer_is_answered_with_a_session(backend: Backend, client: httpx.AsyncClient) -> None:
    answer = await begin(client)
    assert answer.text == "v=0\r\nthe answer\r\n"
    assert answer.headers["content-type"].partition(";")[0] == "application/sdp"
    assert answer.headers["location"] == f"{WHEP}/session-1"
    assert answer.headers["etag"].startswith('"')
    assert answer.headers["cache-control"] == "no-store"
    assert backend.viewers.sessions == {"session-1": "porch"}
    assert (await client.get("/api/v1/cameras/porch")).json()["viewers"] == 1


async def test_delete_ends_the_viewer_once(backend: Backend, client: httpx.AsyncClient) -> None:
    location = (await begin(client)).headers["location"]
    assert (await client.delete(location)).status_code == 204
    assert backend.viewers.sessions == {}
    assert (await client.delete(location)).status_code == 404


async def test_a_session_that_ended_by_itself_is_not_found(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    location = (await begin(client)).headers["location"]
    backend.viewers.sessions.clear()
    assert (await client.delete(location)).status_code == 404


async def test_a_session_belongs_to_its_camera(backend: Backend, client: httpx.AsyncClient) -> None:
    location = (await begin(client)).headers["location"]
    assert (await client.delete(location.replace("porch", "gate"))).status_code == 404
    assert backend.viewers.sessions


@pytest.mark.parametrize("media_type", [None, "application/json", "text/plain", "application/sdpx"])
async def test_another_media_type_is_415(client: httpx.AsyncClient, media_type: str | None) -> None:
    headers = {"Content-Type": media_type} if media_type else {}
    answer = await client.post(WHEP, content=OFFER, headers=headers)
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/sdp"


@pytest.mark.parametrize("offer", [b"no sdp", b"", b"\xff\xfe"])
async def test_an_offer_that_is_no_sdp_is_400(client: httpx.AsyncClient, offer: bytes) -> None:
    answer = await client.post(
        WHEP, content=offer, headers={"Content-Type": "application/sdp; charset=utf-8"}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_stream_that_cannot_be_watched_is_409_with_the_reason(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.viewers.refusal = "b_frames"
    answer = await client.post(WHEP, content=OFFER, headers=SDP)
    assert (answer.status_code, answer.json()["reason"]) == (409, "b_frames")
    assert "retry-after" not in answer.headers
    backend.viewers.refusal = "not_live"
    answer = await client.post(WHEP, content=OFFER, headers=SDP)
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "2")


async def test_candidates_are_taken_with_the_tag_of_the_session(client: httpx.AsyncClient) -> None:
    begun = await begin(client)
    location, tag = begun.headers["location"], begun.headers["etag"]
    answer = await client.patch(location, content=FRAGMENT, headers=TRICKLE | {"If-Match": tag})
    assert (answer.status_code, answer.content) == (204, b"")
    assert "etag" not in answer.headers


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (TRICKLE, FRAGMENT, 428),
        (TRICKLE | {"If-Match": '"other"'}, FRAGMENT, 412),
        (TRICKLE | {"If-Match": "*"}, FRAGMENT.replace("abcd", "e!gh"), 400),
        (TRICKLE | {"If-Match": "*"}, FRAGMENT.replace("abcd", "efgh").replace("0123456789", ""), 400),
        (TRICKLE | {"If-Match": "THE TAG"}, "no fragment", 400),
        (TRICKLE | {"If-Match": "THE TAG"}, "", 400),
        (TRICKLE | {"If-Match": "THE TAG"}, "a=mid:0", 400),
        ({"Content-Type": "application/sdp", "If-Match": "THE TAG"}, FRAGMENT, 415),
    ],
)
async def test_a_patch_that_is_no_trickle_is_refused_and_ends_nothing(
    backend: Backend, client: httpx.AsyncClient, headers: dict[str, str], body: str, status: int
) -> None:
    begun = await begin(client)
    if headers.get("If-Match") == "THE TAG":
        headers = headers | {"If-Match": begun.headers["etag"]}
    answer = await client.patch(begun.headers["location"], content=body, headers=headers)
    assert answer.status_code == status
    assert backend.viewers.sessions


@pytest.mark.parametrize("tag", ["*", '"*"', "THE TAG"])
async def test_new_credentials_restart_ice_under_a_new_tag(client: httpx.AsyncClient, tag: str) -> None:
    begun = await begin(client)
    location, first = begun.headers["location"], begun.headers["etag"]
    changed = FRAGMENT.replace("abcd", "efgh")
    headers = TRICKLE | {"If-Match": first if tag == "THE TAG" else tag}
    answer = await client.patch(location, content=changed, headers=headers)
    assert answer.status_code == 200
    assert answer.headers["content-type"].partition(";")[0] == "application/trickle-ice-sdpfrag"
    assert "a=ice-ufrag:ours" in answer.text
    assert "a=ice-pwd:" in answer.text
    second = answer.headers["etag"]
    assert second != first
    stale = await client.patch(location, content=changed, headers=TRICKLE | {"If-Match": first})
    assert stale.status_code == 412
    trickled = await client.patch(location, content=changed, headers=TRICKLE | {"If-Match": second})
    assert trickled.status_code == 204


async def test_servers_are_named_in_links_and_their_credentials_never_to_a_preflight(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.ice_servers = [
        IceServer(("stun:stun.example.net",)),
        IceServer(("turn:a.example.net", "turns:a.example.net"), "1:vms", 'a"b'),
    ]
    stun = '<stun:stun.example.net>; rel="ice-server"'
    turn = '; rel="ice-server"; username="1:vms"; credential="a\\"b"; credential-type="password"'
    named = [stun, f"<turn:a.example.net>{turn}", f"<turns:a.example.net>{turn}"]
    assert (await begin(client)).headers.get_list("link") == named
    assert (await client.get(WHEP)).headers.get_list("link") == named
    assert (await client.options(WHEP)).headers.get_list("link") == [stun]


async def test_unknown_cameras_and_sessions_are_404(client: httpx.AsyncClient) -> None:
    unknown = "/api/v1/cameras/unknown/whep"
    for answer in (
        await client.post(unknown, content=OFFER, headers=SDP),
        await client.get(unknown),
        await client.get(f"{WHEP}/nothing"),
        await client.delete(f"{WHEP}/nothing"),
        await client.patch(f"{WHEP}/nothing", content=FRAGMENT, headers=TRICKLE),
    ):
        assert answer.status_code == 404


async def test_endpoint_and_session_have_no_representation(client: httpx.AsyncClient) -> None:
    location = (await begin(client)).headers["location"]
    for path in (WHEP, location):
        for method in ("GET", "HEAD"):
            answer = await client.request(method, path)
            assert (answer.status_code, answer.content) == (204, b"")
        assert (await client.put(path)).status_code == 405


async def test_options_says_what_is_taken(client: httpx.AsyncClient) -> None:
    answer = await client.options(WHEP)
    assert (answer.status_code, answer.headers["accept-post"]) == (200, "application/sdp")
    session = await client.options(f"{WHEP}/x")
    assert session.headers["accept-patch"] == "application/trickle-ice-sdpfrag"


async def test_without_a_token_no_other_origin_may_watch(client: httpx.AsyncClient) -> None:
    origin = {"Origin": "https://player.example"}
    preflight = await client.options(WHEP, headers=origin | {"Access-Control-Request-Method": "POST"})
    assert "access-control-allow-origin" not in preflight.headers
    assert (await client.post(WHEP, content=OFFER, headers=SDP | origin)).status_code == 403


async def test_with_a_token_a_player_of_another_origin_may_watch_with_bearer(backend: Backend) -> None:
    origin = {"Origin": "https://player.example"}
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    async with backend.client(TOKEN) as client:
        preflight = await client.options(WHEP, headers=origin | {"Access-Control-Request-Method": "POST"})
        assert preflight.status_code == 200
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert "POST" in preflight.headers["access-control-allow-methods"]
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        assert "access-control-allow-credentials" not in preflight.headers
        answer = await client.post(WHEP, content=OFFER, headers=SDP | origin | bearer)
        assert answer.status_code == 201
        assert answer.headers["access-control-allow-origin"] == "*"
        assert "Location" in answer.headers["access-control-expose-headers"]
        assert "X-Stream" in answer.headers["access-control-expose-headers"]
        view = f"{answer.headers['Location']}/view"
        preflight = await client.options(view, headers=origin | {"Access-Control-Request-Method": "PUT"})
        assert preflight.status_code == 200
        assert "PUT" in preflight.headers["access-control-allow-methods"]
        enlarged = await client.put(view, json={"stream": "main"}, headers=origin | bearer)
        assert (enlarged.status_code, enlarged.headers["access-control-allow-origin"]) == (200, "*")
        refused = await client.post(WHEP, content=OFFER, headers=SDP | origin)
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "*")


async def test_a_viewer_gets_the_stream_that_suits_its_tile(client: httpx.AsyncClient) -> None:
    small = await client.post(f"{WHEP}?width=320&height=180", content=OFFER, headers=SDP)
    large = await client.post(f"{WHEP}?width=1920&height=1080", content=OFFER, headers=SDP)
    named = await client.post(f"{WHEP}?stream=compat&width=1920&height=1080", content=OFFER, headers=SDP)

    assert [answer.headers["X-Stream"] for answer in (small, large, named)] == ["sub", "main", "compat"]


async def test_enlarging_a_tile_changes_the_stream_of_the_same_session(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    begun = await client.post(f"{WHEP}?width=320&height=180", content=OFFER, headers=SDP)
    session = begun.headers["Location"]

    enlarged = await client.put(f"{session}/view", json={"width": 1920, "height": 1080})
    chosen = await client.put(f"{session}/view", json={"stream": "sub"})

    assert (enlarged.json(), chosen.json()) == ({"stream": "main"}, {"stream": "sub"})
    assert backend.viewers.begun == 1


async def test_a_wish_for_what_is_wanted_already_is_passed_on_for_less_may_be_sent(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    begun = await client.post(WHEP, content=OFFER, headers=SDP)

    answer = await client.put(f"{begun.headers['Location']}/view", json={"width": 1920, "height": 1080})

    assert (answer.json(), backend.viewers.selected) == ({"stream": "main"}, ["main"])


async def test_a_small_tile_gets_main_where_sub_cannot_be_shown_and_a_named_stream_is_refused(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.viewers.refusal, backend.viewers.refused = "codec", frozenset({StreamName.SUB})

    small = await client.post(f"{WHEP}?width=320&height=180", content=OFFER, headers=SDP)
    named = await client.post(f"{WHEP}?stream=sub", content=OFFER, headers=SDP)

    assert (small.status_code, small.headers["X-Stream"], named.status_code) == (201, "main", 409)


@pytest.mark.parametrize(
    "wish",
    [
        {},
        {"width": 5},
        {"stream": "main", "width": 5, "height": 5},
        {"stream": "third"},
        {"width": 0, "height": 9},
    ],
)
async def test_a_wish_that_says_nothing_or_too_much_is_refused(
    client: httpx.AsyncClient, wish: dict[str, object]
) -> None:
    begun = await client.post(WHEP, content=OFFER, headers=SDP)

    assert (await client.put(f"{begun.headers['Location']}/view", json=wish)).status_code == 422


async def test_the_view_of_an_ended_session_cannot_be_changed(client: httpx.AsyncClient) -> None:
    answer = await client.put(f"{WHEP}/nobody/view", json={"stream": "sub"})

    assert answer.status_code == 404
