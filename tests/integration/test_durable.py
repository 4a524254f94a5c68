"""Durable groups: what was called durable is there after crashes of one, of all, and with a disk lost or damaged (K1 to K3)."""

import base64
import contextlib
import os
import shutil
import subprocess
import threading
import unittest

from support.case import ClusterTest
from support.client import Client, Refused
from support.cluster import vsyncctl
from support.waiting import wait_until

DISKS = 3


class Member(Client):
    """A member of a durable group. Its state is the list of all messages; it gives it when a checkpoint is wanted."""

    def __init__(self, daemon, name, group, **durable):
        self.texts, self.indices, self.arriving, self.restored_at = [], [], b"", None
        self.begun_with, self.durable_index, self.group, self.refuses = 0, 0, group, False
        super().__init__(daemon.socket, name)
        self.joining = self.post("join", {"group": group, "member_name": name, "durable": {"disks": DISKS, **durable}})

    def _take_event(self, now, kind, body):
        super()._take_event(now, kind, body)
        if kind == "message":
            self.texts.append(body["text"])
            self.indices.append(int(body["index"]))
        elif kind == "state":
            self.arriving = (b"" if int(body.get("offset", 0)) == 0 else self.arriving) + base64.b64decode(body.get("payload", ""))
            if body.get("last"):
                self.texts = self.arriving.decode().split("\n")[:-1]
                self.begun_with = len(self.texts)
                self.indices = list(range(1, len(self.texts) + 1))
        elif kind == "restored":
            self.restored_at = int(body.get("index", 0))
        elif kind == "durable":
            self.durable_index = int(body["index"])
        elif kind == "state_request" and self.refuses:
            self.post("state", {"group": self.group, "token": body["token"], "refuse": True})
        elif kind == "state_request":
            threading.Thread(target=self.give, args=(body, "".join(t + "\n" for t in self.texts).encode()), daemon=True).start()

    def give(self, asked, state):
        with contextlib.suppress(Refused):
            self.give_state(asked, state)

    def restored(self):
        """Waits until it has its state; returns the index from which it goes on."""
        self.wait("its state", lambda: self.restored_at is not None)
        return self.restored_at

    def keep(self, text):
        """Sends and waits until that is durable; returns the index."""
        reply = self.reply(self.post("send", {"group": self.group, "text": text, "durable": True}))
        assert reply["outcome"] == "delivered" and reply["durable"], reply
        return int(reply["index"])

    def keep_all(self, count, size=0):
        """Keeps so many messages, one after the other; returns them."""
        texts = [f"message {i}" + " " + "x" * size if size else f"message {i}" for i in range(count)]
        for text in texts:
            self.keep(text)
        return texts


