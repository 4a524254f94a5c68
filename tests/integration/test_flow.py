"""Volume: many messages in one order, bounded memory, and receivers that do not receive."""

import hashlib
import threading
import unittest

from support.case import ClusterTest
from support.cluster import Cluster
from support.frames import REPLY_ERROR, REPLY_SEND_BATCH, BinaryClient, messages_of, parse
from support.waiting import wait_until

MEGABYTE = 1 << 20


class Receiver(threading.Thread):
    """Counts what one client receives and keeps a running hash of the order."""

    def __init__(self, client, expected):
        super().__init__(daemon=True)
        self.client, self.expected = client, expected
        self.count, self.outcomes, self.last = 0, 0, {}
        self.digest = hashlib.sha256()
        self.failure = None

    def run(self):
        try:
            while self.count < self.expected:
                self.take(self.client.read())
        except (OSError, ValueError) as error:
            self.failure = repr(error)

    def take(self, reply):
        if REPLY_ERROR in reply:
            raise ValueError(f"refused: {parse(reply[REPLY_ERROR])}")
        for node, message in messages_of(reply):
            number = int(message[:12])
            if number != self.last.get(node, -1) + 1:
                raise ValueError(f"message {number} of n{node} after {self.last.get(node)}")
            self.last[node] = number
            self.digest.update(b"%d:" % node + message)
            self.count += 1
        if REPLY_SEND_BATCH in reply:
            self.outcomes += parse(reply[REPLY_SEND_BATCH]).get(1, 0)


class Volume(unittest.TestCase):
    COUNT = 100_000  # messages of each sender
    BATCH = 200

    def test_three_senders_at_once_in_one_order_with_bounded_memory(self):
        with Cluster(3) as cluster:
            before = {n: cluster[n].resident_bytes() for n in (1, 2, 3)}
            clients = [BinaryClient(cluster[n].socket) for n in (1, 2, 3)]
            for node, client in enumerate(clients, 1):
                client.join("volume", f"c{node}")
            receivers = [Receiver(client, 3 * self.COUNT) for client in clients]
            senders = [threading.Thread(target=self.send, args=(client,), daemon=True) for client in clients]
            for thread in receivers + senders:
                thread.start()
            peak = dict(before)

            def arrived():
                for node in peak:
                    peak[node] = max(peak[node], cluster[node].resident_bytes())
                return all(r.count == r.expected or r.failure for r in receivers)

            wait_until("300,000 messages at every client", arrived, timeout=300, every=0.05)
            self.assertEqual([r.failure for r in receivers], [None] * 3)
            self.assertEqual(len({r.digest.hexdigest() for r in receivers}), 1, "the same messages in the same order everywhere")
            for node in peak:
                self.assertLess(peak[node] - before[node], 96 * MEGABYTE, f"resident memory of n{node}")
            for thread in receivers + senders:
                thread.join(30)
            for client in clients:
                client.close()

    def send(self, client):
        padding = b"x" * 88
        for first in range(0, self.COUNT, self.BATCH):
            client.post_batch(2 + first, "volume", [b"%012d" % i + padding for i in range(first, first + self.BATCH)])


class SlowReceiver(ClusterTest):
    def test_a_client_that_stops_reading_does_not_stop_the_others(self):
        with Cluster(3, settings=["--max-message", "4MiB"]) as cluster:
            deaf = BinaryClient(cluster[3].socket)
            deaf.join("flood", "deaf")  # and never reads again
            sender, receiver = cluster.connect(1), cluster.connect(2)
            for client in (sender, receiver):
                client.join("flood")
            text = "x" * 10_000
            count = 10_000  # 100 MB: more than the 68 MiB that may wait for one client
            window = 100
            for number in range(count):
                sender.wait("window", lambda: sender.pending() < window, timeout=60)
                sender.post_text("flood", text + str(number))
            receiver.wait_messages("flood", count, timeout=120)
            self.assertLess(cluster[3].resident_bytes(), 160 * MEGABYTE, "what the deaf client does not read is bounded")
            wait_until("the deaf client is out of the group", lambda: "deaf" not in receiver.lives[-1].view.names())
            with self.assertRaises(OSError):
                while True:
                    deaf.read()
            deaf.close()

    def test_a_client_that_posts_faster_than_the_cluster_is_paused_and_loses_nothing(self):
        with Cluster(3) as cluster:
            fast = cluster.connect(1)
            fast.join("fast")
            text = "x" * 1_000
            for _ in range(30_000):
                fast.post_text("fast", text)
            self.assertLess(cluster[1].resident_bytes(), 160 * MEGABYTE)
            fast.wait_messages("fast", 30_000, timeout=120)
            fast.wait("outcomes", lambda: fast.pending() == 0)
            self.assertEqual(set(fast.outcomes.values()), {"delivered"})

    def test_a_message_above_the_limit_is_refused(self):
        with Cluster(1) as cluster:
            client = cluster.connect(1)
            client.join("big")
            limit = int(client.request("hello", {"client": "test"})["max_message"])
            with self.refused("too_large"):
                client.send("big", "x" * (limit + 1))
            self.assertEqual(client.send("big", "x" * 1000)["outcome"], "delivered")


class BusyPoll(unittest.TestCase):
    LOOKS = 20  # one after the other, 5 ms apart, at which the daemon was awake

    def test_after_a_message_the_daemons_stay_awake_and_then_sleep_again(self):
        with Cluster(2, settings=("--busy-poll", "1s")) as cluster:
            client = cluster.connect(1)
            client.join("awake")
            for node in (1, 2):
                wait_until(f"n{node} stays awake", self.stays_awake(cluster[node], client), every=0.005)
            for node in (1, 2):
                wait_until(f"n{node} sleeps", cluster[node].sleeps)

    def stays_awake(self, daemon, client):
        """Wakes it by a message whenever it sleeps: one that is not busy polling sleeps again by the next look."""
        awake = 0

        def looked():
            nonlocal awake
            awake = 0 if daemon.sleeps() else awake + 1
            if awake == 0:
                self.assertEqual(client.send("awake", "wake up")["outcome"], "delivered")
            return awake == self.LOOKS

        return looked


if __name__ == "__main__":
    unittest.main()
