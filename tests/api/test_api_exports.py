"""Exports in the background, verification and thumbnails over HTTP."""

from dataclasses import replace
from uuid import UUID, uuid4

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, SEGMENT_ID, TOKEN, Backend, Checked, Verdict

from vms.common.clock import NS, rfc3339

EXPORTS = "/api/v1/exports"
PORCH = "/api/v1/cameras/porch"
START, END = rfc3339(NOW_NS - 300 * NS), rfc3339(NOW_NS)
NEW = {"cameras": ["porch"], "start": START, "end": END}
RANGE = {"start": START, "end": END}


async def test_an_export_is_made_followed_fetched_and_removed(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    asked = NEW | {"cameras": ["porch", "gate"], "archive": True, "title": "Case 4711", "asked_by": "ana"}
    made = await client.post(EXPORTS, json=asked | {"burn_in": {"time": True}})
    assert made.status_code == 201
    export = made.json()
    place = made.headers["location"]
    assert place == f"{EXPORTS}/{export['id']}"
    assert export == {
        "id": export["id"],
        "state": "queued",
        "progress": 0.0,
        "stage": "waiting",
        "bytes": 0,
        "error": None,
        "created_at": rfc3339(NOW_NS),
        "expires_at": None,
        "file_name": None,
        "url": None,
        "verified": None,
        "cameras": ["porch", "gate"],
        "start": START,
        "end": END,
        "exact": True,
        "burn_in": {"time": True, "time_zone": "America/Sao_Paulo"},
        "archive": True,
        "title": "Case 4711",
        "note": "",
        "asked_by": "ana",
    }
    job = backend.jobs.jobs[UUID(export["id"])]
    assert job.request.burn_in == "America/Sao_Paulo"
    assert (await client.get(f"{place}/file")).status_code == 409
    job.state, job.progress, job.verified, job.expires_ns = "done", 1.0, True, NOW_NS + NS
    done = (await client.get(place)).json()
    assert (done["state"], done["url"], done["verified"]) == ("done", f"{place}/file", True)
    assert (await client.get(EXPORTS)).json() == {"exports": [done]}
    part = await client.get(done["url"], headers={"Range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, bytes(range(10, 20)))
    assert part.headers["content-type"] == "application/zip"
    assert "filename*=UTF-8''case%204711%20%C3%BC.zip" in part.headers["content-disposition"]
    assert (await client.delete(place)).status_code == 204
    assert (await client.get(place)).status_code == 404


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"cameras": []}, 422),
        ({"cameras": ["porch", "porch"], "archive": True}, 422),
        ({"cameras": ["porch", "gate"]}, 422),
        ({"cameras": ["../x"]}, 422),
        ({"cameras": ["unknown"]}, 404),
        ({"start": END, "end": START}, 422),
        ({"start": rfc3339(NOW_NS - 26 * 3600 * NS)}, 422),
        ({"burn_in": {"time_zone": "Mars/Olympus"}}, 422),
        ({"title": "x" * 201}, 422),
        ({"format": "avi"}, 422),
    ],
)
async def test_an_export_that_cannot_be_is_a_problem_and_none_is_begun(
    backend: Backend, client: httpx.AsyncClient, changes: dict[str, object], status: int
) -> None:
    assert (await client.post(EXPORTS, json=NEW | changes)).status_code == status
    assert backend.jobs.jobs == {}


async def test_a_burn_in_of_nothing_is_none(backend: Backend, client: httpx.AsyncClient) -> None:
    await client.post(EXPORTS, json=NEW | {"burn_in": {"time": False}})
    assert [job.request.burn_in for job in backend.jobs.jobs.values()] == [None]


