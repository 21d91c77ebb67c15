"""The supervisor's processes: real ones, killed, stopped, crashing, replaced."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest
from tests.supervisor.conftest import Bench, line, pids, until
from tests.supervisor.processes import runs

from vms.common.errors import NotFound, Unavailable
from vms.supervisor import child, records
from vms.supervisor.process import Process
from vms.supervisor.strays import end_strays


async def test_a_process_that_is_killed_is_back_and_the_others_are_untouched(bench: Bench) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0"), bench.plan("media", "media-1")])
    before = pids(supervisor)
    os.kill(before["media-0"], signal.SIGKILL)
    await until(lambda: pids(supervisor).get("media-0") not in (0, before["media-0"]), "it is back")
    assert await supervisor.wait_ready(60)
    assert pids(supervisor)["media-1"] == before["media-1"]
    assert line(supervisor, "media-0").restarts == 1
    told = [(change.kind, change.worker, change.exit_status) for change in bench.changes]
    assert told[-2:] == [("ended", "media-0", -signal.SIGKILL), ("started", "media-0", None)]


async def test_a_process_that_is_not_ready_yet_is_asked_again_soon(bench: Bench) -> None:
    hours_s = 7200.0  # between two questions to one that is ready
    await bench.started([bench.plan("media", "media-0", env={"READY_AFTER": "3"})], poll_s=hours_s)


async def test_a_process_that_lived_is_started_again_with_hardly_a_delay(bench: Bench) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0")], young_s=0.0)
    for lives in range(1, 5):
        os.kill(pids(supervisor)["media-0"], signal.SIGKILL)
        await until(lambda lives=lives: line(supervisor, "media-0").restarts == lives, "it is back")
        assert "again in" not in line(supervisor, "media-0").detail
        assert await supervisor.wait_ready(60)


async def test_a_process_that_keeps_dying_waits_longer_and_longer_and_the_others_are_untouched(
    bench: Bench,
) -> None:
    crashing = bench.plan("api", "api-0", env={"CRASHES": "3"})
    supervisor = bench.supervisor([crashing, bench.plan("media", "media-0")], backoff_first_s=0.2)
    await supervisor.start()
    delays: list[float] = []

    def grown() -> bool:
        detail = line(supervisor, "api-0").detail
        if "again in" in detail:
            assert "ended with status 3" in detail
            assert line(supervisor, "api-0").state == "waiting"
            assert line(supervisor, "api-0").pid == 0
            delay = float(detail.rpartition(" in ")[2].removesuffix(" s"))
            if delay not in delays:
                delays.append(delay)
        return len(delays) >= 3

    await until(grown, "it waits for the third time")
    assert delays[-1] > delays[0]
    media = line(supervisor, "media-0")
    assert (media.state, media.restarts) == ("running", 0)
    assert bench.journal().count("started media-0") == 1


async def test_a_worker_that_ends_in_order_by_itself_starts_again_without_counting_as_a_failure(
    bench: Bench,
) -> None:
    supervisor = await bench.started([bench.plan("stream", "stream-0")])
    before = pids(supervisor)
    os.kill(before["stream-0"], signal.SIGHUP)
    await until(lambda: pids(supervisor).get("stream-0") not in (0, before["stream-0"]), "it is back")
    assert bench.journal()[:3] == ["started stream-0", "stopping stream-0", "stopped stream-0"]
    failures = next(f for f in supervisor.metrics() if f.name == "vms_supervisor_failures")
    assert failures.samples == [(("stream-0",), 0.0)]


async def test_a_worker_that_hangs_is_killed_and_started_again(bench: Bench) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0")], watchdog_s=1.0)
    before = pids(supervisor)
    os.kill(before["media-0"], signal.SIGSTOP)
    await until(lambda: pids(supervisor).get("media-0") not in (0, before["media-0"]), "it is back")
    assert [change.kind for change in bench.changes].count("hung") == 1
    assert not runs(before["media-0"])


async def test_a_supervisor_that_stood_still_blames_no_worker(bench: Bench) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0")], watchdog_s=2.0)
    before = pids(supervisor)
    os.kill(before["media-0"], signal.SIGSTOP)  # as all do when the whole machine stands still
    time.sleep(5)  # the whole loop, on purpose
    await asyncio.sleep(0.3)  # it returns a little before the worker
    os.kill(before["media-0"], signal.SIGCONT)
    await asyncio.sleep(0.5)
    assert pids(supervisor) == before
    assert not [change for change in bench.changes if change.kind == "hung"]


async def test_stopping_goes_group_by_group_and_kills_what_does_not_end(bench: Bench) -> None:
    plans = [
        bench.plan("keeper", "keeper-0", stop_order=3),
        bench.plan("media", "media-0", stop_order=2, env={"ENDS_IN_S": "0.3"}),
        bench.plan("media", "media-1", stop_order=2, env={"IGNORES_SIGTERM": "1"}, stop_s=1.0),
        bench.plan("api", "api-0", stop_order=0, env={"ENDS_IN_S": "0.5"}),
    ]
    supervisor = await bench.started(plans)
    before = pids(supervisor)
    await supervisor.stop()
    ends = [entry for entry in bench.journal() if not entry.startswith("started")]
    assert ends[:2] == ["stopping api-0", "stopped api-0"]
    assert sorted(ends[2:5]) == ["ignored media-1", "stopped media-0", "stopping media-0"]
    assert ends[5:] == ["stopping keeper-0", "stopped keeper-0"]
    assert not [name for name, pid in before.items() if runs(pid)]
    assert {entry.state for entry in supervisor.status().processes[1:]} == {"stopped"}
    assert records.read(bench.run_dir) == []


async def test_a_restart_of_one_worker_leaves_the_others(bench: Bench) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0"), bench.plan("media", "media-1")])
    before = pids(supervisor)
    assert await supervisor.restart("media-1") == ["media-1"]
    after = pids(supervisor)
    assert after["media-0"] == before["media-0"]
    assert after["media-1"] != before["media-1"]
    assert line(supervisor, "media-1").state == "running"


async def test_a_restart_of_a_role_takes_one_after_the_other(bench: Bench) -> None:
    plans = [bench.plan("media", f"media-{number}") for number in range(2)]
    supervisor = await bench.started([*plans, bench.plan("api", "api-0")])
    before = pids(supervisor)
    assert await supervisor.restart("media") == ["media-0", "media-1"]
    after = pids(supervisor)
    assert {name for name in before if before[name] != after[name]} == {"media-0", "media-1"}
    journal = bench.journal()
    again = [at for at, entry in enumerate(journal) if entry == "started media-0"][1]
    assert journal.index("stopping media-1") > again


async def test_a_restart_that_fails_leaves_the_rest_of_the_role_as_it_is(bench: Bench) -> None:
    plans = [bench.plan("media", f"media-{number}") for number in range(2)]
    supervisor = await bench.started(plans)
    before = pids(supervisor)
    bad = [bench.plan("media", f"media-{number}", env={"CRASHES": "1"}) for number in range(2)]
    with pytest.raises(Unavailable, match="media-0 does not come back"):
        await supervisor.replace(bad)
    assert pids(supervisor)["media-1"] == before["media-1"]
    assert await supervisor.replace(plans) == ["media-0"]
    assert line(supervisor, "media-0").state == "running"


async def test_a_restart_of_what_does_not_exist_names_what_does(bench: Bench) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0"), bench.plan("api", "api-0")])
    with pytest.raises(NotFound, match="api, api-0, media, media-0"):
        await supervisor.restart("meda")


async def test_a_restart_wakes_a_process_that_waits_for_its_next_try(bench: Bench) -> None:
    crashing = bench.plan("api", "api-0", env={"CRASHES": "3"})
    supervisor = bench.supervisor([crashing], backoff_first_s=600.0, backoff_longest_s=600.0)
    await supervisor.start()
    await until(lambda: "again in" in line(supervisor, "api-0").detail, "it waits")
    lives = bench.journal().count("started api-0")
    with pytest.raises(Unavailable, match="ended with status 3"):
        await supervisor.restart("api-0")
    assert bench.journal().count("started api-0") > lives


async def test_a_changed_plan_restarts_and_ends_only_what_it_must(bench: Bench) -> None:
    same, changed, gone = (bench.plan("media", f"media-{number}") for number in range(3))
    supervisor = await bench.started([same, changed, gone])
    before = pids(supervisor)
    other = bench.plan("media", "media-1", env={"DETAIL": "other"})
    new = bench.plan("api", "api-0")
    assert await supervisor.replace([same, other, new]) == ["media-2", "api-0", "media-1"]
    assert await supervisor.wait_ready(60)
    after = pids(supervisor)
    assert set(after) == {"media-0", "media-1", "api-0"}
    assert after["media-0"] == before["media-0"]
    assert after["media-1"] != before["media-1"]
    assert not runs(before["media-2"])
    assert await supervisor.replace([same, other, new]) == []


async def test_two_hundred_rapid_changes_end_in_the_last_plan(bench: Bench) -> None:
    supervisor = await bench.started([bench.plan("media", "media-0")])
    changes = [
        asyncio.create_task(supervisor.replace([bench.plan("media", "media-0", stop_s=float(number))]))
        for number in range(200)
    ]
    await asyncio.gather(*changes)
    last = bench.plan("media", "media-0", env={"DETAIL": "last"})
    await supervisor.replace([last])
    await until(lambda: line(supervisor, "media-0").detail == "last", "the last one runs")
    assert bench.journal().count("started media-0") == 2


async def test_what_is_not_ours_is_ready_when_its_check_says_so(bench: Bench) -> None:
    answers = [False]

    async def ready() -> bool:
        return answers[0]

    sleeping = bench.plan("nats", "nats", argv=["sleep", "600"])
    plan = type(sleeping)(sleeping.role, sleeping.worker, sleeping.argv, sleeping.env, ready=ready)
    supervisor = bench.supervisor([plan])
    await supervisor.start()
    await asyncio.sleep(0.3)
    assert line(supervisor, "nats").state == "starting"
    answers[0] = True
    assert await supervisor.wait_ready(60)
    await supervisor.stop()


async def test_a_program_that_does_not_exist_is_said_and_tried_again(bench: Bench) -> None:
    supervisor = bench.supervisor([bench.plan("nats", "nats", argv=["/nonexistent"])])
    await supervisor.start()
    await until(lambda: "again in" in line(supervisor, "nats").detail, "it waits")
    assert "No such file" in line(supervisor, "nats").detail
    await supervisor.stop()


async def test_the_list_has_the_supervisor_and_what_the_workers_say_and_cost(bench: Bench) -> None:
    supervisor = await bench.started(
        [bench.plan("stream", "stream-0"), bench.plan("nats", "nats", argv=["sleep", "60"])]
    )

    def measured() -> bool:
        """Both numbers, which are not read in the same moment, once it grows no more."""
        stream = line(supervisor, "stream-0")
        return 1 << 20 < stream.memory_shared_once_bytes <= stream.memory_bytes

    await until(measured, "memory is measured")
    own, stream, nats = supervisor.status().processes
    assert (own.role, own.worker, own.pid, own.state) == ("supervisor", "supervisor", os.getpid(), "running")
    assert (stream.cameras, stream.viewers) == (2, 3)
    assert stream.loop_lag_ms == pytest.approx(2.0)
    assert (nats.role, nats.worker, nats.state) == ("nats", "nats", "running")
    assert not nats.HasField("loop_lag_ms")
    assert len(supervisor.worker_statuses()) == 1
    await supervisor.stop()


async def test_a_worker_that_no_supervisor_wrote_down_is_killed_and_a_known_one_is_not(
    bench: Bench, tmp_path: Path
) -> None:
    def spawn(run_dir: Path) -> Process:
        environment = child.environment("media", "media-0", run_dir, lifeline=None, fds={})
        return Process.spawn(["sleep", "600"], environment | {"PATH": os.environ["PATH"]}, [])

    known, stray, other = spawn(bench.run_dir), spawn(bench.run_dir), spawn(tmp_path / "other")
    assert end_strays(os.getpid(), bench.run_dir, {known.pid}) == [stray.pid]
    assert await stray.wait(60)
    assert runs(known.pid)
    assert runs(other.pid)
    for process in (known, other):
        process.send(signal.SIGKILL)
        await process.wait(60)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"boot": 1}', "\xff", '{"boot": "x", "processes": [{}]}'])
def test_a_list_of_processes_that_cannot_be_read_is_none(text: str, tmp_path: Path) -> None:
    (tmp_path / records.NAME).write_text(text, encoding="latin-1")
    assert records.read(tmp_path) == []


async def test_a_number_that_means_another_process_now_is_not_adopted(tmp_path: Path) -> None:
    process = Process.spawn(["sleep", "600"], os.environ, [])
    assert Process.find(process.pid, process.start_ticks + 1) is None
    found = Process.find(process.pid, process.start_ticks)
    assert found is not None
    found.send(signal.SIGKILL)
    assert await process.wait(60)
    assert await found.wait(60)
    assert Process.find(process.pid, process.start_ticks) is None
