"""docs/benchmarks.md: what is between its two marks is made from the results; the rest is written by people."""

import datetime
import os
import platform
import subprocess
import time

from results import number

BEGIN, END = "<!-- made by ./dev bench --write: begin -->", "<!-- end -->"
VSYNCD = "vsyncd"
BUSY = "vsyncd, busy-poll 10ms"
RELAYED = "bare Unix + UDP"
OWN = {"bare TCP": "due to both echoes", RELAYED: "due to the echo"}  # of others: due to own delivery


# What it must reach, what it aims for, and where the figure is: (words, most or least, goal, aim, factor, keys).
MEGABYTES = {size: size / 1e6 for size in (1_000, 10_000, 100_000, 1_000_000)}
GOALS = [
    ("64 B, one sender, msg/s", "least", 500_000, 1_000_000, 1, {"part": "throughput", "size": 64, "senders": 1}),
    ("64 B, all send, msg/s", "least", 500_000, 1_000_000, 1, {"part": "throughput", "size": 64, "senders": 3}),
    *((f"{size:,} B, one sender, MB/s", "least", goal, aim, MEGABYTES[size], {"part": "throughput", "size": size, "senders": 1})
      for size, goal, aim in ((1_000, 150, 300), (10_000, 250, 450), (100_000, 250, 500), (1_000_000, 250, 500))),
    ("send to own delivery, 200 msg/s, p50, µs", "most", 200, 140, 1,
     {"part": "latency", "figure": "due to own delivery", "rate": 200, "percentile": "p50"}),
    ("send to own delivery, 200 msg/s, p99, µs", "most", 800, 400, 1,
     {"part": "latency", "figure": "due to own delivery", "rate": 200, "percentile": "p99"}),
    *((f"the same with busy-poll 10ms, {percentile}, µs", "most", goal, aim, 1,
       {"system": BUSY, "part": "latency", "figure": "due to own delivery", "rate": 200, "percentile": percentile})
      for percentile, goal, aim in (("p50", 200, 140), ("p99", 800, 400))),
    ("highest paced rate with p99 below 10 ms, msg/s", "least", 100_000, 300_000, 1,
     {"figure": "highest paced rate with p99 below 10 ms"}),
    ("kill -9 of a daemon to the view at clients, ms", "most", 50, 20, 1, {"figure": "kill -9 of the first node to the view"}),
    ("pause to the view at clients (suspect-after is 1 s), ms", "most", 1_100, 1_030, 1,
     {"figure": "pause of the last node to the view"}),
    ("restart to the view at clients, ms", "most", 150, 50, 1, {"figure": "restart of the last node to the view"}),
    ("idle CPU of one core, %", "most", 0.5, 0.1, 1, {"figure": "idle daemon, of one core"}),
    ("resident memory, MiB", "most", 20, 8, 1, {"figure": "idle daemon, resident"}),
]


# The goals of a lone message were set on a machine where a bare round trip through a Unix socket and UDP took so many µs.
GOAL_MACHINE_RELAYED = 78
LONE = {"part": "latency", "rate": 200, "percentile": "p50"}


def now():
    return time.monotonic()


