"""Long views: many cameras, many days, bounded answers."""

import json

import httpx
import pytest
from tests.api.stand_ins import NOW_NS, TOKEN, Backend

from vms.api.coverage import SPANS_MAX, CameraCoverage, coverage_json, merged
from vms.api.times import TimeRange
from vms.common.clock import NS, rfc3339
from vms.common.ids import CameraId

COVERAGE = "/api/v1/coverage"
DAY_NS = 86_400 * NS


def at(seconds: float) -> str:
    return rfc3339(NOW_NS + round(seconds * NS))


def runs(*spans: tuple[float, float]) -> list[tuple[int, int]]:
    return [(NOW_NS + round(first * NS), NOW_NS + round(last * NS)) for first, last in spans]


async def test_coverage_of_all_cameras_is_cut_to_the_range_and_merged_to_the_resolution(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.archive.runs = {"porch": runs((-900, -500), (-490, -400), (-200, -150), (-50, 10))}
    backend.archive.events = {"porch": runs((-450, -440), (-435, -430))}
    lock = {"camera_id": "porch", "start": at(-460), "end": at(-420), "reason": "x", "created_by": "y"}
    assert (await client.post("/api/v1/locks", json=lock)).status_code == 201
    answer = await client.get(COVERAGE, params={"start": at(-600), "end": at(0), "resolution": "20"})
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "start": at(-600),
        "end": at(0),
        "resolution": 20.0,
        "events_known": True,
        "locks_known": True,
        "cameras": [
            {"id": "gate", "spans": [], "event_spans": [], "locked": []},
            {
                "id": "porch",
                "spans": [
                    {"start": at(-600), "end": at(-400)},
                    {"start": at(-200), "end": at(-150)},
                    {"start": at(-50), "end": at(0)},
                ],
                "event_spans": [{"start": at(-450), "end": at(-430)}],
                "locked": [{"start": at(-460), "end": at(-420)}],
            },
        ],
    }
    assert backend.archive.joined_ns == [20 * NS] * 2


async def test_some_cameras_are_asked_for_by_id_also_removed_ones(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    async def ids(cameras: str) -> list[str]:
        answer = (await client.get(COVERAGE, params={"cameras": cameras})).json()
        return [camera["id"] for camera in answer["cameras"]]

    assert await ids("porch") == ["porch"]
    assert await ids("porch,gate,porch,gone") == ["porch", "gate", "gone"]
    assert await ids("all") == await ids("(all)") == ["gate", "porch"]


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ({"cameras": "../x"}, "cameras"),
        ({"cameras": ",".join(f"c{n}" for n in range(201))}, "cameras"),
        ({"resolution": "0"}, "resolution"),
        ({"resolution": "nan"}, "resolution"),
        ({"start": at(-401 * 86_400), "end": at(0)}, "end"),
        ({"start": at(0), "end": at(-1)}, "start"),
        ({"start": at(-400 * 86_400), "end": at(0), "resolution": "1"}, "resolution"),
    ],
)
async def test_a_parameter_that_is_wrong_is_a_problem_of_coverage(
    client: httpx.AsyncClient, asked: dict[str, str], name: str
) -> None:
    answer = await client.get(COVERAGE, params=asked)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["path"] == f"query.{name}"


async def test_too_many_spans_are_refused_with_a_resolution_that_fits(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    many = [(NOW_NS - 2 * n * NS, NOW_NS - (2 * n - 1) * NS) for n in range(SPANS_MAX, 0, -1)]
    backend.archive.runs = {"porch": many, "gate": many}
    asked = {"start": rfc3339(NOW_NS - 2 * SPANS_MAX * NS), "end": at(0), "resolution": "2"}
    asked["resolution"] = "1.5"
    answer = await client.get(COVERAGE, params=asked)
    assert answer.status_code == 200  # holes of a second are closed
    backend.archive.runs = {name: [(a, b - NS // 2) for a, b in many] for name in ("porch", "gate")}
    answer = await client.get(COVERAGE, params=asked)
    assert (answer.status_code, answer.json()["reason"]) == (400, "too_fine")
    fitting = answer.json()["detail"].partition("resolution=")[2].partition(",")[0]
    assert (await client.get(COVERAGE, params=asked | {"resolution": fitting})).status_code == 200


async def test_event_footage_is_left_out_of_what_is_long_and_said_to_be(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.archive.events = {"porch": runs((-450, -440))}
    long = {"start": at(-300 * 86_400), "end": at(0)}
    answer = (await client.get(COVERAGE, params=long)).json()
    assert answer["events_known"] is False
    assert all(camera["event_spans"] == [] for camera in answer["cameras"])
    answer = (await client.get(COVERAGE, params=long | {"cameras": "porch"})).json()
    assert answer["events_known"] is True
    assert len(answer["cameras"][0]["event_spans"]) == 1


async def test_without_the_database_coverage_is_shown_and_locks_are_said_to_be_unknown(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.archive.runs = {"porch": runs((-50, 0))}
    await backend.locks._bus.stop()  # type: ignore[union-attr]
    answer = (await client.get(COVERAGE)).json()
    assert answer["locks_known"] is False
    assert len(answer["cameras"][1]["spans"]) == 1


async def test_coverage_needs_the_token(backend: Backend) -> None:
    async with backend.client(TOKEN) as client:
        assert (await client.get(COVERAGE)).status_code == 401


def test_spans_that_overlap_touch_and_lie_in_each_other_are_merged() -> None:
    wanted = TimeRange(0, 1000)
    assert merged([(5, 10), (0, 50), (49, 60), (60, 70), (90, 95), (-5, 2), (999, 2000)], wanted, 10) == [
        (0, 70),
        (90, 95),
        (999, 1000),
    ]
    assert merged([(1000, 1001), (-2, 0), (5, 5)], wanted, 10) == []


def test_the_text_is_json_with_the_times_of_everywhere_else() -> None:
    spans = [(NOW_NS + n * 1_234_567_891, NOW_NS + n * 1_234_567_891 + 5) for n in range(100)]
    found = [CameraCoverage(CameraId("porch"), spans, (), ())]
    text = coverage_json(found, TimeRange(0, 10 * NS), NS, events=True, locks=False)
    shown = json.loads(text)["cameras"][0]["spans"]
    assert shown == [{"start": rfc3339(first), "end": rfc3339(last)} for first, last in spans]
