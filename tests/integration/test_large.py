"""Large messages: whole or not at all, in their place, beside small ones, through view changes, and within bounds."""

import contextlib
import hashlib
import json
import random
import threading
import unittest

from support.case import ClusterTest
from support.client import Disconnected, Refused
from support.cluster import Cluster
from support.frames import REPLY_ERROR, REPLY_SEND_BATCH, BinaryClient, messages_of, parse
from support.waiting import wait_until

MEGABYTE = 1 << 20
LIMIT = 64 * MEGABYTE
DELIVERED, NOT_DELIVERED = 0, 1


def large(seed, size):
    return random.Random(seed).randbytes(size)


def digest(message):
    return hashlib.sha256(message).hexdigest()


class Peer:
    """A binary client in a group, with a thread that reads: `messages` are digests of the large and the text of the small ones."""

    def __init__(self, daemon, group, name):
        self.client = BinaryClient(daemon.socket, timeout=120)
        self.client.join(group, name)
        self.group = group
        self.messages, self.outcomes, self.refused = [], {}, {}
        self.failure = None
        self.next = 1000
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def post(self, *messages):
        number, self.next = self.next, self.next + len(messages)
        self.client.post_batch(number, self.group, messages)
        return number

    def close(self):
        self.client.close()

    def _read(self):
        try:
            while True:
                reply = self.client.read()
                if REPLY_SEND_BATCH in reply:
                    self.outcomes[reply[1]] = parse(reply[REPLY_SEND_BATCH]).get(2, DELIVERED)
                if REPLY_ERROR in reply:
                    self.refused[reply.get(1, 0)] = parse(reply[REPLY_ERROR])[1].decode()
                for _, message in messages_of(reply):
                    self.messages.append(digest(message) if len(message) > 1000 else message.decode())
        except (OSError, ValueError) as error:
            self.failure = repr(error)


class Chatter:
    """Keeps some small messages of one client under way until it is stopped."""

    def __init__(self, peer, window=20):
        self.peer, self.window, self.sent = peer, window, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self):
        while not self._stop.is_set():
            if self.sent - len(self.peer.outcomes) < self.window:
                self.peer.post(f"small {self.sent}".encode())
                self.sent += 1
            else:
                self._stop.wait(0.001)

    def stop(self):
        self._stop.set()
        self._thread.join()
        wait_until("outcomes of the small messages", lambda: len(self.peer.outcomes) == self.sent or self.peer.failure)


def events(daemon, kind):
    """Events of that kind in the daemon's log, in order."""
    found = []
    for line in daemon.event_log.read_text().splitlines(keepends=True):
        if line.endswith("\n") and f'"event":"{kind}"' in line:
            found.append(json.loads(line))
    return found


def group_number(daemon, name):
    return next(e["group_view"]["group"] for e in events(daemon, "group_install") if e["group_view"]["name"] == name)


def fragments_of(daemon, group, kind="send"):
    """Runs of that group that the daemon sent or delivered."""
    number = group_number(daemon, group)
    return [e for e in events(daemon, kind) if e["kind"] == "data" and e["group"] == number]


