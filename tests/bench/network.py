"""Hosts for the bench: network namespaces joined by a bridge, with addresses that exist only inside.

One more namespace holds the bridge, so nothing of this machine's own network is touched. Everything is gone with the processes and
names that were made here.
"""

import os
import subprocess
import sys

PREFIX = "10.77.0"


def require_root():
    if os.geteuid() != 0:
        sys.exit("bench: needs root, for network namespaces (ip netns): sudo ./dev bench")


class Network:
    """`size` hosts, node N at PREFIX.N. A context manager."""

    def __init__(self, size):
        self.size = size
        self._name = f"vsync-bench-{os.getpid()}"
        self._made = []

    def __enter__(self):
        try:
            bridge = self._add("bridge")
            self._ip("-n", bridge, "link", "add", "bridge", "type", "bridge")
            self._ip("-n", bridge, "link", "set", "bridge", "up")
            self._no_firewall(bridge)
            for node in range(1, self.size + 1):
                self._add_host(bridge, node)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for name in self._made:
            subprocess.run(["ip", "netns", "delete", name], check=False)

    def inside(self, node):
        """What to put before a command so that it runs on that host. The process keeps its id."""
        return ["nsenter", f"--net=/run/netns/{self._name}-{node}"]

    def _add(self, what):
        name = f"{self._name}-{what}"
        self._ip("netns", "add", name)
        self._made.append(name)
        self._ip("-n", name, "link", "set", "lo", "up")
        return name

    def _add_host(self, bridge, node):
        host = self._add(node)
        self._ip("-n", bridge, "link", "add", f"node{node}", "type", "veth", "peer", "name", "eth0", "netns", host)
        self._ip("-n", bridge, "link", "set", f"node{node}", "master", "bridge", "up")
        self._ip("-n", host, "address", "add", f"{PREFIX}.{node}/24", "dev", "eth0")
        self._ip("-n", host, "link", "set", "eth0", "up")

    @staticmethod
    def _no_firewall(bridge):
        """A switch has none; where the kernel sends bridged packets through one, not here."""
        setting = "/proc/sys/net/bridge/bridge-nf-call-iptables"
        switch = f"if [ -e {setting} ]; then echo 0 > {setting}; fi"
        subprocess.run(["ip", "netns", "exec", bridge, "sh", "-c", switch], check=True)

    @staticmethod
    def _ip(*arguments):
        subprocess.run(["ip", *arguments], check=True)
