"""The parts of a supervisor: counts, pacing, service manager, the link to the launcher, views."""

import asyncio
import io
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from rich.console import Console
from tests.supervisor.conftest import Bench, pids, until

from vms import launcher
from vms.bus.errors import RemoteNotFound
from vms.bus.local import LocalClient
from vms.common.clock import ManualClock
from vms.common.errors import Unavailable
from vms.common.process_identity import start_ticks
from vms.proto import worker_pb2
from vms.supervisor import child, counts, records, usage, view
from vms.supervisor.control import control_socket
from vms.supervisor.launcher_link import LauncherLink
from vms.supervisor.notify import Notifier
from vms.supervisor.pacing import RestartPace
from vms.supervisor.plan import Timings, WorkerPlan
from vms.supervisor.process import describe
from vms.supervisor.running import reload_told, running


@pytest.mark.parametrize(
    ("role", "wanted", "cores", "expected"),
    [
        ("media", "auto", 1, 1),
        ("media", "auto", 2, 1),
        ("stream", "auto", 8, 4),
        ("media", "auto", 64, 8),
        ("api", "auto", 64, 1),
        ("media", 3, 2, 3),
        ("api", 2, 1, 2),
    ],
)
def test_counts_follow_the_machine_unless_they_are_given(
    role: str, wanted: int, cores: int, expected: int
) -> None:
    assert counts.count(role, wanted, cores) == expected


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({}, 10_000),
        ({"": "max 100000"}, 10_000),
        ({"a/b": "100000 100000"}, 1),
        ({"a/b": "50000 100000"}, 1),
        ({"a": "250000 100000", "a/b": "max 100000"}, 2),
        ({"a/b": "nonsense"}, 10_000),
    ],
)
def test_cores_are_cut_by_the_quota_of_the_cgroup_and_of_those_above_it(
    limits: dict[str, str], most: int, tmp_path: Path
) -> None:
    own = tmp_path / "cgroup"
    own.write_text("3:cpu:/elsewhere\n0::/a/b\n")
    for group, text in limits.items():
        directory = tmp_path / "fs" / group
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "cpu.max").write_text(text + "\n")
    assert counts.usable_cores(own, tmp_path / "fs") == min(most, len(os.sched_getaffinity(0)))


def test_without_cgroups_the_affinity_counts(tmp_path: Path) -> None:
    assert counts.usable_cores(tmp_path / "none", tmp_path) == len(os.sched_getaffinity(0))
    assert counts.usable_cores() >= 1


def test_short_lives_are_answered_at_once_twice_and_then_with_growing_delays() -> None:
    pace = RestartPace(Timings())
    assert [pace.delay_s(1.0, ordered=False) for _ in range(2)] == [0.05, 0.05]
    delays = [pace.delay_s(1.0, ordered=False) for _ in range(12)]
    assert 0.25 <= delays[0] <= 0.5
    assert 0.5 <= delays[1] <= 1.0
    assert all(15 <= delay <= 30 for delay in delays[8:])
    assert pace.delay_s(11.0, ordered=False) == 0.05, "a life that was long enough is forgiven"
    assert pace.delay_s(1.0, ordered=False) == 0.05


def test_ordered_ends_are_no_failures_unless_the_process_does_nothing_else() -> None:
    pace = RestartPace(Timings())
    assert {pace.delay_s(2.0, ordered=True) for _ in range(20)} == {0.05}
    assert max(pace.delay_s(0.1, ordered=True) for _ in range(20)) > 10


def test_exit_statuses_in_words() -> None:
    assert describe(3) == "ended with status 3"
    assert describe(-9) == "killed by SIGKILL"
    assert describe(-40) == "killed by signal 40"
    assert describe(None) == "ended"


def test_cpu_and_memory_are_those_of_the_last_seconds() -> None:
    clock = ManualClock()
    meter = usage.UsageMeter(clock)
    assert meter.of(os.getpid()) == usage.Usage()
    meter.sample([os.getpid()])
    before = os.times()
    while os.times().user - before.user < 0.1:
        pass
    clock.advance(0.5)
    meter.sample([os.getpid()])
    measured = meter.of(os.getpid())
    assert 10 < measured.cpu_percent < 200
    assert 1 << 20 < usage.proportional_bytes(os.getpid()) <= measured.rss_bytes * 1.2
    meter.sample([])
    assert meter.of(os.getpid()) == usage.Usage()
    assert usage.proportional_bytes(0) == 0


