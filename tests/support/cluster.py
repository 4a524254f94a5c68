"""Real vsyncd processes on loopback addresses, for the integration tests, the demo and the soak."""

import ctypes
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

from support.client import Client, try_status
from support.waiting import Timeout, DEADLINE, wait_until

PORT = 7475
BUILD = Path(os.environ.get("VSYNC_BUILD", Path(__file__).resolve().parents[2] / "build" / "release"))
VSYNCD, VSYNCCTL, VSYNC_CHECK = (BUILD / p for p in ("daemon/vsyncd", "ctl/vsyncctl", "tests/support/vsync_check"))


def private_network():
    """A loopback network 127.X.Y that no other test program uses, and the lock that keeps it ours while this process lives."""
    for _ in range(1000):
        prefix = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}"
        lock = socket.socket(socket.AF_UNIX)
        try:
            lock.bind(f"\0vsync-test-{prefix}")  # abstract address: gone with the process
            return prefix, lock
        except OSError:
            lock.close()
    raise RuntimeError("no loopback network is free")


def die_with_parent():
    """In the child: no daemon outlives the test program, however that ends."""
    prctl_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(prctl_set_pdeathsig, signal.SIGKILL)


class Daemon:
    """One node: its settings, its directory, and the process when it runs."""

    def __init__(self, directory, address, node, settings=()):
        self.directory, self.address, self.node = Path(directory), address, node
        self.name = f"n{node}"
        self.settings = list(settings)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.socket = self.directory / "vsyncd.sock"
        self.state_dir = self.directory / "state"
        self.output = self.directory / "output.log"
        self.event_log = self.directory / "events.json"
        self.process = None
        self.keep = False
        self.logs_events = True
        self.runner = []  # what to put before the command

    def command(self, *more):
        events = ["--event-log", str(self.event_log), "--event-log-format", "json"] if self.logs_events else []
        return [*self.runner, str(VSYNCD), "--name", self.name, "--listen", f"{self.address}:{PORT}", "--advertise", f"{self.address}:{PORT}",
                "--state-dir", str(self.state_dir), "--socket", str(self.socket), *events, *self.settings, *map(str, more)]

    def start(self, *more):
        """Starts the process; does not wait for it."""
        with open(self.output, "ab") as output:
            self.process = subprocess.Popen(self.command(*more), stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                                            preexec_fn=None if self.keep else die_with_parent, start_new_session=self.keep)
        return self

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """SIGKILL, and the process is reaped."""
        self.signal(signal.SIGKILL)
        return self.exit_status()

    def pause(self):
        self.signal(signal.SIGSTOP)

    def resume(self):
        self.signal(signal.SIGCONT)

    def exit_status(self, timeout=DEADLINE):
        """Waits for the end of the process."""
        wait_until(f"{self.name} ends", lambda: self.process.poll() is not None, timeout)
        return self.process.returncode

    def leave(self, timeout=DEADLINE):
        """SIGTERM: leaves the cluster, then ends."""
        self.signal(signal.SIGTERM)
        return self.exit_status(timeout)

    def connect(self, name="client"):
        return Client(self.socket, name)

    def try_status(self):
        """Status, or None while the daemon cannot be reached."""
        return try_status(self.socket)

    def members(self):
        """Names in seniority order of the view that this daemon is in; [] while it is in none."""
        status = self.try_status() if self.running() else None
        if not status or status.get("state") != "member":
            return []
        return [m["name"] for m in status.get("members", [])]

    def sleeps(self):
        return "State:\tS" in Path(f"/proc/{self.pid}/status").read_text()

    def resident_bytes(self):
        return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text())[1]) * 1024

    def log(self):
        return self.output.read_text(errors="replace") if self.output.exists() else ""


