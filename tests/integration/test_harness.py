"""What the other tests rely on: the judge accepts a correct history and finds each broken one; a failure keeps the files."""

import io
import unittest
from unittest import mock

from support.case import ClusterTest
from support.client import Refused
from support.cluster import Cluster
from support.history import GroupMember, GroupView, Life, Message, judge

A, B = GroupMember(1, 1, 1, "a"), GroupMember(2, 1, 1, "b")


def view(token, *members):
    return GroupView("g", token, 1, token, members, (), (), (), True, False)


def total(sender, token, position, content):
    return Message(sender, token, position, "total", content)


def history(*episodes_of, ended=None):
    """Lives from (who, [view, message, message, view, …])."""
    lives = []
    for who, items in episodes_of:
        life = Life(who, "g")
        for item in items:
            life.add(item)
        life.ended = (ended or {}).get(who, "")
        lives.append(life)
    return lives


def good():
    return [("a", [view(1, A, B), total(A, 1, 1, "a-1"), total(B, 1, 2, "b-1"), view(2, A, B), total(A, 2, 1, "a-2")]),
            ("b", [view(1, A, B), total(A, 1, 1, "a-1"), total(B, 1, 2, "b-1"), view(2, A, B), total(A, 2, 1, "a-2")])]


SENT = {"a": {"a-1": "delivered", "a-2": "delivered"}, "b": {"b-1": "delivered"}}


class Judge(unittest.TestCase):
    def assert_found(self, episodes, text, sent=None, ended=None):
        found = judge(history(*episodes, ended=ended), sent)
        self.assertTrue(any(text in f for f in found), f"{text!r} not in {found}")

    def test_accepts_a_correct_history(self):
        self.assertEqual(judge(history(*good()), SENT), [])

    def test_accepts_a_dead_client_with_a_prefix(self):
        episodes = good()
        episodes[1] = ("b", episodes[1][1][:2])
        self.assertEqual(judge(history(*episodes, ended={"b": "closed"}), SENT), [])

    def test_finds_a_lost_message(self):
        episodes = good()
        del episodes[1][1][2]
        self.assert_found(episodes, "differ in 1 messages")

    def test_finds_a_message_lost_in_the_last_view(self):
        episodes = good()
        del episodes[1][1][4]
        self.assert_found(episodes, "differ in 1 messages")

    def test_finds_two_orders(self):
        episodes = good()
        episodes[1][1][1:3] = [total(B, 1, 1, "b-1"), total(A, 1, 2, "a-1")]
        self.assert_found(episodes, "another order")

    def test_finds_two_orders_even_at_the_dead(self):
        episodes = good()
        episodes[1] = ("b", [view(1, A, B), total(B, 1, 1, "b-1")])
        self.assert_found(episodes, "another order", ended={"b": "closed"})

    def test_finds_a_duplicate(self):
        episodes = good()
        episodes[0][1].append(total(A, 2, 2, "a-1"))
        self.assert_found(episodes, "delivered twice")

    def test_finds_a_message_delivered_in_two_views(self):
        episodes = good()
        episodes[1] = ("b", [view(2, A, B), total(A, 2, 1, "a-1")])
        self.assert_found(episodes, "delivered in views")

    def test_finds_a_gap_in_positions(self):
        episodes = [("a", [view(1, A, B), total(A, 1, 2, "a-1")])]
        self.assert_found(episodes, "positions")

    def test_finds_views_that_differ(self):
        self.assert_found([("a", [view(1, A, B)]), ("b", [view(1, B, A)])], "differ from another")

    def test_finds_a_falling_token(self):
        self.assert_found([("a", [view(2, A), view(1, A)])], "token 1 after 2")

    def test_finds_an_invented_message(self):
        self.assert_found(good(), "was never sent", sent={"a": {"a-1": "", "a-2": ""}, "b": {}})

    def test_finds_a_sender_overtaking_itself(self):
        self.assert_found(good(), "overtaken", sent={"a": {"a-2": "", "a-1": ""}, "b": {"b-1": ""}})

    def test_finds_a_false_outcome(self):
        sent = {"a": SENT["a"], "b": {"b-1": "not_delivered", "b-2": "delivered"}}
        self.assert_found(good(), "is not delivered, but it is", sent)
        self.assert_found(good(), "nobody has it", sent)


class Files(unittest.TestCase):
    """Of a test's own cluster and of the one that tests share: kept when anything of the test failed, and only then."""

    def kept(self, body=lambda test: None, end=lambda test: None, founding=None):
        """What the clusters of such a test were told at their end, the shared one last: did it fail?"""

        class Tests(ClusterTest):
            NODES = 3

            def test(self):
                self.new_cluster(2)
                self.addCleanup(end, self)
                body(self)

        with mock.patch("support.case.Cluster") as cluster:
            cluster.side_effect = clusters = [mock.Mock(), mock.Mock()]
            clusters[0].found.side_effect = founding
            unittest.TextTestRunner(stream=io.StringIO()).run(unittest.defaultTestLoader.loadTestsFromTestCase(Tests))
        return [call.args[0] for cluster in reversed(clusters) for call in cluster.close.call_args_list]

    def test_after_success_they_are_removed(self):
        self.assertEqual(self.kept(), [False, False])
        self.assertEqual(self.kept(lambda test: test.skipTest("not here")), [False, False])

    def test_after_a_failure_wherever_it_is_they_are_kept(self):
        def subtest(test):
            with test.subTest():
                test.fail()

        self.assertEqual(self.kept(lambda test: test.fail()), [True, True])
        self.assertEqual(self.kept(subtest), [True, True])
        self.assertEqual(self.kept(end=lambda test: test.fail()), [True, True])
        self.assertEqual(self.kept(founding=OSError("no such program")), [True])

    def test_a_cluster_that_is_not_founded_is_closed(self):
        with mock.patch.object(Cluster, "found", side_effect=OSError), mock.patch.object(Cluster, "close", autospec=True) as close:
            self.assertRaises(OSError, Cluster, 3)
        close.assert_called_once_with(mock.ANY, failed=True)
        close.call_args.args[0].close()

    def test_a_refusal_has_its_code(self):
        def refused(code, error):
            def body(test):
                with test.refused(code):
                    if error:
                        raise error
            return self.kept(body)[0]

        self.assertFalse(refused("busy", Refused("busy", "why")))
        self.assertTrue(refused("busy", Refused("closed", "why")))
        self.assertTrue(refused("busy", None))


if __name__ == "__main__":
    unittest.main()
