"""What can befall five nodes with the settings that vsyncd has by itself. Members are compared as sets: who was away comes back as
the most junior one."""

import json
import os
import re
import signal
import subprocess

from judge.case import case
from judge.containers import run
from support.waiting import wait_until

FIVE = ("one", "two", "three", "four", "five")
IMAGE_BYTES = 120 << 20
NAME_SERVICE = "127.0.0.11"  # of the engine, in every container
DISK = 256 * 1024  # bytes


def whole(play):
    """All five in one view and talking."""
    play.up()
    play.view(*FIVE)
    play.flowing(*FIVE)


def back(play):
    """Everybody is together again and talks."""
    play.view(*FIVE, why="everybody is back")
    play.flowing(*FIVE)


@case("image", "the image: small, nobody special inside, and it tells its health")
def image(play):
    play["one"].asked_for_health = True
    play.up("one")
    play.view("one")
    facts = json.loads(run("docker", "image", "inspect", play.cluster.image))[0]
    play.note(f"the image has less than {IMAGE_BYTES >> 20} MiB", f"{facts['Size'] >> 20} MiB", facts["Size"] < IMAGE_BYTES)
    user = run("docker", "exec", play["one"].id, "id", "--user").strip()
    play.note("the daemon's user is not root", user, user != "0")
    play.expect("health by vsyncctl", "healthy", lambda: play["one"].inspect("State.Health.Status"))


@case("partition", "five nodes fall apart into two with the leader and three without, then meet again")
def partition(play):
    whole(play)
    minority, majority = FIVE[:2], FIVE[2:]
    play.cluster.part(minority, majority)
    play.cluster.part(majority, minority)
    play.view(*majority, why="the majority goes on")
    play.no_quorum(*minority)
    play.flowing(*majority)
    play.cluster.heal()
    back(play)


@case("one-way", "two does not hear the leader, which hears everybody")
def one_way(play):
    whole(play)
    play.cluster.part(["one"], ["two"])
    without_one_of_the_pair(play)
    play.cluster.heal()
    back(play)


def without_one_of_the_pair(play):
    """One of the pair that has no link must go, so that the rest can work."""

    def gone():
        members = [set(view[-1][1][1:-1].split(",")) for view in (play[n].views() for n in FIVE[2:])]
        return members[0] if members.count(members[0]) == len(members) and not {"1", "2"} <= members[0] else None

    members = wait_until("a view without one of the pair", gone, 60, every=0.05)
    play.view(*(name for name in FIVE if str(play[name].number) in members), why="two and the leader are not both in it")


@case("unplugged-one", "the leader's cable is pulled and put back")
def unplugged_one(play):
    whole(play)
    play.cluster.unplug("one")
    play.view(*FIVE[1:])
    play.no_quorum("one")
    play.flowing(*FIVE[1:])
    play.cluster.plug("one")
    back(play)


@case("unplugged-two", "the cables of two of five are pulled; when they are put back each has the other's address")
def unplugged_two(play):
    whole(play)
    addresses = {name: play.cluster.address(name) for name in ("two", "four")}
    for name in addresses:
        play.cluster.unplug(name)
    play.view("one", "three", "five")
    play.no_quorum("two", "four")
    for name in reversed(sorted(addresses, key=addresses.get)):  # the engine gives the lowest free one
        play.cluster.plug(name)
    play.note("the addresses were exchanged", ", ".join(f"{name} {play.cluster.address(name)}" for name in addresses),
              {play.cluster.address(name) for name in addresses} == set(addresses.values())
              and play.cluster.address("two") != addresses["two"])
    back(play)


@case("two-nodes", "two nodes lose each other: the side with the tie-break goes on, the other waits")
def two_nodes(play):
    play.up("one")
    play.view("one")
    play.up("two")
    play.view("one", "two")
    play.cluster.part(["one"], ["two"])
    play.cluster.part(["two"], ["one"])
    play.view("one", why="it leads, so it has the tie-break")
    play.no_quorum("two")
    play.flowing("one")
    play.cluster.heal()
    play.view("one", "two", why="two comes back")
    play.flowing("one", "two")


@case("paused", "the leader is frozen until the others exclude it, then thawed")
def paused(play):
    whole(play)
    play["one"].pause()
    play.view(*FIVE[1:])
    play.flowing(*FIVE[1:])
    play["one"].resume()
    play.participants["one"].client.event("excluded")
    back(play)


@case("rolling", "all are restarted one after the other, without losing the cluster")
def rolling(play):
    whole(play)
    for name in FIVE:
        play.expect(f"exit status of {name}, told to end", 0, play[name].stop)
        play.view(*(n for n in FIVE if n != name))
        play[name].start()
        play.view(*FIVE)
    back(play)


