#!/usr/bin/env python3
"""Figures of three daemons on this machine, over loopback (`./dev bench`).

Every daemon has one client in the group, a process of its own (vsync_load). A rate is what the slowest of the three was delivered,
from the moment the first could start to the last delivery anywhere. Latency is open loop: from the moment a message was due to the
sender's own delivery. Beside each rate stands the limit of this machine in the same minute: one process that writes the same
messages to two TCP receivers, in writes of about 64 KiB, without any protocol. Medians of RUNS runs, least and most in brackets.
"""

import itertools
import json
import os
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

from support.cluster import BUILD, Cluster
from support.frames import BinaryClient
from support.waiting import pause

RUNS = 5
NODES = (1, 2, 3)
LOAD, RAW = BUILD / "tests/bench/vsync_load", BUILD / "tests/bench/vsync_raw"
# Bytes, messages in all. One run stays below what a daemon keeps for a client that lags behind: on a busy machine a client may
# get no processor for a while.
SIZES = ((64, 750_000), (1_000, 60_000), (10_000, 6_000), (100_000, 600), (1_000_000, 60))
LIMIT = 60  # seconds for one run
groups = (f"bench-{number}" for number in itertools.count(1))


def load(cluster, size, count, senders=NODES, rate=0, group=None, members=3):
    """One run; returns what each client printed."""
    group, each = group or next(groups), count // len(senders)

    def client(node):
        return subprocess.Popen(
            [LOAD, "--socket", cluster[node].socket, "--group", group, "--name", f"c{node}", "--members", str(members),
             "--size", str(size), "--send", str(each if node in senders else 0), "--expect", str(each * len(senders)), "--rate", str(rate),
             "--seconds", str(LIMIT)], stdout=subprocess.PIPE, text=True)

    clients = [client(node) for node in NODES]
    outputs = [process.communicate(timeout=2 * LIMIT)[0] for process in clients]
    if any(process.returncode for process in clients):
        raise SystemExit("a client failed")
    return [json.loads(output) for output in outputs]


def throughput(cluster, size, count, senders):
    """Messages per second."""
    results = load(cluster, size, count, senders)
    return results[0]["delivered"] / (max(r["end"] for r in results) - min(r["start"] for r in results))


def raw(size, count):
    """Messages per second through bare sockets."""
    return float(subprocess.run([RAW, str(size), str(count), str(max(1, 65_536 // size))], capture_output=True, check=True).stdout)


def cpu_seconds(daemon):
    """Time that all threads of the process have run."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{daemon.pid}/task").iterdir()) / 1e9


def idle_cpu(cluster, seconds=5):
    """Percent of one core, each daemon."""
    before = [cpu_seconds(cluster[n]) for n in NODES]
    start = time.monotonic()
    pause(seconds)
    elapsed = time.monotonic() - start
    return [100 * (cpu_seconds(cluster[n]) - b) / elapsed for n, b in zip(NODES, before)]


def peak_mib(daemon):
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{daemon.pid}/status").read_text())[1]) / 1024


def failover(victim):
    """Milliseconds: kill -9 to the next view at the slowest client, and start of the process to the view with it again."""
    with Cluster(3, event_logs=False) as cluster:
        watchers = [cluster.connect(n) for n in NODES if n != victim]
        for watcher in watchers:
            watcher.request("watch")

        def milliseconds(act, members):
            """From an act to the view of so many members at the slowest watcher."""
            seen = [len(watcher.events) for watcher in watchers]
            moment = time.monotonic()
            act()
            times = [w.event("view", lambda v: len(v["members"]) == members, since=s)[0] for w, s in zip(watchers, seen)]
            return (max(times) - moment) * 1000

        return milliseconds(cluster[victim].kill, 2), milliseconds(lambda: cluster.restart(victim), 3)


def flood():
    """Three clients send 100,000 messages of 100 bytes each, at once, while a fourth member reads nothing."""
    with Cluster(3, event_logs=False) as cluster:
        group, stalled = next(groups), BinaryClient(cluster[2].socket)
        stalled.join(group, "stalled")
        results = load(cluster, 100, 300_000, group=group, members=4)
        stalled.close()
        return ([peak_mib(cluster[n]) for n in NODES], [r["rss_kib"] / 1024 for r in results])


def row(what, values, unit, digits=0, limit=()):
    values = sorted(values)
    median = statistics.median(values)
    ratio = f"  {median / statistics.median(limit):5.2f} of bare TCP" if limit else ""
    spread = f"({values[0]:,.{digits}f} … {values[-1]:,.{digits}f})"
    print(f"{what:<50} {median:>12,.{digits}f} {unit:<6} {spread:<26}{ratio}", flush=True)


def measure_load():
    with Cluster(3, event_logs=False) as cluster:
        row("idle, resident memory of a daemon", [cluster[n].resident_bytes() / 2**20 for n in NODES], "MiB", 1)
        row("idle, CPU of a daemon", idle_cpu(cluster), "%", 2)
        for size, count in SIZES:
            limit = [raw(size, count) for _ in range(RUNS)]
            for senders in (NODES[:1], NODES):
                rates = [throughput(cluster, size, count, senders) for _ in range(RUNS)]
                what = f"{size:,} B, total, {'one sends' if len(senders) == 1 else 'all send'}"
                row(what, rates, "msg/s", 0, limit)
                row("", [rate * size / 1e6 for rate in rates], "MB/s")
        for rate, count in ((200, 400), (100_000, 100_000), (300_000, 300_000)):
            runs = [load(cluster, 64, count, NODES[:1], rate)[0] for _ in range(RUNS)]
            for part in ("p50", "p99", "p999"):
                row(f"due to own delivery, {rate:,} msg/s of 64 B, {part}", [r[f"{part}_us"] for r in runs], "µs")
        row("resident memory of a daemon after all that", [cluster[n].resident_bytes() / 2**20 for n in NODES], "MiB", 1)


def main():
    print(f"three daemons and three clients over loopback, {os.cpu_count()} cores, median of {RUNS} runs (least … most)\n")
    measure_load()
    for victim, who in ((1, "leader"), (3, "other")):
        times = [failover(victim) for _ in range(RUNS)]
        row(f"kill -9 of the {who} to the next view at clients", [t[0] for t in times], "ms", 1)
        row(f"start of the {who} again to the view with it", [t[1] for t in times], "ms", 1)
    daemons, clients = flood()
    row("3 × 100,000 × 100 B, one client stalled: daemons", daemons, "MiB", 1)
    row("  the three clients that read", clients, "MiB", 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
