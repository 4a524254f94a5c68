"""Machines with systemd as PID 1, in containers of a network of their own."""

import json
import os
import subprocess
import sys
from pathlib import Path

from support.waiting import DEADLINE, wait_until

UNIT = "vsyncd"
# What systemd needs of an engine: its own cgroups, mounts (for the unit's sandbox too), and fresh file systems for its sockets.
FLAGS = ["--cap-add", "SYS_ADMIN", "--security-opt", "seccomp=unconfined", "--security-opt", "apparmor=unconfined", "--cgroupns=host",
         "-v", "/sys/fs/cgroup:/sys/fs/cgroup:rw", "--tmpfs", "/run", "--tmpfs", "/run/lock", "--tmpfs", "/tmp"]


def docker(*words, check=True, timeout=600, **options):
    done = subprocess.run(["docker", *map(str, words)], capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode:
        raise AssertionError(f"docker {' '.join(map(str, words))}\n{done.stdout}{done.stderr}")
    return done


def ensure_systemd_hierarchy():
    """With cgroup v1 systemd wants a hierarchy of that name, which a host without systemd lacks."""
    root = Path("/sys/fs/cgroup")
    if (root / "cgroup.controllers").exists() or (root / "systemd").is_mount():
        return
    print("package: this host has no cgroup hierarchy for systemd: mounting /sys/fs/cgroup/systemd", flush=True)
    (root / "systemd").mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "cgroup", "-o", "none,name=systemd", "cgroup", root / "systemd"], check=True)


class Machine:
    """One container. `sh` runs a command in it as root."""

    def __init__(self, network, name, image, packages):
        self.name = name
        self.container = f"{network}-{name}"
        docker("run", "-d", "--name", self.container, "--hostname", name, "--network", network, "--network-alias", name, *FLAGS,
               "-v", f"{packages}:/packages:ro", image)

    def boot(self):
        """Waits until systemd has started everything."""
        states = {"running", "degraded"}
        wait_until(f"{self.name} is up", lambda: self.sh("systemctl is-system-running", check=False).stdout.strip() in states, 60)

    def sh(self, command, check=True, user=None, timeout=DEADLINE * 2):
        words = ["exec", *(["--user", user] if user else []), self.container, "sh", "-c", command]
        done = docker(*words, check=False, timeout=timeout)
        if check and done.returncode:
            raise AssertionError(f"{self.name}$ {command}\n{done.stdout}{done.stderr}")
        return done

    def start(self, command, user=None):
        """Starts a command whose output is read later."""
        words = ["docker", "exec", *(["--user", user] if user else []), self.container, *command]
        return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def fetch(self, path, to):
        docker("cp", f"{self.container}:{path}", to)

    def apt(self, command):
        """apt-get, without questions. There is no network: what it needs was downloaded before."""
        return self.sh(f"DEBIAN_FRONTEND=noninteractive apt-get -y {command} 2>&1", timeout=300).stdout

    # ---- the service

    def show(self, field, unit=UNIT):
        """A property of a unit."""
        return self.sh(f"systemctl show -P {field} {unit}").stdout.strip()

    def active(self, unit=UNIT):
        return self.show("ActiveState", unit) == "active"

    def pid(self):
        return int(self.show("MainPID"))

    def journal(self, **fields):
        """Entries of the unit that have these fields, as they are in the journal."""
        matches = " ".join(f"'{field}={value}'" for field, value in fields.items())
        text = self.sh(f"journalctl -q -u {UNIT} -o json {matches}", check=False).stdout
        return [json.loads(line) for line in text.splitlines()]

    def status(self):
        """What vsyncctl tells, None while it cannot."""
        done = self.sh("vsyncctl --json --timeout 3s status", check=False)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def view(self):
        """(number, names in seniority order) while a member, else None."""
        status = self.status()
        if not status or status.get("state") != "member":
            return None
        return int(status["view"]), [member["name"] for member in status["members"]]


class Machines:
    """A network of machines; a context manager that removes them, and keeps what they logged after a failure."""

    def __init__(self, image, packages, logs):
        self.network = f"vsync-package-{os.getpid()}"
        self.image, self.packages, self.logs = image, packages, Path(logs)
        self.all = {}

    def __enter__(self):
        docker("network", "create", "--internal", self.network)
        return self

    def add(self, *names):
        for name in names:
            self.all[name] = Machine(self.network, name, self.image, self.packages)
        for name in names:
            self.all[name].boot()
        return [self.all[name] for name in names]

    def __exit__(self, kind, error, _):
        if kind is not None:
            self.keep_logs()
        for machine in self.all.values():
            docker("rm", "-f", "-v", machine.container, check=False)
        docker("network", "rm", self.network, check=False)

    def keep_logs(self):
        self.logs.mkdir(parents=True, exist_ok=True)
        for machine in self.all.values():
            text = machine.sh("journalctl --no-pager -n 2000; systemctl status --no-pager vsyncd", check=False).stdout
            (self.logs / f"{machine.name}.journal").write_text(text)
            print(f"---- {machine.name}", *text.splitlines()[-30:], sep="\n", file=sys.stderr)
        print(f"package: the journals are kept in {self.logs}", file=sys.stderr)


def wait_view(machines, timeout=DEADLINE * 2):
    """Waits until these machines are the members of one view, and all say so; returns (number, names)."""
    names = sorted(machine.name for machine in machines)

    def agreed():
        views = [machine.view() for machine in machines]
        return views[0] if views[0] and sorted(views[0][1]) == names and all(v == views[0] for v in views) else None

    return wait_until(f"one view of {names}", agreed, timeout, every=0.2)
