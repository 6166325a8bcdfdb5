"""Hosts made on one machine: namespaces of network, processes, mounts, name and shared memory, and
an SSH server each.

    with Wire(folder) as wire:
        head = wire.host("head", 10)
        head.run("hostname").stdout

Nothing of a host has a name outside of it, so runs side by side do not meet, even on the same
addresses; and a host whose maker is gone ends by itself. The hosts see this machine's disk, but for
their homes, /tmp, /run and /dev/shm.
"""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NETWORK = "198.51.100"  # kept for documentation (RFC 5737): no real host has such an address
GATEWAY = f"{NETWORK}.1"  # to nowhere; Ray asks for the way out to learn a host's own address
PACKAGES = {
    "ip": "iproute2",
    "ss": "iproute2",
    "rsync": "rsync",
    "/usr/sbin/sshd": "openssh-server",
}
UNSHARE = ("unshare", "--fork", "--kill-child", "--net", "--pid", "--mount", "--uts", "--ipc")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
OWN_TMP = "mount -t overlay -o lowerdir=/tmp,upperdir=/run/upper,workdir=/run/work overlay /tmp"

# The first process of a host: waits for its network, makes the place its own, and lives until its
# input is closed.
BOOT = """
set -e
read plugged
mount -t proc proc /proc
mount -t tmpfs -o mode=755 tmpfs /run
mkdir /run/sshd /run/shared /run/upper /run/work
mount --bind {shared} /run/shared
{own_tmp}
mount --bind /run/shared {shared}
rm -rf /tmp/ray*
mount -t tmpfs -o mode=1777 tmpfs /dev/shm
mount --bind {etc}/passwd /etc/passwd
mount --bind {etc}/hosts /etc/hosts
hostname {name}
/usr/sbin/sshd -D -E {etc}/sshd.log -f {etc}/sshd_config &
cat
"""

SSHD = """
ListenAddress {address}
HostKey {etc}/host_key
AuthorizedKeysFile {key}.pub
AuthenticationMethods publickey
PermitRootLogin prohibit-password
StrictModes no
UsePAM no
UseDNS no
PidFile none
MaxStartups 100
"""


def obstacle() -> str | None:
    """Why this machine cannot make hosts, or None."""
    if os.getuid() != 0:
        return "hosts are made by root"
    missing = sorted(
        {package for program, package in PACKAGES.items() if shutil.which(program) is None}
    )
    if missing:
        return f"hosts need {', '.join(missing)} (Debian's names)"
    links = "ip link add name one type veth peer name other; ip link add name lan type bridge"
    mounts = f"mount -t tmpfs tmpfs /run; mkdir /run/upper /run/work; {OWN_TMP}"
    trial = subprocess.run(
        [*UNSHARE, "sh", "-ec", f"{links}; {mounts}"], capture_output=True, text=True
    )
    return (
        f"hosts need namespaces, veth and overlays: {trial.stderr.strip()}"
        if trial.returncode
        else None
    )


class Wire:
    """A switch in its own network namespace, with its hosts, their shared folder and SSH key."""

    def __init__(self, folder: Path):
        self.folder, self.key, self.hosts = folder, folder / "key", list[Host]()
        keygen(self.key)

    def __enter__(self) -> Self:
        self.switch = subprocess.Popen(["unshare", "--net", "cat"], stdin=subprocess.PIPE)
        wait(lambda: not same_space(self.switch.pid, os.getpid(), "net"), "the switch")
        self.enter("ip link add lan type bridge && ip link set lan up")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for host in self.hosts:
            host.kill()
        self.switch.kill()
        self.switch.communicate()

    def host(self, name: str, number: int) -> "Host":
        """A host, switched on, at the address NETWORK.number."""
        made = Host(self, name, number)
        self.hosts.append(made)
        made.start()
        return made

    def enter(self, commands: str) -> None:
        """Run commands in the namespace of the switch."""
        subprocess.run(
            ["nsenter", "-t", str(self.switch.pid), "--net", "sh", "-ec", commands], check=True
        )