def machine():
    models = (line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name"))
    model = next(models, platform.machine())
    congestion = open("/proc/sys/net/ipv4/tcp_congestion_control").read().strip()
    return (f"{datetime.date.today()}, {os.cpu_count()} cores ({model}), Linux {platform.release()}, TCP with {congestion}, "
            f"load average before {os.getloadavg()[0]:.1f}")


def table(head, rows):
    return "\n".join(["| " + " | ".join(head) + " |", "|" + " --- |" * len(head), *("| " + " | ".join(row) + " |" for row in rows)])


def ratio(figure, other):
    return f"{figure.median / other.median:.2g}" if figure and other else "–"


def text(figure, scale=1.0):
    return figure.text(scale) if figure else "–"


def goals(results):
    rows = []
    for words, side, goal, aim, factor, keys in GOALS:
        figure = results.find(**{"system": VSYNCD, **keys})
        if figure:
            value = figure.median * factor
            reached = ["yes" if (value >= wanted if side == "least" else value <= wanted) else "no" for wanted in (goal, aim)]
            rows.append([words, text(figure, factor), f"{goal:,}", reached[0], f"{aim:,}", reached[1]])
    ours, bare_one = results.find(system=VSYNCD, figure="due to own delivery", **LONE), results.find(system=RELAYED, **LONE)
    if ours and bare_one:
        times, goal, aim = ours.median / bare_one.median, 200 / GOAL_MACHINE_RELAYED, 140 / GOAL_MACHINE_RELAYED
        rows.append(["p50 at 200 msg/s by default, times bare Unix + UDP in this run", number(times), number(goal), "yes" if times <= goal else "no",
                     number(aim), "yes" if times <= aim else "no"])
    return table(["median of vsyncd", "measured", "must reach", "", "aim", ""], rows)


def throughput(results):
    rows = []
    for size in results.all("size", part="throughput", system=VSYNCD):
        for senders in (1, 3):
            rates = {name: results.find(part="throughput", system=name, size=size, senders=senders)
                     for name in results.all("system", part="throughput")}
            bare = results.find(part="throughput", system="bare TCP", size=size, figure="batched")
            peers = [f for name, f in rates.items() if name.startswith("Corosync") and f]
            best = max(peers, key=lambda f: f.median, default=None)
            ours = rates[VSYNCD]
            rows.append([f"{size:,} B", "one" if senders == 1 else "all", text(ours), text(ours, size / 1e6), ratio(ours, bare),
                         *(text(f) for f in peers), ratio(ours, best)])
    names = [name for name in results.all("system", part="throughput") if name.startswith("Corosync")]
    return table(["size", "senders", "msg/s", "MB/s", "of bare TCP", *(f"{name}, msg/s" for name in names), "times Corosync"], rows)


def bare(results):
    rows = [[f"{size:,} B", *(text(results.find(part="throughput", system="bare TCP", size=size, figure=figure))
                              for figure in ("batched", "one write each"))]
            for size in results.all("size", part="throughput", system="bare TCP")]
    return table(["bare TCP, msg/s to two hosts", "in writes of about 64 KiB", "one write each"], rows)


def latency(results):
    rows = []
    for system in results.all("system", part="latency"):
        for figure in results.all("figure", part="latency", system=system):
            for rate in results.all("rate", part="latency", system=system, figure=figure):
                rows.append([system, figure, f"{rate:,.0f}",
                             *(text(results.find(part="latency", system=system, figure=figure, rate=rate, percentile=p))
                               for p in ("p50", "p99", "p999"))])
    return table(["system", "64 B, µs", "msg/s", "p50", "p99", "p99.9"], rows)


def others(results):
    rows = []
    wanted = [f for f in results.figures if f.keys["part"] in ("failover", "cost") or "highest" in f.keys["figure"]]
    systems = list(dict.fromkeys(f.keys["system"] for f in wanted))
    for figure in dict.fromkeys((f.keys["figure"], f.keys["unit"]) for f in wanted):
        rows.append([f"{figure[0]}, {figure[1]}", *(text(results.find(system=s, figure=figure[0])) for s in systems)])
    return table(["", *systems], rows)


def shape(results):
    sizes = results.all("daemons", part="shape")
    wanted = dict.fromkeys((f.keys["figure"], f.keys["unit"]) for f in results.figures if f.keys["part"] == "shape")
    rows = [[f"{figure}, {unit}", *(text(results.find(part="shape", figure=figure, daemons=n)) for n in sizes)]
            for figure, unit in wanted]
    return table(["", *(f"{n} daemons" for n in sizes)], rows)


# ---------------------------------------------------------------- plots

def gnuplot(output, commands, series):
    """`series`: [(title, [(x, y, low, high), …]), …]."""
    data = "".join(f"$data{i} << EOD\n" + "".join(" ".join(map(str, point)) + "\n" for point in points) + "EOD\n"
                   for i, (_, points) in enumerate(series))
    lines = ", ".join(f"$data{i} using 1:2:3:4 with yerrorlines title '{title}'" for i, (title, _) in enumerate(series))
    script = (f"{data}set terminal svg size 900,450 font 'sans-serif,13' background '#ffffff'\nset output '{output}'\n"
              f"set key outside right center\nset grid\n{commands}\nplot {lines}\n")
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def series(results, by, scale=lambda keys: 1.0, **keys):
    points = []
    for x in results.all(by, **keys):
        figure = results.find(**keys, **{by: x})
        factor = scale(figure.keys)
        points.append((x, figure.median * factor, figure.values[0] * factor, figure.values[-1] * factor))
    return points


def plots(results, directory):
    def megabytes(keys):
        return keys["size"] / 1e6

    directory.mkdir(exist_ok=True)
    rates = [("bare TCP, batched", series(results, "size", megabytes, part="throughput", system="bare TCP", figure="batched"))]
    for system in results.all("system", part="throughput"):
        for senders, who in ((1, "one sends"), (3, "all send")):
            points = series(results, "size", megabytes, part="throughput", system=system, senders=senders)
            rates.append((f"{system}, {who}", points))
    gnuplot(directory / "throughput.svg",
            "set logscale xy\nset xlabel 'bytes of a message'\nset ylabel 'MB/s delivered at every node'", [s for s in rates if s[1]])
    waits = []
    for system in results.all("system", part="latency"):
        for percentile in ("p50", "p99"):
            waits.append((f"{system}, {percentile}", series(results, "rate", part="latency", system=system,
                                                            figure=OWN.get(system, "due to own delivery"), percentile=percentile)))
    gnuplot(directory / "latency.svg",
            "set logscale xy\nset xlabel 'messages of 64 B a second'\nset ylabel 'microseconds to own delivery'",
            [s for s in waits if s[1]])
    gnuplot(directory / "shape.svg", "set logscale y\nset xlabel 'daemons on this machine'\nset ylabel 'frames, µs of CPU'",
            [(figure.split(" for")[0], series(results, "daemons", part="shape", figure=figure))
             for figure in results.all("figure", part="shape") if "of all daemons" in figure])


def write(results, docs, runs):
    plots(results, docs / "benchmarks")
    results.write(docs / "benchmarks" / "results.jsonl")
    made = "\n\n".join([
        BEGIN, f"**{machine()}.** Median of {runs} runs, least and most in brackets (of the daemons' memory and idle CPU: the three "
        "daemons). Every value of every run: [results.jsonl](benchmarks/results.jsonl).",
        "### Against the goals", goals(results), "### Throughput", throughput(results), "![MB/s against the size of a message](benchmarks/throughput.svg)", bare(results),
        "### Latency", latency(results), "![Latency against the rate](benchmarks/latency.svg)",
        "### Views, idle cost, memory", others(results), "### Shape", shape(results), "![Cost against daemons](benchmarks/shape.svg)", END])
    path = docs / "benchmarks.md"
    before, rest = path.read_text().split(BEGIN)
    path.write_text(before + made + rest.split(END)[1])
    print(f"written: {path}")
