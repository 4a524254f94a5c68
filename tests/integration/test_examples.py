"""The example applications of docs/GUIDE.md, while daemons are killed under them."""

import os
import signal
import subprocess
import threading
import unittest

from support.case import ClusterTest
from support.cluster import BUILD, vsyncctl
from support.waiting import DEADLINE, wait_until

KV_STORE = BUILD / "lib/client/kv_store"


class Store:
    """A kv_store process beside one daemon."""

    def __init__(self, daemon, disks=0):
        self.name = f"kv{daemon.node}"
        self.process = subprocess.Popen([KV_STORE, self.name, str(disks)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                                        env={**os.environ, "VSYNCD_SOCKET": str(daemon.socket)})
        self.lines = []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def tell(self, command):
        self.process.stdin.write(command + "\n")

    def ask(self, command, start):
        """The answer to a question."""
        since = len(self.lines)
        self.tell(command)
        return wait_until(f"{self.name}: {command}", lambda: next((a for a in self.lines[since:] if a.startswith(start)), None))

    def values(self, keys):
        """{key: value} as this store has them; asked for in one go, because each answer by itself would be waited for."""
        since = len(self.lines)
        for key in keys:
            self.tell(f"get {key}")
        wait_until(f"{self.name}: {len(keys)} values", lambda: len(self.lines) - since >= len(keys))
        return dict(line.split("=", 1) for line in self.lines[since:])

    def outcomes(self):
        """{key: outcome} of the writes answered so far."""
        return {key: outcome for word, key, outcome in (a.split() for a in self.lines if a.startswith("set "))}

    def close(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        self.process.wait(DEADLINE)
        self.reader.join(DEADLINE)
        self.process.stdout.close()


class Examples(ClusterTest):
    def setting(self, disks=0, **cluster):
        """Three daemons with a store beside each."""
        self.cluster = self.new_cluster(3, **cluster)
        return self.stores(disks)

    def stores(self, disks):
        stores = {node: Store(self.cluster[node], disks) for node in (1, 2, 3)}
        for store in stores.values():
            self.addCleanup(store.close)
        for store in stores.values():
            wait_until(f"{store.name} is ready", lambda s=store: "ready" in s.lines)
        return stores

    def sum_of_all(self, stores, last):
        """What all stores answer to "sum", once store `last` has written "late" and each of them shows it.

        That a write was delivered says that its place in the order is fixed, not that the other stores have read it from their
        sockets. But it is before "late" in the order: who shows that one has applied all whose outcome was known.
        """
        stores[last].tell("set late 1")
        for store in stores.values():
            wait_until("the last write", lambda s=store: s.ask("get late", "late=") == "late=1")
        sums = {store.ask("sum", "sum ") for store in stores.values()}
        self.assertEqual(len(sums), 1, sums)
        return sums.pop()

    def test_kv_store_that_was_stopped_gets_the_contents_anew(self):
        stores = self.setting(settings=["--max-message", "1MiB", "--client-limit", "4MiB"])  # a mark of 1 MiB
        stores[3].tell("set early 1")
        wait_until("the first write", lambda: stores[3].outcomes())
        watcher = self.cluster.watch(3)
        stores[3].process.send_signal(signal.SIGSTOP)
        for number in range(400):
            stores[1].tell(f"set {number} {number}" + "x" * 10_000)
            if number % 40 == 39:  # the others keep up: whom nobody waits for would be dropped as well
                for node in (1, 2):
                    wait_until("what was written", lambda s=stores[node], n=number: s.ask(f"get {n}", f"{n}=") != f"{n}=")
        watcher.event("client_slow", lambda e: e["action"] == "gap" and e["member"]["name"] == "kv3")
        wait_until("the others write on", lambda: list(stores[1].outcomes().values()).count("delivered") == 400)
        stores[3].process.send_signal(signal.SIGCONT)
        wait_until("the gap", lambda: any(line.startswith("gap: ") for line in stores[3].lines))
        at = next(i for i, line in enumerate(stores[3].lines) if line.startswith("gap: "))
        wait_until("the state", lambda: "ready" in stores[3].lines[at:])
        self.assertRegex(self.sum_of_all(stores, last=3), "^sum 402 ")
        self.assertEqual(stores[3].ask("get 399", "399="), "399=399" + "x" * 10_000)
        self.cluster.check_event_logs()

    def test_durable_kv_store_survives_the_crash_of_all(self):
        stores = self.setting(disks=3)
        written = {}

        def write(count):
            for node, store in stores.items():
                for number in range(len(written), len(written) + count):
                    written[f"{node}-{number}"] = "x" * (number % 50)
                    store.tell(f"set {node}-{number} x{'x' * (number % 50)}")
            wait_until("all is durable", lambda: sum(len(s.outcomes()) for s in stores.values()) == len(written))
            self.assertEqual({o for s in stores.values() for o in s.outcomes().values()}, {"durable"})

        write(600)  # checkpoints are made meanwhile
        for store in stores.values():
            store.process.kill()
        for node in stores:
            self.cluster[node].kill()
        for node in stores:
            self.cluster.restart(node)
        self.cluster.wait_view(stores)
        again = self.stores(disks=3)
        sums = {store.ask("sum", "sum ") for store in again.values()}
        self.assertEqual(len(sums), 1, sums)
        self.assertRegex(sums.pop(), f"^sum {len(written)} ")
        self.assertTrue(list(self.cluster[1].state_dir.glob("groups/kv.*.db")))
        listed = vsyncctl(self.cluster[1], "checkpoint", "list").stdout
        self.assertRegex(listed, rf"kv  messages up to {len(written)}, checkpoint message \d+\n")

    def test_kv_store_loses_nothing_when_daemons_are_killed(self):
        stores = self.setting()
        told = {node: [] for node in stores}

        def write(count):
            for _ in range(count):
                for node, store in stores.items():
                    key = f"{store.name}-{len(told[node])}"
                    told[node].append(key)
                    store.tell(f"set {key} v{key}")

        def answered():
            return all(len(store.outcomes()) == len(told[node]) for node, store in stores.items())

        for victim in (3, 1, 2):  # the leader among them
            write(200)
            self.cluster[victim].kill()
            write(200)
            others = [n for n in stores if n != victim]
            self.cluster.wait_view(others)
            self.cluster.restart(victim)
            self.cluster.wait_view([*others, victim])
            wait_until("outcomes of all writes", answered)
        outcomes = {key: outcome for store in stores.values() for key, outcome in store.outcomes().items()}
        self.sum_of_all(stores, last=1)
        counted = {"delivered": 0, "not_delivered": 0, "unknown": 0}
        values = stores[1].values(outcomes)
        for key, outcome in outcomes.items():
            counted[outcome] += 1
            self.assertEqual(values[key], f"v{key}" if outcome == "delivered" else "", outcome)
        self.assertEqual(counted["unknown"], 0, counted)  # also of those whose daemon was killed under them
        self.assertGreater(counted["delivered"], 1200, counted)


if __name__ == "__main__":
    unittest.main(verbosity=2)
