#!/usr/bin/env python3
"""Three, five and seven real daemons under random faults and load (`./dev soak [ROUNDS]`).

A round is one fault, drawn from the seed: SIGKILL, SIGKILL and restart at once, SIGSTOP until evicted, SIGSTOP for a moment,
clean leave. After each, the cluster must come back to one view of everybody. At the end the clients' histories and the event
logs of all daemons are judged. Exit status 0 only if nothing was lost, doubled or reordered.
"""

import argparse
import random
import sys
import time

from support.cluster import Cluster
from support.history import judge
from support.load import Participant, settle
from support.waiting import wait_until

GROUP = "soak"
SIZES = (3, 5, 7)
RATE = 300  # messages per second of each client
EPISODE = 20  # rounds between two judgements, to bound what the clients remember
SETTLED = 60.0  # seconds for the cluster to be whole again after a fault


class Episode:
    """One cluster from its founding to its judgement."""

    def __init__(self, cluster, size, rng):
        self.cluster, self.size, self.rng = cluster, size, rng
        cluster.found(size)
        self.everybody = range(1, size + 1)
        self.participants = {n: Participant(f"c{n}", cluster[n].socket, GROUP, RATE) for n in self.everybody}
        self.together()

    def together(self):
        """Everybody is in one daemon view and every client in one view of the group."""
        self.cluster.wait_view(self.everybody, SETTLED)
        wait_until("every client is in the group", lambda: all(
            p.view() and len(p.view().members) == self.size for p in self.participants.values()), SETTLED)

    def others_go_on(self, node):
        """The rest installs a view without the node."""
        self.cluster.wait_view([n for n in self.everybody if n != node], SETTLED)

    def round(self):
        node = self.rng.choice(self.everybody)
        fault = self.rng.choice((self.kill, self.kill_and_restart, self.pause_long, self.pause_briefly, self.leave))
        fault(node)
        self.together()
        return fault.__name__

    def kill(self, node):
        self.cluster[node].kill()
        self.others_go_on(node)
        self.cluster.restart(node)

    def kill_and_restart(self, node):
        self.cluster[node].kill()
        self.cluster.restart(node)

    def pause_long(self, node):
        self.cluster[node].pause()
        self.others_go_on(node)
        self.cluster[node].resume()

    def pause_briefly(self, node):
        self.cluster[node].pause()
        moment = self.rng.uniform(0.01, 0.8)
        since = time.monotonic()
        wait_until("the pause is over", lambda: time.monotonic() - since >= moment)
        self.cluster[node].resume()

    def leave(self, node):
        status = self.cluster[node].leave()
        if status != 0:
            raise AssertionError(f"n{node} left with exit status {status}")
        self.others_go_on(node)
        self.cluster.restart(node)

    def judge(self):
        """(violations seen by the clients, messages sent, deliveries, report of the checkers on the event logs)."""
        everybody = list(self.participants.values())
        settle(everybody)
        lives = [life for p in everybody for life in p.lives()]
        sent = {p.name: p.sent() for p in everybody}
        violations = judge(lives, sent)
        for participant in everybody:
            participant.close()
        report = self.cluster.check_event_logs()
        return violations, sum(map(len, sent.values())), sum(life.count for life in lives), report.strip()


def main():
    parser = argparse.ArgumentParser(description="Random faults on real daemons under load.")
    parser.add_argument("rounds", type=int, nargs="?", default=200)
    parser.add_argument("--seed", type=int, default=None)
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else random.randrange(1 << 32)
    rng = random.Random(seed)
    print(f"seed {seed}: {arguments.rounds} rounds; again with: ./dev soak {arguments.rounds} --seed {seed}", flush=True)
    done, number = 0, 0
    while done < arguments.rounds:
        size = SIZES[number % len(SIZES)]
        number += 1
        rounds = min(EPISODE, arguments.rounds - done)
        faults = []
        with Cluster() as cluster:
            episode = Episode(cluster, size, rng)
            for _ in range(rounds):
                faults.append(episode.round())
            violations, sent, deliveries, report = episode.judge()
            if violations:
                raise AssertionError("\n".join(violations[:20]))
        done += rounds
        kinds = ", ".join(f"{faults.count(kind)} {kind}" for kind in sorted(set(faults)))
        print(f"{done:>4} rounds: {size} daemons, {sent} messages, {deliveries} deliveries, {kinds}; {report.splitlines()[-1]}",
              flush=True)
    print(f"HELD: {done} rounds, nothing lost, nothing twice, one order (seed {seed})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
