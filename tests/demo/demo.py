#!/usr/bin/env python3
"""Five daemons, five clients, and everything that can happen to them in under a minute (`./dev demo`).

Each client multicasts to one group all the time. The cluster grows to five; the leader is killed and comes back; one leaves;
one is paused until it is evicted. At the end the demo compares what all clients delivered. Exit status 0 only if virtual
synchrony and total order held.
"""

import argparse
import os
import sys
import time

from support.cluster import VSYNCCTL, Cluster
from support.history import judge
from support.load import Participant, settle
from support.waiting import Timeout, wait_until

GROUP = "demo"
SIZE = 5
RATE = 200  # messages per second of each client
COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


class Narrator:
    """Prints what happens, with the time since the start."""

    def __init__(self):
        self.start = time.monotonic()

    def chapter(self, text):
        print(f"\n{paint('1', text)}", flush=True)

    def say(self, text):
        print(f"  {paint('2', f'{time.monotonic() - self.start:5.1f} s')}  {text}", flush=True)


class Demo:
    def __init__(self, cluster):
        self.cluster = cluster
        self.narrator = Narrator()
        self.participants = {}
        self.timings = []  # (what, milliseconds at the slowest client)

    def run(self):
        self.grow()
        killed = self.kill_the_leader()
        self.come_back(killed)
        self.leave_cleanly()
        self.pause_until_evicted()
        return self.verdict()

    # ------------------------------------------------------------ chapters

    def grow(self):
        first, last = self.cluster.address(1), self.cluster.address(SIZE)
        self.narrator.chapter(f"Five daemons on {first} … {last}; n1 founds the cluster, the others join through it")
        self.cluster.add(1).start("--bootstrap", "--id", 1)
        self.admit(1)
        for node in range(2, SIZE + 1):
            self.cluster.add(node)
            self.cluster.restart(node, through=1)
            self.admit(node)
        self.traffic()

    def kill_the_leader(self):
        leader = self.cluster.leader()
        self.narrator.chapter(f"The leader {leader.name} is killed with SIGKILL while everybody sends")
        others = [n for n in self.participants if n != leader.node]
        moment = time.monotonic()
        leader.kill()
        self.next_view("leader killed", moment, others)
        self.narrator.say(f"{self.cluster.leader().name} leads now")
        self.traffic(others)
        return leader.node

    def come_back(self, node):
        self.narrator.chapter(f"n{node} starts again and joins as a new incarnation")
        self.cluster.restart(node)
        self.admit(node)
        self.traffic()

    def leave_cleanly(self):
        node = self.cluster.leader().node % SIZE + 1
        self.narrator.chapter(f"n{node} leaves cleanly (SIGTERM), then comes back")
        others = [n for n in self.participants if n != node]
        moment = time.monotonic()
        status = self.cluster[node].leave()
        self.next_view("clean leave", moment, others)
        self.narrator.say(f"n{node} ended with exit status {status}")
        if status != 0:
            raise AssertionError(f"n{node} did not leave cleanly")
        self.traffic(others)
        self.cluster.restart(node)
        self.admit(node)

    def pause_until_evicted(self):
        node = self.cluster.leader().node
        self.narrator.chapter(f"The leader n{node} is paused (SIGSTOP): silent, but its sockets stay open")
        others = [n for n in self.participants if n != node]
        moment = time.monotonic()
        self.cluster[node].pause()
        self.next_view("leader silent (suspect-after is 1 s)", moment, others)
        self.traffic(others)
        self.cluster[node].resume()
        self.narrator.say(f"n{node} wakes up, learns that it is out, and joins again")
        self.admit(node)
        self.traffic()

    # ------------------------------------------------------------ steps

    def admit(self, node):
        """The node is up, its client is in the group, and everybody sees the same view."""
        if node not in self.participants:
            self.participants[node] = Participant(f"c{node}", self.cluster[node].socket, GROUP, RATE)
        up = [d.node for d in self.cluster.running()]
        order = self.cluster.wait_view(up)
        self.group_of(up)
        self.narrator.say(f"view <{' '.join(order)}>, leader {order[0]}")

    def group_of(self, nodes):
        names = {f"c{n}" for n in nodes}

        def agreed():
            views = [self.participants[node].view() for node in nodes]
            return all(views) and len({view.token for view in views}) == 1 and set(views[0].names()) == names

        wait_until("one view of the group at all clients", agreed)

    def next_view(self, what, moment, nodes):
        """Waits for the next group view at the clients of these nodes; prints how long it took."""
        times = []
        for node in nodes:
            participant = self.participants[node]
            at = wait_until(f"next view at c{node}", lambda p=participant: p.first_delivery_after(moment))
            times.append((at - moment) * 1000)
        self.timings.append((what, max(times)))
        self.narrator.say(f"new view at {len(nodes)} clients after {paint('1;36', f'{min(times):.0f} … {max(times):.0f} ms')}")
        self.group_of(nodes)

    def traffic(self, nodes=None):
        """Goes on when each of these clients has delivered another 400 messages."""
        for participant in [self.participants[n] for n in nodes or self.participants]:
            goal = len(participant.client.messages(GROUP)) + 400
            participant.client.wait_messages(GROUP, goal)

    def verdict(self):
        everybody = list(self.participants.values())
        self.narrator.chapter("Everybody falls silent; what did the clients see?")
        settle(everybody)
        lives = [life for p in everybody for life in p.lives()]
        violations = judge(lives, {p.name: p.sent() for p in everybody})
        views = {view.token: view for life in lives for view in life.views()}
        for token in sorted(views):
            heard = [len(messages) for life in lives for view, messages, _ in life.episodes if view.token == token]
            members = " ".join(views[token].names())
            self.narrator.say(f"view {views[token].view:>2} of the daemons: group <{members}>{' ' * max(1, 16 - len(members))}"
                              f"{max(heard):>6} messages")
        sent = [outcome for p in everybody for outcome in p.sent().values()]
        told = {word: sent.count(word) for word in ("delivered", "not_delivered", "unknown")}
        self.narrator.say(f"{len(sent)} messages sent: {told['delivered']} delivered, {told['not_delivered']} not delivered, "
                          f"{told['unknown']} unknown, {sent.count('')} of clients that lost their daemon")
        self.narrator.say(f"{sum(life.count for life in lives)} deliveries at {len(everybody)} clients")
        for what, milliseconds in self.timings:
            self.narrator.say(f"{what}: next view at the slowest client after {milliseconds:.0f} ms")
        for violation in violations[:20]:
            self.narrator.say(paint("1;31", violation))
        if not violations:
            self.narrator.say(f"event logs of all daemons: {self.cluster.check_event_logs().strip().splitlines()[-1]}")
        print()
        if violations:
            print(paint("1;31", f"  BROKEN: {len(violations)} violations"))
            return 1
        print(paint("1;32", "  HELD: virtual synchrony and total order, at every client and in the event logs of all daemons"))
        return 0


