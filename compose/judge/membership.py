"""The four cases of the membership service: five containers one to five, and their membership lines to the letter."""

from judge.case import case

FIVE = ("one", "two", "three", "four", "five")
JOINS = ["1 <1>", "2 <1,2>", "3 <1,2,3>", "4 <1,2,3,4>", "5 <1,2,3,4,5>"]


def membership_lines(number, views, leader=1):
    """The lines of a node about these views: {peer_id:P, view_id: V, leader: L, memb_list: [<a,b,c>]}."""
    told = (view.split(" ") for view in views)
    return [f"{{peer_id:{number}, view_id: {view}, leader: {leader}, memb_list: [{members}]}}" for view, members in told]


def message(number, view, leader, text):
    return f'{{peer_id:{number}, view_id: {view}, leader: {leader}, message:"{text}"}}'


def about_views(node):
    return [line for line in node.lines() if "memb_list" in line]


def other_lines(node):
    return [line for line in node.lines() if "memb_list" not in line]


def expect_joins(play):
    """Views 1 to 5, one node more in each; node n is there from view n on: 15 lines."""
    play.up()
    for name in FIVE:
        number = play[name].number
        play.expect(f"membership lines of {name}", membership_lines(number, JOINS[number - 1:]),
                    lambda n=name: about_views(play[n])[:6 - play[n].number])


@case("case1", "joins: every two seconds one more", "case1.yml")
def joins(play):
    expect_joins(play)
    play.expect("membership lines in all", 15, lambda: sum(len(play[name].lines()) for name in FIVE))


def expect_views(play, names, views, leader=1):
    """After the joins, these nodes write the lines of these views, and no others."""
    for name in names:
        number = play[name].number
        joined = 6 - number
        play.expect(f"later membership lines of {name}", membership_lines(number, views, leader),
                    lambda n=name, j=joined: about_views(play[n])[j:])


def expect_crash(play, name, view, leader=1):
    """The node writes its last words and ends with status 1."""
    number = play[name].number
    play.expect(f"last line of {name}", message(number, view, leader, "crashing"), lambda: (play[name].lines() or [""])[-1])
    play.expect(f"exit status of {name}", 1, lambda: play[name].ended())


def expect_unreachable(play, name, view, witnesses, leader=1):
    """Somebody who stays says that the peer is unreachable, and nobody says it of another one in that view."""
    number = play[name].number
    who = f"peer {number} (leader) unreachable" if number == leader else f"peer {number} unreachable"
    allowed = {message(play[w].number, view, leader, who) for w in witnesses}

    def heard():
        said = {line for w in witnesses for line in other_lines(play[w]) if f"view_id: {view}," in line}
        return "somebody" if said and said <= allowed else sorted(said)

    play.expect(f'who says "{who}" in view {view}, and nothing else', "somebody", heard)


@case("case2", "one failure: five dies, view 6 without it", "case2.yml")
def one_failure(play):
    expect_joins(play)
    expect_crash(play, "five", 5)
    expect_views(play, FIVE[:4], ["6 <1,2,3,4>"])
    expect_unreachable(play, "five", 5, FIVE[:4])


@case("case3", "one failure after another: five, four, three, two; one goes on alone", "case3.yml")
def failures(play):
    expect_joins(play)
    views = ["6 <1,2,3,4>", "7 <1,2,3>", "8 <1,2>", "9 <1>"]
    for dead in (5, 4, 3, 2):
        survivors = FIVE[:dead - 1]
        expect_crash(play, FIVE[dead - 1], 10 - dead)
        expect_views(play, survivors, views[:6 - dead])
        expect_unreachable(play, FIVE[dead - 1], 10 - dead, survivors)


@case("case4", "the leader dies in mid-change: the next one finishes what it began, then removes it", "case4.yml")
def leader_in_mid_change(play):
    """Three and four know of the removal of five, two does not: it finds it pending at them, and completes it as view 6, which
    still contains one. Then one is removed, in view 7. Five, alive, is told that it is out and joins again: as a new incarnation
    it may be in view 7 already, or follows in view 8."""
    expect_joins(play)
    expect_crash(play, "one", 5)
    told = {"7 <2,3,4,5>": ["7 <2,3,4,5>"], "8 <2,3,4,5>": ["7 <2,3,4>", "8 <2,3,4,5>"]}
    play.view("two", "three", "four", "five", why="five learns that it was removed and joins again")
    last = "{} {}".format(*play["two"].views()[-1])
    for name in FIVE[1:4]:
        number = play[name].number
        play.expect(f"later membership lines of {name}",
                    membership_lines(number, ["6 <1,2,3,4>"]) + membership_lines(number, told.get(last, []), leader=2),
                    lambda n=name: about_views(play[n])[6 - play[n].number:])
    play.expect("later membership lines of five", membership_lines(5, [last], leader=2), lambda: about_views(play["five"])[1:])
    expect_unreachable(play, "one", 5, FIVE[1:])
