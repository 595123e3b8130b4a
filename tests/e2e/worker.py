"""gait-worker on its pipes, spoken to as gaitd would, from protocol.md alone."""

import json
import os
import select
import signal
import subprocess
import time

TIMEOUT_S = 60
ALL = 10**12  # steps
KEY = "0123456789abcdef0123456789abcdef"


class Worker:
    """One process.  Every wait ends after TIMEOUT_S with TimeoutError."""

    def __init__(self, build, *options):
        self.process = subprocess.Popen([build / "gait-worker", *options], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.unread = b""
        self.messages = []  # all that were received
        self.next_sequence = {}
        self.hello = self.receive()
        assert self.hello["type"] == "hello"

    def send(self, type, **members):
        self.send_bytes(json.dumps({"type": type, **members}).encode() + b"\n")

    def send_bytes(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def receive(self):
        """The next message, or None at end of file; sequence numbers are checked."""
        deadline = time.monotonic() + TIMEOUT_S
        while b"\n" not in self.unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError("nothing from the worker")
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            if not data:
                assert not self.unread, self.unread
                return None
            self.unread += data
        line, self.unread = self.unread.split(b"\n", 1)
        message = json.loads(line)
        self.messages.append(message)
        if "attempt" in message:
            expected = self.next_sequence.setdefault(message["attempt"], 0)
            assert message["sequence"] == expected, message
            self.next_sequence[message["attempt"]] += 1
        return message

    def until(self, *types):
        """Receives until a message of one of the types; gives all on the way."""
        received = []
        while not received or received[-1]["type"] not in types:
            message = self.receive()
            assert message is not None, f"end of file, expected {types}; {self.stderr()}"
            received.append(message)
        return received

    def until_end(self):
        received = []
        while (message := self.receive()) is not None:
            received.append(message)
        return received

    def stderr(self):
        return self.process.stderr.read().decode()

    def start(self, attempt, run_dir, dataset, to_epoch, key=KEY, step=ALL, checkpoint_every=0,
              checkpoints=None, **settings):
        """`step`: up to which gaitd would have the rows."""
        self.send("start", attempt=attempt, job=1, run=1, key=key, run_dir=str(run_dir),
                  to_epoch=to_epoch, step=step, checkpoint_every=checkpoint_every,
                  checkpoints=checkpoints or {}, dataset=dataset, settings=settings)

    def end(self, status=0):
        """Expects that it has left, or is leaving."""
        self.process.stdin.close()
        assert self.process.wait(TIMEOUT_S) == status, self.stderr()
        self.process.stdout.close()

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(TIMEOUT_S)

    def release(self):
        if self.process.poll() is None:
            self.kill()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()
            except BrokenPipeError:
                pass


def prepare(build, name, cache, *folders):
    """What --prepare prints, and its exit status."""
    done = subprocess.run([build / "gait-worker", "--prepare", name, "--cache", cache, *folders],
                          stdout=subprocess.PIPE, check=False, timeout=TIMEOUT_S)
    return json.loads(done.stdout), done.returncode


def of_type(messages, type):
    return [message for message in messages if message["type"] == type]


def rows_of(messages):
    """Rows by step, without what may differ from one attempt to another."""
    drop = {"type", "attempt", "sequence", "seconds"}
    rows = {}
    for row in of_type(messages, "row"):
        values = {name: value for name, value in row.items() if name not in drop}
        assert rows.setdefault(row["step"], values) == values
    return rows
