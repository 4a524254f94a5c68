"""What groups offer beside plain multicast: stability, several groups, one member, requests. Plain JSON, real processes."""

import os
import subprocess
import unittest

from support.case import ClusterTest
from support.client import Client
from support.cluster import VSYNCCTL
from support.history import number


class Member(Client):
    """A client that keeps its messages as they came."""

    def __init__(self, *arguments, **options):
        self.raw = []
        super().__init__(*arguments, **options)

    def _take_event(self, now, kind, body):
        super()._take_event(now, kind, body)
        if kind == "message":
            self.raw.append(body)

    def texts(self, group):
        return [m["text"] for m in self.raw if m["group"] == group]

    def requests(self):
        return [m for m in self.raw if number(m.get("request"))]

    def reply_to(self, message, text):
        return self.post("reply", {"to": message["sender"], "request": message["request"], "text": text})


class Services(ClusterTest):
    def setUp(self):
        self.cluster = self.new_cluster(3)

    def member(self, node, *groups, **policy):
        member = Member(self.cluster[node].socket, f"m{node}-{os.urandom(2).hex()}")
        self.addCleanup(member.close)
        for group in groups:
            member.join(group, **policy)
        return member

    def members(self, *groups, **policy):
        members = [self.member(node, *groups, **policy) for node in (1, 2, 3)]
        for member in members:
            for group in groups:
                member.group_view(lambda v, g=group: v.group == g and len(v.members) == 3)
        return members

    def as_seen(self, member, group):
        """This member as the group's views name it."""
        return next(vars(m) for m in member.lives[-1].view.members if m.name == member.name)

    # ------------------------------------------------------------ several groups

    def test_one_message_to_several_groups_has_one_place(self):
        members = self.members("g", "h")
        sends = []
        for i in range(100):
            for member in members:
                body = [{"groups": ["g", "h"]}, {"group": "h", "groups": ["g"]}, {"group": "g"}, {"group": "h"}][i % 4]
                sends.append((member, member.post("send", {**body, "text": f"{member.name} {i} {len(body.get('groups', []))}"})))
        for member, sent in sends:
            self.assertEqual(member.reply(sent)["outcome"], "delivered")
        for member in members:
            member.wait("all copies", lambda m=member: len(m.raw) == 450)
            for first, second in zip(member.raw, member.raw[1:]):
                if not first["text"].endswith(" 0") and first["text"] not in [m["text"] for m in member.raw[:member.raw.index(first)]]:
                    self.assertEqual(first["text"], second["text"], "the copies come one after the other")
            for group in "gh":
                positions = [number(m["position"]) for m in member.raw if m["group"] == group]
                self.assertEqual(positions, list(range(1, len(positions) + 1)))
        orders = [[(m["group"], m["text"]) for m in member.raw] for member in members]
        self.assertEqual(orders[0], orders[1])
        self.assertEqual(orders[0], orders[2])

    def test_all_groups_or_none(self):
        member = self.member(1, "g")
        for body in ({"groups": ["g", "none"]}, {"group": "none", "groups": ["g"]}):
            with self.refused("no_such_group"):
                member.request("send", {**body, "text": "x"})
        with self.refused("bad_request"):
            member.request("send", {"groups": ["g", "h"], "text": "x", "service": "fifo"})
        member.send("g", "end")
        self.assertEqual(member.texts("g"), ["end"])

    # ------------------------------------------------------------ one member

    def test_only_one_member_gets_it(self):
        one, two, three = self.members("g")
        to = self.as_seen(two, "g")
        for service in ("total", "causal", "fifo"):
            sent = one.reply(one.post("send", {"group": "g", "text": service, "service": service, "to": to}))
            self.assertEqual(sent["outcome"], "delivered")
        one.send("g", "end")
        for member in (one, three):
            member.wait_messages("g", 1)
            self.assertEqual(member.texts("g"), ["end"])
            self.assertEqual(number(member.raw[0]["position"]), 1)
        two.wait_messages("g", 4)
        self.assertEqual(sorted(two.texts("g")), ["causal", "end", "fifo", "total"])
        self.assertTrue(all(m["direct"] == (m["text"] != "end") for m in two.raw))
        two.leave("g")
        one.group_view(lambda v: [m.name for m, _ in v.left] == [two.name])
        with self.refused("no_such_member"):
            one.request("send", {"group": "g", "text": "gone", "to": to})

    # ------------------------------------------------------------ stability

    def test_what_is_stable_is_told_to_who_asked(self):
        asked, other = self.member(1, "g", stability=True), self.member(2, "g")
        asked.group_view(lambda v: len(v.members) == 2)
        for i in range(50):
            other.post_text("g", f"t{i}")
            other.post_text("g", f"f{i}", "fifo")

        def complete(body):
            return number(body["position"]) == 50 and [number(o["position"]) for o in body["others"]] == [50]

        _, stable = asked.event("stable", complete)
        self.assertEqual(number(stable["token"]), asked.lives[-1].view.token)
        told = [body for _, kind, body in asked.events if kind == "stable"]
        positions = [number(body["position"]) for body in told]
        self.assertEqual(positions, sorted(positions))
        self.assertFalse([kind for _, kind, _ in other.events if kind == "stable"])

    def test_nothing_is_stable_that_a_member_cannot_have(self):
        asked = self.member(1, "g", stability=True)
        self.member(3, "g")
        asked.group_view(lambda v: len(v.members) == 2)
        asked.send("g", "before", "fifo")
        self.cluster[3].pause()
        asked.post_text("g", "unheard", "fifo")
        asked.wait_messages("g", 2)  # delivered here, and at node 2
        told = [number(o["position"]) for _, kind, body in asked.events if kind == "stable" for o in body["others"]]
        if len(asked.lives[-1].views()) == 2:  # node 3 is a member still
            self.assertEqual(set(told), {1})
        self.cluster[3].resume()
        asked.wait("outcomes", lambda: asked.pending() == 0)
        asked.event("stable", lambda body: number(body["others"][0]["position"]) == 2)

    # ------------------------------------------------------------ requests

    def serve(self, member):
        """Replies to the requests that have come; returns how many."""
        for message in member.requests():
            member.reply_to(message, f"{member.name} got {message['text']}")
        return len(member.requests())

    def test_all_reply(self):
        members = self.members("g")
        asked = members[0].post("request", {"group": "g", "text": "who is there", "wait": "all"})
        for member in members:
            member.wait("the request", member.requests)
            self.serve(member)
        result = members[0].reply(asked)
        self.assertEqual((result["outcome"], result["complete"], result["missing"]), ("delivered", True, []))
        self.assertEqual({r["member"]["name"]: r["text"] for r in result["replies"]},
                         {m.name: f"{m.name} got who is there" for m in members})

    def test_a_stranger_asks_and_the_first_reply_is_enough(self):
        members = self.members("g", total_only=True)
        stranger = self.member(3)
        asked = stranger.post("request", {"group": "g", "text": "anybody", "wait": "first"})
        members[1].wait("the request", members[1].requests)
        self.serve(members[1])
        result = stranger.reply(asked)
        self.assertTrue(result["complete"])
        self.assertEqual([r["member"]["name"] for r in result["replies"]], [members[1].name])
        self.assertEqual({m["reason"] for m in result["missing"]}, {"no_reply"})

    def test_a_majority_and_a_deadline(self):
        members = self.members("g")
        majority = members[2].post("request", {"group": "g", "text": "majority", "wait": "majority", "timeout_ms": 60000})
        for member in members[:2]:
            member.wait("the request", member.requests)
            self.serve(member)
        self.assertTrue(members[2].reply(majority)["complete"])
        late = members[2].request("request", {"group": "g", "text": "all", "wait": "all", "timeout_ms": 200})
        self.assertEqual((late["complete"], len(late["replies"]), len(late["missing"])), (False, 0, 3))

    def test_it_ends_early_when_members_die(self):
        members = self.members("g")
        asked = members[0].post("request", {"group": "g", "text": "x", "wait": "all", "timeout_ms": 600000})
        for member in members:
            member.wait("the request", member.requests)
        self.serve(members[0])
        self.cluster[2].kill()  # a daemon with its member
        members[2].close()  # a member
        result = members[0].reply(asked)
        self.assertEqual([r["member"]["name"] for r in result["replies"]], [members[0].name])
        self.assertEqual({m["member"]["name"]: m["reason"] for m in result["missing"]},
                         {members[1].name: "left", members[2].name: "left"})
        self.assertFalse(result["complete"])

    def test_bounds(self):
        members = self.members("g")
        with self.refused("no_such_group"):
            members[0].request("request", {"group": "nowhere", "text": "x"})
        open_requests = [members[0].post("request", {"group": "g", "text": "x", "timeout_ms": 600000}) for _ in range(64)]
        with self.refused("too_many"):
            members[0].request("request", {"group": "g", "text": "x"})
        members[1].wait("all requests", lambda: len(members[1].requests()) == 64)
        large = members[1].post("reply", {"to": members[1].requests()[0]["sender"], "request": members[1].requests()[0]["request"],
                                          "text": "x" * (1 << 18)})
        with self.refused("too_large"):
            members[1].reply(large)
        self.assertEqual(len(open_requests), 64)

    def test_vsyncctl_asks(self):
        members = self.members("g")
        members[0].send("g", "ready")
        program = subprocess.Popen([str(VSYNCCTL), "--socket", str(self.cluster[1].socket), "--json", "request", "g", "hello",
                                    "--wait", "majority"], stdout=subprocess.PIPE, text=True)
        self.addCleanup(program.stdout.close)
        for member in members[:2]:
            member.wait("the request", member.requests)
            self.serve(member)
        self.assertEqual(program.wait(30), 0)
        self.assertIn('"complete":true', program.stdout.read())


if __name__ == "__main__":
    unittest.main()