class Host:
    """A machine with a home that survives restarts, an SSH server and an address."""

    def __init__(self, wire: Wire, name: str, number: int):
        self.wire, self.name, self.number = wire, name, number
        self.address, self.port = f"{NETWORK}.{number}", f"to-{number}"
        self.home = wire.folder / name
        self.etc = wire.folder / f"{name}.etc"
        self.home.mkdir()
        self.etc.mkdir()
        keygen(self.etc / "host_key")
        self._configure()

    def start(self) -> None:
        """Switch it on; it answers SSH when this returns."""
        script = BOOT.format(shared=self.wire.folder, own_tmp=OWN_TMP, etc=self.etc, name=self.name)
        with (self.etc / "boot.log").open("a") as log:
            self.boot = subprocess.Popen(
                [*UNSHARE, "sh", "-c", script], stdin=subprocess.PIPE, stderr=log
            )
        wait(lambda: bool(children(self.boot.pid)), f"{self.name}'s first process")
        (self.first,) = children(self.boot.pid)
        self._plug()
        assert self.boot.stdin is not None
        self.boot.stdin.write(b"\n")
        self.boot.stdin.flush()
        wait(lambda: ":22 " in self.sockets(), f"{self.name}'s SSH server")

    def kill(self) -> None:
        """Switch the host off: its processes end at once."""
        if self.boot.poll() is None:
            os.kill(self.first, signal.SIGKILL)
        self.boot.communicate()

    def cut(self) -> None:
        """Disconnect the network."""
        self.wire.enter(f"ip link set {self.port} down")

    def mend(self) -> None:
        """Connect the network again."""
        self.wire.enter(f"ip link set {self.port} up")

    def command(self, line: str) -> list[str]:
        """The words that run a shell line on the host, in its user's home."""
        spaces = ["nsenter", "-t", str(self.first), "--net", "--pid", "--mount", "--uts", "--ipc"]
        own = [f"HOME={self.home}", f"PATH={PATH}", "USER=root", "LANG=C.UTF-8"]
        return [*spaces, "env", "-i", *own, "bash", "-c", f"cd; {line}"]

    def run(
        self, line: str, timeout: float = 600, check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell line on the host; a failure raises with its output."""
        done = subprocess.run(
            self.command(line),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
        )
        if check and done.returncode:
            raise AssertionError(
                f"{self.name}: {line!r} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
            )
        return done

    def popen(self, line: str, **options: Any) -> subprocess.Popen[str]:
        """Start a shell line on the host."""
        return subprocess.Popen(
            self.command(line), text=True, **({"stdin": subprocess.DEVNULL} | options)
        )

    def sockets(self) -> str:
        """The table of listening TCP sockets and their processes."""
        return self.run("ss -ltnpH").stdout

    def processes(self) -> list[str]:
        """The commands that run on the host."""
        return [line for line in self.run("ps -eo args=").stdout.splitlines() if line]

    def _configure(self) -> None:
        lines = Path("/etc/passwd").read_text(encoding="utf-8").splitlines()
        others = [line for line in lines if not line.startswith("root:")]
        (self.etc / "passwd").write_text(
            "\n".join([f"root:x:0:0:root:{self.home}:/bin/bash", *others]) + "\n"
        )
        (self.etc / "hosts").write_text(f"127.0.0.1 localhost\n{self.address} {self.name}\n")
        settings = SSHD.format(address=self.address, etc=self.etc, key=self.wire.key)
        (self.etc / "sshd_config").write_text(settings)

    def _plug(self) -> None:
        # a killed host's space is cleared away at leisure
        self.wire.enter(f"ip link del {self.port} 2>&- || true")
        ends = f"ip link add {self.port} type veth peer name eth0 netns {self.first}"
        self.wire.enter(f"{ends} && ip link set {self.port} master lan up")
        # the same after a restart: neighbours remember it
        card = f"02:00:00:00:00:{self.number:02x}"
        inside = (
            f"ip link set lo up; ip addr add {self.address}/24 dev eth0; ip link set eth0 "
            f"address {card} up"
        )
        way_out = f"ip route add default via {GATEWAY}"
        enter = ["nsenter", "-t", str(self.first), "--net"]
        subprocess.run([*enter, "sh", "-ec", f"{inside}; {way_out}"], check=True)


def keygen(path: Path) -> None:
    """Make a key pair, `path` and `path`.pub."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)


def children(pid: int) -> list[int]:
    """The processes that a process started."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def same_space(one: int, other: int, kind: str) -> bool:
    """Whether two processes share a namespace."""
    return Path(f"/proc/{one}/ns/{kind}").readlink() == Path(f"/proc/{other}/ns/{kind}").readlink()


def wait(ready: Callable[[], bool], what: str, seconds: float = 300) -> None:
    """Wait until something is ready; raise after `seconds`."""
    until = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > until:
            raise TimeoutError(f"{what} was not ready within {seconds:g} s")
        time.sleep(0.1)
