"""The report of the bench, from made-up figures: no daemon, no namespaces, no root."""

import json
import tempfile
import unittest
from pathlib import Path

import report
from results import Results, number

DOCS = Path(__file__).resolve().parents[2] / "docs"


def made_up():
    results = Results()
    for size, rate in ((64, 400_000), (1_000, 200_000)):
        results.add([rate * 4], part="throughput", system="bare TCP", figure="batched", unit="msg/s", size=size)
        for senders in (1, 3):
            for system, factor in (("vsyncd", 1), ("Corosync, knet", 0.1)):
                results.add([rate * factor * n for n in (0.9, 1, 1.2)], part="throughput", system=system,
                            figure="delivered everywhere", unit="msg/s", size=size, senders=senders)
    for percentile, value in (("p50", 150.0), ("p99", 900.0)):
        results.add([value], part="latency", system="vsyncd", figure="due to own delivery", unit="µs", rate=200, percentile=percentile)
    results.add([50.0], part="latency", system="bare Unix + UDP", figure="due to the echo", unit="µs", rate=200, percentile="p50")
    results.add([12.0, 14.0], part="failover", system="vsyncd", figure="kill -9 of the first node to the view", unit="ms")
    results.add([6.0], part="shape", system="vsyncd", figure="frames of all daemons for a message", unit="frames", daemons=3)
    return results


class Report(unittest.TestCase):
    def test_numbers_have_three_digits_that_count(self):
        self.assertEqual([number(n) for n in (1_234_567, 123.4, 12.34, 1.234)], ["1,234,567", "123", "12.3", "1.23"])

    def test_a_figure_is_median_least_and_most(self):
        figure = Results().add([3.0, 1.0, 2.0], part="p", system="s", figure="f", unit="u")
        self.assertEqual(figure.text(), "2.00 (1.00 … 3.00)")
        self.assertEqual(figure.text(10), "20.0 (10.0 … 30.0)")

    def test_goals_tell_what_is_missed(self):
        lines = report.goals(made_up()).split("\n")
        rows = {line.split(" | ")[0].strip("| "): line for line in lines}
        self.assertIn("| 500,000 | no | 1,000,000 | no |", rows["64 B, one sender, msg/s"])
        self.assertIn("| 150 | yes | 300 | no |", rows["1,000 B, one sender, MB/s"])
        self.assertIn("| 200 | yes | 140 | no |", rows["send to own delivery, 200 msg/s, p50, µs"])
        self.assertIn("| 800 | no | 400 | no |", rows["send to own delivery, 200 msg/s, p99, µs"])
        self.assertIn("| 3.00 | 2.56 | no | 1.79 | no |", rows["p50 at 200 msg/s by default, times bare Unix + UDP in this run"])
        self.assertIn("| 50 | yes | 20 | yes |", rows["kill -9 of a daemon to the view at clients, ms"])
        self.assertNotIn("resident memory, MiB", rows)  # was not measured

    def test_rates_stand_beside_bare_tcp_and_corosync(self):
        row = report.throughput(made_up()).split("\n")[2]
        self.assertEqual(row, "| 64 B | one | 400,000 (360,000 … 480,000) | 25.6 (23.0 … 30.7) | 0.25 | "
                              "40,000 (36,000 … 48,000) | 10 |")

    def test_every_value_is_kept(self):
        with tempfile.TemporaryDirectory() as directory:
            made_up().write(Path(directory) / "lines")
            lines = [json.loads(line) for line in (Path(directory) / "lines").read_text().splitlines()]
        self.assertEqual(lines[1]["values"], [360_000, 400_000, 480_000])
        self.assertEqual(lines[1]["median"], 400_000)

    def test_the_document_has_a_place_for_them(self):
        text = (DOCS / "benchmarks.md").read_text()
        self.assertEqual((text.count(report.BEGIN), text.count(report.END)), (1, 1))
        self.assertLess(text.index(report.BEGIN), text.index(report.END))


if __name__ == "__main__":
    unittest.main()
