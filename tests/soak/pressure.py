#!/usr/bin/env python3
"""A reader that is stopped again and again under full load (`./dev soak slow [SECONDS]`): daemons and clients stay within bounds.

Three daemons. In each of three groups somebody sends 15 MB a second, and a listener on another node is stopped
(SIGSTOP) whenever it is in the group: in `disconnect` it is cut off, in `gap` dropped out and let back in, in `block` its group is
held for a second and then it is cut off. Prints the high-water marks of memory, and fails when one is over its bound, a daemon
left the view, or a sender got nowhere.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from support.cluster import VSYNCCTL, Cluster, die_with_parent
from support.waiting import pause, wait_until

MEGABYTE = 1 << 20
SIZE, RATE = 10_000, 1_500  # of each sender, bytes and messages per second; less when the cluster does not take it
BOUND = {"daemon": 512 * MEGABYTE, "listener": 64 * MEGABYTE, "sender": 256 * MEGABYTE}


def high_water(pid):
    """Largest resident memory so far, in bytes; 0 when the process is gone."""
    try:
        return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024
    except (OSError, TypeError):
        return 0


class Program:
    """vsyncctl on one node."""

    def __init__(self, daemon, output, *arguments):
        command = [str(VSYNCCTL), "--socket", str(daemon.socket), *map(str, arguments)]
        self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, preexec_fn=die_with_parent)

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


class Case:
    """One group: a sender at full speed and a listener that is stopped."""

    def __init__(self, cluster, when_slow, seconds):
        self.cluster, self.when_slow = cluster, when_slow
        self.rounds, self.peak = 0, {"listener": 0, "sender": 0}
        self.said = tempfile.TemporaryFile("w+")
        self.sender = Program(cluster[1], self.said, "--json", "bench", when_slow, "--size", SIZE, "--rate", RATE,
                              "--duration", f"{seconds}s")
        self.listener = None
        self.stopped = False

    def step(self):
        """Stops a listener that is in the group; lets one go on that is out of it; replaces one that has ended."""
        if self.listener is None or self.listener.process.poll() is not None:
            arguments = ("listen", self.when_slow, "--name", "listener", "--when-slow", self.when_slow)
            self.listener = Program(self.cluster[3], subprocess.DEVNULL, *arguments)
            self.stopped = False
        inside = any("listener" in [m["name"] for m in g["members"]] for g in self.cluster[2].try_status()["groups"]
                     if g["group"] == self.when_slow)
        if inside and not self.stopped:
            self.listener.process.send_signal(signal.SIGSTOP)
            self.stopped = True
            self.rounds += 1
        elif not inside and self.stopped:
            self.listener.process.send_signal(signal.SIGCONT)
            self.stopped = False
        self.peak["listener"] = max(self.peak["listener"], high_water(self.listener.process.pid))
        self.peak["sender"] = max(self.peak["sender"], high_water(self.sender.process.pid))

    def result(self):
        """What the sender says at its end."""
        wait_until("the end of the sender", lambda: self.sender.process.poll() is not None, timeout=120)
        self.listener.stop()
        self.said.seek(0)
        return json.loads(self.said.read().splitlines()[-1])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seconds", nargs="?", type=int, default=600)
    seconds = parser.parse_args().seconds
    # It is memory that is judged: a machine that is too small for this load must not make the detector the subject.
    with Cluster(3, settings=["--suspect-after", "10s"], event_logs=False) as cluster:
        view = cluster[1].try_status()["view"]
        cases = [Case(cluster, when_slow, seconds) for when_slow in ("disconnect", "gap", "block")]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for case in cases:
                case.step()
            pause(0.2)
        failed = []
        for n in (1, 2, 3):
            peak = high_water(cluster[n].pid)
            print(f"daemon n{n}: {peak / MEGABYTE:.0f} MiB")
            failed += [f"daemon n{n}"] if peak > BOUND["daemon"] else []
        for case in cases:
            result = case.result()
            print(f"{case.when_slow}: stopped {case.rounds} times, sender {case.peak['sender'] / MEGABYTE:.0f} MiB, "
                  f"listener {case.peak['listener'] / MEGABYTE:.0f} MiB; {result['delivered']} of {result['sent']} delivered")
            failed += [f"the sender of {case.when_slow}"] if result["delivered"] < RATE * seconds // 10 else []
            failed += [f"{kind} of {case.when_slow}" for kind, peak in case.peak.items() if peak > BOUND[kind]]
        if cluster[1].try_status()["view"] != view:
            failed.append("the view changed")
    if failed:
        sys.exit("failed: " + ", ".join(failed))


if __name__ == "__main__":
    main()
