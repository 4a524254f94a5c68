"""What keeps a daemon from starting: a clear message on standard error, the right exit status, and no harm to others."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import unittest
from pathlib import Path

from support.case import ClusterTest
from support.cluster import PORT, VSYNCD, Cluster, Daemon, private_network
from support.waiting import wait_until

FAILED, USAGE = 1, 2  # exit status


def run(command, **options):
    return subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=60, **options)


class Startup(unittest.TestCase):
    def setUp(self):
        self.prefix, lock = private_network()
        self.addCleanup(lock.close)
        self.directory = Path(tempfile.mkdtemp(prefix="vsync-"))
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def daemon(self, *settings, node=1):
        return Daemon(self.directory / f"n{node}", f"{self.prefix}.{node}", node, settings)

    def assert_refused(self, daemon, status, *words, flags=("--bootstrap", "--id", "1")):
        """The daemon ends by itself with this status, and says each of these words on the way."""
        done = run(daemon.command(*flags))
        output = done.stdout + done.stderr
        self.assertEqual(done.returncode, status, output)
        for word in words:
            self.assertIn(str(word), output)

    def test_unknown_flag(self):
        self.assert_refused(self.daemon("--frobnicate"), USAGE, "--frobnicate")

    def test_bad_values(self):
        cases = [("--heartbeat-interval", "soon"), ("--suspect-after", "-1s"), ("--quorum", "maybe"), ("--id", "0"),
                 ("--id", "many"), ("--listen", "127.0.0.1:99999"), ("--socket-mode", "9"), ("--log-level", "loud"),
                 ("--event-log-format", "xml")]
        for flag, value in cases:
            with self.subTest(f"{flag} {value}"):
                done = run([VSYNCD, flag, value, "--check-config"])
                self.assertEqual(done.returncode, USAGE, done.stdout + done.stderr)
                self.assertIn(flag.lstrip("-"), done.stderr)

    def test_settings_that_contradict_each_other(self):
        daemon = self.daemon("--suspect-after", "200ms", "--heartbeat-interval", "150ms")
        self.assert_refused(daemon, USAGE, "suspect-after", "heartbeat-interval")

    def config(self, text):
        path = self.directory / "vsyncd.toml"
        path.write_text(text)
        return path

    def test_bad_configuration_names_file_and_line(self):
        cases = [('name = "x"\n\nfrobnicate = 1\n', "frobnicate", 3), ('quorum = "maybe"\n', "quorum", 1),
                 ('name = "x"\nsuspect-after = "soon"\n', "suspect-after", 2)]
        for text, word, line in cases:
            with self.subTest(text):
                path = self.config(text)
                done = run([VSYNCD, "--config", path, "--check-config"])
                self.assertEqual(done.returncode, USAGE, done.stdout + done.stderr)
                self.assertIn(word, done.stderr)
                self.assertRegex(done.stderr, re.escape(str(path)) + rf"\D+{line}\b")

    def test_missing_configuration(self):
        self.assert_refused(self.daemon("--config", self.directory / "none.toml"), USAGE, "none.toml")

    def test_check_config_prints_the_effective_settings(self):
        path = self.config('suspect-after = "2s"\n')
        environment = {**os.environ, "VSYNCD_NAME": "from-environment"}
        done = run([VSYNCD, "--config", path, "--check-config", "--quorum", "static"], env=environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        for word in ("2s", "from-environment", "static"):
            self.assertIn(word, done.stdout)

    def test_bad_hosts_file(self):
        hosts = self.directory / "hosts"
        for text, word in (("127.0.0.1\n127.0.0.1:99999\n", "2"), ("", "hosts")):
            with self.subTest(text):
                hosts.write_text(text)
                self.assert_refused(self.daemon("--hosts", hosts), USAGE, hosts, word)

    def test_unresolvable_listen_address(self):
        daemon = self.daemon()
        command = [a.replace(f"{daemon.address}:{PORT}", f"no-such-host.invalid:{PORT}") for a in daemon.command("--bootstrap")]
        done = run(command)
        self.assertEqual(done.returncode, FAILED, done.stdout + done.stderr)
        self.assertIn("no-such-host.invalid", done.stderr)

    def test_unresolvable_peer_is_told_and_retried(self):
        daemon = self.daemon("--peer", f"no-such-host.invalid:{PORT}", "--peer", f"{self.prefix}.2:{PORT}").start("--id", "1")
        self.addCleanup(daemon.kill)
        wait_until("the log names the host", lambda: "no-such-host.invalid" in daemon.log())
        other = self.daemon(node=2).start("--bootstrap", "--id", "2")
        self.addCleanup(other.kill)
        wait_until("it joins through the other peer", lambda: daemon.members() == ["n2", "n1"])

    def test_state_directory_that_cannot_be_written(self):
        for path in ("/proc/vsyncd", "/dev/null/vsyncd"):
            with self.subTest(path):
                daemon = self.daemon()
                daemon.state_dir = path
                self.assert_refused(daemon, FAILED, path)

    def test_damaged_state_is_told(self):
        with Cluster(2) as cluster:
            cluster[2].kill()
            for record in cluster[2].state_dir.iterdir():
                if record.is_file() and record.stat().st_size:
                    record.write_bytes(b"\0garbage" * 10)
            cluster.restart(2)
            wait_until("it tells", lambda: "the stored state is lost or damaged (identity: " in cluster[2].log())
            cluster.wait_view([1, 2])

    def test_second_daemon_on_the_same_state_directory(self):
        first = self.daemon().start("--bootstrap", "--id", "1")
        self.addCleanup(first.kill)
        wait_until("the first is a member", first.members)
        second = self.daemon(node=2)
        second.state_dir = first.state_dir
        self.assert_refused(second, FAILED, first.state_dir)
        self.assertEqual(first.members(), ["n1"])

    def test_second_daemon_on_the_same_socket(self):
        first = self.daemon().start("--bootstrap", "--id", "1")
        self.addCleanup(first.kill)
        wait_until("the first is a member", first.members)
        second = self.daemon(node=2)
        second.socket = first.socket
        self.assert_refused(second, FAILED, first.socket)
        self.assertEqual(first.members(), ["n1"])

    def test_stale_socket_is_replaced(self):
        daemon = self.daemon().start("--bootstrap", "--id", "1")
        wait_until("it is a member", daemon.members)
        daemon.kill()
        self.assertTrue(daemon.socket.exists())
        daemon.start("--id", "1")
        self.addCleanup(daemon.kill)
        wait_until("it is a member again", daemon.members)

    def test_foreign_file_in_the_place_of_the_socket(self):
        daemon = self.daemon()
        daemon.socket.write_text("somebody's letters")
        self.assert_refused(daemon, FAILED, daemon.socket)
        self.assertEqual(daemon.socket.read_text(), "somebody's letters")

    def test_socket_path_too_long(self):
        daemon = self.daemon()
        daemon.socket = self.directory / ("x" * 120)
        self.assert_refused(daemon, FAILED, "socket")

    def test_port_in_use(self):
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with self.subTest(kind), socket.socket(socket.AF_INET, kind) as other:
                other.bind((f"{self.prefix}.1", PORT))
                if kind == socket.SOCK_STREAM:
                    other.listen()
                self.assert_refused(self.daemon(), FAILED, PORT)

    def test_id_that_another_node_has(self):
        with Cluster(2) as cluster:
            impostor = cluster.add(3).start("--id", "2", "--peer", f"{cluster.address(1)}:{PORT}")
            wait_until("it tells, twice", lambda: impostor.log().count("another daemon has this node id") > 1)
            self.assertEqual(cluster.wait_view([1, 2]), ["n1", "n2"])
            self.assertEqual(impostor.members(), [])


@unittest.skipUnless(os.geteuid() == 0, "only root can mount a small file system")
class FullDisk(ClusterTest):
    def test_daemon_stops_and_the_rest_goes_on(self):
        cluster = self.new_cluster(3)
        cluster[3].leave()
        shutil.rmtree(cluster[3].state_dir)
        cluster[3].state_dir.mkdir()
        mount = run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", cluster[3].state_dir])
        if mount.returncode:
            self.skipTest(f"mount is not allowed here: {mount.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(cluster[3].state_dir)])
        cluster.restart(3, through=1)
        cluster.wait_view([1, 2, 3])
        with open(cluster[3].state_dir / "ballast", "wb", buffering=0) as ballast:
            try:
                while True:
                    ballast.write(b"x" * 4096)
            except OSError:
                pass
        cluster[2].kill()  # a view change: n3 must write and cannot
        self.assertNotEqual(cluster[3].exit_status(), 0)
        self.assertRegex(cluster[3].log(), "(?i)no space left")
        cluster.restart(2, through=1)
        cluster.wait_view([1, 2])


if __name__ == "__main__":
    unittest.main()
