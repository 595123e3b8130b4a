"""What a test knows of run_dir and the table of checkpoints."""

import contextlib
import os
import sqlite3
import subprocess
import threading
import time

from conftest import REPOSITORY

TIMEOUT_S = 60


def until(condition, what):
    """Waits for what another process does by itself; gives what is true."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (value := condition()):
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.005)
    return value


def database(daemon):
    return daemon.state / "gaitd.sqlite"


def ask(daemon, sql, *parameters):
    with contextlib.closing(sqlite3.connect(f"file:{database(daemon)}?mode=ro", uri=True)) as db:
        return db.execute(sql, parameters).fetchall()


def change(daemon, script):
    """Of a daemon that is stopped."""
    with contextlib.closing(sqlite3.connect(database(daemon))) as db:
        db.executescript(script)


def folder_of(daemon, run):
    return next(iter((daemon.state / "runs").glob(f"{run}-*")), daemon.state / "runs" / "none")


def sizes(daemon):
    """Bytes of each file; looks again when one goes meanwhile."""
    while True:
        try:
            return {file: file.stat().st_size
                    for file in (daemon.state / "runs").glob("*/*")}
        except FileNotFoundError:
            pass


def files(daemon):
    """(run, name) of all files but locks."""
    return {(int(file.parent.name.split("-")[0]), file.name)
            for file in sizes(daemon) if file.name != "lock"}


def rows(daemon):
    return set(ask(daemon, "SELECT run_id, file FROM checkpoint"))


def agree(daemon):
    """Files and rows, which are given."""
    until(lambda: files(daemon) == rows(daemon), "files and rows do not agree")
    return rows(daemon)


def used(daemon):
    return sum(sizes(daemon).values())


def preload_faults(daemon):
    """Gives the files whose being there is a full disk, a kill, and a wait."""
    library = daemon.folder / "fault.so"
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-o", library,
                    REPOSITORY / "tests/e2e/fault.c", "-ldl"], check=True)
    full, kill, hold = (daemon.folder / name for name in ("full", "kill", "hold"))
    options = daemon.environment.get("ASAN_OPTIONS", "")
    daemon.environment |= {"LD_PRELOAD": str(library), "FAULT_FULL": str(full),
                           "FAULT_KILL": str(kill), "FAULT_HOLD": str(hold),
                           "ASAN_OPTIONS": f"{options}:verify_asan_link_order=0"}
    return full, kill, hold
