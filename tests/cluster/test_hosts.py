"""Hosts are isolated, can be disconnected and killed, and come back with their home."""

import subprocess

import pytest

from tests.cluster.hosts import Host, Wire, same_space, wait

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(wire: Wire) -> tuple[Host, Host]:
    return wire.host("one", 21), wire.host("other", 22)


def answers(host: Host, other: Host) -> bool:
    """Whether a host reaches the other's SSH server."""
    return (
        host.run(f"timeout 5 bash -c '</dev/tcp/{other.address}/22'", check=False).returncode == 0
    )


def test_a_host_sees_its_own_processes_name_and_tmp_alone(pair: tuple[Host, Host]) -> None:
    one, other = pair
    one.run("touch /tmp/mine /dev/shm/mine; sleep 600 >/dev/null 2>&1 &")
    assert one.run("hostname; ls /tmp/mine /dev/shm/mine").stdout.split() == [
        "one",
        "/dev/shm/mine",
        "/tmp/mine",
    ]
    assert other.run("ls /tmp/mine /dev/shm/mine", check=False).stdout == ""
    assert ("sleep 600" in one.processes(), "sleep 600" in other.processes()) == (True, False)


def test_a_host_is_entered_by_ssh(pair: tuple[Host, Host]) -> None:
    one, other = pair
    ssh = f"ssh -i {one.wire.key} -o StrictHostKeyChecking=no {other.address} 'hostname; pwd'"
    assert one.run(ssh).stdout.split() == ["other", str(other.home)]


def test_a_cut_host_is_out_of_reach_until_it_is_mended(pair: tuple[Host, Host]) -> None:
    one, other = pair
    assert answers(one, other)
    other.cut()
    assert not answers(one, other)
    other.mend()
    wait(lambda: answers(one, other), "the mended host")


def test_a_killed_host_comes_back_with_its_home_and_nothing_else(pair: tuple[Host, Host]) -> None:
    one, other = pair
    other.run("touch ~/kept /tmp/lost; sleep 600 >/dev/null 2>&1 &")
    other.kill()
    assert not answers(one, other)
    other.start()
    assert answers(one, other)
    assert other.run("ls ~/kept /tmp/lost", check=False).stdout.split() == [
        str(other.home / "kept")
    ]
    assert "sleep 600" not in other.processes()


def test_a_killed_host_comes_back_while_its_old_network_is_still_there(
    pair: tuple[Host, Host],
) -> None:
    """The kernel removes a network some time after its last process; an extra process delays it."""
    one, other = pair
    holder = subprocess.Popen(["nsenter", "-t", str(other.first), "--net", "sleep", "600"])
    try:
        wait(lambda: same_space(holder.pid, other.first, "net"), "the process more")
        other.kill()
        other.start()
        assert answers(one, other)
    finally:
        holder.kill()
        holder.wait()
