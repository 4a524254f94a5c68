"""State transfer: a joiner gets the group's state at its place in the order, whoever dies meanwhile (T1, T2)."""

import base64
import subprocess
import unittest

from support.case import ClusterTest
from support.cluster import BUILD
from support.waiting import wait_until

STATE_LOAD = BUILD / "tests/support/vsync_state_load"


class Replica:
    """A member that joins with state. Its state is the list of all messages of the group, in order."""

    def __init__(self, cluster, node, name, group, **wish):
        self.client, self.group = cluster.connect(node, name), group
        self.view = self.client.join(group, state=True, **wish)

    def pieces(self):
        return [body for _, kind, body in self.client.events if kind == "state"]

    def arrived(self):
        """Waits for the whole state; returns (cold, the texts that it begins with)."""
        self.client.wait("state", lambda: any(p.get("last") for p in self.pieces()))
        pieces = self.pieces()
        start = max(i for i, p in enumerate(pieces) if not int(p.get("offset", 0)))
        text = b"".join(base64.b64decode(p.get("payload", "")) for p in pieces[start:]).decode()
        return bool(pieces[start].get("cold")), text.split("\n")[:-1]

    def texts(self):
        """The state as the application would have it now."""
        return self.arrived()[1] + [m.content for m in self.client.messages(self.group)]

    def asked(self, number=1):
        """The number-th request for the state."""
        return self.client.wait("state_request", lambda: ([b for _, k, b in self.client.events if k == "state_request"]
                                                          + [None] * number)[number - 1])

    def give(self, asked, state, piece=None):
        self.client.give_state(asked, "".join(text + "\n" for text in state).encode(), piece)


