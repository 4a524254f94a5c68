"""Tests on real daemons, whose files are kept when a test fails."""

import contextlib
import os
import unittest

from support.client import Refused
from support.cluster import Cluster


class ClusterTest(unittest.TestCase):
    NODES = 0  # of the cluster that the tests of the class share, if they do
    failed = False

    @classmethod
    def setUpClass(cls):
        if cls.NODES:
            cls.cluster = Cluster()
            cls.addClassCleanup(lambda: cls.cluster.close(cls.failed))
            cls.failed = True  # until it is founded
            cls.cluster.found(cls.NODES)
            cls.failed = False

    def run(self, result=None):
        """Only behind it is known whether all of the test went well: its subtests, tearDown and cleanups too."""
        result = result or self.defaultTestResult()
        before = len(result.failures) + len(result.errors)
        self._clusters = []
        try:
            return super().run(result)
        finally:
            failed = len(result.failures) + len(result.errors) > before
            type(self).failed |= failed
            for cluster in self._clusters:
                cluster.close(failed)

    def new_cluster(self, size=0, **options):
        """A cluster of this test alone."""
        cluster = Cluster(**options)
        self._clusters.append(cluster)
        if size:
            cluster.found(size)
        return cluster

    def fresh_group(self):
        """A name for a group that is new to the cluster that the tests share."""
        return f"{self.id().rsplit('.', 1)[1]}-{os.urandom(2).hex()}"

    @contextlib.contextmanager
    def refused(self, code):
        """What is done with it is refused with this code."""
        with self.assertRaises(Refused) as caught:
            yield caught
        self.assertEqual(caught.exception.code, code)
