"""Founding, joining, leaving, evicting, restarting: who is a member, as the daemons and vsyncctl tell."""

import json
import shutil
import signal
import unittest

from support.case import ClusterTest
from support.cluster import PORT, Cluster, vsyncctl
from support.waiting import wait_until


class Founding(unittest.TestCase):
    def test_bootstrap_makes_a_cluster_of_one(self):
        with Cluster(1) as cluster:
            status = cluster[1].try_status()
            self.assertEqual((status["state"], status["is_leader"], status["has_quorum"]), ("member", True, True))
            self.assertEqual(int(status["view"]), 1)

    def test_hosts_file_gives_ids_and_the_first_line_founds(self):
        with Cluster() as cluster:
            hosts = cluster.directory / "hosts"
            hosts.write_text("# our cluster\n\n" + "".join(f"{cluster.address(n)}\n" for n in (1, 2, 3)))
            for node in (3, 2, 1):
                cluster.add(node, "--hosts", hosts).start()
            cluster.wait_view([1, 2, 3])
            for node in (1, 2, 3):
                self.assertEqual(cluster[node].try_status()["node"], node)

    def test_first_line_of_the_hosts_file_joins_a_running_cluster_instead_of_founding_a_second(self):
        with Cluster() as cluster:
            hosts = cluster.directory / "hosts"
            hosts.write_text("".join(f"{cluster.address(n)}\n" for n in (1, 2, 3)))
            for node in (1, 2, 3):
                cluster.add(node, "--hosts", hosts).start()
            cluster.wait_view([1, 2, 3])
            cluster[1].kill()
            cluster.wait_view([2, 3])
            shutil.rmtree(cluster[1].state_dir)
            cluster[1].start()
            order = cluster.wait_view([1, 2, 3])
            self.assertEqual(order[-1], "n1", "who lost its disk is the most junior member, not the leader of another cluster")

    def test_nobody_founds_a_cluster_without_being_told(self):
        with Cluster() as cluster:
            daemon = cluster.add(1).start("--peer", f"{cluster.address(2)}:{PORT}")
            wait_until("the daemon answers", daemon.try_status)
            status = daemon.try_status()
            self.assertNotEqual(status["state"], "member")
            self.assertEqual(int(status.get("view", 0)), 0)