class Large(ClusterTest):
    def peer(self, *arguments):
        peer = Peer(*arguments)
        self.addCleanup(peer.close)
        return peer

    def test_64_mib_beside_small_messages(self):
        with Cluster(3) as cluster:
            peers = [self.peer(cluster[n], "big", f"b{n}") for n in (1, 2, 3)]
            small = self.peer(cluster[1], "small", "s1")
            heard = self.peer(cluster[3], "small", "s3")
            views = [m.status()["view"] for m in (cluster.connect(1), cluster.connect(3))]
            chatter = Chatter(small)
            message = large(1, LIMIT)
            ticket = peers[0].post(message)
            peers[1].post(b"of n2")
            wait_until("the outcome of 64 MiB", lambda: ticket in peers[0].outcomes or peers[0].failure, timeout=120)
            chatter.stop()
            self.assertEqual(peers[0].outcomes[ticket], DELIVERED)
            for peer in peers:
                wait_until("both messages", lambda p=peer: len(p.messages) == 2 or p.failure, timeout=60)
                self.assertEqual(sorted(peer.messages), sorted([digest(message), "of n2"]))
            self.assertEqual(len({tuple(p.messages) for p in peers}), 1, "one order")
            wait_until("all small messages", lambda: len(heard.messages) == chatter.sent, timeout=60)
            self.assertEqual([cluster.connect(n).status()["view"] for n in (1, 3)], views, "nobody was suspected of being dead")
            # In the stream of n1, small messages of another client lie between the fragments of the large one.
            fragments = fragments_of(cluster[1], "big")
            between = [e for e in fragments_of(cluster[1], "small") if fragments[0]["first"] < e["first"] < fragments[-1]["first"]]
            self.assertGreater(len(fragments), 500)
            self.assertGreater(len(between), 0)
            cluster.check_event_logs()

    def test_a_kill_in_mid_transfer(self):
        with Cluster(3) as cluster:
            peers = {n: self.peer(cluster[n], "big", f"b{n}") for n in (1, 2, 3)}
            message = large(2, LIMIT)
            ticket = self.post_and_kill(peers[1], message, cluster, sender=1, victim=3)
            wait_until("the outcome", lambda: ticket in peers[1].outcomes or peers[1].failure, timeout=120)
            self.assertEqual(peers[1].outcomes[ticket], DELIVERED, "its sender lives: it starts anew in the next view")
            for n in (1, 2):
                wait_until("the message", lambda p=peers[n]: p.messages or p.failure, timeout=60)
                self.assertEqual(peers[n].messages, [digest(message)], "whole and once")
            self.assertGreater(len(fragments_of(cluster[1], "big")), LIMIT // (128 << 10), "some fragments were sent twice")
            cluster.restart(3)
            cluster.wait_view([1, 2, 3])
            peers[3] = self.peer(cluster[3], "big", "b3 again")

            self.post_and_kill(peers[1], large(3, LIMIT), cluster, sender=1, victim=1)
            cluster.wait_view([2, 3])
            last = large(4, 5 * MEGABYTE)
            ticket = peers[2].post(last)
            wait_until("the outcome of the last", lambda: ticket in peers[2].outcomes or peers[2].failure, timeout=60)
            for n in (2, 3):
                wait_until("the last", lambda p=peers[n]: digest(last) in p.messages or p.failure, timeout=60)
            since = peers[2].messages.index(digest(message)) + 1
            self.assertEqual(peers[2].messages[since:], peers[3].messages, "all or nobody delivered what the dead one had begun")
            cluster.check_event_logs()

    def post_and_kill(self, peer, message, cluster, sender, victim):
        """Kills the victim when a part of the message is under way; returns the number of the request."""
        before = len(fragments_of(cluster[sender], "big"))
        number = peer.next
        threading.Thread(target=peer.post, args=(message,), daemon=True).start()
        wait_until("a part of it is sent", lambda: len(fragments_of(cluster[sender], "big")) > before + 20, timeout=60, every=0.001)
        cluster[victim].kill()
        return number

    def test_what_is_too_large_is_refused_and_the_rest_goes_on(self):
        with Cluster(1, settings=["--max-message", "1MiB"]) as cluster:
            peer = self.peer(cluster[1], "big", "b1")
            text = cluster.connect(1)
            text.join("big")
            self.assertEqual(int(text.request("hello", {"client": "t"})["max_message"]), MEGABYTE)
            fits, above = peer.post(bytes(MEGABYTE)), peer.post(bytes(MEGABYTE + 1))
            wait_until("both answers", lambda: fits in peer.outcomes and above in peer.refused or peer.failure)
            self.assertEqual((peer.outcomes[fits], peer.refused[above]), (DELIVERED, "too_large"))
            with self.refused("too_large"):
                text.send("big", "x" * (MEGABYTE + 1))
            self.assertEqual(text.send("big", "x" * MEGABYTE)["outcome"], "delivered")
            # What cannot be read to its end is told, and then the connection ends.
            with contextlib.suppress(OSError):
                peer.post(bytes(2 * MEGABYTE))
            wait_until("the end of the connection", lambda: peer.failure)
            self.assertEqual(peer.refused[0], "too_large")
            with self.assertRaises((Refused, Disconnected)):
                text.send("big", "x" * (17 * MEGABYTE))
            wait_until("the answer to the line", lambda: text.closed)
            self.assertTrue(any(k == "closing" for _, k, _ in text.events))

    def test_many_at_once_in_bounded_memory(self):
        size, rounds = 4 * MEGABYTE, 8
        with Cluster(3, settings=["--max-message", "4MiB"]) as cluster:
            before = {n: cluster[n].resident_bytes() for n in (1, 2, 3)}
            peak = dict(before)
            receivers = [self.peer(cluster[n], "big", f"r{n}") for n in (1, 2, 3)]
            senders = [self.peer(cluster[n], f"own{n}{i}", f"s{n}{i}") for n in (1, 2, 3) for i in range(3)]
            for turn in range(rounds):
                for number, peer in enumerate(senders):
                    message = large(100 * number + turn, size)
                    threading.Thread(target=peer.client.post_batch, args=(100 + turn, "big", [message]), daemon=True).start()
                expected = (turn + 1) * len(senders)

                def arrived():
                    for n in peak:
                        peak[n] = max(peak[n], cluster[n].resident_bytes())
                    return all(len(r.messages) == expected or r.failure for r in receivers)

                wait_until(f"{expected} messages of 4 MiB at each", arrived, timeout=120)
            self.assertEqual([r.failure for r in receivers], [None] * 3)
            self.assertEqual(len({tuple(r.messages) for r in receivers}), 1, "one order")
            self.assertEqual(len(set(receivers[0].messages)), expected)
            for n in peak:
                self.assertLess(peak[n] - before[n], 144 * MEGABYTE, f"resident memory of n{n}")


if __name__ == "__main__":
    unittest.main()
