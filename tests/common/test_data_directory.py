import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

from vms.common.data_directory import DataDirectory
from vms.common.errors import Conflict, InvalidInput
from vms.common.process_identity import start_ticks

# Holds the lock through what it inherited, as a process of a system whose launcher was killed
CLOSING = "import sys; print('here', flush=True); sys.stdin.read()"


def _child(*inherited: int) -> subprocess.Popen[bytes]:
    child = subprocess.Popen(
        [sys.executable, "-c", CLOSING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        pass_fds=inherited,
    )
    assert child.stdout is not None
    child.stdout.readline()
    return child


def _ended() -> int:
    """The number of a process that runs no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    return gone.pid


def test_a_data_directory_is_made_and_used_by_one_system_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with DataDirectory(path), pytest.raises(Conflict, match="in use"), DataDirectory(path):
        pass
    with DataDirectory(path):
        assert path.is_dir()
    assert path.stat().st_mode & 0o077 == 0, "footage is nobody else's"


def test_a_system_that_runs_is_not_waited_for(tmp_path: Path) -> None:
    other = _child()
    try:
        with (
            DataDirectory(tmp_path, owner=other.pid),
            pytest.raises(Conflict) as refused,
            DataDirectory(tmp_path, closing_s=600),
        ):
            pass
        assert "killed" not in str(refused.value)
    finally:
        other.communicate()


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="--data-dir"), DataDirectory(tmp_path / "file" / "x"):
        pass


async def test_a_start_waits_for_the_last_process_of_a_system_whose_launcher_is_gone(tmp_path: Path) -> None:
    with DataDirectory(tmp_path, owner=_ended()) as held:
        last = _child(held.fileno())
    waiting = asyncio.create_task(DataDirectory(tmp_path, closing_s=60).__aenter__())
    await asyncio.sleep(0.3)
    assert not waiting.done(), "the lock is held by a process that is closing its recordings"
    last.communicate()
    (await waiting).__exit__(None, None, None)


def test_a_start_gives_up_on_processes_that_do_not_come_to_an_end(tmp_path: Path) -> None:
    with (
        DataDirectory(tmp_path, owner=_ended()),
        pytest.raises(Conflict, match="left of one that was killed"),
        DataDirectory(tmp_path, closing_s=0.2),
    ):
        pass


def test_a_supervisor_that_is_started_again_has_the_lock_already(tmp_path: Path) -> None:
    with DataDirectory(tmp_path) as first:
        kept = os.dup(first.fileno())  # by the launcher
    with DataDirectory(tmp_path, descriptor=kept):
        os.close(kept)
        with pytest.raises(Conflict), DataDirectory(tmp_path, closing_s=0):
            pass
    with DataDirectory(tmp_path):
        pass


def test_a_descriptor_of_another_directory_is_no_lock_of_this_one(tmp_path: Path) -> None:
    with DataDirectory(tmp_path / "other") as other, DataDirectory(tmp_path / "this"):
        descriptor = other.fileno()
        with (
            pytest.raises(Conflict),
            DataDirectory(tmp_path / "this", descriptor=descriptor, closing_s=0),
        ):
            pass


@pytest.mark.parametrize("text", ["", "nonsense", "-1 x y", "1\n", "\xff\xfe"])
def test_a_lock_without_a_readable_owner_belongs_to_a_system_that_starts_or_ends(
    text: str, tmp_path: Path
) -> None:
    with DataDirectory(tmp_path):
        (tmp_path / "lock").write_text(text)
        with (
            pytest.raises(Conflict, match="left of one that was killed"),
            DataDirectory(tmp_path, closing_s=0.2),
        ):
            pass


def test_a_number_that_another_process_has_now_is_no_owner(tmp_path: Path) -> None:
    other = _child()
    try:
        ticks = start_ticks(other.pid)
        assert ticks is not None
        with DataDirectory(tmp_path, owner=other.pid):
            lock = tmp_path / "lock"
            lock.write_text(lock.read_text().replace(f" {ticks} ", f" {ticks - 1} "))
            with (
                pytest.raises(Conflict, match="left of one that was killed"),
                DataDirectory(tmp_path, closing_s=0.2),
            ):
                pass
    finally:
        other.communicate()
