"""A client of gaitd, written from schema/protocol.md alone."""

import json
import socket
import time

PROTOCOL = 1
TIMEOUT_S = 60


class RpcError(Exception):
    """An error that the daemon answered with."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code = error["code"]
        self.message = error["message"]
        self.data = error.get("data")


class Client:
    """One connection.  Every wait ends after TIMEOUT_S with TimeoutError."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(str(path))
        self.unread = b""
        self.next_id = 1
        self.notifications = []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send_bytes(self, data):
        self.socket.sendall(data)

    def receive_line(self, timeout_s=TIMEOUT_S):
        """The next line, without its newline; None at end of file."""
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.unread:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no message within {timeout_s} s")
            self.socket.settimeout(left)
            data = self.socket.recv(1 << 16)
            if not data:
                return None
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        return line

    def receive(self, timeout_s=TIMEOUT_S):
        """The next message, or None at end of file."""
        line = self.receive_line(timeout_s)
        return None if line is None else json.loads(line)

    def send(self, method, **params):
        """Sends a request and returns its id."""
        request_id = self.next_id
        self.next_id += 1
        self.send_bytes(json.dumps({
            "jsonrpc": "2.0", "id": request_id, "method": method,
            "params": {"protocol": PROTOCOL, **params},
        }).encode() + b"\n")
        return request_id

    def answer(self, request_id, timeout_s=TIMEOUT_S):
        """The result of a request; keeps the notifications that come before."""
        while True:
            message = self.receive(timeout_s)
            if message is None:
                raise ConnectionError("the daemon closed the connection")
            if "method" in message:
                self.notifications.append(message)
            elif message["id"] == request_id:
                if "error" in message:
                    raise RpcError(message["error"])
                return message["result"]
            else:
                raise AssertionError(f"an answer to nothing: {message}")

    def call(self, method, **params):
        return self.answer(self.send(method, **params))

    def notification(self, timeout_s=TIMEOUT_S):
        """The next notification, as (method, params)."""
        if self.notifications:
            message = self.notifications.pop(0)
        else:
            message = self.receive(timeout_s)
            if message is None:
                raise ConnectionError("the daemon closed the connection")
        return message["method"], message["params"]

    # What the tests do often.

    def submit(self, spec, request_id=None, **params):
        request_id = request_id or f"{spec.get('name', 'unnamed')}-{time.monotonic_ns()}"
        return self.call("submit", spec=spec, request_id=request_id, **params)

    def await_final(self, target, timeout_s=TIMEOUT_S):
        """Waits, on a connection of its own, until all jobs of the target are
        final; returns the events as (job, from, to)."""
        with Client(self.path) as watcher:
            return watcher.drain_events(target, timeout_s)

    def drain_events(self, target, timeout_s):
        counts = dict(self.call("watch", target=target)["counts"])
        events = []
        deadline = time.monotonic() + timeout_s
        while any(counts.get(state) for state in ("held", "queued", "running")):
            method, params = self.notification(max(deadline - time.monotonic(), 0.01))
            if method == "event":
                events.append((params["job"], params["from"], params["to"]))
                counts[params["from"]] = counts.get(params["from"], 0) - 1
                counts[params["to"]] = counts.get(params["to"], 0) + 1
            elif method == "shutdown":
                raise ConnectionError("the daemon shuts down")
        return events

    def await_progress(self, is_far_enough, timeout_s=TIMEOUT_S):
        """On a connection that watches: the first progress that will do."""
        deadline = time.monotonic() + timeout_s
        while True:
            method, params = self.notification(max(deadline - time.monotonic(), 0.01))
            if method == "progress" and is_far_enough(params):
                return params
            if method == "event" and params["to"] in ("done", "failed", "cancelled"):
                raise AssertionError(f"the job was {params['to']} before that: {params}")

    def pages(self, method, member, **params):
        """All items of a list that comes in pages."""
        items, after = [], 0
        while after is not None:
            page = self.call(method, after=after, **params)
            items += page[member]
            after = page["next"]
        return items

    def history(self, target):
        return self.pages("history", "rows", target=target)

    def jobs(self, target):
        return self.pages("list", "jobs", target=target)
