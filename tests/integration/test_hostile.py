"""Garbage on every socket while the cluster works: it goes on, in the same view, and nobody is harmed."""

import random
import socket
import struct
import unittest

from support.case import ClusterTest
from support.cluster import PORT, Cluster


def nonsense(rng):
    """One hostile input: random bytes, HTTP, huge and zero lengths, deep JSON, truncated frames."""
    return rng.choice([
        lambda: rng.randbytes(rng.randint(1, 5000)),
        lambda: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        lambda: struct.pack("<I", 0xFFFFFFFF) + rng.randbytes(100),
        lambda: struct.pack(">I", 0xFFFFFFFF) + rng.randbytes(100),
        lambda: struct.pack("<I", 0) * 200,
        lambda: struct.pack(">I", 50) + rng.randbytes(50),
        lambda: b"{" * 100_000 + b"\n",
        lambda: b'{"id":1,"status":' + b'{"a":' * 5000 + b"\n",
        lambda: b'{"send":{"group":"' + b"x" * 100_000 + b'"}}\n',
        lambda: b"\n" * 1000,
    ])()


class Hostile(ClusterTest):
    NODES = 3
    ROUNDS = 1000

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.members = cls.cluster[1].members()

    def setUp(self):
        self.seed = random.randrange(1 << 32)
        self.rng = random.Random(self.seed)
        print(f"seed {self.seed}", flush=True)
        self.view = self.cluster[1].try_status()["view"]

    def tearDown(self):
        """The same view as before, and messages still pass."""
        self.assertEqual([self.cluster[n].members() for n in (1, 2, 3)], [self.members] * 3)
        self.assertEqual(self.cluster[1].try_status()["view"], self.view)
        sender, receiver = self.cluster.connect(1), self.cluster.connect(2)
        receiver.join(self.id())
        sender.join(self.id())  # behind it: the sender's daemon knows the group, too
        self.assertEqual(sender.send(self.id(), "still here")["outcome"], "delivered")
        receiver.wait_messages(self.id(), 1)

    def throw(self, family, address):
        with socket.socket(family, socket.SOCK_STREAM) as connection:
            connection.settimeout(5)
            try:
                connection.connect(address)
                connection.sendall(nonsense(self.rng))
                if self.rng.random() < 0.3:
                    connection.recv(1000)
            except OSError:
                pass  # being thrown out is a fine answer

    def test_on_the_peer_port(self):
        for _ in range(self.ROUNDS):
            self.throw(socket.AF_INET, (self.cluster.address(self.rng.randint(1, 3)), PORT))

    def test_on_the_heartbeat_port(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(10 * self.ROUNDS):
                sender.sendto(nonsense(self.rng)[:1400], (self.cluster.address(self.rng.randint(1, 3)), PORT))

    def test_on_the_control_socket(self):
        for _ in range(self.ROUNDS):
            self.throw(socket.AF_UNIX, str(self.cluster[self.rng.randint(1, 3)].socket))

    def test_many_idle_connections(self):
        connections = []
        for _ in range(200):
            connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            connections.append(connection)
            connection.settimeout(5)
            try:
                connection.connect((self.cluster.address(1), PORT))
            except OSError:
                pass  # too many strangers from one address are hung up on
        self.assertEqual(self.cluster[1].members(), self.members)
        for connection in connections:
            connection.close()


class Descriptors(unittest.TestCase):
    def test_clients_do_not_take_the_descriptors_that_the_rest_needs(self):
        with Cluster() as cluster:
            daemon = cluster.add(1)
            daemon.runner = ["prlimit", "--nofile=700:700", "--"]
            daemon.start("--bootstrap", "--id", 1)
            cluster.wait_view([1])
            watcher = cluster.watch(1)
            connections = [socket.socket(socket.AF_UNIX) for _ in range(750)]  # with the backlog none of them ever waits
            for connection in connections:
                connection.connect(str(daemon.socket))
            cluster.add(2).start("--id", 2, "--peer", f"{cluster.address(1)}:{PORT}")
            watcher.event("view", lambda v: len(v["members"]) == 2)  # linked, and the state is stored
            for connection in connections:
                connection.close()
            self.assertEqual(cluster.wait_view([1, 2]), ["n1", "n2"])


if __name__ == "__main__":
    unittest.main()
