"""The systems that are measured, each on the hosts of a Network: vsyncd, Debian's Corosync, bare TCP sockets."""

import itertools
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from network import PREFIX
from support.cluster import BUILD, Cluster, die_with_parent
from support.waiting import wait_until

TOOLS = BUILD / "tests/bench"
LIMIT = 60  # seconds for one run
groups = (f"bench-{number}" for number in itertools.count(1))


def cpu_seconds(pid):
    """Time that all threads of the process have run."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


def memory_mib(pid, what="VmHWM"):
    """VmHWM: the most that was resident so far; VmRSS: now."""
    return int(re.search(rf"{what}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) / 1024


class ClientFailed(Exception):
    """A measuring client did not end well; it has said why."""


class Watcher:
    """A client that tells each view of a group."""

    def __init__(self, command):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, preexec_fn=die_with_parent)
        self._lines = b""
        self.views = []  # (moment, members)
        os.set_blocking(self.process.stdout.fileno(), False)

    def last(self):
        """The last view so far, or (0, 0)."""
        data = self.process.stdout.read()
        if data:
            *whole, self._lines = (self._lines + data).split(b"\n")
            self.views += [(float(line.split()[0]), int(line.split()[1])) for line in whole]
        return self.views[-1] if self.views else (0.0, 0)

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


class System:
    """What vsyncd and Corosync have in common. A subclass has name, network, pid(node) and client(node)."""

    def task(self, node, group, **options):
        flags = [flag for name, value in options.items() for flag in (f"--{name}", str(value))]
        return [*self.network.inside(node), *self.client(node), "--group", group, "--name", f"c{node}", *flags]

    def load(self, size, count, senders, rate=0, nodes=None):
        """One run with a client on every node; returns what each printed."""
        nodes, group, each = nodes or self.nodes, next(groups), count // len(senders)
        clients = [subprocess.Popen(self.task(node, group, members=len(nodes), size=size, send=each if node in senders else 0,
                                              expect=each * len(senders), rate=rate, seconds=LIMIT),
                                    stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent) for node in nodes]
        outputs = [process.communicate(timeout=2 * LIMIT)[0] for process in clients]
        if any(process.returncode for process in clients):
            raise ClientFailed(f"a client of {self.name}")
        return [json.loads(output) for output in outputs]

    def watch(self, node, group):
        return Watcher([*self.task(node, group), "--views"])

    def pids(self):
        return [self.pid(node) for node in self.nodes]


class Vsync(System, Cluster):
    def __init__(self, network, size, settings=(), name="vsyncd"):
        self.name = name
        self.network, self.nodes = network, tuple(range(1, size + 1))
        Cluster.__init__(self, size, settings, prefix=PREFIX, event_logs=False)

    def add(self, node, *settings):
        daemon = super().add(node, *settings)
        daemon.runner = self.network.inside(node)
        return daemon

    def client(self, node):
        return [TOOLS / "vsync_load", "--socket", self[node].socket]

    def pid(self, node):
        return self[node].pid

    def frames(self):
        """Sent by all daemons so far."""
        return sum(int(self[node].try_status()["counters"]["frames_sent"]) for node in self.nodes)


class Corosync(System):
    """Debian's, with its defaults: real-time priority, no encryption. Each daemon has directories of its own."""

    def __init__(self, network, size, transport):
        self.name, self.network, self.nodes = f"Corosync, {transport}", network, tuple(range(1, size + 1))
        self._directory = Path(tempfile.mkdtemp(prefix="vsync-bench-"))
        self._config = self._directory / "corosync.conf"
        members = "".join(f"  node {{\n    ring0_addr: {PREFIX}.{n}\n    name: n{n}\n    nodeid: {n}\n  }}\n" for n in self.nodes)
        self._config.write_text(
            f"totem {{\n  version: 2\n  cluster_name: bench\n  transport: {transport}\n  crypto_cipher: none\n  crypto_hash: none\n}}\n"
            f"nodelist {{\n{members}}}\nlogging {{\n  to_syslog: no\n  to_stderr: yes\n}}\n")
        self._daemons = {}
        for node in self.nodes:
            self.start(node)

    def start(self, node):
        private = "mount -t tmpfs none /run && mount -t tmpfs none /var/lib/corosync && exec corosync -f -c \"$0\""
        with open(self._directory / f"n{node}.log", "ab") as output:
            self._daemons[node] = subprocess.Popen(
                [*self.network.inside(node), "unshare", "--mount", "sh", "-c", private, str(self._config)], stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, preexec_fn=die_with_parent)

    restart = start

    def client(self, node):
        return [TOOLS / "vsync_cpg"]

    def pid(self, node):
        return self._daemons[node].pid

    def kill(self, node):
        self._daemons[node].kill()
        self._daemons[node].wait()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            self.kill(node)
        shutil.rmtree(self._directory, ignore_errors=True)


class BareTcp:
    """One process that writes every message to two receivers on other hosts, without any protocol."""

    def __init__(self, network):
        self._network = network
        self._receivers = [subprocess.Popen([*network.inside(node), TOOLS / "vsync_raw", "receive", f"{PREFIX}.{node}"],
                                            preexec_fn=die_with_parent) for node in (2, 3)]

    def _run(self, what, *numbers):
        command = [*self._network.inside(1), TOOLS / "vsync_raw", what, f"{PREFIX}.2", f"{PREFIX}.3", *map(str, numbers)]
        return subprocess.run(command, stdout=subprocess.PIPE, check=True, timeout=LIMIT).stdout

    def rate(self, size, count, batch):
        """Messages per second, `batch` of them in one write."""
        return float(self._run("send", size, count, batch))

    def round_trips(self, size, count, rate):
        """Microseconds, by percentile, from the moment one was due until both receivers have sent it back."""
        return json.loads(self._run("ping", size, count, rate))

    def relayed(self, size, count, rate):
        """The same through another process of the host (Unix socket), and from there to one receiver and back (UDP)."""
        return json.loads(self._run("relay", size, count, rate))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for receiver in self._receivers:
            receiver.kill()
            receiver.wait()


def await_views(watchers, members, after=0.0):
    """Waits until all of them were told a view of so many members later than `after`; returns when the last was."""
    def told():
        views = [watcher.last() for watcher in watchers]
        return all(view[1] == members and view[0] > after for view in views) and max(view[0] for view in views)

    return wait_until(f"views of {members} members", told, every=0.001)
