"""Daemons die, freeze and lose their quorum while clients send: nothing is lost, doubled or reordered."""

import signal
import time
import unittest

from support.case import ClusterTest
from support.history import judge
from support.load import Participant, settle
from support.waiting import wait_until

GROUP = "load"


class UnderLoad(ClusterTest):
    """Every node has a client that sends all the time; each test ends with the judgement of what they saw."""

    SIZE = 3

    def setUp(self):
        self.cluster = self.new_cluster(self.SIZE)
        self.everybody = range(1, self.SIZE + 1)
        self.participants = {n: self.participant(n) for n in self.everybody}
        self.together()
        self.flowing()

    def participant(self, node):
        participant = Participant(f"c{node}", self.cluster[node].socket, GROUP)
        self.addCleanup(participant.close)
        return participant

    def together(self, nodes=None):
        """These nodes are one view, and their clients one view of the group."""
        nodes = list(nodes or self.everybody)
        self.cluster.wait_view(nodes)
        wait_until("one view of the group", lambda: all(
            self.participants[n].view() and len(self.participants[n].view().members) == len(nodes) for n in nodes))

    def flowing(self, nodes=None):
        """Messages arrive at all these clients."""
        for participant in [self.participants[n] for n in nodes or self.everybody]:
            participant.client.wait_messages(GROUP, len(participant.client.messages(GROUP)) + 100)

    def assert_held(self):
        everybody = list(self.participants.values())
        settle(everybody)
        lives = [life for p in everybody for life in p.lives()]
        self.assertEqual(judge(lives, {p.name: p.sent() for p in everybody}), [])
        self.cluster.check_event_logs()

    def others(self, node):
        return [n for n in self.everybody if n != node]

    def kill_and_return(self, node):
        moment = time.monotonic()
        self.cluster[node].kill()
        for other in self.others(node):
            wait_until(f"next view at c{other}", lambda o=other: self.participants[o].first_delivery_after(moment))
        self.together(self.others(node))
        self.flowing(self.others(node))
        self.cluster.restart(node)
        self.together()
        self.flowing()
        self.assert_held()

    def test_leader_killed(self):
        self.kill_and_return(1)

    def test_member_killed(self):
        self.kill_and_return(3)

    def test_killed_and_restarted_before_anybody_can_tell(self):
        self.cluster[2].kill()
        self.cluster.restart(2)
        self.together()
        self.flowing()
        self.assert_held()

    def test_paused_until_evicted_then_resumed(self):
        self.cluster[1].pause()
        self.together(self.others(1))
        self.flowing(self.others(1))
        self.cluster[1].resume()
        self.participants[1].client.event("excluded")
        self.together()
        self.flowing()
        self.assert_held()

    def test_leader_leaves(self):
        self.assertEqual(self.cluster[1].leave(), 0)
        self.together(self.others(1))
        self.flowing(self.others(1))
        self.cluster.restart(1)
        self.together()
        self.assert_held()

    def test_evicted_member_comes_back(self):
        self.cluster.connect(1).request("evict", {"member": "n2", "why": "test"})
        self.participants[2].client.event("excluded")
        self.together()
        self.flowing()
        self.assert_held()

    def test_client_dies(self):
        self.participants[2].close()
        survivor = self.participants[1]
        wait_until("the group without c2", lambda: "c2" not in survivor.view().names())
        left = survivor.view().left
        self.assertEqual([(m.name, reason) for m, reason in left], [("c2", "crashed")])
        self.participants[2] = self.participant(2)
        self.together()

    def test_quorum_lost_while_others_pause(self):
        watcher = self.cluster.watch(3)
        rest = [n for n in self.everybody if n != 3]
        for node in rest:
            self.cluster[node].pause()
        watcher.event("quorum", lambda q: not q.get("has"))
        self.assertFalse(self.cluster[3].try_status().get("has_quorum"))
        for node in rest:
            self.cluster[node].resume()
        self.together()
        self.flowing()
        self.assert_held()

    def test_quorum_lost_when_others_die(self):
        rest = [n for n in self.everybody if n != 3]
        for node in rest:
            self.cluster[node].signal(signal.SIGKILL)
        for node in rest:
            self.cluster[node].exit_status()
        wait_until("n3 has no quorum", lambda: not self.cluster[3].try_status().get("has_quorum"))
        for node in rest:
            self.cluster.restart(node)
        self.together()
        self.flowing()
        self.assert_held()


class FiveNodes(UnderLoad):
    """The same with five, and two failures at once."""

    SIZE = 5

    def test_leader_and_second_killed_together(self):
        for node in (1, 2):
            self.cluster[node].signal(signal.SIGKILL)
        for node in (1, 2):
            self.cluster[node].exit_status()
        self.together([3, 4, 5])
        self.flowing([3, 4, 5])
        for node in (1, 2):
            self.cluster.restart(node)
        self.together()
        self.assert_held()


if __name__ == "__main__":
    unittest.main()