class Durable(ClusterTest):
    def setUp(self):
        self.found()

    def found(self, *settings):
        self.cluster = self.new_cluster(3, settings=settings)

    def member(self, node, **durable):
        member = Member(self.cluster[node], f"m{node}", "kept", **durable)
        self.addCleanup(member.close)
        return member

    def members(self, **durable):
        members = {node: self.member(node, **durable) for node in (1, 2, 3)}
        for member in members.values():
            member.restored()
        return members

    def store(self, node):
        return next(self.cluster[node].state_dir.glob("groups/kept.*.db"))

    def crash_all(self):
        for node in (1, 2, 3):
            self.cluster[node].kill()

    def lose_disk(self, node):
        """All crash, and come back, one without what its disk had."""
        self.crash_all()
        shutil.rmtree(self.cluster[node].state_dir / "groups")
        self.start(1, 2, 3)

    def start(self, *nodes):
        for node in nodes:
            self.cluster.restart(node)
        self.cluster.wait_view(nodes)

    def assert_history(self, member, texts):
        member.wait("all messages", lambda: len(member.texts) >= len(texts))
        self.assertEqual(member.texts, texts)
        self.assertEqual(member.indices, list(range(1, len(texts) + 1)))

    def test_everything_durable_survives_the_death_of_all(self):
        members = self.members()
        texts = [f"message {i}" for i in range(20)]
        self.assertEqual([members[1 + i % 3].keep(text) for i, text in enumerate(texts)], list(range(1, 21)))
        self.crash_all()
        self.start(1, 2, 3)
        members = self.members()
        for member in members.values():
            self.assertEqual(member.restored(), 20)
            self.assert_history(member, texts)
        self.assertEqual(members[2].keep("and on"), 21)
        for member in members.values():
            self.assert_history(member, texts + ["and on"])

    def test_a_checkpoint_takes_the_place_of_messages(self):
        members = self.members(every_messages=5)
        texts = members[1].keep_all(12)

        def listed(node):
            group = members[node].request("checkpoint", {"action": "LIST"})["checkpoints"][0]
            return int(group.get("checkpoint", 0)), int(group.get("index", 0))

        wait_until("checkpoints on all disks", lambda: all(listed(node)[0] >= 5 for node in (1, 2, 3)))
        self.assertEqual({listed(node)[1] for node in (1, 2, 3)}, {12})
        self.crash_all()
        self.start(1, 2, 3)
        for member in self.members(every_messages=5).values():
            self.assertEqual(member.restored(), 12)
            self.assertGreaterEqual(member.begun_with, 5)
            self.assert_history(member, texts)

    def test_a_lost_disk_does_not_count_as_one_that_knows(self):
        members = self.members()
        texts = members[3].keep_all(5)
        self.lose_disk(3)
        lost, first = self.member(3), self.member(1)
        first.reply(first.joining)
        lost.reply(lost.joining)
        early = first.request("send", {"group": "kept", "text": "too early"})
        self.assertEqual((early["outcome"], early["code"]), ("not_delivered", "no_state"))  # a blank disk tells nothing
        self.assertIsNone(first.restored_at)
        second = self.member(2)
        for member in (first, second, lost):
            self.assertEqual(member.restored(), 5)
            self.assert_history(member, texts)

    def test_a_lost_disk_is_filled_by_the_others(self):
        members = self.members()
        texts = members[3].keep_all(5)
        self.lose_disk(3)
        members = {node: self.member(node) for node in (3, 1, 2)}
        for member in members.values():
            self.assertEqual(member.restored(), 5)
            self.assert_history(member, texts)
        self.assertEqual(vsyncctl(self.cluster[3], "checkpoint", "verify", "kept").returncode, 0)

    def test_a_member_that_comes_back_gets_what_it_missed(self):
        members = self.members()
        members[1].keep("one")
        self.cluster[3].kill()
        self.cluster.wait_view([1, 2])
        members[1].keep("two")
        self.start_again(3)
        again = self.member(3)
        self.assertEqual(again.restored(), 2)
        self.assert_history(again, ["one", "two"])
        self.assertEqual(again.keep("three"), 3)

    def start_again(self, node):
        self.cluster.restart(node, through=1)
        self.cluster.wait_view([1, 2, node])

    def test_a_torn_store_counts_as_lost(self):
        members = self.members()
        texts = members[1].keep_all(50)
        self.crash_all()
        store = self.store(2)
        for path in (store, store.with_name(store.name + "-wal")):
            if path.exists():
                size = path.stat().st_size
                with open(path, "r+b") as file:
                    file.seek(size // 3)
                    file.write(os.urandom(max(1, size // 3)))
        self.start(1, 2, 3)
        for member in self.members().values():
            self.assertEqual(member.restored(), 50)
            self.assert_history(member, texts)

    def test_members_of_another_kind_are_refused(self):
        self.members()
        other = self.cluster.connect(1)
        with self.refused("other_policy"):
            other.join("kept", state=True)
        plain = self.cluster.connect(1)
        plain.join("plain")
        with self.refused("not_durable"):
            plain.request("send", {"group": "plain", "text": "x", "durable": True})

    def assert_refused(self, member, code):
        with self.refused(code):
            member.reply(member.joining)

    def test_a_group_begins_anew_on_no_other_disk(self):
        first = self.member(1, disks=1)
        first.restored()
        for text in ("one", "two"):
            first.keep(text)
        watcher = self.cluster.connect(2)
        watcher.join("kept")
        first.close()
        watcher.group_view(lambda view: view.number > 1 and len(view.members) == 1)
        watcher.leave("kept")  # the last one
        self.assert_refused(self.member(2, disks=1), "not_a_keeper")
        self.crash_all()
        self.start(1, 2, 3)
        stranger = self.member(2, disks=1)
        stranger.reply(stranger.joining)
        self.assertEqual(stranger.event("excluded", lambda event: event["group"] == "kept")[1]["code"], "not_a_keeper")
        self.assertIn("other nodes keep it", self.cluster[2].log())
        again = self.member(1, disks=1)
        self.assertEqual(again.restored(), 2)
        self.assert_history(again, ["one", "two"])

    def test_whoever_looks_is_told_for_whom_a_group_waits(self):
        def sees(node, words):
            looks = [vsyncctl(self.cluster[node], *command).stdout for command in (["status"], ["group", "kept"], ["doctor"])]
            return all(words in look for look in looks)

        first = self.member(1)
        wait_until("two disks are missing", lambda: sees(2, "members on 2 more nodes"))
        second = self.member(2)
        wait_until("one disk is missing", lambda: sees(3, "members on 1 more node"))
        self.member(3).restored()
        self.assertEqual((first.restored(), second.restored()), (0, 0))
        wait_until("nothing is missing", lambda: "kept" not in vsyncctl(self.cluster[2], "doctor").stdout)
        first.keep("one")
        self.crash_all()
        self.start(1, 2, 3)
        self.member(2)
        wait_until("a majority is missing", lambda: sees(1, "members on 1 more of the nodes 1, 3"))
        self.assertEqual(self.member(3).restored(), 1)

    def test_a_member_without_state_may_come_first(self):
        observer = self.cluster.connect(2)
        observer.join("kept")
        members = self.members()
        self.assertEqual(members[1].keep("one"), 1)
        self.crash_all()
        self.start(1, 2, 3)
        observer = self.cluster.connect(2)
        observer.join("kept")
        for member in self.members().values():
            self.assertEqual(member.restored(), 1)
            self.assert_history(member, ["one"])

    def test_a_cluster_founded_anew_goes_on_with_its_groups(self):
        members = self.members()
        texts = members[1].keep_all(5)
        self.crash_all()
        self.start(1, 2, 3)
        self.members()
        self.crash_all()
        for node in (1, 2, 3):
            for record in ("identity", "acceptor"):
                (self.cluster[node].state_dir / record).unlink()
        self.cluster[1].start("--bootstrap", "--id", 1)
        for node in (2, 3):
            self.cluster.restart(node, through=1)
        self.cluster.wait_view([1, 2, 3])
        members = {node: self.member(node) for node in (1, 2)}  # the disk of 3 stays in the last era of the first cluster
        for member in members.values():
            self.assertEqual(member.restored(), 5)
        texts.append("after that")
        members[1].keep(texts[-1])
        self.crash_all()
        self.start(1, 2, 3)
        for member in {node: self.member(node) for node in (3, 1)}.values():
            self.assertEqual(member.restored(), 6)
            self.assert_history(member, texts)

    def test_the_disk_of_another_cluster_is_refused(self):
        def store_of(messages):
            members = self.members()
            for i in range(messages):
                members[1].keep(f"message {i}")
            self.crash_all()
            return self.cluster[3].state_dir / "groups"

        foreign = store_of(3)
        self.found()
        own = store_of(2)
        shutil.rmtree(own)
        shutil.copytree(foreign, own)
        self.start(1, 2, 3)
        first, second = self.member(1), self.member(2)
        for member in (first, second):
            self.assertEqual(member.restored(), 2)
        self.assert_refused(self.member(3), "other_history")
        self.assertIn("another history", self.cluster[3].log())

    def test_vsyncctl_lists_verifies_and_forces(self):
        members = self.members()
        members[1].keep("one")

        def asked(*arguments):
            return vsyncctl(self.cluster[1], "checkpoint", *arguments).stdout

        self.assertIn("kept  messages up to 1, checkpoint none", asked("list"))
        self.assertIn("messages up to: 1", asked("show", "kept"))
        asked("force", "kept")
        wait_until("the checkpoint", lambda: "checkpoint: message 1," in asked("show", "kept"))
        self.assertIn("undamaged", asked("verify", "kept"))
        self.assertEqual(vsyncctl(self.cluster[1], "checkpoint", "show").returncode, 2)
        self.assertEqual(vsyncctl(self.cluster[1], "checkpoint", "show", "other").returncode, 1)

    def test_what_is_on_the_disk_is_shown_before_anybody_joins(self):
        members = self.members()
        for text in ("one", "two"):
            members[1].keep(text)
        vsyncctl(self.cluster[1], "checkpoint", "force", "kept")
        wait_until("the checkpoint", lambda: "checkpoint message 2" in vsyncctl(self.cluster[1], "checkpoint", "list").stdout)
        members[1].keep("three")
        self.crash_all()
        self.start(1, 2, 3)

        def asked(*arguments):
            return vsyncctl(self.cluster[1], "checkpoint", *arguments)

        self.assertEqual(asked("list").stdout, "kept  messages up to 3, checkpoint message 2, no member here has the state\n")
        self.assertIn("checkpoint: message 2, 8 bytes\nmessages since then: 9 bytes\n", asked("show", "kept").stdout)
        self.assertEqual(asked("verify", "kept").returncode, 0)
        self.assertEqual(asked("verify", "other").returncode, 1)
        self.assertEqual(asked("force", "kept").returncode, 1)
        self.store(1).write_bytes(b"no database")
        self.store(1).with_name(self.store(1).name + "-wal").unlink(missing_ok=True)
        self.assertEqual(asked("verify", "kept").returncode, 1)
        self.assertIn("cannot be read", asked("list").stdout)

    def test_the_disk_of_a_member_that_gives_no_checkpoint_is_not_filled(self):
        self.found("--max-message", "64KiB", "--durable-limit", "100KiB")
        members = self.members()
        members[3].refuses = True
        texts = members[1].keep_all(30, 10000)
        members[3].event("excluded", lambda event: event["group"] == "kept")
        self.assert_history(members[2], texts)
        for node in (1, 2):
            self.assertNotIn("checkpoint none", vsyncctl(self.cluster[node], "checkpoint", "list").stdout)
        self.assertIn("checkpoint none, no member here", vsyncctl(self.cluster[3], "checkpoint", "list").stdout)

    @unittest.skipUnless(os.geteuid() == 0, "only root can mount a small file system")
    def test_a_full_disk_stops_its_daemon_and_nothing_durable_is_lost(self):
        small = self.cluster[3].state_dir / "groups"
        small.mkdir()
        mount = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", small], capture_output=True, text=True)
        if mount.returncode:
            self.skipTest(f"mount is not allowed here: {mount.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(small)])
        members = self.members()
        texts = members[1].keep_all(20, 20000)
        self.assertEqual(self.cluster[3].exit_status(), 3)
        self.assert_history(members[2], texts)


if __name__ == "__main__":
    unittest.main()
