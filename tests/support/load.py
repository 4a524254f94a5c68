"""An application that stays in a group whatever happens to its daemon, and multicasts as it goes."""

import itertools
import threading
import time

from support.client import Client, Disconnected, Refused
from support.waiting import DEADLINE, Timeout, pause, wait_until

RETRY = 0.02  # seconds between attempts to connect or join
MIX = ("total",) * 8 + ("fifo", "causal")


class Participant:
    """Connects, joins, multicasts numbered texts at `rate` per second, and starts over after every disconnection or exclusion.

    `services` are taken in turn. At most `window` sends are without outcome at a time.
    """

    def __init__(self, name, path, group, rate=100.0, services=MIX, window=200):
        self.name, self.path, self.group = name, path, group
        self.clients = []  # one per connection, oldest first
        self._rate, self._window = rate, window
        self._services = itertools.cycle(services)
        self._numbers = itertools.count(1)
        self._sent = []  # (content, client, request id)
        self._stop = threading.Event()
        self._mute = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def client(self):
        return self.clients[-1]

    def joined(self):
        return bool(self.clients) and not self.client.closed and self.client.in_group(self.group)

    def view(self):
        """The group view this participant is in, None while it is in none."""
        if not self.joined():
            return None
        return next(life.view for life in reversed(self.client.lives) if life.group == self.group)

    def lives(self):
        return [life for client in self.clients for life in client.lives if life.group == self.group]

    def sent(self):
        """{content: outcome} in order of sending; "" = no outcome was told."""
        told = {}
        for content, client, number in list(self._sent):
            outcome = client.outcomes.get(number, "")
            told[content] = "not_delivered" if outcome.startswith("refused") else outcome
        return told

    def first_delivery_after(self, moment):
        """When the first group view after `moment` was installed here, None if none was."""
        return min((at for life in self.lives() for _, _, at in life.episodes if at > moment), default=None)

    def mute(self):
        """Stops sending but stays in the group."""
        self._mute.set()

    def say(self, content, service="total"):
        """Multicasts this text. For one that is mute and has the outcome of all that it sent."""
        self._sent.append((content, self.client, self.client.post_text(self.group, content, service)))

    def close(self):
        self._stop.set()
        self._thread.join(DEADLINE)
        for client in self.clients:
            client.close()

    # ------------------------------------------------------------ the thread

    def _run(self):
        while not self._stop.is_set():
            try:
                client = Client(self.path, self.name)
            except OSError:
                pause(RETRY)
                continue
            self.clients.append(client)
            try:
                while not self._stop.is_set():
                    self._join(client)
                    self._send(client)
            except Disconnected:
                pause(RETRY)

    def _join(self, client):
        number = client.post("join", {"group": self.group, "member_name": self.name})
        while not self._stop.is_set():
            try:
                client.reply(number, timeout=0.2)
                return
            except Refused:
                pause(RETRY)
                number = client.post("join", {"group": self.group, "member_name": self.name})
            except Timeout:
                continue  # still waiting: its daemon may be paused or without quorum

    def _send(self, client):
        """Sends until excluded, disconnected or stopped."""
        due = time.monotonic()
        while client.in_group(self.group) and not self._stop.is_set():
            if client.closed:
                raise Disconnected(self.name)
            behind = time.monotonic() - due
            if self._mute.is_set() or client.pending() >= self._window:
                pause(0.005)
                due = time.monotonic()
            elif behind < 0:
                pause(-behind)
            else:
                self._send_next(client)
                due += 1.0 / self._rate

    def _send_next(self, client):
        content = f"{self.name}-{next(self._numbers)}"
        self._sent.append((content, client, 0))
        number = client.post_text(self.group, content, next(self._services))
        self._sent[-1] = (content, client, number)


def settle(participants, timeout=DEADLINE):
    """Stops all senders and waits until everything they sent has arrived at everybody."""
    for participant in participants:
        participant.mute()
    wait_until("everybody is in one view of the group",
               lambda: len({p.view() and p.view().token for p in participants}) == 1 and participants[0].view(), timeout)
    for participant in participants:
        client = participant.client
        client.wait("outcome of every send", lambda c=client: c.pending() == 0, timeout)
    # A total is a barrier for everything its sender sent before (O3), so the last words of all end everything.
    last_words = [f"{p.name}-last-{time.monotonic_ns()}" for p in participants]
    for participant, content in zip(participants, last_words):
        participant.say(content)
    for participant in participants:
        participant.client.wait("the last words of everybody", lambda p=participant: _heard(p, last_words), timeout)


def _heard(participant, contents):
    recent = participant.lives()[-1].episodes[-1][1][-10 * len(contents):]
    return set(contents) <= {m.content for m in recent}
