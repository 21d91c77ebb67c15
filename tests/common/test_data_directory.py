from pathlib import Path

import pytest

from vms.common.data_directory import DataDirectory
from vms.common.errors import Conflict, InvalidInput


def test_a_data_directory_is_made_and_used_by_one_system_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with DataDirectory(path), pytest.raises(Conflict, match="in use"), DataDirectory(path):
        pass
    with DataDirectory(path):
        assert path.is_dir()
    assert path.stat().st_mode & 0o077 == 0, "footage is nobody else's"


def test_a_path_that_cannot_be_a_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match="--data-dir"), DataDirectory(tmp_path / "file" / "x"):
        pass
