#!/usr/bin/env python3
"""Figures of three daemons on three hosts (network namespaces of this machine), beside those of Corosync and of bare TCP sockets
in the same run (`./dev bench`; docs/benchmarks.md says what each figure means).

Every node has a client in the group, a process of its own. A rate is what the slowest of them was delivered, from the first start
to the last delivery anywhere. Latency is open loop: from the moment a message was due.
"""

import argparse
import subprocess
import sys
from pathlib import Path

import report
from network import Network, require_root
from report import BUSY
from results import Results
from support.cluster import BUILD
from support.waiting import Timeout, pause
from systems import BareTcp, ClientFailed, Corosync, Vsync, await_views, cpu_seconds, groups, memory_mib

ONE, ALL = (1,), (1, 2, 3)
# Bytes, messages in all. One run stays below what a daemon keeps for a client that lags behind: on a busy machine a client may
# get no processor for a while.
SIZES = ((64, 750_000), (1_000, 60_000), (10_000, 6_000), (100_000, 600), (1_000_000, 60))
LATENCY_RATES = (200, 1_000, 5_000)
SHAPES = (3, 5, 7, 16)
SMALL = 64
PATIENT = 10_000  # µs: the p99 that a paced rate may have


class Bench:
    def __init__(self, runs, quick):
        self.runs, self.quick, self.results, self.failed = runs, quick, Results(), []

    # ------------------------------------------------------------ rates

    def throughput(self, system, budget=1.0):
        """`budget`: how many of the messages a slower system gets."""
        for size, count in SIZES[:3] if self.quick else SIZES:
            for senders in (ONE, ALL):
                count_now = max(30, int(count * budget)) // len(senders) * len(senders)
                rates = []
                for _ in range(self.runs):
                    clients = system.load(size, count_now, senders)
                    rates.append(clients[0]["delivered"] / (max(c["end"] for c in clients) - min(c["start"] for c in clients)))
                    self.clients_peak = max(self.clients_peak, *(c["peak_kib"] / 1024 for c in clients))
                self.results.add(rates, part="throughput", system=system.name, figure="delivered everywhere", unit="msg/s",
                                 size=size, senders=len(senders))

    def bare_throughput(self, tcp):
        for size, count in SIZES[:3] if self.quick else SIZES:
            batched = max(1, 65_536 // size)
            for figure, batch in (("batched", batched), ("one write each", 1)):
                many = count if batch > 1 or size > 1_000 else count // 10
                self.results.add([tcp.rate(size, many, batch) for _ in range(self.runs)], part="throughput", system="bare TCP",
                                 figure=figure, unit="msg/s", size=size)

    # ------------------------------------------------------------ latency

    def latency(self, system, rates):
        for rate in rates:
            count = min(max(400, rate), 200_000)
            runs, cpu = [], []
            for _ in range(self.runs):
                before = sum(cpu_seconds(pid) for pid in system.pids())
                runs.append(system.load(SMALL, count, ONE, rate))
                seconds = runs[-1][0]["end"] - runs[-1][0]["start"]
                cpu.append(100 * (sum(cpu_seconds(pid) for pid in system.pids()) - before) / seconds / len(system.nodes))
            if rate in LATENCY_RATES:
                self.results.add(cpu, part="cost", system=system.name, figure=f"daemon under {rate:,} msg/s, of one core", unit="%")
            for whose, figure in (("own_us", "due to own delivery"), ("others_us", "due to delivery elsewhere")):
                node = 0 if whose == "own_us" else 1
                for part in ("p50", "p99", "p999"):
                    self.results.add([run[node][whose][part] for run in runs], part="latency", system=system.name,
                                     figure=figure, unit="µs", rate=rate, percentile=part)

    def bare_latency(self, tcp):
        for system, figure, measure in (("bare TCP", "due to both echoes", tcp.round_trips),
                                        (report.RELAYED, "due to the echo", tcp.relayed)):
            for rate in LATENCY_RATES:
                runs = [measure(SMALL, max(400, rate), rate) for _ in range(self.runs)]
                for part in ("p50", "p99", "p999"):
                    self.results.add([run[part] for run in runs], part="latency", system=system, figure=figure, unit="µs", rate=rate,
                                     percentile=part)

    def highest_rate(self, system, start):
        """The highest paced rate whose p99 stays below PATIENT: doubled until it fails, then halved in between three times."""
        def holds(rate):
            try:
                run = system.load(SMALL, int(max(400, rate // 2)), ONE, rate)
            except ClientFailed:  # too far behind
                return False
            return run[0]["own_us"]["p99"] < PATIENT and run[0]["delivered"] / (run[0]["end"] - run[0]["start"]) > 0.95 * rate

        def search():
            low, high = 0, start
            while holds(high):
                low, high = high, 2 * high
            for _ in range(3):
                middle = (low + high) // 2
                low, high = (middle, high) if holds(middle) else (low, middle)
            return low

        self.results.add([search() for _ in range(self.runs)], part="latency", system=system.name,
                         figure="highest paced rate with p99 below 10 ms", unit="msg/s")

    # ------------------------------------------------------------ views

    def failover(self, system, runs, pauses):
        """kill -9 of a daemon to the view at the last client of the others; its start to the view with its client again."""
        group, watchers = next(groups), {}
        try:
            for node in system.nodes:
                watchers[node] = system.watch(node, group)
            await_views(watchers.values(), 3)
            for victim, who in ((1, "first node"), (3, "last node")):
                killed, joined = zip(*[self._kill(system, watchers, victim, group) for _ in range(runs)])
                self.results.add(killed, part="failover", system=system.name, figure=f"kill -9 of the {who} to the view", unit="ms")
                self.results.add(joined, part="failover", system=system.name, figure=f"restart of the {who} to the view", unit="ms")
            if pauses:
                self.results.add([self._pause(system, watchers, 3) for _ in range(runs)], part="failover", system=system.name,
                                 figure="pause of the last node to the view", unit="ms")
        finally:
            for watcher in watchers.values():
                watcher.close()

    def _kill(self, system, watchers, victim, group):
        others = [watcher for node, watcher in watchers.items() if node != victim]
        moment = report.now()
        if system.name == "vsyncd":
            system[victim].kill()
        else:
            system.kill(victim)
        killed = await_views(others, 2, moment) - moment
        watchers[victim].close()
        moment = report.now()
        system.restart(victim)
        watchers[victim] = system.watch(victim, group)
        return killed * 1000, (await_views(watchers.values(), 3, moment) - moment) * 1000

    @staticmethod
    def _pause(system, watchers, victim):
        others = [watcher for node, watcher in watchers.items() if node != victim]
        moment = report.now()
        system[victim].pause()
        seen = await_views(others, 2, moment)
        system[victim].resume()
        await_views(watchers.values(), 3, seen)
        return (seen - moment) * 1000

    # ------------------------------------------------------------ cost

    def idle(self, system):
        seconds = 3 if self.quick else 10
        before = [cpu_seconds(pid) for pid in system.pids()]
        pause(seconds)
        self.results.add([100 * (cpu_seconds(pid) - b) / seconds for pid, b in zip(system.pids(), before)], part="cost",
                         system=system.name, figure="idle daemon, of one core", unit="%")
        self.results.add([memory_mib(pid, "VmRSS") for pid in system.pids()], part="cost", system=system.name,
                         figure="idle daemon, resident", unit="MiB")

    def peaks(self, system, when):
        self.results.add([memory_mib(pid) for pid in system.pids()], part="cost", system=system.name,
                         figure=f"daemon, most resident, {when}", unit="MiB")
        self.results.add([self.clients_peak], part="cost", system=system.name, figure=f"client, most resident, {when}", unit="MiB")
        self.clients_peak = 0.0

    def shape(self, network, size):
        """What a message costs all daemons together, by their number."""
        with Vsync(network, size) as system:
            frames, cpu, rates, big = [], [], [], []
            for _ in range(self.runs):
                before = system.frames(), sum(cpu_seconds(pid) for pid in system.pids())
                system.load(SMALL, 1_000, ONE, 1_000)
                frames.append((system.frames() - before[0]) / 1_000)
                cpu.append((sum(cpu_seconds(pid) for pid in system.pids()) - before[1]) * 1e6 / 1_000)
                for wanted, bytes_each, count in ((rates, SMALL, 300_000), (big, 10_000, 3_000)):
                    clients = system.load(bytes_each, count, ONE)
                    wanted.append(count / (max(c["end"] for c in clients) - min(c["start"] for c in clients)))
                    self.clients_peak = max(self.clients_peak, *(c["peak_kib"] / 1024 for c in clients))
            for values, figure, unit in ((frames, "frames of all daemons for a message, 1,000/s", "frames"),
                                         (cpu, "CPU of all daemons for a message, 1,000/s", "µs"),
                                         (rates, "64 B, one sends", "msg/s"), (big, "10,000 B, one sends", "msg/s")):
                self.results.add(values, part="shape", system="vsyncd", figure=figure, unit=unit, daemons=size)
            self.peaks(system, f"{size} daemons")

    # ------------------------------------------------------------ all of it

    def run(self):
        self.clients_peak = 0.0
        with Network(3) as network:
            with BareTcp(network) as tcp:
                self.bare_throughput(tcp)
                self.bare_latency(tcp)
            with Vsync(network, 3) as system:
                self.vsync(system)
            with Vsync(network, 3, ("--busy-poll", "10ms"), BUSY) as system:
                self.latency(system, LATENCY_RATES if not self.quick else (200,))
            for transport in ("knet", "udpu") if not self.quick else ("knet",):
                self.attempt(f"Corosync, {transport}", self.corosync, network, transport)
        for size in SHAPES if not self.quick else (3, 5):
            with Network(size) as network:
                self.attempt(f"{size} daemons", self.shape, network, size)

    def attempt(self, what, measure, *arguments):
        """What fails is missing in the report; the rest is still worth having."""
        try:
            measure(*arguments)
        except (ClientFailed, Timeout, OSError, subprocess.SubprocessError) as error:
            self.failed.append(what)
            print(f"FAILED: {what}: {error}", file=sys.stderr, flush=True)

    def vsync(self, system):
        self.idle(system)
        self.throughput(system)
        half = self.results.find(part="throughput", system="vsyncd", size=SMALL, senders=1).median / 2
        self.latency(system, (*LATENCY_RATES, int(round(half, -4))) if not self.quick else (200,))
        self.highest_rate(system, 50_000)
        self.peaks(system, "after the load")
        self.failover(system, self.runs, pauses=True)

    def corosync(self, network, transport):
        with Corosync(network, 3, transport) as system:
            system.load(SMALL, 30, ONE)  # waits until all three are there
            self.idle(system)
            self.throughput(system, 0.05)
            self.latency(system, LATENCY_RATES if not self.quick else (200,))
            self.peaks(system, "after the load")
            if not self.quick:
                self.highest_rate(system, 5_000)
                self.failover(system, 2, pauses=False)


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a short look: one run, fewer sizes and hosts")
    parser.add_argument("--runs", type=int, help="runs of each figure (default 5)")
    parser.add_argument("--write", action="store_true", help="put the tables and plots into docs/benchmarks.md")
    options = parser.parse_args()
    require_root()
    bench = Bench(options.runs or (1 if options.quick else 5), options.quick)
    print(f"{report.machine()}; median of {bench.runs} runs (least … most)\n", flush=True)
    started = report.now()
    bench.run()
    lines = BUILD / "bench.jsonl"
    bench.results.write(lines)
    print(f"\n{report.now() - started:.0f} s; all values of all runs: {lines}")
    if options.write:
        report.write(bench.results, Path(__file__).resolve().parents[2] / "docs", bench.runs)
    if bench.failed:
        print(f"failed: {', '.join(bench.failed)}", file=sys.stderr)
    return 1 if bench.failed else 0


if __name__ == "__main__":
    sys.exit(main())
