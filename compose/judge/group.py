"""The run of the group service: crashes at the three bad moments (on a view change, while multicasting, after receiving), judged by
the log lines in the text format."""

import re

from judge.case import case

LINE = re.compile(r"(?P<id>\d+) (install view (?P<view>\d+) (?P<members>\d+(,\d+)*)|send multicast \d+ within \d+"
                  r"|deliver multicast \d+ from \d+ within \d+)")
LOST = "LOST_MESSAGE"


def installed(node):
    """The views that the node has told of: ["3 1,3,4"]."""
    found = (LINE.fullmatch(line) for line in node.text_lines())
    return [f"{m['view']} {m['members']}" for m in found if m and m["view"]]


def die_silently(play, name, judge):
    """What a dying kernel would say for the process is lost, so that `judge` learns of the death by silence alone. So is what
    the next owner of the address would say to the connections of the dead one."""
    for flag in ("RST", "FIN"):
        ends = ("--protocol", "tcp", "--tcp-flags", flag, flag)
        play[name].iptables("--append", "OUTPUT", *ends, "--jump", "DROP")
        play[judge].drop_from(play.cluster.address(name), *ends)


def delivered_lost(play, name):
    """The view in which the client of that node delivered the message, 0 if it did not."""
    return next((view.view for life in play.participants[name].lives() for view, messages, _ in life.episodes
                 for m in messages if m.content == LOST), 0)


@case("group", "the group service: crashes on a view change, in the middle of a multicast, and after receiving", "group.yml",
      **{name: {"VSYNCD_START_DELAY": "0s"} for name in ("three", "four", "five")})
def group_run(play):
    play.up("one")
    play.view("one")
    play.up("two")
    play.view("one", "two")
    die_silently(play, "two", judge="one")

    play.cluster.create("four")
    play.up("three")
    play.expect("exit status of two, dead on receiving view 3", 1, play["two"].ended)
    play["four"].start()
    play.add_client("four")
    play.view("one", "three", "four", why="the wait ends without two; what was asked meanwhile follows")
    play.expect("views at one", ["1 1", "2 1,2", "3 1,3", "4 1,3,4"], lambda: installed(play["one"]))
    found = play["four"].events("decided")[0]["time"]  # what the first member that it reached tells it
    waited = play["one"].events("install")[2]["time"]
    play.note("four reached the cluster while view 3 waited for two", f"{(waited - found) / 1e9:.1f} s before the end of the wait",
              found < waited)
    play["one"].heal()
    play.up("five")
    play.view("one", "three", "four", "five")
    multicast_to_one_only(play)

    play.flowing("one", "four", "five")
    play["four"].kill()
    play.view("one", "five", why="four crashed after receiving")
    play["four"].start()
    play.view("one", "four", "five", why="four recovered")
    in_sequence(play)


def multicast_to_one_only(play):
    """What three sends reaches one, and neither four nor five: then it dies."""
    sender = play.participants["three"]
    sender.mute()  # nothing of its own is on the way that LOST would have to wait for
    sender.client.wait("outcome of every send", lambda: sender.client.pending() == 0)
    play.cluster.part(["three"], ["four", "five"])
    sender.say(LOST, "fifo")
    play.expect(f"view in which one delivers {LOST} of three", 5, lambda: delivered_lost(play, "one"))
    play.note(f"nobody else has delivered {LOST}", "nobody", not any(delivered_lost(play, n) for n in ("four", "five")))
    play["three"].kill()
    play.view("one", "four", "five", why="three crashed while multicasting")
    sequence = [line.split()[3] for line in play["three"].text_lines() if " send multicast " in line][-1]
    for name in ("one", "four", "five"):
        play.expect(f"view in which {name} has delivered {LOST}: all survivors or none", 5,
                    lambda n=name: delivered_lost(play, n))
        line = f"{play[name].number} deliver multicast {sequence} from 3 within 5"
        play.note(f"in its log: {line}", "just that" if line in play[name].text_lines() else "nothing",
                  line in play[name].text_lines())


def in_sequence(play):
    """Every line has the format of the log, and who goes on installs every view, in order."""
    for name in ("one", "five"):
        strange = [line for line in play[name].text_lines() if not LINE.fullmatch(line)]
        play.note(f"lines of {name} that are none of install, send, deliver: nothing", "; ".join(strange) or "nothing", not strange)
        views = [int(view.split()[0]) for view in installed(play[name])]
        play.note(f"the views of {name} follow each other", " ".join(map(str, views)),
                  views == list(range(views[0], views[0] + len(views))))
