"""The control socket: plain JSON by hand, rights, reload, log levels, event logs."""

import json
import os
import pwd
import shutil
import signal
import socket
import subprocess
import unittest

from support.case import ClusterTest
from support.cluster import PORT, Cluster, vsyncctl
from support.waiting import wait_until


class PlainJson(ClusterTest):
    """As product.md shows it: printf and socat are a client."""

    NODES = 2

    def lines(self, text, count):
        """Sends raw bytes and returns the first `count` lines of the answer, decoded."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.cluster[1].socket))
            connection.sendall(text)
            reader = connection.makefile()
            return [json.loads(reader.readline()) for _ in range(count)]

    def test_status_without_anything_else(self):
        (reply,) = self.lines(b'{"status":{}}\n', 1)
        self.assertEqual(reply["status"]["name"], "n1")

    def test_by_socat(self):
        if not shutil.which("socat"):
            self.skipTest("socat is not installed")
        command = f"printf '{{\"id\": 7, \"status\": {{}}}}\\n' | socat -t 5 - UNIX:{self.cluster[1].socket}"
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=30)
        reply = json.loads(done.stdout.splitlines()[0])
        self.assertEqual((int(reply["id"]), reply["status"]["state"]), (7, "member"))

    def test_id_is_repeated(self):
        replies = self.lines(b'{"id":41,"hello":{"client":"x"}}\n{"id":42,"status":{}}\n', 2)
        self.assertEqual([int(r["id"]) for r in replies], [41, 42])
        self.assertEqual(replies[0]["hello"]["name"], "n1")

    def test_lines_split_and_merged_anyhow(self):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(20)
            connection.connect(str(self.cluster[1].socket))
            for byte in b'{"id":1,"status":{}}\n{"id":2,"sta':
                connection.sendall(bytes([byte]))
            connection.sendall(b'tus":{}}\n')
            reader = connection.makefile()
            self.assertEqual([int(json.loads(reader.readline())["id"]) for _ in range(2)], [1, 2])

    def test_watch_tells_views(self):
        watcher = self.cluster.watch(1)
        self.cluster.add(3)
        self.cluster.restart(3, through=1)
        _, view = watcher.event("view", lambda v: len(v["members"]) == 3)
        self.assertEqual(view["joined"], [3])
        self.cluster[3].leave()
        self.cluster.wait_view([1, 2])

    def test_bad_requests_are_answered_and_the_connection_lives(self):
        cases = [b'{"id":5,"frobnicate":{}}\n', b'{"id":5,"join":{"group":7}}\n', b'{"id":5}\n']
        for text in cases:
            with self.subTest(text):
                bad, good = self.lines(text + b'{"id":6,"status":{}}\n', 2)
                self.assertEqual(bad["error"]["code"], "bad_request")
                self.assertIn("status", good)

    def test_names_are_those_of_the_proto(self):
        (reply,) = self.lines(b'{"status":{}}\n', 1)
        self.assertIn("leader_name", reply["status"])
        self.assertNotIn("leaderName", reply["status"])


@unittest.skipUnless(os.geteuid() == 0, "only root can become somebody else")
class Rights(ClusterTest):
    """Others than root and the daemon's user may look and use groups where the socket's mode lets them in."""

    def ask_as_nobody(self, cluster, request):
        """Reply to one JSON request made by user nobody; None if the socket does not let nobody in."""
        nobody = pwd.getpwnam("nobody")
        program = ("import socket, sys\n"
                   "s = socket.socket(socket.AF_UNIX)\n"
                   "s.settimeout(20)\n"
                   "s.connect(sys.argv[1])\n"
                   "s.sendall(sys.argv[2].encode() + b'\\n')\n"
                   "print(next(line for line in s.makefile() if '\"id\"' in line))\n")
        done = subprocess.run(["/usr/bin/python3", "-c", program, str(cluster[1].socket), json.dumps(request)],
                              capture_output=True, text=True, timeout=30, user=nobody.pw_uid, group=nobody.pw_gid,
                              extra_groups=[], cwd="/")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def open_cluster(self, mode):
        cluster = self.new_cluster(settings=["--socket-mode", mode])
        cluster.directory.chmod(0o755)
        cluster.found(1)
        cluster[1].directory.chmod(0o755)
        return cluster

    def test_nobody_may_look_and_use_groups_but_not_steer(self):
        cluster = self.open_cluster("0666")
        self.assertIn("status", self.ask_as_nobody(cluster, {"id": 1, "status": {}}))
        self.assertIn("join", self.ask_as_nobody(cluster, {"id": 1, "join": {"group": "g"}}))
        for request in ({"evict": {"member": "n1"}}, {"cluster_leave": {}}, {"log_level": {"level": "debug"}}, {"reload": {}}):
            with self.subTest(request):
                reply = self.ask_as_nobody(cluster, {"id": 1, **request})
                self.assertEqual(reply["error"]["code"], "denied")
        self.assertEqual(cluster[1].members(), ["n1"])

    def test_the_mode_shuts_nobody_out(self):
        cluster = self.open_cluster("0600")
        self.assertIsNone(self.ask_as_nobody(cluster, {"id": 1, "status": {}}))
        self.assertEqual(cluster[1].socket.stat().st_mode & 0o777, 0o600)


class Operation(ClusterTest):
    def test_join_returns_in_the_view_also_when_an_id_has_to_be_asked_for(self):
        with Cluster(1) as cluster:
            late = cluster.add(2).start()
            wait_until("it runs", late.try_status)
            evicted = vsyncctl(late, "evict", "n1")
            self.assertEqual(evicted.returncode, 1)
            self.assertIn("this daemon is in no view (not_member)", evicted.stderr)
            self.assertIn("vsyncctl join", evicted.stderr)
            done = vsyncctl(late, "join", f"{cluster.address(1)}:{PORT}")
            self.assertEqual((done.returncode, done.stdout), (0, "joined\n"), done.stderr)
            self.assertEqual(late.members(), ["n1", "n2"])
            self.assertEqual(vsyncctl(late, "leave").returncode, 0)
            self.assertEqual(vsyncctl(late, "join", f"{cluster.address(1)}:{PORT}").returncode, 0)
            self.assertEqual(late.members(), ["n1", "n2"])

    def test_doctor(self):
        with Cluster(3) as cluster:
            config = cluster.directory / "vsyncd.toml"
            config.write_text('log-level = "info"\n')
            cluster[3].leave()
            cluster.add(3, "--config", str(config))
            cluster.restart(3, through=1)
            cluster.wait_view([1, 2, 3])
            well = vsyncctl(cluster[3], "doctor")
            self.assertEqual(well.returncode, 0, well.stdout)
            self.assertNotIn("failed", well.stdout)
            self.assertIn(f"ok       peer {cluster.address(1)}:{PORT}: reachable by TCP", well.stdout)
            config.write_text('quorum = "maybe"\n')
            ill = vsyncctl(cluster[3], "--json", "doctor")
            self.assertEqual(ill.returncode, 1, ill.stdout)
            report = json.loads(ill.stdout)
            self.assertFalse(report["ok"])
            (failed,) = [check for check in report["checks"] if check["verdict"] == "failed"]
            self.assertEqual(failed["name"], "settings")
            self.assertIn(f"{config}: line 1", failed["detail"])
            cluster[3].kill()
            gone = vsyncctl(cluster[3], "doctor")
            self.assertEqual(gone.returncode, 1)
            self.assertIn("failed   socket: cannot reach vsyncd", gone.stdout)

    def test_log_level_changes_at_run_time(self):
        with Cluster(1) as cluster:
            client = cluster.connect(1)
            self.assertNotIn("debug", cluster[1].log().lower())
            client.request("log_level", {"level": "trace"})
            client.join("talk")
            client.send("talk", "x")
            wait_until("more in the log", lambda: any(word in cluster[1].log().lower() for word in ("debug", "trace")))
            with self.refused("bad_request"):
                client.request("log_level", {"level": "loud"})
            self.assertEqual(vsyncctl(cluster[1], "log-level", "info").returncode, 0)

    def test_sighup_reloads_the_configuration(self):
        with Cluster() as cluster:
            daemon = cluster.add(1)
            config = cluster.directory / "vsyncd.toml"
            config.write_text('log-level = "info"\n')
            daemon.start("--bootstrap", "--id", 1, "--config", config)
            cluster.wait_view([1])
            config.write_text('log-level = "debug"\n')
            daemon.signal(signal.SIGHUP)
            wait_until("the daemon says that it reloaded", lambda: "reload" in daemon.log().lower())
            self.assertEqual(daemon.members(), ["n1"], "and goes on")

    def test_reload_of_a_broken_file_changes_nothing(self):
        with Cluster() as cluster:
            daemon = cluster.add(1)
            config = cluster.directory / "vsyncd.toml"
            config.write_text('log-level = "info"\n')
            daemon.start("--bootstrap", "--id", 1, "--config", config)
            cluster.wait_view([1])
            config.write_text('log-level = "info"\nnonsense = 1\n')
            with self.refused("failed") as refused:
                cluster.connect(1).request("reload")
            self.assertIn("nonsense", str(refused.exception))
            self.assertEqual(daemon.members(), ["n1"])

    def test_event_log_as_text(self):
        with Cluster() as cluster:
            daemon = cluster.add(1, "--event-log-format", "text")
            daemon.start("--bootstrap", "--id", 1)
            cluster.wait_view([1])
            client = cluster.connect(1)
            client.join("g")
            client.send("g", "x")
            lines = daemon.event_log.read_text().splitlines()
            self.assertIn("1 install view 1 1", lines)
            self.assertTrue(any(line.startswith("1 send multicast ") and line.endswith(" within 1") for line in lines), lines)
            self.assertTrue(any(line.startswith("1 deliver multicast ") and " from 1 within 1" in line for line in lines), lines)


if __name__ == "__main__":
    unittest.main()
