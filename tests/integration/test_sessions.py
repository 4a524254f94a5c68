"""Clients that outlive their connections are told what became of their sends, exactly (C6)."""

import random
import unittest

from support.case import ClusterTest
from support.client import Disconnected, Refused
from support.waiting import wait_until


def delivered(reply, number):
    """What the reply to a session request says of a send."""
    return any(int(r["first"]) <= number <= int(r["last"]) for r in reply.get("delivered", []))


class Sessions(ClusterTest):
    NODES = 3

    def setUp(self):
        self.group = self.fresh_group()
        self.session = str(random.getrandbits(63) | 1)
        self.witness = self.cluster.connect(3, "witness")
        self.witness.join(self.group)

    def open(self, client, first):
        """Opens the session as soon as its last connection is over."""

        def opened():
            try:
                return client.request("session", {"session": self.session, "first": str(first)})
            except Refused as refused:
                self.assertIn(refused.code, ("busy", "excluded"))
                return None

        return wait_until("the session", opened)

    def test_after_kill_the_next_daemon_process_knows_each_send(self):
        first = 1
        for service in ("total", "fifo"):
            with self.subTest(service):
                client = self.cluster.connect(1, "sender")
                client.number_from(first)  # ids rise over all connections
                self.open(client, first)
                if service == "fifo":
                    client.join(self.group)
                self.assertEqual(client.send(self.group, "heard of", service)["outcome"], "delivered")
                texts = {}
                try:
                    for i in range(3000):
                        number = client.post_text(self.group, f"{service} {i}", service)
                        texts[number] = f"{service} {i}"
                        if i == 2000:
                            self.cluster[1].kill()
                except Disconnected:
                    pass
                wait_until("end of the connection", lambda: client.closed)
                told = {n: client.outcomes[n] for n in texts if n in client.outcomes}
                client.close()
                self.cluster.wait_view([2, 3])
                self.cluster.restart(1)
                self.cluster.wait_view([2, 3, 1])
                again = self.cluster.connect(1, "again")
                first = max(texts) + 10
                again.number_from(first)
                reply = self.open(again, first)
                self.assertTrue(reply["known"])
                self.witness.send(self.group, f"after {service}")  # whatever was delivered came before
                self.witness.wait("the last message", lambda: any(m.content == f"after {service}"
                                                                  for m in self.witness.messages(self.group)))
                heard = {m.content for m in self.witness.messages(self.group)}
                for number, text in texts.items():
                    self.assertEqual(delivered(reply, number), text in heard, (number, told.get(number)))
                    if number in told:
                        self.assertEqual(told[number] == "delivered", text in heard)
                self.assertTrue(any(text in heard for text in texts.values()))
                again.close()
                wait_until("the session is over", lambda: again.closed)
                first += 100

    def test_a_session_moves_to_another_daemon(self):
        client = self.cluster.connect(1, "sender")
        self.assertFalse(self.open(client, 1).get("known", False))
        sent = client.post_text(self.group, "one")
        client.reply(sent)
        other = self.cluster.connect(2, "other")
        with self.refused("busy"):
            other.request("session", {"session": self.session, "first": str(sent + 1)})
        client.close()
        reply = self.open(other, sent + 1)
        self.assertTrue(delivered(reply, sent))
        self.assertFalse(delivered(reply, sent + 1))
        other.close()


if __name__ == "__main__":
    unittest.main(verbosity=2)
