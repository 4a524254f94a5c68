"""Members that do not read: nobody else is harmed, memory is bounded, and what they chose when they joined happens."""

import signal
import subprocess
import threading
import unittest

from support.cluster import VSYNCCTL, Cluster, die_with_parent, vsyncctl
from support.frames import REPLY_EVENT, REPLY_JOIN, BinaryClient, field, messages_of, parse
from support.waiting import wait_until

MEGABYTE = 1 << 20
BLOCK, GAP = 1, 2
EVENT_BATCH, EVENT_GAP = 7, 30
SMALL = ["--max-message", "1MiB", "--client-limit", "4MiB"]  # what may wait for one client
SIZE = 10_000
COUNT = 3_000  # 30 MB: six times what may wait for one client


class Deaf:
    """A client that joins and does not read before it is told to."""

    def __init__(self, daemon, group, name, when_slow=0, **marks):
        self.client = BinaryClient(daemon.socket)
        self.group, self.name = group, name
        self.fields = field(30, when_slow) + field(31, marks.get("block_ms", 0))
        self.fields += field(32, marks.get("backlog_bytes", 0)) + field(33, marks.get("backlog_messages", 0))
        self.messages, self.gap = [], None
        self.position = 0  # of the last message
        self.join(1)

    def join(self, number):
        self.client.post(number, "join", field(1, self.group) + field(2, self.name) + self.fields)
        while True:
            reply = self.client.read()
            self.take(reply)
            if reply.get(1) == number:
                if REPLY_JOIN not in reply:
                    raise AssertionError(f"join refused: {reply}")
                return

    def take(self, reply):
        self.messages += [message.decode() for _, message in messages_of(reply)]
        event = parse(reply.get(REPLY_EVENT, b""))
        if EVENT_BATCH in event:
            batch = parse(event[EVENT_BATCH])
            self.position = batch[4] + batch[6] - 1
        if EVENT_GAP in event:
            self.gap = parse(event[EVENT_GAP])

    def read_until(self, condition):
        while not condition():
            self.take(self.client.read())


class Flood(threading.Thread):
    """Sends COUNT messages of one client, at most a window without outcome."""

    def __init__(self, client, group, count=COUNT, window=50):
        super().__init__(daemon=True)
        self.client, self.group, self.count, self.window = client, group, count, window
        self.numbers = []
        self.start()

    def run(self):
        for number in range(self.count):
            self.client.wait("window", lambda: len(self.numbers) - self.done() < self.window, timeout=120)
            self.numbers.append(self.client.post_text(self.group, f"{number:06} " + "x" * SIZE))

    def done(self):
        return sum(number in self.client.outcomes for number in self.numbers[-2 * self.window:]) + max(0, len(self.numbers) - 2 * self.window)


def contents(client, group):
    return [m.content[:6] for m in client.messages(group)]


EVERYTHING = [f"{number:06}" for number in range(COUNT)]