def test_a_plan_is_the_same_for_the_same_socket_under_another_number(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        copy = os.dup(one.fileno())

        def fingerprint(number: int) -> str:
            return WorkerPlan("api", "api-0", ("true",), fds={"http": number}).fingerprint()

        assert fingerprint(one.fileno()) == fingerprint(copy)
        assert fingerprint(one.fileno()) != fingerprint(two.fileno())
        os.close(copy)
    assert WorkerPlan("a", "a-0", ("x",)).fingerprint() != WorkerPlan("a", "a-0", ("y",)).fingerprint()
    env = WorkerPlan("a", "a-0", ("x",), env={"A": "1"}).fingerprint()
    assert env != WorkerPlan("a", "a-0", ("x",), env={"A": "2"}).fingerprint()


# The service manager


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@vms-test-{os.getpid()}-{tmp_path.name}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0" + name[1:] if name.startswith("@") else name)
        receiver.setblocking(False)
        yield name, receiver


def test_the_service_manager_hears_the_states_of_the_service(manager: tuple[str, socket.socket]) -> None:
    name, receiver = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"})
    assert notifier.watchdog_s == 15
    notifier.ready("two\nlines")
    notifier.status("four cameras")
    notifier.reloading()
    notifier.stopping()
    notifier.watchdog()
    notifier.close()
    said = [receiver.recv(1000).decode() for _ in range(5)]
    assert said[0] == "READY=1\nSTATUS=two lines"
    assert said[1] == "STATUS=four cameras"
    reloading, monotonic = said[2].split("\n")
    assert reloading == "RELOADING=1"
    assert int(monotonic.removeprefix("MONOTONIC_USEC=")) > 0
    assert said[3].startswith("STOPPING=1\n")
    assert said[4] == "WATCHDOG=1"


def test_without_a_service_manager_nothing_is_said(tmp_path: Path) -> None:
    notifier = Notifier({"WATCHDOG_USEC": "30000000"})
    assert notifier.watchdog_s is None
    notifier.ready()
    notifier.close()
    gone = Notifier({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "0"})
    gone.watchdog()
    gone.close()
    assert gone.watchdog_s is None


# A supervisor with its sockets


async def _heard(receiver: socket.socket) -> str:
    return (await asyncio.get_running_loop().sock_recv(receiver, 1000)).decode()


async def test_a_running_supervisor_tells_that_it_is_ready_that_it_lives_and_that_it_stops(
    bench: Bench, manager: tuple[str, socket.socket]
) -> None:
    name, receiver = manager
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "400000"})
    supervisor = bench.supervisor([bench.plan("media", "media-0")])
    heard: list[str] = []

    async def listen() -> None:
        while True:
            heard.append(await _heard(receiver))

    listening = asyncio.create_task(listen())

    async def reload() -> None:
        heard.append("reload")

    async with running(supervisor, bench.run_dir, link=LauncherLink.none(), notifier=notifier, reload=reload):
        await until(lambda: "READY=1\nSTATUS=2 of 2 processes are running" in heard, "it is ready")
        assert "WATCHDOG=1" in heard[:-1]
        alive = heard.count("WATCHDOG=1")
        await until(lambda: heard.count("WATCHDOG=1") > alive + 2, "it says that it lives")
        await reload_told(reload, notifier)
        await until(lambda: "READY=1\nSTATUS=reloaded" in heard, "it has reloaded")
        assert any(said.startswith("RELOADING=1") for said in heard)
        supervisor.healthy = False
        await asyncio.sleep(0.3)
        silent = heard.count("WATCHDOG=1")
        await asyncio.sleep(0.6)
        assert heard.count("WATCHDOG=1") == silent, "one that is not well does not say that it is"
    await until(lambda: any(said.startswith("STOPPING=1") for said in heard), "it says that it stops")
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)