class Joining(unittest.TestCase):
    def test_through_any_member(self):
        with Cluster(3) as cluster:
            cluster.add(4).start("--id", 4, "--peer", f"{cluster.address(3)}:{PORT}")
            order = cluster.wait_view([1, 2, 3, 4])
            self.assertEqual(order[-1], "n4")

    def test_a_name_belongs_to_one_member(self):
        with Cluster(2) as cluster:
            twin = cluster.add(3, "--name", "n2").start("--id", 3, "--peer", f"{cluster.address(1)}:{PORT}")
            wait_until("it is told why", lambda: "another member has this name" in twin.log())
            self.assertEqual(cluster[1].members(), ["n1", "n2"])
            cluster[2].leave()
            wait_until("the name is free", lambda: "installs view" in twin.log())
            self.assertEqual([m["node"] for m in cluster[1].try_status()["members"]], [1, 3])

    def test_a_node_without_id_gets_one(self):
        with Cluster(2) as cluster:
            daemon = cluster.add(7).start("--peer", f"{cluster.address(1)}:{PORT}")
            cluster.wait_view([1, 2, 7])
            self.assertNotIn(daemon.try_status()["node"], (0, 1, 2))

    def test_by_vsyncctl(self):
        with Cluster(1) as cluster:
            daemon = cluster.add(2).start("--id", 2)
            wait_until("the daemon answers", daemon.try_status)
            done = vsyncctl(daemon, "join", f"{cluster.address(1)}:{PORT}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertEqual(set(daemon.members()), {"n1", "n2"}, "join returns when the view is installed")

    def test_many_at_once(self):
        with Cluster(7) as cluster:
            views = int(cluster[1].try_status()["view"])
            self.assertLessEqual(views, 7, "joins are batched")


class Leaving(unittest.TestCase):
    def test_a_member(self):
        with Cluster(3) as cluster:
            watcher = cluster.watch(1)
            self.assertEqual(cluster[3].leave(), 0)
            cluster.wait_view([1, 2])
            _, view = watcher.event("view", lambda v: len(v.get("members", [])) == 2)
            self.assertEqual([d["reason"] for d in view["left"]], ["left"])

    def test_the_leader(self):
        with Cluster(3) as cluster:
            order = cluster[1].members()
            self.assertEqual(cluster[1].leave(), 0)
            self.assertEqual(cluster.wait_view([2, 3]), order[1:], "rank 1 leads")

    def test_by_vsyncctl(self):
        with Cluster(3) as cluster:
            done = vsyncctl(cluster[2], "leave")
            self.assertEqual(done.returncode, 0, done.stderr)
            cluster.wait_view([1, 3])

    def test_one_after_another_and_back(self):
        with Cluster(3) as cluster:
            self.assertEqual(cluster[1].leave(), 0)
            cluster.wait_view([2, 3])
            self.assertEqual(cluster[2].leave(), 0)
            cluster.wait_view([3])
            cluster.restart(1, through=3)
            cluster.restart(2, through=3)
            cluster.wait_view([1, 2, 3])


class Evicting(ClusterTest):
    def test_by_name(self):
        with Cluster(3) as cluster:
            watcher = cluster.watch(1)
            done = vsyncctl(cluster[1], "evict", "n3")
            self.assertEqual(done.returncode, 0, done.stderr)
            _, view = watcher.event("view", lambda v: any(d["name"] == "n3" for d in v.get("left", [])))
            self.assertEqual([d["reason"] for d in view["left"]], ["evicted"])

    def test_an_unknown_member_is_refused(self):
        with Cluster(1) as cluster:
            with self.refused("no_such_member"):
                cluster.connect(1).request("evict", {"member": "nobody", "why": "test"})


class Restarting(unittest.TestCase):
    def incarnation(self, daemon):
        return int(daemon.try_status()["incarnation"])

    def test_with_its_disk_as_a_new_incarnation(self):
        with Cluster(3) as cluster:
            before = self.incarnation(cluster[2])
            cluster[2].kill()
            cluster.restart(2)
            self.assertEqual(cluster.wait_view([1, 2, 3])[-1], "n2", "back as the most junior member")
            self.assertGreater(self.incarnation(cluster[2]), before)

    def test_without_its_disk(self):
        with Cluster(3) as cluster:
            cluster[3].kill()
            shutil.rmtree(cluster[3].state_dir)
            cluster.restart(3)
            cluster.wait_view([1, 2, 3])

    def test_everybody_killed_then_cold_start(self):
        with Cluster(3) as cluster:
            uuid = cluster[1].try_status()["cluster"]
            last = int(cluster[1].try_status()["view"])
            for node in (1, 2, 3):
                cluster[node].kill()
            for node in (1, 2, 3):
                cluster.restart(node)
            cluster.wait_view([1, 2, 3])
            status = cluster[1].try_status()
            self.assertEqual(status["cluster"], uuid, "the same cluster goes on")
            self.assertGreater(int(status["view"]), last)
            # One whose disk is slow may miss the cold view and join the next, which is not cold any more: ask the logs.
            self.assertTrue(any("cold start" in cluster[node].log() for node in (1, 2, 3)), "and says that nobody brought state")

    def test_everybody_left_then_cold_start(self):
        with Cluster(2) as cluster:
            for node in (1, 2):
                cluster[node].signal(signal.SIGTERM)
            for node in (1, 2):
                self.assertEqual(cluster[node].exit_status(), 0)
            for node in (1, 2):
                cluster.restart(node)
            cluster.wait_view([1, 2])


class Telling(unittest.TestCase):
    """vsyncctl's view of a healthy cluster."""

    def test_commands(self):
        with Cluster(3) as cluster:
            status = json.loads(vsyncctl(cluster[2], "--json", "status").stdout)
            self.assertEqual((status["name"], status["leader_name"], status["tolerates"]), ("n2", "n1", 1))
            members = vsyncctl(cluster[2], "members")
            self.assertTrue(all(f"n{n}" in members.stdout for n in (1, 2, 3)), members.stdout)
            self.assertEqual(vsyncctl(cluster[3], "leader").returncode, 0)
            self.assertIn("n1", vsyncctl(cluster[3], "leader").stdout)
            self.assertIn("0.1.0", vsyncctl(cluster[1], "version").stdout)
            self.assertEqual(vsyncctl(cluster[1], "frobnicate").returncode, 2)

    def test_without_daemon(self):
        with Cluster() as cluster:
            done = vsyncctl(cluster.add(1), "status")
            self.assertEqual(done.returncode, 3)
            self.assertIn(str(cluster[1].socket), done.stderr)


if __name__ == "__main__":
    unittest.main()