class Pressure(unittest.TestCase):
    def setting(self, cluster, when_slow, **marks):
        """A deaf client on n3; a sender on n1, and readers on n2 and n3; the memory before."""
        clients = {n: cluster.connect(n, f"c{n}") for n in (1, 2, 3)}
        deaf = Deaf(cluster[3], "flood", "deaf", when_slow, **marks)
        self.addCleanup(deaf.client.close)
        for client in clients.values():
            client.join("flood")
        return clients, deaf, {n: cluster[n].resident_bytes() for n in (1, 2, 3)}

    def check_memory(self, cluster, before):
        for n, bytes_before in before.items():
            self.assertLess(cluster[n].resident_bytes() - bytes_before, 64 * MEGABYTE, f"resident memory of n{n}")

    def test_gap(self):
        with Cluster(3, settings=SMALL) as cluster:
            clients, deaf, before = self.setting(cluster, GAP, backlog_bytes=MEGABYTE)
            watcher = cluster.watch(3)
            Flood(clients[1], "flood")
            for client in clients.values():
                client.wait_messages("flood", COUNT, timeout=120)
                self.assertEqual(contents(client, "flood"), EVERYTHING, "the others lost nothing")
            self.check_memory(cluster, before)
            _, view = clients[2].event("group_view", lambda v: any(d["reason"] == "slow" for d in v.get("left", [])))
            self.assertEqual([d["member"]["name"] for d in view["left"]], ["deaf"])
            watcher.event("client_slow", lambda e: e["action"] == "gap" and e["member"]["name"] == "deaf")
            # It reads: what it got has no hole, then it is told where the hole begins, and it may come again.
            deaf.read_until(lambda: deaf.gap)
            got = [m[:6] for m in deaf.messages]
            self.assertEqual(got, EVERYTHING[:len(got)])
            self.assertLess(len(got), COUNT)
            self.assertEqual(deaf.gap[5], deaf.position + 1, "the gap begins behind the last message")
            self.assertGreater(deaf.gap[6], 0)
            deaf.join(2)
            clients[1].send("flood", "again")
            deaf.read_until(lambda: "again" in deaf.messages)
            self.assertEqual(len(deaf.messages), len(got) + 1)
            cluster.check_event_logs()

    def test_disconnect_at_its_own_mark(self):
        with Cluster(3, settings=SMALL) as cluster:
            clients, deaf, before = self.setting(cluster, 0, backlog_messages=20)
            watcher = cluster.watch(3)
            Flood(clients[1], "flood", count=COUNT)
            clients[2].wait_messages("flood", COUNT, timeout=120)
            self.check_memory(cluster, before)
            with self.assertRaises(OSError):
                deaf.read_until(lambda: False)
            watcher.event("client_slow", lambda e: e["action"] == "disconnected" and e["member"]["name"] == "deaf")

    def test_block_holds_the_senders_until_it_reads(self):
        with Cluster(3, settings=SMALL) as cluster:
            clients, deaf, before = self.setting(cluster, BLOCK, backlog_bytes=MEGABYTE, block_ms=600_000)
            watcher = cluster.watch(2)
            flood = Flood(clients[1], "flood")
            watcher.event("group_held", lambda e: [h["member"]["name"] for h in e.get("by", [])] == ["deaf"], timeout=120)

            def held_on(n):
                groups = {g["group"]: g for g in cluster.connect(n).status()["groups"]}
                return groups["flood"].get("held_by")

            for n in (1, 2, 3):
                wait_until(f"n{n} holds", lambda n=n: held_on(n))
            shown = vsyncctl(cluster[1], "group", "flood").stdout
            self.assertIn("its senders wait for deaf@", shown)
            slow = cluster.connect(3).status()["slow_clients"]
            self.assertEqual([(s["member"]["name"], s["action"]) for s in slow], [("deaf", "held")])
            self.assertIn("slow     client deaf@", vsyncctl(cluster[3], "status").stdout)
            # Another group on the same daemons flows.
            other = cluster.connect(1, "other")
            other.join("other")
            for number in range(200):
                self.assertEqual(other.send("other", f"free {number}")["outcome"], "delivered")
            self.assertTrue(held_on(1), "and the first one is held all that time")
            self.assertLess(len(contents(clients[2], "flood")), COUNT)
            self.check_memory(cluster, before)
            # It reads, and nobody lost anything.
            deaf.read_until(lambda: len(deaf.messages) == COUNT)
            self.assertEqual([m[:6] for m in deaf.messages], EVERYTHING)
            for client in clients.values():
                client.wait_messages("flood", COUNT, timeout=120)
                self.assertEqual(contents(client, "flood"), EVERYTHING)
            flood.join(60)
            wait_until("nobody holds", lambda: not held_on(2))
            cluster.check_event_logs()

    def test_block_ends_with_its_time_with_the_member_or_with_its_daemon(self):
        with Cluster(3, settings=SMALL) as cluster:
            clients, deaf, _ = self.setting(cluster, BLOCK, backlog_bytes=MEGABYTE, block_ms=300)
            watcher = cluster.watch(1)
            held = lambda names: lambda e: [h["member"]["name"] for h in e.get("by", [])] == names
            seen = 0

            def next_event(names):
                nonlocal seen
                at = watcher.event("group_held", held(names), timeout=120, since=seen)[0]
                seen = next(i for i, (t, k, b) in enumerate(watcher.events) if i >= seen and t == at and k == "group_held" and held(names)(b)) + 1

            Flood(clients[1], "flood")
            next_event(["deaf"])
            next_event([])
            clients[2].wait_messages("flood", COUNT, timeout=120)
            with self.assertRaises(OSError):
                deaf.read_until(lambda: False)

            for end in ("client", "daemon"):
                deaf = Deaf(cluster[3], "flood", "deaf", BLOCK, backlog_bytes=MEGABYTE, block_ms=600_000)
                done = len(contents(clients[2], "flood"))
                Flood(clients[1], "flood")
                next_event(["deaf"])
                if end == "client":
                    deaf.client.close()
                else:
                    cluster[3].kill()
                next_event([])
                clients[2].wait_messages("flood", done + COUNT, timeout=120)
                self.assertEqual(contents(clients[2], "flood")[done:], EVERYTHING)
                deaf.client.close()
            cluster.check_event_logs()

    def test_a_stopped_process_comes_back_by_a_gap(self):
        with Cluster(3, settings=SMALL) as cluster:
            sender = cluster.connect(1)
            sender.join("flood")
            command = [str(VSYNCCTL), "--socket", str(cluster[3].socket), "--json", "listen", "flood", "--when-slow", "gap"]
            listener = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=die_with_parent)
            lines = []
            threading.Thread(target=lambda: lines.extend(listener.stdout), daemon=True).start()
            try:
                sender.group_view(lambda v: len(v.members) == 2)
                listener.send_signal(signal.SIGSTOP)
                Flood(sender, "flood")
                sender.group_view(lambda v: len(v.members) == 1 and v.number > 2, timeout=120)
                sender.wait_messages("flood", COUNT, timeout=120)
                listener.send_signal(signal.SIGCONT)
                sender.group_view(lambda v: len(v.members) == 2 and v.number > 3)
                sender.send("flood", "the end")
                wait_until("the listener has the end", lambda: any("the end" in line for line in list(lines)))
                self.assertEqual(sum('"gap"' in line for line in lines), 1)
            finally:
                listener.send_signal(signal.SIGCONT)
                listener.kill()
                listener.wait()

    def test_credit(self):
        with Cluster(1) as cluster:
            client = cluster.connect(1)
            client.join("g")
            hello = client.request("hello", {"client": "t", "credit": True})
            most = int(hello["max_unanswered"])
            _, first = client.event("credit")
            self.assertEqual((int(first["bytes"]), int(first["messages"])), (most, int(hello["max_unanswered_messages"])))
            client.send("g", "x" * (most // 4))
            client.event("credit", lambda e: int(e["bytes"]) < most)
            wait_until("all of it is there again", lambda: int([b for _, k, b in client.events if k == "credit"][-1]["bytes"]) == most)


if __name__ == "__main__":
    unittest.main()
