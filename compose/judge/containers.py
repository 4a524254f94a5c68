"""One cluster of containers in a network of its own: what `docker`, `docker compose` and iptables do to it."""

import contextlib
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from support.client import try_status
from support.waiting import DEADLINE, wait_until

HERE = Path(__file__).resolve().parents[1]
INSTALL = re.compile(r"^\{peer_id:\d+, view_id: (\d+), leader: \d+, memb_list: \[<([\d,]+)>\]\}$")


def run(*command, check=True):
    """Output of the command; raises with what it said when it fails."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=300)
    if check and done.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


@functools.cache
def compose_command():
    """The compose plugin of the docker client, or the program docker-compose."""
    plugin = subprocess.run(["docker", "compose", "version"], capture_output=True).returncode == 0
    return ("docker", "compose") if plugin else ("docker-compose",)


class Node:
    """One container. Its directory holds the control socket, the event logs and, under state, what survives its restart."""

    def __init__(self, name, number, directory):
        self.name, self.number, self.directory = name, number, directory
        self.id = None
        self.asked_for_health = False
        self._read, self._lines = 0, []
        for path in (directory, directory / "state"):
            path.mkdir(parents=True)
            path.chmod(0o777)  # the user in the container has a number that means nothing here

    @property
    def socket(self):
        return self.directory / "vsyncd.sock"

    def overlay(self, settings):
        """What the judge adds to the service: where it can see the node."""
        logs = {"membership": "membership.log", "text": "text.log", "json": "events.json"}
        return {"volumes": [f"{self.directory}:/run/vsyncd", f"{self.directory / 'state'}:/var/lib/vsyncd"],
                "environment": {"VSYNCD_EVENT_LOG": ",".join(f"{kind}:/run/vsyncd/{file}" for kind, file in logs.items()),
                                "VSYNCD_LOG_LEVEL": "info", **settings},
                "dns_opt": ["timeout:1", "attempts:1"],  # there is nobody to ask but the engine
                "healthcheck": {"interval": "1s" if self.asked_for_health else "1h"}}  # each costs a process

    # ------------------------------------------------------------ what it says

    def lines(self):
        """The lines of its membership log so far."""
        try:
            with open(self.directory / "membership.log", encoding="utf-8") as log:
                log.seek(self._read)
                text = log.read()
        except FileNotFoundError:
            return []
        whole = text[:text.rfind("\n") + 1]
        self._read += len(whole.encode())
        self._lines += whole.splitlines()
        return self._lines

    def views(self):
        """Every view that it installed: [(id, "<1,2,3>")]."""
        found = (INSTALL.match(line) for line in self.lines())
        return [(int(m[1]), f"<{m[2]}>") for m in found if m]

    def text_lines(self):
        """The lines of its event log in the text format."""
        path = self.directory / "text.log"
        return path.read_text().splitlines() if path.exists() else []

    def events(self, kind):
        """The protocol events of that name so far."""
        lines = (self.directory / "events.json").read_text().splitlines()
        return [json.loads(line) for line in lines if f'"event":"{kind}"' in line]

    def status(self):
        """Its status, or None while it cannot be asked."""
        return try_status(self.socket)

    def has_quorum(self):
        return bool((self.status() or {}).get("has_quorum"))

    # ------------------------------------------------------------ what is done to it

    def inspect(self, path):
        return json.loads(run("docker", "inspect", "--format", "{{json ." + path + "}}", self.id))

    def running(self):
        return self.inspect("State.Running")

    def ended(self):
        """Waits for the end of its process; returns the exit status."""
        wait_until(f"{self.name} ends", lambda: not self.running(), every=0.2)
        return self.inspect("State.ExitCode")

    def start(self):
        run("docker", "start", self.id)

    def kill(self):
        os.kill(self.inspect("State.Pid"), signal.SIGKILL)

    def stop(self):
        """SIGTERM: a clean leave. Returns the exit status."""
        run("docker", "stop", "--time", int(DEADLINE), self.id)
        return self.ended()

    def pause(self):
        run("docker", "pause", self.id)

    def resume(self):
        run("docker", "unpause", self.id)

    def iptables(self, *rule):
        return run("nsenter", "--target", self.inspect("State.Pid"), "--net", "iptables", "--wait", *rule)

    def drop_from(self, address, *match):
        """What comes from that address is lost on the way."""
        self.iptables("--insert", "INPUT", "--source", address, *match, "--jump", "DROP")

    def heal(self):
        self.iptables("--flush")


class Cluster:
    """The services of one compose file, as a context manager: at its end the containers and the network are gone."""

    def __init__(self, case, file, image, settings=None):
        self.file = HERE / file
        self.directory = Path(tempfile.mkdtemp(prefix=f"vsync-{case}-"))
        self.project = self.directory.name.lower().replace("_", "-")
        self.image = image
        self.settings = settings or {}
        self.at_end = contextlib.ExitStack()  # what is to be undone when the containers are gone
        self.keep = False  # the logs
        services = re.findall(r"^  (\w+):", self.file.read_text(), re.M)
        self.nodes = {name: Node(name, number, self.directory / name) for number, name in enumerate(services, 1)}

    def __getitem__(self, name):
        return self.nodes[name]

    def __enter__(self):
        return self

    def __exit__(self, kind, error, _):
        self.keep = self.keep or kind is not None
        self.close()

    def compose(self, *command):
        overlay = self.directory / "judge.json"
        overlay.write_text(json.dumps({
            "services": {n.name: n.overlay(self.settings.get(n.name, {})) for n in self.nodes.values()},
            "networks": {"default": {"internal": True}}}, indent=1))  # nothing leaves it, not even questions about names
        run("env", f"VSYNCD_IMAGE={self.image}", *compose_command(), "--project-name", self.project,
            "--file", self.file, "--file", overlay, *command)

    def create(self, *names):
        """Creates the containers of these services, so that start() has little to do."""
        self.compose("up", "--no-start", *names)
        self.adopt()

    def up(self, *names):
        """Creates and starts these services, or all; with other settings than before they are created anew."""
        self.compose("up", "--detach", *(["--no-deps", *names] if names else []))
        self.adopt()

    def adopt(self):
        label = "com.docker.compose"
        for line in run("docker", "ps", "--all", "--no-trunc", "--filter", f"label={label}.project={self.project}", "--format",
                        "{{.ID}} {{.Label \"" + label + ".service\"}}").splitlines():
            container, service = line.split()
            self.nodes[service].id = container

    @property
    def network(self):
        return f"{self.project}_default"

    def address(self, name):
        return self[name].inspect("NetworkSettings.Networks")[self.network]["IPAddress"]

    def unplug(self, name):
        run("docker", "network", "disconnect", self.network, self[name].id)

    def plug(self, name):
        run("docker", "network", "connect", "--alias", name, self.network, self[name].id)

    def part(self, here, there):
        """No packet goes from `here` to `there`; the other way is open."""
        addresses = [self.address(name) for name in here]
        for name in there:
            for address in addresses:
                self[name].drop_from(address)

    def small_disk(self, name, size):
        """The state of this node, not started yet, is on a disk of so many bytes."""
        state = self[name].directory / "state"
        run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0777", "tmpfs", state)
        self.at_end.callback(run, "umount", state)
        return state

    def heal(self):
        for node in self.nodes.values():
            if node.id and node.running():
                node.heal()

    def keep_output(self):
        for node in self.nodes.values():
            if node.id:
                done = subprocess.run(["docker", "logs", node.id], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)
                (node.directory / "output.log").write_bytes(done.stdout)

    def close(self):
        """Everything of this cluster goes, but for logs that are to be kept."""
        if self.keep:
            self.keep_output()
        containers = [n.id for n in self.nodes.values() if n.id]
        if containers:
            run("docker", "rm", "--force", "--volumes", *containers, check=False)
            run("docker", "network", "rm", self.network, check=False)
        self.at_end.close()
        if not self.keep:
            shutil.rmtree(self.directory, ignore_errors=True)
