"""What clients saw, and the properties of virtual synchrony judged on it alone (protocol.md section 16, seen from outside)."""

from collections import defaultdict
from dataclasses import dataclass, field


def number(value):
    """protobuf's JSON writes 64-bit numbers as strings and leaves zeros out."""
    return int(value or 0)


@dataclass(frozen=True)
class GroupMember:
    node: int
    incarnation: int
    client: int
    name: str

    @staticmethod
    def parse(body):
        return GroupMember(number(body.get("node")), number(body.get("incarnation")), number(body.get("client")),
                           body.get("name", ""))


@dataclass(frozen=True)
class GroupView:
    group: str
    token: int
    view: int  # daemon view
    number: int
    members: tuple
    joined: tuple
    left: tuple
    transitional: tuple
    primary: bool
    cold: bool

    @staticmethod
    def parse(body):
        def many(key):
            return tuple(GroupMember.parse(m) for m in body.get(key, []))

        left = tuple((GroupMember.parse(d["member"]), d.get("reason", "")) for d in body.get("left", []))
        return GroupView(body["group"], number(body.get("token")), number(body.get("view")), number(body.get("number")),
                         many("members"), many("joined"), left, many("transitional"), bool(body.get("primary")),
                         bool(body.get("cold")))

    def names(self):
        return [m.name for m in self.members]


@dataclass(frozen=True)
class Message:
    sender: GroupMember
    token: int
    position: int
    service: str
    content: str

    @staticmethod
    def parse(body):
        content = body["text"] if "text" in body else body.get("payload", "")
        return Message(GroupMember.parse(body["sender"]), number(body.get("token")), number(body.get("position")),
                       body.get("service", "total"), content)


@dataclass
class Life:
    """One stay of one client in a group: its views, and the messages delivered in each."""

    who: str
    group: str
    episodes: list = field(default_factory=list)  # [(GroupView, [Message], monotonic seconds of the install)]
    ended: str = ""  # "" while it lasts, else why: closed, excluded
    count: int = 0

    def add(self, item, now=0.0):
        if isinstance(item, GroupView):
            self.episodes.append((item, [], now))
        else:
            self.episodes[-1][1].append(item)
            self.count += 1

    @property
    def view(self):
        return self.episodes[-1][0] if self.episodes else None

    def views(self):
        return [view for view, _, _ in self.episodes]

    def messages(self):
        return [m for _, messages, _ in self.episodes for m in messages]


def judge(lives, sent=None, settled=True):
    """Violations found in the lives of one group, as sentences; none = virtual synchrony and total order held.

    sent: {sender name: {content: outcome, "" = not told}} in order of sending. Contents must be unique in the test.
    settled: nothing is in flight any more, so lives that go on must agree about their last view as well.
    """
    found = []
    found += _views(lives)
    found += _no_duplicates(lives)
    found += _total_order(lives)
    found += _virtual_synchrony(lives, settled)
    if sent is not None:
        found += _sending(lives, sent)
    return found


def _views(lives):
    """Views are agreed on, rise, contain their holder; messages carry the token of the view they are delivered in."""
    contents = {}
    for life in lives:
        last = 0
        for view, messages, _ in life.episodes:
            if view.token <= last:
                yield f"{life.who}: token {view.token} after {last}"
            last = view.token
            same = contents.setdefault(view.token, view.members)
            if same != view.members:
                yield f"{life.who}: members of view {view.token} differ from another client's"
            if life.who not in view.names():
                yield f"{life.who}: is not in its own view {view.token}"
            if any(m.token != view.token for m in messages):
                yield f"{life.who}: a message of another view delivered in {view.token}"
            if any(m.sender not in view.members and m.service != "total" for m in messages):
                yield f"{life.who}: a message of a stranger delivered in {view.token}"


def _no_duplicates(lives):
    """A message is delivered at most once by each client and in one view only, whoever delivers it."""
    view_of = {}
    for life in lives:
        seen = set()
        for message in life.messages():
            if message.content in seen:
                yield f"{life.who}: {message.content} delivered twice"
            seen.add(message.content)
            if view_of.setdefault(message.content, message.token) != message.token:
                yield f"{message.content} delivered in views {view_of[message.content]} and {message.token}"


def _total_order(lives):
    """The totals of a view are one sequence, of which everybody, dead or excluded, has a prefix."""
    longest = {}
    for life in lives:
        for view, messages, _ in life.episodes:
            totals = [m for m in messages if m.service == "total"]
            if [m.position for m in totals] != list(range(1, len(totals) + 1)):
                yield f"{life.who}: positions of totals in view {view.token} are not 1, 2, 3, …"
            sequence = [m.content for m in totals]
            known = longest.setdefault(view.token, sequence)
            short, long = sorted((known, sequence), key=len)
            if long[:len(short)] != short:
                yield f"{life.who}: another order of totals in view {view.token}"
            longest[view.token] = long


def _virtual_synchrony(lives, settled):
    """Who goes together from one view to the next has delivered the same in the first."""
    delivered = {}
    for life in lives:
        for index, (view, messages, _) in enumerate(life.episodes):
            last = index + 1 == len(life.episodes)
            if last and (life.ended or not settled):
                continue
            following = 0 if last else life.episodes[index + 1][0].token
            contents = frozenset(m.content for m in messages)
            known, who = delivered.setdefault((view.token, following), (contents, life.who))
            if known != contents:
                yield (f"{life.who} and {who} go from view {view.token} to {following or 'the end'} together but differ in "
                       f"{len(known ^ contents)} messages, e.g. {sorted(known ^ contents)[0]}")
    for token in {t for t, _ in delivered}:
        if len({following for t, following in delivered if t == token}) > 1 and settled:
            yield f"view {token} has two successors"


def _sending(lives, sent):
    """Every delivered message was sent; per sender in order; outcomes told were true."""
    sender_of = {content: (name, index) for name, contents in sent.items() for index, content in enumerate(contents)}
    everywhere = set()
    for life in lives:
        last = defaultdict(lambda: -1)
        for message in life.messages():
            if message.content not in sender_of:
                yield f"{life.who}: {message.content} was never sent"
                continue
            name, index = sender_of[message.content]
            if message.sender.name not in (name, ""):  # "": it sent as a stranger, just excluded and not told yet
                yield f"{life.who}: {message.content} is not from {message.sender.name}"
            if index <= last[name]:
                yield f"{life.who}: {message.content} overtaken by a later message of {name}"
            last[name] = index
            everywhere.add(message.content)
    for name, contents in sent.items():
        for content, outcome in contents.items():
            if outcome == "delivered" and content not in everywhere:
                yield f"{name} was told that {content} is delivered, but nobody has it"
    survivors = {m.content for life in lives if not life.ended for m in life.messages()}
    for name, contents in sent.items():
        lies = [c for c, outcome in contents.items() if outcome == "not_delivered" and c in survivors]
        if lies:
            yield f"{name} was told that {lies[0]} is not delivered, but it is"