class State(ClusterTest):
    NODES = 3

    def setUp(self):
        self.group = self.fresh_group()

    def replica(self, node, name, **wish):
        return Replica(self.cluster, node, name, self.group, **wish)

    def test_the_first_one_is_told_that_nobody_has_the_state(self):
        first = self.replica(1, "first")
        self.assertEqual(first.arrived(), (True, []))

    def test_state_is_of_the_joiners_place_in_the_order(self):
        for service in ("total", "fifo"):
            with self.subTest(service):
                self.group += service
                first = self.replica(1, "first")
                for i in range(20):
                    first.client.send(self.group, f"before {i}", service)
                second = self.replica(2, "second")
                asked = first.asked()
                snapshot = first.texts()  # the request comes behind exactly these
                for i in range(20):
                    first.client.send(self.group, f"meanwhile {i}", service)
                self.assertEqual(second.client.messages(self.group), [])
                first.give(asked, snapshot, piece=7)
                second.client.wait_messages(self.group, 20)
                self.assertEqual(snapshot, [f"before {i}" for i in range(20)])
                self.assertEqual(second.arrived(), (False, snapshot))
                self.assertEqual(second.texts(), first.texts())

    def test_those_without_state_are_named_in_the_view_and_never_asked(self):
        plain = self.cluster.connect(3, "plain")
        plain.join(self.group)
        first = self.replica(1, "first")
        self.assertEqual(first.arrived(), (True, []))
        second = self.replica(2, "second")
        _, view = plain.event("group_view", lambda v: v.get("without_state"))
        self.assertEqual([m["name"] for m in view["without_state"]], ["second"])
        first.give(first.asked(), [])
        self.assertEqual(second.arrived(), (False, []))
        plain.send(self.group, "to all")
        self.assertEqual(second.client.wait_messages(self.group, 1)[0].content, "to all")
        self.assertFalse([k for _, k, _ in plain.events if k.startswith("state")])

    def test_another_member_takes_over_when_the_donor_dies(self):
        first, second = self.replica(1, "first"), self.replica(2, "second")
        first.client.send(self.group, "one")
        first.give(first.asked(), [])
        second.client.wait_messages(self.group, 1)
        third = self.replica(3, "third")
        asked = first.asked(2)
        first.client.give_piece(asked, b"of a transfer that")
        third.client.wait("first piece", third.pieces)
        first.client.close()
        taken_over = second.asked()
        self.assertGreater(int(taken_over["token"]), int(asked["token"]))
        snapshot = second.texts()  # of this place: what follows is not in the state
        second.client.send(self.group, "two")
        second.give(taken_over, snapshot)
        third.client.wait_messages(self.group, 1)
        self.assertEqual(third.pieces()[-1]["token"], taken_over["token"])
        self.assertEqual(third.arrived(), (False, ["one"]))
        self.assertEqual(third.texts(), ["one", "two"])

    def test_another_member_is_asked_when_one_refuses(self):
        first, second = self.replica(1, "first"), self.replica(2, "second")
        first.give(first.asked(), [])
        second.arrived()
        third = self.replica(3, "third")
        first.client.give_piece(first.asked(2), b"", refuse=True)
        second.give(second.asked(), ["from the second"])
        self.assertEqual(third.arrived(), (False, ["from the second"]))

    def test_a_joiner_is_told_when_all_refuse(self):
        first, second = self.replica(1, "first"), self.replica(2, "second")
        first.client.give_piece(first.asked(), b"", refuse=True)
        _, why = second.client.event("excluded")
        self.assertEqual(why["group"], self.group)
        first.client.group_view(lambda v: v.group == self.group and [m.name for m, _ in v.left] == ["second"])
        again = self.replica(2, "again")
        first.give(first.asked(2), ["changed its mind"])
        self.assertEqual(again.arrived(), (False, ["changed its mind"]))

    def test_the_donor_learns_that_the_joiner_is_gone(self):
        first, second = self.replica(1, "first"), self.replica(2, "second")
        asked = first.asked()
        first.client.give_piece(asked, b"some")
        second.client.close()
        first.client.group_view(lambda v: v.group == self.group and [m.name for m, _ in v.left] == ["second"])
        with self.refused("no_transfer"):
            first.client.give_piece(asked, b"more")

    def test_many_join_at_once_and_share_transfers(self):
        first = self.replica(1, "first")
        first.client.send(self.group, "one")
        joining = [self.cluster.connect(1 + i % 3, f"joiner{i}") for i in range(6)]
        for client in joining:
            client.post("join", {"group": self.group, "member_name": client.name, "state": True})

        def all_have_it():
            requests = [b for _, k, b in first.client.events if k == "state_request"]
            for asked in requests[len(given):]:
                given.append(asked)
                first.give(asked, ["one"])
            return all(any(k == "state" and b.get("last") for _, k, b in c.events) for c in joining)

        given = []
        wait_until("state of all joiners", all_have_it)
        self.assertLessEqual(len(given), 3)  # those who come while one is under way share the next
        first.client.send(self.group, "two")
        for client in joining:
            self.assertEqual([m.content for m in client.wait_messages(self.group, 1)], ["two"])

    def test_the_newest_checkpoint_wins_when_nobody_has_the_state(self):
        old = self.replica(1, "old", offer=5, replicas=3)
        newest = self.replica(2, "newest", offer=9, replicas=3)
        self.assertEqual(old.pieces() + newest.pieces(), [])
        last = self.replica(3, "last", offer=7, replicas=3)
        self.assertEqual(newest.arrived(), (True, []))
        newest.give(newest.asked(), ["of checkpoint 9"])
        for replica in (old, last):
            self.assertEqual(replica.arrived(), (False, ["of checkpoint 9"]))

    def test_pieces_are_bounded(self):
        first, _ = self.replica(1, "first"), self.replica(2, "second")
        asked = first.asked()
        cases = [("too_large", b"x" * (int(asked["piece_size"]) + 1)), ("bad_request", b"")]
        for code, data in cases:
            with self.subTest(code), self.refused(code):
                first.client.give_piece(asked, data)

    def test_a_gibibyte_takes_little_memory(self):
        size = 1 << 30
        command = [STATE_LOAD, "--socket"]
        donor = subprocess.Popen([*command, self.cluster[1].socket, "give", self.group, str(size)], stdout=subprocess.PIPE, text=True)
        self.addCleanup(donor.kill)
        self.assertEqual(donor.stdout.readline(), "ready\n")
        before = {node: self.cluster[node].resident_bytes() for node in (1, 2, 3)}
        members = self.cluster[1].members()
        taken = subprocess.run([*command, self.cluster[2].socket, "take", self.group], capture_output=True, text=True, timeout=300)
        self.assertEqual(taken.stdout, f"{size} bytes, all as they should be\n", taken.stderr)
        grown = {node: self.cluster[node].resident_bytes() - before[node] for node in before}
        self.assertLess(max(grown.values()), 64 << 20)
        self.assertEqual(self.cluster[1].members(), members)  # nobody was taken for dead meanwhile
        donor.terminate()
        donor.wait()
        donor.stdout.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