@case("cold-start", "all are killed and started again: the views go on where they ended")
def cold_start(play):
    whole(play)
    before = play["one"].views()[-1][0]
    pids = [play[name].inspect("State.Pid") for name in FIVE]
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    for name in FIVE:
        play[name].ended()
    for name in reversed(FIVE):
        play[name].start()
    back(play)
    play.expect(f"views that say cold, of those after view {before}", [f"{before + 1} cold"], lambda: sorted(
        {f"{e['view']['id']} cold" for name in FIVE for e in play[name].events("install") if e["view"]["cold"]}))


@case("mid-join", "joiners die in the middle of their join, then come back",
      four={"VSYNCD_FAULT": "crash-on=READY_OK"}, five={"VSYNCD_FAULT": "crash-on=INSTALLED"})
def mid_join(play):
    play.up(*FIVE[:3])
    play.view(*FIVE[:3])
    for name in FIVE[3:]:
        play.up(name)
        play.expect(f"exit status of {name}, dead in its join", 1, play[name].ended)
        play.view(*FIVE[:3], why=f"{name} is not missed")
    play.flowing(*FIVE[:3])
    play.cluster.settings.clear()
    play.up(*FIVE[3:])
    back(play)


@case("full-disk", "the disk of one member fills up: it ends rather than promise what it cannot keep")
def full_disk(play):
    ballast = play.cluster.small_disk("two", DISK) / "ballast"
    whole(play)
    fill(ballast)
    play["five"].kill()
    play.expect("exit status of two, which cannot store its promise", 3, play["two"].ended)
    play.view("one", "three", "four")
    play.flowing("one", "three", "four")
    ballast.unlink()
    for name in ("two", "five"):
        play[name].start()
    back(play)


def fill(path):
    """Writes until there is no space left."""
    with open(path, "wb", buffering=0) as file:
        for size in (4096, 512, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue


@case("loss", "a tenth of all datagrams is lost, at every node: nobody is suspected, and a crash is seen as ever")
def loss(play):
    whole(play)
    for name in FIVE:
        play[name].iptables("--append", "INPUT", "--protocol", "udp", "--match", "statistic", "--mode", "random", "--probability",
                            "0.1", "--jump", "DROP")
    before = {name: len(play[name].views()) for name in FIVE}
    play.flowing(*FIVE, count=1000)
    play.expect("new views while heartbeats are lost", 0, lambda: sum(len(play[n].views()) - before[n] for n in FIVE))
    play["three"].kill()
    play.view("one", "two", "four", "five")
    play["three"].start()
    back(play)


@case("late-name", "the names of the others do not resolve at first: they do when the others exist")
def late_name(play):
    play.up("three")
    play.expect("three is up and in no view", ["joining", 0], lambda: (lambda s: [s.get("state"), int(s.get("view", 0))])(
        play["three"].status() or {}))
    lookup = ["docker", "exec", play["three"].id, "getent", "hosts", "one"]
    play.expect("the name of one resolves at three", False, lambda: subprocess.run(lookup, capture_output=True).returncode == 0)
    play.up("one")
    play.view("one", "three")
    play.flowing("one", "three")


@case("names-lost", "the name service goes away: who is known stays known")
def names_lost(play):
    play.cluster.up(*FIVE[:3])  # without clients: only heartbeats tell who lives
    play.view(*FIVE[:3])
    before = {name: len(play[name].lines()) for name in FIVE[:3]}
    for name in FIVE[:3]:
        play[name].iptables("--append", "OUTPUT", "--destination", NAME_SERVICE, "--jump", "DROP")
    for name in FIVE[:3]:
        play.expect(f"{name} has asked for names in vain, again and again", True, lambda n=name: questions_lost(play[n]) >= 20,
                    timeout=180)
        play.expect(f"{name} has a quorum", True, play[name].has_quorum)
    play.expect("new lines about views and unreachable peers", 0,
                lambda: sum(len(play[name].lines()) - before[name] for name in FIVE[:3]))
    play.cluster.heal()
    for name in FIVE[:3]:
        play.add_client(name)
    play.flowing(*FIVE[:3])


def questions_lost(node):
    """Packets to the name service that were dropped."""
    return int(re.search(r"^ *(\d+) .*DROP", node.iptables("--list", "OUTPUT", "--verbose", "--exact", "--numeric"), re.M)[1])


@case("discovery", "nobody is told an address: two finds one by asking the network; another cluster's node does not",
      "discovery.yml")
def discovery(play):
    play.up("one")
    play.view("one")
    play.cluster.up("three")  # without a client, which would wait for ever
    play.up("two")
    play.view("one", "two")
    play.flowing("one", "two")
    refused = "discovery_refused"
    play.expect("one refuses those that look for another cluster", True,
                lambda: int(play["one"].status().get("counters", {}).get(refused, 0)) > 0)
    play.expect("three is in no view", [], lambda: play["three"].views())