async def test_exports_are_503_while_their_process_is_away_or_there_is_none(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.jobs.away = True
    assert (await client.get(EXPORTS)).status_code == 503
    assert (await client.post(EXPORTS, json=NEW)).status_code == 503
    backend.jobs = None  # type: ignore[assignment]
    backend.verifier = None  # type: ignore[assignment]
    backend.thumbnails = None  # type: ignore[assignment]
    async with backend.client() as bare:
        for path, asked in (
            (EXPORTS, {}),
            (f"{PORCH}/verification", RANGE),
            (f"{PORCH}/thumbnail.jpg", {"at": START}),
            (f"{PORCH}/thumbnails.jpg", RANGE | {"count": "2"}),
        ):
            assert (await bare.get(path, params=asked)).status_code == 503


async def test_an_exact_cut_is_asked_for_as_such(backend: Backend, client: httpx.AsyncClient) -> None:
    for exact in ("false", "true"):
        assert (await client.get(f"{PORCH}/export.mp4", params=RANGE | {"exact": exact})).status_code == 200
    assert [asked[3:] for asked in backend.player.asked] == [(), ("exact",)]


async def test_a_verification_says_of_each_recording_what_was_found(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    unsigned = replace(
        Checked(),
        state="unsigned",
        signed_ns=None,
        node=None,
        key_fingerprint=None,
        follows=None,
        detail="old",
    )
    backend.verifier.verdict = Verdict("partial", [Checked(), unsigned])
    answer = await client.get(f"{PORCH}/verification", params=RANGE)
    assert answer.status_code == 200
    assert answer.json()["state"] == "partial"
    first, second = answer.json()["segments"]
    assert first == {
        "id": str(SEGMENT_ID),
        "start": START,
        "end": END,
        "state": "verified",
        "signed_at": END,
        "node": "here",
        "key_fingerprint": "ab" * 32,
        "recovered": False,
        "follows": True,
        "detail": "",
    }
    assert (second["state"], second["signed_at"], second["follows"]) == ("unsigned", None, None)
    long = {"start": rfc3339(NOW_NS - 26 * 3600 * NS), "end": END}
    assert (await client.get(f"{PORCH}/verification", params=long)).status_code == 400
    assert (await client.get("/api/v1/cameras/no/verification", params=RANGE)).status_code == 404
    assert len(backend.verifier.asked) == 1


async def test_a_thumbnail_says_which_time_it_shows(client: httpx.AsyncClient) -> None:
    answer = await client.get(
        f"{PORCH}/thumbnail.jpg", params={"at": rfc3339(NOW_NS - 5 * NS), "width": "320"}
    )
    assert (answer.status_code, answer.content) == (200, b"\xff\xd8320")
    assert answer.headers["content-type"] == "image/jpeg"
    assert answer.headers["x-time"] == rfc3339(NOW_NS - 10 * NS)
    assert answer.headers["cache-control"] == "private, max-age=10"
    none = await client.get(f"{PORCH}/thumbnail.jpg", params={"at": rfc3339(NOW_NS - 3600 * NS)})
    assert none.status_code == 404
    assert "camera_lost" in none.json()["detail"]
    for wrong in ({"width": "79"}, {"width": "641"}, {"at": "x"}):
        asked = {"at": START} | wrong
        assert (await client.get(f"{PORCH}/thumbnail.jpg", params=asked)).status_code == 400


async def test_a_strip_says_which_time_each_of_its_cells_shows(client: httpx.AsyncClient) -> None:
    asked = {"start": rfc3339(NOW_NS - 450 * NS), "end": END, "count": "3", "width": "80"}
    answer = await client.get(f"{PORCH}/thumbnails.jpg", params=asked)
    assert (answer.status_code, answer.content) == (200, b"\xff\xd8strip")
    assert answer.headers["content-type"] == "image/jpeg"
    shown = [rfc3339(NOW_NS - ago_s * NS) for ago_s in (225, 75)]
    assert answer.headers["x-times"] == ",".join(["-", *shown])
    assert (answer.headers["x-columns"], answer.headers["x-cell"]) == ("3", "80x40")
    for wrong in ({"count": "0"}, {"count": "101"}, {"width": "641"}, {"start": END}, {"end": "x"}):
        refused = await client.get(f"{PORCH}/thumbnails.jpg", params=asked | wrong)
        assert refused.status_code == 400, wrong
    assert (await client.get("/api/v1/cameras/no/thumbnails.jpg", params=asked)).status_code == 404


async def test_no_picture_outlives_its_recording_in_a_browser_by_more_than_minutes(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    times = {"at": START, "start": START, "end": END, "count": "2"}
    for later_s in (0, 7200, 10**6):
        backend.clock.advance(later_s)
        for path in ("thumbnail.jpg", "thumbnails.jpg"):
            kept = (await client.get(f"{PORCH}/{path}", params=times)).headers["cache-control"]
            place, _, seconds = kept.partition(", max-age=")
            assert place == "private" and 0 < int(seconds) <= 300


async def test_exports_verification_and_thumbnails_need_the_token(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        for method, path in (
            ("GET", EXPORTS),
            ("POST", EXPORTS),
            ("GET", f"{EXPORTS}/{uuid4()}"),
            ("GET", f"{EXPORTS}/{uuid4()}/file"),
            ("DELETE", f"{EXPORTS}/{uuid4()}"),
            ("GET", f"{PORCH}/verification"),
            ("GET", f"{PORCH}/thumbnail.jpg"),
            ("GET", f"{PORCH}/thumbnails.jpg"),
        ):
            assert (await client.request(method, path)).status_code == 401
