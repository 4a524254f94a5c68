"""The three services, groups and their views, as applications see them."""

import unittest

from support.case import ClusterTest
from support.cluster import vsyncctl
from support.history import judge


class Multicast(ClusterTest):
    NODES = 3

    def group(self, **policy):
        """A fresh group with a client on each node."""
        group = self.fresh_group()
        clients = [self.cluster.connect(node) for node in (1, 2, 3)]
        for client in clients:
            client.join(group, **policy)
        for client in clients:
            client.group_view(lambda v: v.group == group and len(v.members) == 3)
        return group, clients

    def send_all(self, group, clients, service, count=200):
        """Every client sends `count` messages at once; returns {name: {content: outcome}} when all have everything."""
        posted = [(client, f"{client.name}-{i}", client.post_text(group, f"{client.name}-{i}", service))
                  for i in range(count) for client in clients]
        for client in clients:
            client.wait_messages(group, count * len(clients))
            client.wait("outcomes", lambda c=client: c.pending() == 0)
        sent = {client.name: {} for client in clients}
        for client, content, number in posted:
            sent[client.name][content] = client.outcomes[number]
        return sent

    def lives(self, group, clients):
        return [life for client in clients for life in client.lives if life.group == group]

    def test_total_is_one_order(self):
        group, clients = self.group()
        sent = self.send_all(group, clients, "total")
        self.assertEqual(judge(self.lives(group, clients), sent), [])
        orders = [[m.content for m in client.messages(group)] for client in clients]
        self.assertEqual(orders[0], orders[1])
        self.assertEqual(orders[0], orders[2])
        self.assertTrue(all(o == "delivered" for told in sent.values() for o in told.values()))

    def test_fifo_and_causal_keep_each_senders_order(self):
        for service in ("fifo", "causal"):
            with self.subTest(service):
                group, clients = self.group()
                sent = self.send_all(group, clients, service)
                self.assertEqual(judge(self.lives(group, clients), sent), [])

    def test_services_mix_in_one_stream(self):
        group, clients = self.group()
        services = ("fifo", "total", "causal")
        posted = [(c, f"{c.name}-{i}", c.post_text(group, f"{c.name}-{i}", services[i % 3])) for i in range(300) for c in clients]
        for client in clients:
            client.wait_messages(group, len(posted))
            client.wait("outcomes", lambda c=client: c.pending() == 0)
        sent = {c.name: {content: c.outcomes[n] for who, content, n in posted if who is c} for c in clients}
        self.assertEqual(judge(self.lives(group, clients), sent), [])

    def test_an_answer_never_comes_before_its_question(self):
        group, (asker, answerer, onlooker) = self.group()
        for round_number in range(50):
            asker.post_text(group, f"question {round_number}", "causal")
            answerer.wait("question", lambda r=round_number: any(m.content == f"question {r}" for m in answerer.messages(group)))
            answerer.post_text(group, f"answer {round_number}", "causal")
        onlooker.wait_messages(group, 100)
        seen = [m.content for m in onlooker.messages(group)]
        for round_number in range(50):
            self.assertLess(seen.index(f"question {round_number}"), seen.index(f"answer {round_number}"))

    def test_outcome_tells_view_and_position(self):
        group, (first, second, _) = self.group()
        told = first.send(group, "here")
        self.assertEqual((told["outcome"], told["position"]), ("delivered", 1))
        message = second.wait_messages(group, 1)[0]
        self.assertEqual((message.content, message.position), ("here", 1))

    def test_a_stranger_may_send_total_only(self):
        group, members = self.group()
        stranger = self.cluster.connect(2, "stranger")
        self.assertEqual(stranger.send(group, "hello")["outcome"], "delivered")
        for member in members:
            self.assertEqual(member.wait_messages(group, 1)[0].content, "hello")
        with self.refused("not_member"):
            stranger.send(group, "psst", "fifo")

    def test_total_only_groups_refuse_the_rest(self):
        group, (member, *_) = self.group(total_only=True)
        self.assertEqual(member.send(group, "fine")["outcome"], "delivered")
        with self.refused("total_only"):
            member.send(group, "not fine", "causal")

    def test_refusals(self):
        group, (member, *_) = self.group()
        cases = [("already_member", lambda: member.join(group)),
                 ("not_member", lambda: member.leave("elsewhere")),
                 ("no_such_group", lambda: member.send("nowhere", "x")),
                 ("wrong_view", lambda: member.send(group, "x", in_view=1)),
                 ("bad_request", lambda: member.join("")),
                 ("bad_request", lambda: member.join("a" * 256))]
        for code, action in cases:
            with self.subTest(code), self.refused(code):
                action()

    def test_in_view_sends_only_in_that_view(self):
        group, (member, other, _) = self.group()
        token = member.lives[-1].view.token
        self.assertEqual(member.send(group, "now", in_view=token)["outcome"], "delivered")
        other.leave(group)
        member.group_view(lambda v: v.group == group and v.token > token)
        with self.refused("wrong_view"):
            member.send(group, "too late", in_view=token)

    def test_tokens_rise_even_when_the_group_was_empty(self):
        client = self.cluster.connect(1)
        tokens = []
        for _ in range(3):
            tokens.append(client.join("revolving").token)
            client.leave("revolving")
        self.assertEqual(tokens, sorted(set(tokens)))

    def test_group_leader_is_its_first_member(self):
        group, (first, second, third) = self.group()
        first.leave(group)
        view = second.group_view(lambda v: v.group == group and first.name not in v.names())
        self.assertEqual(view.names(), [second.name, third.name])
        self.assertEqual([(m.name, reason) for m, reason in view.left], [(first.name, "left")])

    def test_large_message(self):
        group, (sender, receiver, _) = self.group()
        text = "0123456789" * 100_000
        self.assertEqual(sender.send(group, text)["outcome"], "delivered")
        self.assertEqual(receiver.wait_messages(group, 1)[0].content, text)

    def test_text_with_every_kind_of_character(self):
        group, (sender, receiver, _) = self.group()
        text = 'quotes " \\ newline \n tab \t nul \x00 umlaut ü, 中文, 🎉'
        sender.send(group, text)
        self.assertEqual(receiver.wait_messages(group, 1)[0].content, text)

    def test_vsyncctl_send(self):
        group, (receiver, *_) = self.group()
        done = vsyncctl(self.cluster[2], "send", group, "from the shell")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(receiver.wait_messages(group, 1)[0].content, "from the shell")


if __name__ == "__main__":
    unittest.main()