@pytest.fixture
async def served(bench: Bench) -> AsyncIterator[Bench]:
    supervisor = bench.supervisor(
        [bench.plan("media", "media-0"), bench.plan("stream", "stream-0", env={"DETAIL": "[odd]"})]
    )
    reloads: list[int] = []

    async def reload() -> None:
        reloads.append(1)

    async with running(
        supervisor, bench.run_dir, link=LauncherLink.none(), notifier=Notifier({}), reload=reload
    ):
        assert await supervisor.wait_ready(60)
        await until(
            lambda: all(each.memory_bytes for each in supervisor.status().processes), "they are measured"
        )
        bench.reloads = reloads  # type: ignore[attr-defined]
        yield bench


async def test_the_control_socket_restarts_and_reloads(served: Bench) -> None:
    supervisor = served.made[0]
    before = pids(supervisor)
    client = LocalClient(control_socket(served.run_dir))
    argument = worker_pb2.Restart(target="media").SerializeToString()
    answer = worker_pb2.Restarted.FromString(await client.call("restart", argument, timeout_s=60))
    assert list(answer.workers) == ["media-0"]
    await until(lambda: pids(supervisor).get("media-0") not in (0, before["media-0"]), "it is restarted")
    assert pids(supervisor)["stream-0"] == before["stream-0"]
    with pytest.raises(RemoteNotFound, match="there are media, media-0, stream, stream-0"):
        await client.call("restart", worker_pb2.Restart(target="x").SerializeToString())
    assert await client.call("reload") == b""
    assert served.reloads == [1]  # type: ignore[attr-defined]
    client.close()


async def test_status_as_json_has_every_process_and_exactly_these_fields(served: Bench) -> None:
    tree = json.loads(view.status_json(await view.fetch_status(served.run_dir)))
    assert list(tree) == ["processes"]
    assert [(p["role"], p["worker"]) for p in tree["processes"]] == [
        ("supervisor", "supervisor"),
        ("media", "media-0"),
        ("stream", "stream-0"),
    ]
    for process in tree["processes"]:
        assert list(process) == [
            "role", "worker", "pid", "state", "cameras", "viewers", "cpu_percent", "memory_bytes",
            "loop_lag_ms", "restarts", "uptime_s", "detail",
        ]  # fmt: skip
        assert isinstance(process["pid"], int)
        assert process["memory_bytes"] > 0
        assert process["uptime_s"] > 0
    media = tree["processes"][1]
    assert (media["cameras"], media["viewers"], media["loop_lag_ms"], media["state"]) == (
        2,
        3,
        2.0,
        "running",
    )


async def test_status_as_a_table_shows_what_a_worker_says_as_it_is(served: Bench) -> None:
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(view.status_table(await view.fetch_status(served.run_dir)))
    text = console.export_text()
    for expected in ("media-0", "running", " 2.0 ", "[odd]", str(pids(served.made[0])["media-0"])):
        assert expected in text


def test_the_table_fits_a_narrow_terminal() -> None:
    processes = [
        worker_pb2.ProcessStatus(
            role=role, worker=worker, pid=1234567, state="starting", cameras=1000, viewers=1000,
            cpu_percent=99.9, memory_bytes=1234 << 20, loop_lag_ms=12.3, restarts=12, uptime_s=86_400 * 99.9,
        )
        for role, worker in (("supervisor", "supervisor"), ("media", "media-0"), ("stream", "stream-0"))
    ]  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(view.status_table(worker_pb2.ProcessList(processes=processes)))
    assert "…" not in console.export_text()


async def test_watching_shows_the_table_again_and_says_when_the_system_has_gone(
    served: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view, "REFRESH_S", 0.05)
    console = Console(width=160, record=True, force_terminal=True, file=io.StringIO())
    watching = asyncio.create_task(view.watch_status(served.run_dir, console))
    await until(lambda: console.export_text(clear=False).count("stream-0") >= 2, "it is shown twice")
    control_socket(served.run_dir).unlink()
    await until(lambda: "no system answers" in console.export_text(clear=False), "it is said")
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def test_status_without_a_system_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"vms serve --data-dir"):
        await view.fetch_status(tmp_path / "run")


def test_a_process_that_does_not_run_has_no_number() -> None:
    waiting = worker_pb2.ProcessStatus(
        role="api", worker="api-0", state="waiting", detail="ended with status 3"
    )
    processes = worker_pb2.ProcessList(processes=[waiting])
    assert json.loads(view.status_json(processes))["processes"][0]["pid"] is None
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(view.status_table(processes))
    assert "ended with status 3" in console.export_text()


