"""The processes of the machine, as the API shows and restarts them."""

import httpx
from tests.api.stand_ins import Backend

PROCESSES = "/api/v1/system/processes"


async def test_the_processes_are_listed_with_what_they_cost(client: httpx.AsyncClient) -> None:
    answer = await client.get(PROCESSES)
    assert answer.status_code == 200
    media, nats = answer.json()["processes"]
    assert (media["role"], media["worker"], media["cameras"]) == ("media", "media-0", 3)
    assert nats["loop_lag_ms"] is None


async def test_one_process_or_a_role_is_restarted(backend: Backend, client: httpx.AsyncClient) -> None:
    for target in ("media-0", "media"):
        answer = await client.post(f"{PROCESSES}/{target}/restart")
        assert (answer.status_code, answer.json()) == (202, {"workers": ["media-0"]})
    assert backend.machine.restarted == ["media-0", "media"]
    assert (await client.post(f"{PROCESSES}/attic/restart")).status_code == 404


async def test_without_the_supervisor_it_is_said_and_nothing_else_suffers(
    backend: Backend, client: httpx.AsyncClient
) -> None:
    backend.machine.away = True
    answer = await client.get(PROCESSES)
    assert (answer.status_code, answer.json()["detail"]) == (503, "the supervisor does not answer")
    assert (await client.get("/metrics")).status_code == 200


async def test_metrics_of_other_processes_stand_beside_those_of_this_one(client: httpx.AsyncClient) -> None:
    text = (await client.get("/metrics")).text
    assert 'vms_camera_live{camera="porch",role="media",worker="media-0"} 1.0' in text
    assert 'vms_http_requests_in_flight{role="api",worker="api-0"}' in text
