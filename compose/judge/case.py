"""A case: what is done to a cluster, what is expected of it, and what was seen. Clients multicast on every node all the while, so
that virtual synchrony is judged in each: by what they delivered, and by the protocol events of all nodes."""

import subprocess
from dataclasses import dataclass

from judge.containers import Cluster
from support.cluster import VSYNC_CHECK
from support.history import judge
from support.load import Participant, settle
from support.waiting import Timeout, wait_until

GROUP = "case"
RATE = 20  # messages per second of each client
PATIENCE = 60.0  # seconds for what is expected to come true: a loaded machine is no reason to fail
CASES = {}  # in the order in which they are listed


@dataclass(frozen=True)
class Definition:
    name: str
    title: str
    file: str
    play: object
    settings: dict


def case(name, title, file="cluster.yml", **settings):
    """Registers the function below as a case. settings: {service: {VSYNCD_…: value}} on top of those in the file."""

    def register(play):
        CASES[name] = Definition(name, title, file, play, settings)
        return play

    return register


@dataclass(frozen=True)
class Expectation:
    wanted: str
    seen: str
    held: bool


class Failed(AssertionError):
    """Something expected was not seen; the last expectation tells."""


class Case:
    """What a case's function gets: the cluster, the clients, and what to expect of them."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.expectations = []
        self.participants = {}  # by service

    def __getitem__(self, name):
        return self.cluster[name]

    # ------------------------------------------------------------ expectations

    def expect(self, what, wanted, probe, timeout=PATIENCE):
        """Waits until probe() gives `wanted`; notes what was seen."""
        seen = None

        def came_true():
            nonlocal seen
            seen = probe()
            return seen == wanted

        try:
            wait_until(what, came_true, timeout, every=0.05)
        except Timeout:
            pass
        self.note(f"{what}: {show(wanted)}", show(seen), seen == wanted)

    def note(self, wanted, seen, held):
        self.expectations.append(Expectation(wanted, seen, held))
        if not held:
            raise Failed(wanted)

    def view(self, *names, why=""):
        """These nodes, and nobody else, come to be in one view, and so do their clients. The order does not matter."""
        numbers = sorted(self[n].number for n in names)

        def agreed():
            views = [(self[n].views() or [(0, "<>")])[-1] for n in names]
            told = len(set(views)) == 1 and sorted(map(int, filter(None, views[0][1][1:-1].split(",")))) == numbers
            groups = [self.participants[n].view() for n in names if n in self.participants]
            met = len({g and g.token for g in groups}) <= 1 and all(g and len(g.members) == len(groups) for g in groups)
            return told and met and views[0]

        try:
            number, members = wait_until("one view", agreed, PATIENCE, every=0.05)
            seen = f"view {number} {members}"
        except Timeout:
            seen = "; ".join(f"{n} {(self[n].views() or ['no view'])[-1]}" for n in names)
        wanted = f"{' '.join(names)}: one view of these" + (f" ({why})" if why else "")
        self.note(wanted, seen, seen.startswith("view "))

    def no_quorum(self, *names):
        for name in names:
            self.expect(f"{name} has a quorum", False, lambda n=name: (self[n].status() or {"has_quorum": True}).get(
                "has_quorum", False))

    def flowing(self, *names, count=40):
        """Every client of these nodes delivers `count` more messages."""
        for name in names:
            wait_until(f"the client of {name} is in the group", self.participants[name].joined, PATIENCE, every=0.05)
            client = self.participants[name].client
            before = sum(life.count for life in client.lives)
            wait_until(f"messages at {name}", lambda c=client, b=before: sum(life.count for life in c.lives) >= b + count,
                       PATIENCE, every=0.05)

    # ------------------------------------------------------------ the cast

    def up(self, *names):
        """Starts these nodes, or all, each with a client that multicasts."""
        self.cluster.up(*names)
        for name in names or self.cluster.nodes:
            self.add_client(name)

    def add_client(self, name):
        if name not in self.participants:
            self.participants[name] = Participant(f"c-{name}", self[name].socket, GROUP, RATE)

    def verdict(self):
        """Everybody falls silent; then the clients' histories and the event logs of all nodes are judged."""
        everybody = list(self.participants.values())
        alive = [p for name, p in self.participants.items() if self[name].id and self[name].running()]
        for participant in everybody:
            participant.mute()
        settle(alive, PATIENCE)
        lives = [life for p in everybody for life in p.lives()]
        violations = judge(lives, {p.name: p.sent() for p in everybody})
        delivered = sum(life.count for life in lives)
        self.note("the clients: virtual synchrony and one order", "; ".join(violations[:5]) or f"held in {delivered} deliveries",
                  not violations and delivered > 0)
        logs = [n.directory / "events.json" for n in self.cluster.nodes.values() if (n.directory / "events.json").exists()]
        done = subprocess.run([VSYNC_CHECK, *logs], capture_output=True, text=True, timeout=300)
        self.note("the event logs of all nodes: every promise kept", (done.stdout + done.stderr).strip(), done.returncode == 0)

    def close(self):
        for participant in self.participants.values():
            participant.close()


def show(value):
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return "".join(f"\n                {show(item)}" for item in value) or "nothing"
    return str(value)


def play(definition, image, keep=False):
    """Plays and judges one case: (passed, expectations, where its logs are or None). Logs of a failed case are kept."""
    with Cluster(definition.name, definition.file, image, definition.settings) as cluster:
        playing = Case(cluster)
        passed = True
        try:
            definition.play(playing)
            playing.verdict()
        except Exception as error:  # whatever goes wrong is a failed case, not the end of the others
            passed = False
            if not isinstance(error, Failed):
                playing.expectations.append(Expectation("the case to be played", f"{type(error).__name__}: {error}", False))
        finally:
            playing.close()
        cluster.keep = keep or not passed
        return passed, playing.expectations, cluster.directory if cluster.keep else None
