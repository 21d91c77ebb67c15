"""What the command line makes of errors."""

import sys

import pytest

from vms import cli
from vms.common.errors import Unavailable


def test_an_error_is_printed_as_it_is_and_not_read_as_markup(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> None:
        raise Unavailable("cannot listen on [::1]: see [/etc/vms] or [bold]ask[/bold]")

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "vms: cannot listen on [::1]: see [/etc/vms] or [bold]ask[/bold]\n"


def test_a_configuration_error_names_file_and_line_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: object
) -> None:
    path = f"{tmp_path}/[x]/vms.yaml"
    monkeypatch.setattr(sys, "argv", ["vms", "config", "check", path])
    with pytest.raises(SystemExit):
        cli.main()
    assert (
        capsys.readouterr().err
        == f"vms: {path}: No such file or directory; name an existing file with --config\n"
    )
