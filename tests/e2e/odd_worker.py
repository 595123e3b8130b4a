"""A worker that says something else: it stands between gaitd and gait-worker.

As a program: odd_worker.py WORKER LIES ARGUMENTS..., where LIES is a JSON file
that is read anew for every message that might be changed:

    {"device_class": "...",                 in place of hello's
     "row": {"step": 20, "column": "test_loss", "value": 0.5}}
                                            in rows of that step; value null:
                                            the row is left out
"""

import json
import os
import pathlib
import subprocess
import sys


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


def main(worker, lies, *arguments):
    sequence = {}
    with subprocess.Popen([worker, *arguments], stdout=subprocess.PIPE) as process:
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] in ("hello", "row") or sequence.get("gone"):
                message = changed(message, json.loads(pathlib.Path(lies).read_text()), sequence)
                line = b"" if message is None else json.dumps(message).encode() + b"\n"
            os.write(1, line)
    return process.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
