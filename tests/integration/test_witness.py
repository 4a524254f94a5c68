"""Two nodes and a witness: either node may be lost, and the witness, and what the witness refuses (B4)."""

import json
import shutil
import unittest

from support.case import ClusterTest
from support.cluster import PORT, vsyncctl
from support.waiting import wait_until


class Witness(ClusterTest):
    def setUp(self):
        self.cluster = self.new_cluster(2)
        self.start_witness(self.cluster.add(3))
        self.wait_witness([1, 2])

    def start_witness(self, daemon):
        peers = [f for node in (1, 2) for f in ("--peer", f"{self.cluster.address(node)}:{PORT}")]
        return daemon.start("--id", 3, "--witness", *peers)

    def wait_witness(self, nodes):
        """All nodes are in one view, and they and the witness say that it votes in it."""

        def agreed():
            statuses = [self.cluster[n].try_status() for n in [*nodes, 3]]
            return all(s and [w["name"] for w in s.get("witnesses", [])] == ["n3"] for s in statuses) and \
                statuses[-1]["state"] == "witness" and len({s["view"] for s in statuses}) == 1

        self.cluster.wait_view(nodes)
        wait_until(f"n3 is a witness of {nodes}", agreed)

    def test_either_node_is_lost(self):
        client = self.cluster.connect(2)
        client.join("g")
        self.cluster[1].kill()
        self.wait_witness([2])
        self.assertTrue(self.cluster[2].try_status()["is_leader"])
        self.assertEqual(client.send("g", "alone")["outcome"], "delivered")
        self.cluster.restart(1, through=3)
        self.wait_witness([1, 2])
        self.cluster[1].kill()
        self.wait_witness([2])
        self.cluster.check_event_logs()

    def test_the_witness_dies_and_comes_back_with_and_without_its_disk(self):
        for lost in (False, True):
            self.cluster[3].kill()
            wait_until("it has no vote", lambda: not self.cluster[1].try_status().get("witnesses"))
            self.cluster.wait_view([1, 2])
            if lost:
                shutil.rmtree(self.cluster[3].state_dir)
            self.start_witness(self.cluster[3])
            self.wait_witness([1, 2])
        self.cluster[1].kill()
        self.wait_witness([2])

    def test_one_of_three_votes_is_not_enough(self):
        self.cluster[3].pause()
        self.cluster[1].pause()
        wait_until("n2 has no quorum", lambda: not self.cluster[2].try_status().get("has_quorum"))
        self.cluster[3].resume()
        self.cluster.wait_view([2])
        self.cluster[1].resume()
        self.wait_witness([1, 2])

    def test_cold_start(self):
        for node in (1, 2, 3):
            self.cluster[node].kill()
        self.start_witness(self.cluster[3])
        for node in (1, 2):
            self.cluster.restart(node)
        self.wait_witness([1, 2])
        self.assertTrue(any("cold start" in self.cluster[node].log() for node in (1, 2)))

    def test_it_is_shown_and_leaves(self):
        members = vsyncctl(self.cluster[1], "members").stdout
        self.assertRegex(members, r"(?m)^witness +3\.1 +n3 .* alive$")
        status = json.loads(vsyncctl(self.cluster[3], "--json", "status").stdout)
        self.assertEqual((status["state"], status["leader_name"], len(status["members"])), ("witness", "n1", 2))
        self.assertEqual(self.cluster[3].leave(), 0)
        wait_until("it is gone", lambda: not self.cluster[1].try_status().get("witnesses"))

    def test_it_has_no_groups(self):
        client = self.cluster.connect(3)
        for request in (lambda: client.join("g"), lambda: client.send("g", "text"),
                        lambda: client.request("evict", {"member": "n1"})):
            with self.refused("witness"):
                request()
        client.request("watch")
        self.cluster[1].kill()
        client.event("view", lambda view: [m["name"] for m in view["members"]] == ["n2"])


if __name__ == "__main__":
    unittest.main()