# The link to the launcher


def _link() -> tuple[LauncherLink, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    lifeline, writing = os.pipe()
    os.close(writing)
    environ = {launcher.LINK_VARIABLE: str(ours.detach()), launcher.LIFELINE_VARIABLE: str(lifeline)}
    return LauncherLink.from_environment(environ), theirs


def _listen(host: str, port: int) -> socket.socket:
    return socket.create_server((host, port))


def test_a_listening_socket_is_used_again_at_its_address_and_replaced_at_another() -> None:
    link, theirs = _link()
    with theirs:
        first = link.listener("http", "127.0.0.1", 0, _listen)
        said, received, _, _ = socket.recv_fds(theirs, 100, 1)
        assert said == launcher.STORE + b"http"
        assert os.fstat(received[0]).st_ino == os.fstat(first.fileno()).st_ino
        again = link.listener("http", "127.0.0.1", first.getsockname()[1], _listen)
        assert os.fstat(again.fileno()).st_ino == os.fstat(first.fileno()).st_ino
        other = link.listener("http", "127.0.0.2", 0, _listen)
        assert other.getsockname()[0] == "127.0.0.2"
        assert theirs.recv(100) == launcher.FORGET + b"http"
        for each in (first, again, other, link):
            each.close()
        os.close(received[0])


def test_without_a_launcher_sockets_are_just_made() -> None:
    link = LauncherLink.from_environment({})
    assert (link.lifeline, link.launcher_pid, link.restarts) == (None, None, 0)
    link.listener("http", "127.0.0.1", 0, _listen).close()
    link.ready()
    link.alive()
    assert link.pipe("others") is None


def test_a_launcher_that_has_gone_is_no_error() -> None:
    link, theirs = _link()
    theirs.close()
    link.alive()
    with pytest.raises(ValueError, match="letters"):
        link.keep("a=b", 0)
    link.close()


# The worker's side


def test_a_worker_finds_its_place_and_what_it_inherits(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        environ = child.environment(
            "api", "api-0", tmp_path, lifeline=None, fds={"http-main": listener.fileno()}
        )
        seat = child.Seat.from_environment(environ)
        assert (seat.role, seat.worker, seat.lifeline) == ("api", "api-0", None)
        assert seat.control == tmp_path / "api-0.sock"
        own = seat.listener("http-main")
        assert own is not None
        assert own.getsockname() == listener.getsockname()
        own.close()
        assert listener.fileno() >= 0
        assert seat.listener("rtsp") is None
    with pytest.raises(KeyError):
        child.Seat.from_environment({})


async def test_the_lifeline_is_told_once_when_the_other_end_is_closed() -> None:
    reading, writing = os.pipe()
    told: list[int] = []
    lifeline = child.Lifeline(reading, lambda: told.append(1))
    lifeline.start()
    await asyncio.sleep(0.05)
    assert (told, child.is_cut(reading), child.is_cut(None)) == ([], False, False)
    os.close(writing)
    await until(lambda: told, "it is told")
    await asyncio.sleep(0.05)
    assert (told, child.is_cut(reading)) == ([1], True)
    lifeline.stop()
    os.close(reading)


def test_only_those_that_run_and_end_earlier_are_waited_for(tmp_path: Path) -> None:
    own = start_ticks(os.getpid())
    assert own is not None

    def record(worker: str, order: int, ticks: int) -> records.Record:
        return records.Record(worker, "media", os.getpid(), ticks, order, "", 0)

    known = [record("a", 0, own), record("gone", 0, own - 1), record("b", 1, own), record("c", 2, own)]
    records.write(tmp_path, known)
    assert child.earlier_ones(tmp_path, "b") == ["a"]
    assert child.earlier_ones(tmp_path, "a") == []
    assert child.earlier_ones(tmp_path, "unknown") == []


def test_a_process_that_does_not_come_to_its_end_leaves() -> None:
    code = (
        "import asyncio\n"
        "from vms.supervisor.child import end_within\n"
        "asyncio.run(end_within(0.1, asyncio.sleep(600)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert ended.returncode == 70
    assert b"not stopped in time" in ended.stdout + ended.stderr
