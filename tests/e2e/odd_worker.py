"""A worker that says something else: it stands between gaitd and gait-worker.

As a program: odd_worker.py WORKER LIES ARGUMENTS..., where LIES is a JSON file
that is read anew for every message that might be changed:

    {"device_class": "...",                 in place of hello's
     "uuid": "...",                         likewise, of its GPU
     "row": {"step": 20, "column": "test_loss", "value": 0.5}}
                                            in rows of that step; value null:
                                            the row is left out
     "act": {"crash": "text"}               from `started` on: say that on stderr
                                            (in Latin 1) and exit with status 0
            {"leave": 1}                    exit, and leave a process behind that
                                            holds the pipes
            {"babble": 1}                   write to stderr without end
            {"hang": 1}                     only answer pings, with the same beats
            {"mute": 1}                     the same, and not even `started`
            {"slow": 8}                     so for 8 pings, expecting 1 s
"""

import json
import os
import pathlib
import subprocess
import sys
import threading


class OddWorker:
    """The program of a daemon's own, and what it says."""

    def __init__(self, daemon):
        self.lies = daemon.folder / "lies.json"
        self.program = daemon.folder / "odd-worker"
        self.program.write_text(
            f"#!/bin/sh\nexec {sys.executable} -B {pathlib.Path(__file__).resolve()} "
            f"{daemon.build / 'gait-worker'} {self.lies} \"$@\"\n")
        self.program.chmod(0o755)
        self.say()

    def say(self, **lies):
        """From the next message on."""
        text = self.lies.with_suffix(".new")
        text.write_text(json.dumps(lies))
        text.rename(self.lies)

    @property
    def arguments(self):
        return "--worker", self.program


def changed(message, lies, sequence):
    """The message as it goes on to gaitd, or None."""
    if message["type"] == "hello":
        message["device_class"] = lies.get("device_class", message["device_class"])
        if "uuid" in lies and "gpu" in message:
            message["gpu"]["uuid"] = lies["uuid"]
    row = lies.get("row")
    if message["type"] == "row" and row and row["step"] == message["step"]:
        if row["value"] is None:
            sequence["gone"] = sequence.get("gone", 0) + 1
            return None
        message[row["column"]] = row["value"]
    if "sequence" in message:  # what was left out is not to be seen by its number
        if message["sequence"] == 0:
            sequence["gone"] = 0
        message["sequence"] -= sequence.get("gone", 0)
    return message


def babble():
    while True:
        os.write(2, b"babble, babble, babble\n" * 100)


class Act:
    """What is done beside telling lies, from `started` on."""

    def __init__(self, process, lies):
        self.process, self.lies = process, lies
        self.name, self.value, self.held = None, None, []

    def begin(self):
        (self.name, self.value), = json.loads(
            pathlib.Path(self.lies).read_text()).get("act", {None: None}).items()
        if self.name in ("crash", "leave"):
            self.process.kill()
            self.process.wait()
        if self.name == "crash":
            os.write(2, self.value.encode("latin-1"))
        if self.name == "leave":
            subprocess.Popen(["sleep", "1000"])
        if self.name in ("crash", "leave"):
            os._exit(0)
        if self.name == "babble":
            threading.Thread(target=babble, daemon=True).start()

    def lines(self, message, line):
        """What goes on to gaitd in place of one line."""
        if message["type"] == "started":
            self.begin()
        if self.name not in ("hang", "mute", "slow"):
            return [line]
        if message["type"] == "pong":
            return self.pong()
        if message["type"] == "started" and self.name == "hang":
            return [line]
        self.held.append(line)
        return []

    def pong(self):
        lines = [b'{"type":"pong","beats":1,"expected_s":%d}\n' % (self.name == "slow")]
        if self.name == "slow":
            self.value -= 1
            if self.value == 0:
                lines += self.held
                self.name = None
        return lines


def main(worker, lies, *arguments):
    sequence = {}
    with subprocess.Popen([worker, *arguments], stdout=subprocess.PIPE) as process:
        act = Act(process, lies)
        for line in process.stdout:
            message = json.loads(line)
            for out in act.lines(message, line):
                if message["type"] in ("hello", "row") or sequence.get("gone"):
                    message = changed(message, json.loads(pathlib.Path(lies).read_text()), sequence)
                    out = b"" if message is None else json.dumps(message).encode() + b"\n"
                os.write(1, out)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