class Cluster:
    """Daemons n1, n2, … at PREFIX.1, PREFIX.2, … with one port. A context manager: at its end every process is killed.

    The first daemon founds the cluster (--bootstrap), the others join through it or through whom they are told.
    """

    def __init__(self, size=0, settings=(), prefix=None, keep=False, event_logs=True):
        self.prefix, self._lock = (prefix, None) if prefix else private_network()
        self.directory = Path(tempfile.mkdtemp(prefix="vsync-"))
        self.settings = list(settings)
        self.keep = keep
        self.event_logs = event_logs
        self.daemons = {}
        self._clients = []
        if size:
            try:
                self.found(size)
            except BaseException:  # nobody has it yet who would close it
                self.close(failed=True)
                raise

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        if not (self.keep and kind is None):
            self.close(failed=kind is not None)

    def close(self, failed=False):
        """Kills every process. After a failure the files stay, and the end of every daemon's output is shown."""
        for client in self._clients:
            client.close()
        if self._lock:
            self._lock.close()
        for daemon in self.daemons.values():
            if daemon.running():
                daemon.process.kill()
                daemon.process.wait()
        if failed:
            self.report()
        else:
            shutil.rmtree(self.directory, ignore_errors=True)

    def report(self):
        print(f"\nfiles are kept in {self.directory}")
        for daemon in self.daemons.values():
            lines = daemon.log().splitlines()
            print(f"---- {daemon.name}: last of {len(lines)} lines", *lines[-25:], sep="\n")

    def __getitem__(self, node):
        return self.daemons[node]

    def running(self):
        return [d for d in self.daemons.values() if d.running()]

    def address(self, node):
        return f"{self.prefix}.{node}"

    def add(self, node, *settings):
        """A node with its settings, not started."""
        daemon = Daemon(self.directory / f"n{node}", self.address(node), node, [*self.settings, *settings])
        daemon.keep = self.keep
        daemon.logs_events = self.event_logs
        self.daemons[node] = daemon
        return daemon

    def found(self, size):
        """Starts n1 as founder and the others joining through it; waits for the view of all."""
        self.add(1).start("--bootstrap", "--id", 1)
        for node in range(2, size + 1):
            self.add(node).start("--id", node, "--peer", f"{self.address(1)}:{PORT}")
        self.wait_view(range(1, size + 1))

    def restart(self, node, through=None):
        """Starts a node again; it joins through the one named or through everybody else."""
        peers = [through] if through else [n for n in self.daemons if n != node]
        flags = [f for peer in peers for f in ("--peer", f"{self.address(peer)}:{PORT}")]
        return self.daemons[node].start("--id", node, *flags)

    def wait_view(self, nodes, timeout=DEADLINE):
        """Waits until exactly these nodes are in one view, all of them say so, and they agree about seniority."""
        nodes = list(nodes)
        names = {self.daemons[n].name for n in nodes}

        def agreed():
            dead = [self.daemons[n].name for n in nodes if not self.daemons[n].running()]
            if dead:
                raise Timeout(f"{', '.join(dead)} ended while waiting for the view of {sorted(names)}")
            views = [self.daemons[n].members() for n in nodes]
            return set(views[0]) == names and all(v == views[0] for v in views) and views[0]

        return wait_until(f"view of {sorted(names)}", agreed, timeout)

    def leader(self):
        """The running daemon that says it leads."""
        leading = [d for d in self.running() if (d.try_status() or {}).get("is_leader")]
        if len(leading) != 1:
            raise AssertionError(f"leaders: {[d.name for d in leading]}")
        return leading[0]

    def connect(self, node, name=None):
        client = self.daemons[node].connect(name or f"c{node}")
        self._clients.append(client)
        return client

    def watch(self, node):
        """A client that is told what happens to the cluster, to every group and to the node's clients."""
        client = self.connect(node)
        client.request("watch")
        return client

    def check_event_logs(self):
        """Runs the simulator's checkers over the event logs of all nodes; raises with their report if they object."""
        logs = [str(d.event_log) for d in self.daemons.values() if d.event_log.exists()]
        done = subprocess.run([str(VSYNC_CHECK), *logs], capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise AssertionError(f"vsync_check objects:\n{done.stdout}{done.stderr}")
        return done.stdout


def vsyncctl(daemon, *arguments, timeout=DEADLINE):
    """Runs vsyncctl against the daemon; returns the CompletedProcess."""
    return subprocess.run([str(VSYNCCTL), "--socket", str(daemon.socket), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout)
