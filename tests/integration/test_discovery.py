"""Daemons without a hosts file and without peers find their cluster by broadcasts on the loopback network."""

import unittest

from support.case import ClusterTest
from support.cluster import PORT, vsyncctl
from support.waiting import wait_until


def counters(daemon):
    return {name: int(value) for name, value in (daemon.try_status() or {}).get("counters", {}).items()}


class Discovery(ClusterTest):
    def setUp(self):
        self.cluster = self.new_cluster()
        self.name = f"test-{self.cluster.prefix}"  # broadcasts reach every daemon of this machine

    def add(self, node, name=None):
        return self.cluster.add(node, "--discover", "--cluster-name", name or self.name)

    def test_nodes_without_peers_and_ids_join(self):
        self.add(1).start("--bootstrap")
        self.cluster.wait_view([1])
        self.add(2).start()
        self.cluster.wait_view([1, 2])
        self.add(3).start()
        self.assertEqual(self.cluster.wait_view([1, 2, 3]), ["n1", "n2", "n3"])
        self.assertIn(f"cluster '{self.name}' answers on the local network: {self.cluster.address(1)}:{PORT}",
                      self.cluster[2].log())
        self.assertGreaterEqual(counters(self.cluster[1])["discovery_answered"], 1)

    def test_who_comes_first_asks_until_somebody_is_there(self):
        early = self.add(2).start()
        wait_until("it says that nobody answers", lambda: "answers on the local network (asks on)" in early.log())
        self.assertEqual(early.members(), [])  # no time-out makes it a founder
        self.add(1).start("--bootstrap")
        self.cluster.wait_view([1, 2])
        self.assertEqual(early.log().count("answers on the local network (asks on)"), 1)

    def test_two_clusters_on_one_network_stay_apart(self):
        other = self.name + "-other"
        self.add(1).start("--bootstrap")
        self.add(2, other).start("--bootstrap")
        wait_until("both are founded", lambda: self.cluster[1].members() and self.cluster[2].members())
        self.add(3).start()
        self.add(4, other).start()
        self.cluster.wait_view([1, 3])
        self.cluster.wait_view([2, 4])
        self.assertGreaterEqual(counters(self.cluster[2])["discovery_refused"], 1)
        self.assertIn("looks for another cluster", self.cluster[2].log())

    def test_namesakes_are_not_mixed_up(self):
        """Somebody founded a second cluster of that name: a node that belongs to the first one goes back to it."""
        self.add(1).start("--bootstrap")
        self.cluster.wait_view([1])
        self.add(2).start()
        self.cluster.wait_view([1, 2])
        self.assertEqual(self.cluster[2].leave(), 0)
        self.add(3).start("--bootstrap")
        wait_until("the second cluster is there", self.cluster[3].members)
        self.cluster[2].start()
        self.cluster.wait_view([1, 2])
        self.assertEqual(self.cluster[3].members(), ["n3"])

    def test_a_named_peer_is_preferred_by_command(self):
        """`join` names a cluster: the network is not asked any more."""
        self.add(1).start("--bootstrap")
        self.cluster.wait_view([1])
        lost = self.add(2, self.name + "-wrong").start()
        wait_until("it runs", lambda: (lost.try_status() or {}).get("state") == "joining")
        done = vsyncctl(lost, "join", f"{self.cluster.address(1)}:{PORT}")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.cluster.wait_view([1, 2])

    def test_members_without_it_do_not_answer_and_hosts_go_together_with_it(self):
        hosts = self.cluster.directory / "hosts"
        hosts.write_text(f"{self.cluster.address(1)}:{PORT}\n{self.cluster.address(2)}:{PORT}\n")
        self.cluster.add(1, "--hosts", str(hosts)).start()
        self.add(2).start("--hosts", str(hosts))
        self.cluster.wait_view([1, 2])
        self.add(3).start()
        self.cluster.wait_view([1, 2, 3])
        self.assertEqual(counters(self.cluster[1])["discovery_answered"], 0)
        self.assertEqual(self.cluster[3].try_status()["node"], 3)  # above the lines of the hosts file


if __name__ == "__main__":
    unittest.main()
