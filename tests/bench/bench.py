#!/usr/bin/env python3
"""First figures of three daemons on this machine, over loopback (`./dev bench`).

Throughput counts deliveries at the slowest of the three clients. Latency is open loop: from the scheduled moment of sending to
the sender's own delivery. Medians of RUNS runs. The clients are Python and share the machine with the daemons, so these are
lower bounds; they are for comparing one build with the next.
"""

import os
import statistics
import sys
import threading
import time

from support.cluster import Cluster
from support.frames import BinaryClient, REPLY_EVENT, parse
from support.load import Participant
from support.waiting import pause, wait_until

RUNS = 3
GROUP = "bench"
SIZES = ((64, 100, 200_000), (1_000, 50, 60_000), (10_000, 5, 10_000), (100_000, 1, 1_500))  # bytes, batch, messages


class Sink(threading.Thread):
    """Reads everything a client is given and counts the messages."""

    def __init__(self, client):
        super().__init__(daemon=True)
        self.client, self.count, self.arrivals = client, 0, []

    def run(self):
        try:
            while True:
                reply = self.client.read()
                now = time.monotonic()
                if REPLY_EVENT in reply:
                    self.take(parse(reply[REPLY_EVENT]), now)
        except (OSError, ConnectionError):
            return

    def take(self, event, now):
        if 7 in event:  # message_batch
            count = parse(event[7]).get(6, 0)
        else:
            count = 1 if 6 in event else 0  # message
        self.count += count
        self.arrivals += [now] * count


def session(cluster, group):
    """A binary client and its sink on each node, all in the group."""
    clients = [BinaryClient(cluster[n].socket) for n in (1, 2, 3)]
    for node, client in enumerate(clients, 1):
        client.join(group, f"c{node}")
    sinks = [Sink(client) for client in clients]
    for sink in sinks:
        sink.start()
    return clients, sinks


def throughput(cluster, run, senders, size, batch, count):
    """Messages per second at the slowest client; `count` is the sum over the senders."""
    group = f"{GROUP}-{size}-{senders}-{run}"
    clients, sinks = session(cluster, group)
    each = count // senders

    def send(client):
        messages = [b"x" * size] * batch
        for first in range(0, each, batch):
            client.post_batch(2 + first, group, messages)

    start = time.monotonic()
    threads = [threading.Thread(target=send, args=(client,), daemon=True) for client in clients[:senders]]
    for thread in threads:
        thread.start()
    wait_until("all deliveries", lambda: all(s.count >= senders * each for s in sinks), timeout=120)
    elapsed = max(s.arrivals[-1] for s in sinks) - start
    for client in clients:
        client.close()
    return senders * each / elapsed


def latency(cluster, run, rate=200, count=600):
    """Microseconds from schedule to own delivery: sorted."""
    group = f"{GROUP}-latency-{run}"
    clients, sinks = session(cluster, group)
    start = time.monotonic() + 0.05
    due = [start + i / rate for i in range(count)]
    for number, at in enumerate(due):
        pause(max(0.0, at - time.monotonic()))
        clients[0].post_batch(2 + number, group, [b"x" * 64])
    wait_until("all deliveries", lambda: sinks[0].count >= count)
    for client in clients:
        client.close()
    return sorted((arrived - at) * 1e6 for arrived, at in zip(sinks[0].arrivals, due))


def failover(clean=False):
    """Milliseconds from kill -9 of the leader to the next view at the slowest client, defaults, idle."""
    with Cluster(3) as cluster:
        participants = [Participant(f"c{n}", cluster[n].socket, GROUP, rate=10) for n in (2, 3)]
        wait_until("both in the group", lambda: all(p.view() and len(p.view().members) == 2 for p in participants))
        watchers = [cluster.connect(n) for n in (2, 3)]
        for watcher in watchers:
            watcher.request("watch")
        moment = time.monotonic()
        cluster[1].leave() if clean else cluster[1].kill()
        ends = [watcher.event("view", lambda v: len(v["members"]) == 2)[0] for watcher in watchers]
        for participant in participants:
            participant.close()
        return (max(ends) - moment) * 1000


def row(what, values, unit):
    values = sorted(values)
    print(f"{what:<52} {statistics.median(values):>12,.0f} {unit:<6} ({values[0]:,.0f} … {values[-1]:,.0f})", flush=True)


def main():
    print(f"three daemons and three clients over loopback, {os.cpu_count()} cores, median of {RUNS} runs (least … most)\n")
    with Cluster(3) as cluster:
        for senders in (1, 3):
            rates = [throughput(cluster, run, senders, *SIZES[0]) for run in range(RUNS)]
            row(f"64 B, total order, {senders} sending", rates, "msg/s")
        for size, batch, count in SIZES[1:]:
            rates = [throughput(cluster, run, 1, size, batch, count) * size / 1e6 for run in range(RUNS)]
            row(f"{size:,} B, total order, one sending", rates, "MB/s")
        samples = [latency(cluster, run) for run in range(RUNS)]
        row("send to own delivery, 200 msg/s, p50", [s[len(s) // 2] for s in samples], "µs")
        row("send to own delivery, 200 msg/s, p99", [s[len(s) * 99 // 100] for s in samples], "µs")
        row("resident memory of a daemon after that", [cluster[n].resident_bytes() / 2**20 for n in (1, 2, 3)], "MiB")
    row("kill -9 of the leader to the next view at a client", [failover() for _ in range(RUNS)], "ms")
    row("clean leave of the leader to the next view", [failover(clean=True) for _ in range(RUNS)], "ms")
    return 0


if __name__ == "__main__":
    sys.exit(main())
