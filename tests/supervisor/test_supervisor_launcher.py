"""A whole system under its launcher: what dies, and what goes on."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.supervisor.processes import System, eventually, runs, system

from vms import launcher

API = {"role": "api", "worker": "api-0", "stop_order": 0}
STREAM = {"role": "stream", "worker": "stream-0", "stop_order": 1}
MEDIA = {"role": "media", "worker": "media-0", "stop_order": 2}
KEEPER = {"role": "keeper", "worker": "keeper-0", "stop_order": 3}
NATS = {"role": "nats", "worker": "nats", "stop_order": 4, "argv": ["sleep", "600"]}
ALL = [API, STREAM, MEDIA, KEEPER, NATS]
IN_ORDER = [
    f"{what} {name}-0" for name in ("api", "stream", "media", "keeper") for what in ("stopping", "stopped")
]


@pytest.fixture
def whole(tmp_path: Path) -> Iterator[System]:
    slow = [worker | {"env": {"ENDS_IN_S": "0.3"}} for worker in ALL[:-1]]
    with system(tmp_path, [*slow, NATS]) as made:
        yield made


def _ends(journal: list[str]) -> list[str]:
    return [line for line in journal if not line.startswith("started")]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_processes_in_order_and_the_launcher_with_status_0(
    whole: System, number: signal.Signals
) -> None:
    process = whole.start()
    pids = await whole.up()
    process.send_signal(number)
    process.send_signal(number)
    assert await whole.ended(process) == 0
    assert _ends(whole.journal()) == IN_ORDER
    assert not [name for name, pid in pids.items() if runs(pid)]


async def test_a_supervisor_that_is_killed_comes_back_and_takes_on_the_processes_as_they_run(
    whole: System,
) -> None:
    process = whole.start()
    before = await whole.up()
    assert await whole.ask_http() == f"api-0 {before['api-0']}"
    os.kill(before["supervisor"], signal.SIGKILL)
    await whole.until(lambda found: found["supervisor"].pid != before["supervisor"], "another supervisor")
    after = await whole.up()
    assert after.pop("supervisor") != before.pop("supervisor")
    assert after == before, "nothing else was started again"
    assert await whole.ask_http() == f"api-0 {before['api-0']}"
    assert (await whole.status())["supervisor"].restarts == 1

    os.kill(after["api-0"], signal.SIGKILL)
    found = await whole.until(
        lambda found: found["api-0"].pid not in (0, after["api-0"]) and found["api-0"].state == "running",
        "the new supervisor starts again what it did not start",
    )
    assert await whole.ask_http() == f"api-0 {found['api-0'].pid}", "the listening socket outlived both"
    assert found["api-0"].restarts == 1

    process.terminate()
    assert await whole.ended(process) == 0
    assert _ends(whole.journal()) == IN_ORDER
    assert not runs(after["nats"])


async def test_a_worker_that_died_while_no_supervisor_ran_is_started(whole: System) -> None:
    whole.start()
    before = await whole.up()
    os.kill(before["supervisor"], signal.SIGSTOP)  # so that it cannot see it
    os.kill(before["media-0"], signal.SIGKILL)
    os.kill(before["supervisor"], signal.SIGKILL)
    await whole.until(lambda found: found["supervisor"].pid != before["supervisor"], "another supervisor")
    after = await whole.up()
    assert after["media-0"] != before["media-0"]
    assert {name for name in before if before[name] != after[name]} == {"media-0", "supervisor"}


async def test_the_next_supervisor_ends_what_is_not_planned_any_more_and_renews_what_is_changed(
    whole: System,
) -> None:
    whole.start()
    before = await whole.up()
    slow = {"env": {"ENDS_IN_S": "0.3"}}
    whole.plan([API | {"env": {"DETAIL": "new"}}, MEDIA | slow, KEEPER | slow, NATS])
    os.kill(before["supervisor"], signal.SIGKILL)
    found = await whole.until(
        lambda found: "api-0" in found and found["api-0"].detail == "new", "it runs with the new plan"
    )
    await eventually(lambda: not runs(before["stream-0"]), "what is not planned has ended")
    assert "stopped stream-0" in whole.journal()
    assert {name for name in found if before[name] != found[name].pid} == {"api-0", "supervisor"}


async def test_a_supervisor_that_hangs_is_killed_and_the_workers_are_not(
    whole: System,
) -> None:
    whole.start()
    before = await whole.up()
    os.kill(before["supervisor"], signal.SIGSTOP)
    await eventually(lambda: not runs(before["supervisor"]), "the launcher has killed it")
    after = await whole.up()
    assert {name for name in before if before[name] != after[name]} == {"supervisor"}


async def test_when_the_launcher_is_killed_all_end_in_order_and_a_new_start_waits_for_them(
    whole: System,
) -> None:
    process = whole.start()
    before = await whole.up()
    process.kill()
    process.wait()
    whole.start()
    await whole.up(after=before.values())
    assert not [name for name, pid in before.items() if runs(pid)]
    ends = [line for line in whole.journal() if line in IN_ORDER]
    assert ends == IN_ORDER
    last = max(index for index, line in enumerate(whole.journal()) if line in IN_ORDER)
    assert all("started" in line for line in whole.journal()[last + 1 :])


async def test_when_launcher_and_supervisor_are_killed_all_end_in_order_and_foreign_programs_last(
    whole: System,
) -> None:
    process = whole.start()
    before = await whole.up()
    os.kill(before["supervisor"], signal.SIGSTOP)  # or the launcher would start another
    process.kill()
    process.wait()
    os.kill(before["supervisor"], signal.SIGKILL)
    await eventually(lambda: not runs(before["keeper-0"]), "the last of ours has ended")
    assert _ends(whole.journal()) == IN_ORDER
    await eventually(lambda: not runs(before["nats"]), "the kernel has ended the foreign program")
    whole.start()
    await whole.up()


async def test_a_second_system_in_the_same_directory_is_refused_at_once(whole: System) -> None:
    whole.start()
    before = await whole.up()
    second = whole.start()
    assert await whole.ended(second) == 1
    assert "in use by another system" in whole.errors.read_text()
    assert await whole.up() == before


async def test_what_does_not_end_is_killed_at_the_limit(tmp_path: Path) -> None:
    stubborn = {"env": {"IGNORES_SIGTERM": "1"}, "stop_s": 600.0}
    with system(tmp_path, [API | stubborn, MEDIA]) as made:
        process = made.start("--stop-limit", "1")
        pids = await made.up()
        process.terminate()
        assert await made.ended(process) == 128 + signal.SIGKILL
        assert not [name for name, pid in pids.items() if runs(pid)]


async def test_sighup_is_passed_on_and_changes_only_what_is_changed(whole: System) -> None:
    process = whole.start()
    before = await whole.up()
    slow = {"env": {"ENDS_IN_S": "0.3"}}
    whole.plan([API | {"env": {"DETAIL": "new"}}, STREAM | slow, MEDIA | slow, KEEPER | slow, NATS])
    process.send_signal(signal.SIGHUP)
    found = await whole.until(
        lambda found: found["api-0"].detail == "new" and found["api-0"].state == "running", "it is reloaded"
    )
    after = {name: line.pid for name, line in found.items()}
    assert {name for name in before if before[name] != after[name]} == {"api-0"}


async def test_closing_the_terminal_ends_the_system_in_order(whole: System) -> None:
    ours, theirs = os.openpty()
    process = whole.start(terminal=theirs)
    os.close(theirs)
    await whole.up()
    os.close(ours)
    assert await whole.ended(process) == 0
    assert _ends(whole.journal()) == IN_ORDER


async def test_orphans_are_reaped(tmp_path: Path) -> None:
    with system(tmp_path, [MEDIA | {"env": {"ORPHANS": "3"}}]) as made:
        process = made.start()
        await made.up()
        seen: set[int] = set()

        def none_left() -> bool:
            children = _children(process.pid)
            seen.update(children)
            return len(children) == 1

        await eventually(none_left, "the supervisor is the launcher's only child")
        zombies = [pid for pid in _children(process.pid) if not runs(pid)]
        assert zombies == []


def _children(parent: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_bytes().rpartition(b")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == parent:
            found.append(int(stat.parent.name))
    return found


async def test_a_supervisor_that_refuses_its_first_start_ends_the_launcher_with_its_status(
    tmp_path: Path,
) -> None:
    with system(tmp_path, []) as made:
        made.data_dir.write_text("not a directory")
        assert await made.ended(made.start()) == 1
        assert "refused: data_dir" in made.errors.read_text()


async def test_a_supervisor_that_is_killed_again_and_again_is_started_again_until_told_to_stop(
    tmp_path: Path,
) -> None:
    with system(tmp_path, []) as made:
        process = made.start("--json-logs", SUPERVISOR_CRASHES="1")
        await eventually(lambda: made.errors.read_text().count('"after_s"') >= 3, "three lives have ended")
        assert '"after_s": 0.4' in made.errors.read_text(), "the delay grows"
        process.terminate()
        assert await made.ended(process) in (0, 128 + signal.SIGKILL)


def test_the_launcher_says_how_it_is_called() -> None:
    called = subprocess.run(
        [sys.executable, "-m", "vms.launcher"], capture_output=True, check=False, text=True
    )
    assert called.returncode == 2
    assert "usage:" in called.stderr


def test_a_command_that_does_not_exist_ends_the_launcher() -> None:
    called = subprocess.run(launcher.command(["/nonexistent"]), capture_output=True, check=False, text=True)
    assert called.returncode == 127
    assert "cannot be started" in called.stderr


async def test_the_launcher_stays_small(whole: System) -> None:
    process = whole.start()
    await whole.up()
    rollup = Path(f"/proc/{process.pid}/smaps_rollup").read_text()
    kib = {line.split()[0]: int(line.split()[1]) for line in rollup.splitlines()[1:]}
    assert kib["Private_Dirty:"] < 12 * 1024
    assert len(list(Path(f"/proc/{process.pid}/fd").iterdir())) < 16
