"""Leadership that is safe to use: leases, vsyncctl run and lock, the ticker example. Real processes, killed and paused."""

import os
import signal
import subprocess
import time
import unittest
from pathlib import Path

from support.case import ClusterTest
from support.cluster import BUILD, VSYNCCTL, die_with_parent, vsyncctl
from support.waiting import wait_until

TICKER = BUILD / "lib/client/ticker"


def boot_microseconds():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1000


def alive(pid):
    """Runs, and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Programs(ClusterTest):
    """A cluster, and programs that end with the test."""

    def setUp(self):
        self.cluster = self.new_cluster(3)
        self.log = self.cluster.directory / "log"
        self.log.touch()

    def spawn(self, node, *command):
        program = subprocess.Popen([str(c) for c in command], stdin=subprocess.DEVNULL, preexec_fn=die_with_parent,
                                   env={**os.environ, "VSYNCD_SOCKET": str(self.cluster[node].socket)})
        self.addCleanup(self.end, program)
        return program

    def end(self, program):
        if program.poll() is None:
            program.kill()
        program.wait()

    def run_singleton(self, node, *flags):
        """vsyncctl run of a program that logs NODE TOKEN PID and then does nothing."""
        script = f"echo {node} $VSYNC_TOKEN $$ >> {self.log}; exec tail -f /dev/null"
        return self.spawn(node, VSYNCCTL, "run", "--group", "s", *flags, "--", "sh", "-c", script)

    def starts(self):
        """(node, token, pid) of every start so far."""
        return [tuple(map(int, line.split())) for line in self.log.read_text().splitlines()]

    def nth_start(self, number):
        return wait_until(f"start {number}", lambda: len(self.starts()) >= number and self.starts()[number - 1])

    def gone(self, pid):
        wait_until(f"process {pid} is gone", lambda: not alive(pid))


class Run(Programs):
    def test_one_at_a_time_through_every_kind_of_death(self):
        keepers = {node: self.run_singleton(node) for node in (1, 2, 3)}
        node, token, pid = self.nth_start(1)
        order = [node]

        # The keeper is killed: the program dies with it.
        keepers[node].kill()
        self.gone(pid)
        node, token2, pid = self.nth_start(2)
        self.assertGreater(token2, token)
        self.assertNotIn(node, order)
        order.append(node)

        # The daemon is paused: nobody renews the lease, so the program ends though its keeper hears of nothing.
        self.cluster[node].pause()
        self.gone(pid)
        paused = node
        node, token3, pid = self.nth_start(3)
        self.assertGreater(token3, token2)
        self.assertNotIn(node, order)
        self.cluster[paused].resume()
        self.cluster.wait_view([1, 2, 3])
        self.assertTrue(alive(pid))

        # The daemon is killed, then starts again: its keeper is a junior member then. The next program is the other keeper's.
        self.cluster[node].kill()
        self.gone(pid)
        last, token4, pid = self.nth_start(4)
        self.assertEqual(last, paused)
        self.assertGreater(token4, token3)
        self.cluster.restart(node)
        self.cluster.wait_view([1, 2, 3])
        self.assertTrue(alive(pid))
        self.assertEqual(len(self.starts()), 4)
        self.cluster.check_event_logs()

    def test_exit_status_and_signals(self):
        done = vsyncctl(self.cluster[1], "run", "--group", "e", "--", "sh", "-c", "test -n \"$VSYNC_TOKEN\" && exit 5")
        self.assertEqual(done.returncode, 5, done.stderr)
        done = vsyncctl(self.cluster[1], "run", "--group", "e", "--", "/nowhere/at/all")
        self.assertEqual(done.returncode, 1)
        self.assertIn("/nowhere/at/all", done.stderr)
        keeper = self.run_singleton(1)
        _, _, pid = self.nth_start(1)
        keeper.send_signal(signal.SIGTERM)
        self.assertEqual(keeper.wait(30), 128 + signal.SIGTERM)
        self.assertFalse(alive(pid))

    def test_one_of_each_host(self):
        self.run_singleton(1, "--hosts-only-one")
        self.nth_start(1)
        done = vsyncctl(self.cluster[1], "run", "--group", "s", "--hosts-only-one", "--", "true")
        self.assertEqual(done.returncode, 1)
        self.assertIn("takes part in 's' already", done.stderr)

    def test_status_shows_the_lease(self):
        self.run_singleton(2)
        self.nth_start(1)
        self.assertIn("lease for", vsyncctl(self.cluster[2], "group", "s").stdout)
        self.assertNotIn("lease for", vsyncctl(self.cluster[1], "group", "s").stdout)
        self.assertIn("lease for", vsyncctl(self.cluster[1], "leader").stdout)


class Lock(Programs):
    def test_nobody_meets_another(self):
        room = self.cluster.directory / "room"
        meet = f"mkdir {room} && echo $VSYNC_TOKEN >> {self.log} && rmdir {room}"
        visitors = [self.spawn(1 + i % 3, VSYNCCTL, "lock", "room", "--", "sh", "-c", meet) for i in range(9)]
        self.assertEqual([v.wait(60) for v in visitors], [0] * 9)
        tokens = [int(line) for line in self.log.read_text().split()]
        self.assertEqual(len(tokens), 9)
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_a_lost_lock_stops_the_program(self):
        script = f"echo 1 $VSYNC_TOKEN $$ >> {self.log}; exec tail -f /dev/null"
        holder = self.spawn(2, VSYNCCTL, "lock", "room", "--", "sh", "-c", script)
        _, _, pid = self.nth_start(1)
        self.cluster[2].pause()
        self.assertEqual(holder.wait(30), 1)
        self.assertFalse(alive(pid))


class Ticker(Programs):
    """The example of docs/GUIDE.md."""

    def ticks(self):
        """(token, name, written at, lease until) of every line."""
        lines = [line.split() for line in self.log.read_text().splitlines()]
        return [(int(token), name, int(at), int(until)) for token, name, at, until in lines]

    def someone_else_ticks(self, name, after):
        """Waits for a tick of another one, written later; returns its node."""
        other = wait_until(f"somebody but {name} ticks", lambda: next(
            (n for _, n, at, _ in reversed(self.ticks()) if n != name and at > after), None))
        return int(other[1:])

    def test_nobody_ticks_while_another_may(self):
        tickers = {node: self.spawn(node, TICKER, f"t{node}", self.log) for node in (1, 2, 3)}
        node = self.someone_else_ticks("", 0)
        for victim in ("ticker", "daemon", "pause", "daemon", "ticker"):
            name, now = f"t{node}", boot_microseconds()
            if victim == "ticker":
                tickers[node].kill()
                tickers[node].wait()
            elif victim == "daemon":
                self.cluster[node].kill()
            else:
                self.cluster[node].pause()
            before, node = node, self.someone_else_ticks(name, now)
            if victim == "ticker":
                tickers[before] = self.spawn(before, TICKER, name, self.log)
            elif victim == "daemon":
                self.cluster.restart(before)
            else:
                self.cluster[before].resume()
            self.cluster.wait_view([1, 2, 3])
        self.judge()
        self.cluster.check_event_logs()

    def judge(self):
        changes, last = 0, None
        for tick in self.ticks():
            token, name, at, until = tick
            self.assertLess(at, until)
            if last and name != last[1]:
                changes += 1
                self.assertGreater(token, last[0], (last, tick))
                self.assertGreaterEqual(at, last[3], (last, tick))
            last = (token, name, at, max(until, last[3]) if last and name == last[1] else until)
        self.assertGreaterEqual(changes, 5)


if __name__ == "__main__":
    unittest.main()