def describe_kept(cluster):
    socket = cluster[1].socket
    control = VSYNCCTL.resolve()
    pids = " ".join(str(d.pid) for d in cluster.running())
    print(f"""
The cluster keeps running. Try, in another terminal too:

  {control} --socket {socket} status
  {control} --socket {socket} watch
  {control} --socket {socket} listen chat
  {control} --socket {cluster[2].socket} send chat hello
  kill -9 {cluster[1].pid}        # n1; then look at n2: --socket {cluster[2].socket}

Stop it with: kill {pids}
Files: {cluster.directory}""")


def main():
    parser = argparse.ArgumentParser(description="Shows a cluster of five daemons through failures, and judges it.")
    parser.add_argument("--private", action="store_true", help="not on 127.0.0.1 … 5 but on a loopback network of its own")
    parser.add_argument("--keep", action="store_true", help="leave the cluster running at the end")
    arguments = parser.parse_args()
    with Cluster(prefix=None if arguments.private else "127.0.0", keep=arguments.keep) as cluster:
        demo = Demo(cluster)
        status = demo.run()
        for participant in demo.participants.values():
            participant.close()
        if arguments.keep:
            describe_kept(cluster)
    return status


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Timeout as late:  # its cause is in the daemons' last lines, printed above
        sys.exit(f"demo: {late}")
