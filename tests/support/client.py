"""A client of the control socket in plain JSON lines: what any language can do without a library."""

import base64
import json
import socket
import threading
import time

from support.history import GroupView, Life, Message
from support.waiting import DEADLINE, Timeout


class Refused(Exception):
    """The daemon answered a request with an error."""

    def __init__(self, code, message):
        super().__init__(f"{code}: {message}")
        self.code = code


class Disconnected(Exception):
    """The daemon closed the connection."""


class Client:
    """One connection. A thread of its own reads; requests may be made from any thread.

    `events` holds every event as (monotonic seconds, kind, body); `lives` what was delivered in the groups, one Life per stay.
    """

    def __init__(self, path, name="client", timeout=DEADLINE):
        self.name = name
        self.events, self.lives, self.outcomes = [], [], {}
        self._lives_open = {}  # by group
        self._own_groups = set()  # ever asked to join; a watcher is told the views of all others too
        self._replies, self._expected = {}, {}  # by request id: (kind, body)
        self._changed = threading.Condition()
        self._write_lock = threading.Lock()
        self._next_id = 0
        self.closed = False
        self.failure = None  # what the reader could not make sense of
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._socket.settimeout(None)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def close(self):
        """Disconnects; what was delivered so far stays readable."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._reader.join(DEADLINE)
        self._socket.close()

    # ------------------------------------------------------------ requests

    def number_from(self, first):
        """The next requests have the ids first, first + 1, …"""
        self._next_id = first - 1

    def post(self, kind, body=None):
        """Sends a request and returns its id at once."""
        with self._write_lock:
            self._next_id += 1
            number = self._next_id
            with self._changed:
                self._expected[number] = (kind, body or {})
                if kind == "join":
                    self._own_groups.add(body["group"])
            line = json.dumps({"id": number, kind: body or {}}) + "\n"
            try:
                self._socket.sendall(line.encode())
            except OSError as error:
                raise Disconnected(str(error)) from error
            return number

    def reply(self, number, timeout=DEADLINE):
        """Body of the reply to request `number`. Raises Refused, Disconnected or Timeout."""
        reply = self.wait(f"reply to request {number}", lambda: self._replies.get(number), timeout)
        kind, body = reply
        if kind == "error":
            raise Refused(body.get("code", ""), body.get("message", ""))
        return body

    def request(self, kind, body=None, timeout=DEADLINE):
        return self.reply(self.post(kind, body), timeout)

    def status(self, timeout=DEADLINE):
        return self.request("status", timeout=timeout)

    def join(self, group, timeout=DEADLINE, **policy):
        """Joins the group; returns the GroupView with this member."""
        body = {"group": group, "member_name": self.name, **policy}
        return GroupView.parse(self.request("join", body, timeout)["view"])

    def leave(self, group, timeout=DEADLINE):
        self.request("leave", {"group": group}, timeout)

    def post_text(self, group, text, service="total", in_view=0):
        """Multicasts without waiting; `outcomes[id]` will hold the reply."""
        return self.post("send", {"group": group, "text": text, "service": service, "in_view": in_view})

    def send(self, group, text, service="total", in_view=0, timeout=DEADLINE):
        """Multicasts and waits; returns {"outcome": …, "view": …, "position": …}."""
        body = self.reply(self.post_text(group, text, service, in_view), timeout)
        return {"outcome": body["outcome"], "view": int(body.get("view", 0)), "position": int(body.get("position", 0))}

    def give_state(self, asked, data, size=None):
        """Answers a state_request, in pieces of that size: each when the one before was taken."""
        size = size or int(asked["piece_size"])
        for at in range(0, len(data) + 1, size):
            self.give_piece(asked, data[at:at + size], last=at + size > len(data))

    def give_piece(self, asked, data, last=False, **more):
        self.request("state", {"group": asked["group"], "token": asked["token"], "payload": base64.b64encode(data).decode(),
                               "last": last, **more})

    # ------------------------------------------------------------ waiting

    def wait(self, what, condition, timeout=DEADLINE):
        """Waits until condition() is true, looked at whenever something arrives; returns its value."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while True:
                value = condition()
                if value:
                    return value
                if self.failure:
                    raise AssertionError(f"{self.name}: {self.failure}")
                if self.closed:
                    raise Disconnected(f"{self.name}: the daemon closed the connection; waited for {what}")
                remaining = deadline - time.monotonic()
                if remaining <= 0:
                    raise Timeout(f"{self.name}: not within {timeout:g} s: {what}")
                self._changed.wait(remaining)

    def event(self, kind, matches=lambda body: True, timeout=DEADLINE, since=0):
        """The first event of that kind (from index `since` of events) that matches: (time, body)."""

        def found():
            return next(((at, body) for at, k, body in self.events[since:] if k == kind and matches(body)), None)

        return self.wait(f"event {kind}", found, timeout)

    def group_view(self, matches, timeout=DEADLINE):
        """The first installed GroupView that matches."""
        return self.wait("group view", lambda: next((v for life in self.lives for v in life.views() if matches(v)), None),
                         timeout)

    def messages(self, group):
        """All messages delivered in the group, over all stays."""
        return [m for life in self.lives if life.group == group for m in life.messages()]

    def wait_messages(self, group, count, timeout=DEADLINE):
        """Waits until at least `count` messages of the group were delivered; returns them."""
        self.wait(f"{count} messages", lambda: sum(life.count for life in self.lives if life.group == group) >= count, timeout)
        return self.messages(group)

    def pending(self):
        """Number of requests without a reply."""
        return len(self._expected)

    def in_group(self, group):
        return group in self._lives_open

    # ------------------------------------------------------------ reading

    def _read(self):
        buffer = b""
        while True:
            try:
                data = self._socket.recv(1 << 18)
            except OSError:
                data = b""
            now = time.monotonic()
            lines = (buffer + data).split(b"\n")
            buffer = lines.pop()
            with self._changed:
                for line in lines:
                    self._take_line(now, line)
                if not data:
                    self.closed = True
                    for life in self._lives_open.values():
                        life.ended = "closed"
                self._changed.notify_all()
            if not data:
                return

    def _take_line(self, now, line):
        try:
            self._take(now, json.loads(line))
        except (KeyError, ValueError, IndexError) as error:
            self.failure = self.failure or f"{error!r} at {line[:300]!r}"

    def _take(self, now, reply):
        number = int(reply.pop("id", 0))
        ((kind, body),) = reply.items()
        if kind == "event":
            ((kind, body),) = body.items()
            self._take_event(now, kind, body)
            return
        _, asked = self._expected.pop(number, (None, {}))
        self._replies[number] = (kind, body)
        if kind == "send":
            self.outcomes[number] = body["outcome"]
        elif kind == "join":
            self._enter(now, GroupView.parse(body["view"]))
        elif kind == "leave":
            self._lives_open.pop(asked["group"]).ended = "left"
        elif kind == "error":
            self.outcomes[number] = "refused " + body.get("code", "")

    def _take_event(self, now, kind, body):
        if kind == "message":
            self._lives_open[body["group"]].add(Message.parse(body))
            return
        self.events.append((now, kind, body))
        if kind == "group_view":
            self._enter(now, GroupView.parse(body))
        elif kind == "excluded":
            self._lives_open.pop(body["group"]).ended = "excluded"

    def _enter(self, now, view):
        """A group view begins. The reply to a join and the event of the same view may both tell so."""
        if view.group not in self._own_groups:
            return
        life = self._lives_open.get(view.group)
        if life is None:
            life = self._lives_open[view.group] = Life(self.name, view.group)
            self.lives.append(life)
        if not life.view or life.view.token != view.token:
            life.add(view, now)


def try_status(path):
    """The status of the daemon behind that socket, or None while it cannot be asked."""
    try:
        client = Client(path, "harness", timeout=5)
    except OSError:
        return None
    try:
        return client.status(timeout=5)
    except (Disconnected, Refused, AssertionError):
        return None
    finally:
        client.close()
