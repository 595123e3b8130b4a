"""kill -9 of gaitd, of workers, and of both, again and again, in every phase of
their work: no job is lost, none is done twice, no history has a gap or a
duplicate, and all end as in a run that nobody disturbed.

20 times; GAITD_TORTURE=1 (make torture) 500 times.  Phases are read off the
names that threads give themselves, of a process that has been stopped, so that
what is counted is where it was when it was killed.
"""

import collections
import contextlib
import os
import pathlib
import random
import signal
import sqlite3
import time

import pytest

IS_FULL = "GAITD_TORTURE" in os.environ
KILLS = 500 if IS_FULL else 20
LEAST = 21 if IS_FULL else 1  # of each phase
PATIENCE_S = 20
SLOTS = 2

# Of a worker, by the name of its main thread; of gaitd, by that of its store's.
PHASES = {"training": "gait training", "evaluating": "gait evaluating",
          "checkpointing": "gait saving", "committing": "committing"}
VICTIMS = ["gaitd", "worker", "both"]

BASE = {"tower": True, "widths": "64x64x10", "train_rows": 500, "batch_size": 20,
        "valid_rows": 100, "test_rows": 100, "eval_every": 10, "nb_epochs": 20}
RULES = [{"algorithm": "BP"}, {"algorithm": "GAIT", "orthogonal_reg": 0.1},
         {"algorithm": "TP", "orthogonal_reg": 10, "precision": "float64"},
         {"algorithm": "GAIT", "widths": "40x10", "shuffle": True},
         {"algorithm": "DFA", "widths": "100x20"},
         {"algorithm": "ITP", "orthogonal_init": True}]


def sweep(number):
    """A sweep of all rules, whose runs no other sweep has."""
    return {"name": f"torture-{number}", "base": {**BASE, "seed": 1 + 1000 * number},
            "points": RULES}


# Catching a process in a phase.

class Thread:
    """A thread of a process, by the name that it has now."""

    def __init__(self, pid, tid):
        self.pid = pid
        self.file = os.open(f"/proc/{pid}/task/{tid}/comm", os.O_RDONLY)

    def name(self):
        return os.pread(self.file, 32, 0).decode().strip()

    def close(self):
        os.close(self.file)


def main_thread(pid):
    return Thread(pid, pid)


def store_thread(pid):
    """The one of gaitd's threads that is called store, or commits; it may just
    have been made."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        for path in pathlib.Path(f"/proc/{pid}/task").iterdir():
            thread = Thread(pid, path.name)
            if thread.name() in ("store", PHASES["committing"]):
                return thread
            thread.close()
    raise AssertionError("gaitd has no store thread")


def is_stopped(pid):
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    return stat.rsplit(")", 1)[1].split()[0] == "T"


def stop(pid):
    os.kill(pid, signal.SIGSTOP)
    deadline = time.monotonic() + PATIENCE_S
    while not is_stopped(pid):
        assert time.monotonic() < deadline, f"process {pid} does not stop"


def catch(threads, name):
    """Stops the first of the threads' processes that is in that phase; None when
    none was for a while, or one has ended."""
    deadline = time.monotonic() + PATIENCE_S
    while threads and time.monotonic() < deadline:
        for thread in threads:
            try:
                if thread.name() != name:
                    continue
                stop(thread.pid)
                if thread.name() == name:
                    return thread.pid
                os.kill(thread.pid, signal.SIGCONT)
            except (ProcessLookupError, FileNotFoundError):
                return None
    return None


# One kill.

def worker_pids(client):
    """Of those that have a job."""
    slots = client.call("status")["slots"]
    return [slot["worker_pid"] for slot in slots if slot["job"] and slot["worker_pid"]]


def open_threads(daemon, pids, phase):
    if phase == "committing":
        return [store_thread(daemon.process.pid)]
    threads = []
    for pid in pids:
        with contextlib.suppress(FileNotFoundError):
            threads.append(main_thread(pid))
    return threads


def kill(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def kill_once(daemon, phase, victim):
    """True when it happened, in that phase."""
    with daemon.client() as client:
        pids = worker_pids(client)
    threads = open_threads(daemon, pids, phase)
    caught = catch(threads, PHASES[phase])
    for thread in threads:
        thread.close()
    if caught is None:
        return False
    victims = {"gaitd": [], "worker": [caught] if caught in pids else pids[:1], "both": pids}
    for pid in victims[victim]:
        kill(pid)
    if victim != "worker":
        daemon.process.kill()
    with contextlib.suppress(ProcessLookupError):
        os.kill(caught, signal.SIGCONT)
    if victim == "worker":
        await_ended(daemon, victims[victim])
    else:
        daemon.kill()
        daemon.start(*OPTIONS)
    return True


OPTIONS = ["--checkpoint-every", "0.05", "--retry-s", "0"]


def ask_database(daemon, sql, *values):
    path = f"file:{daemon.state}/gaitd.sqlite?mode=ro"
    with contextlib.closing(sqlite3.connect(path, uri=True)) as database:
        return database.execute(sql, values).fetchone()[0]


def await_ended(daemon, pids):
    """Until the killed workers' attempts are known to be over."""
    deadline = time.monotonic() + PATIENCE_S
    for pid in pids:
        while ask_database(daemon, "SELECT count(*) FROM attempt WHERE pid = ? "
                                   "AND ended_at IS NULL", pid):
            assert time.monotonic() < deadline, f"worker {pid} was killed: nobody sees it"


def crashes(daemon):
    """The most crashes in a row that a job has had: after three it fails."""
    return ask_database(daemon, "SELECT ifnull(max(crashes), 0) FROM job "
                                "WHERE state IN ('queued', 'running')")


def feed(client, sweeps):
    """One more sweep when there is little left to do; returns their number."""
    if client.call("status")["counts"]["queued"] >= len(RULES):
        return sweeps
    client.submit(sweep(sweeps + 1))
    return sweeps + 1


def torture(daemon, chance):
    """Returns how often each victim was killed in each phase, and of sweeps."""
    counts = collections.Counter()
    sweeps = 0
    while sum(counts.values()) < KILLS:
        with daemon.client() as client:
            sweeps = feed(client, sweeps)
        phase = min(PHASES, key=lambda name: (sum(count for (at, _), count in counts.items()
                                                  if at == name), chance.random()))
        victim = chance.choice(VICTIMS if crashes(daemon) < 2 else ["gaitd"])
        if kill_once(daemon, phase, victim):
            counts[phase, victim] += 1
    return counts, sweeps


# What must be the same.

COLUMNS = ("step", "epoch", "train_accuracy", "train_loss", "valid_accuracy", "valid_loss",
           "test_accuracy", "test_loss", "state_hash")


def outcome(client, name):
    found = []
    for job in client.jobs(name):
        target = str(job["id"])
        run = client.call("show", target=target)["run"]
        rows = [[row[column] for column in COLUMNS] for row in client.history(target)]
        found.append((job["state"], job["reason"], job["epoch"], run["state_hash"], rows))
    return found


def check_attempts(client, name):
    """Nothing was trained again once it was done."""
    for job in client.jobs(name):
        attempts = client.call("show", target=str(job["id"]))["attempts"]
        done = [attempt["number"] for attempt in attempts if attempt["outcome"] == "done"]
        assert len(done) <= 1, attempts
        assert not done or done[0] == len(attempts), attempts


@pytest.mark.parametrize("seed", [7])
def test_killed_again_and_again(new_daemon, seed, tell):
    daemon = new_daemon(slots=SLOTS)
    daemon.start(*OPTIONS)
    counts, sweeps = torture(daemon, random.Random(seed))
    with daemon.client() as client:
        for number in range(1, sweeps + 1):
            client.await_final(sweep(number)["name"], timeout_s=600)
    daemon.stop()
    daemon.start()
    alone = new_daemon("alone", slots=SLOTS).start()
    with daemon.client() as client, alone.client() as other:
        for number in range(1, sweeps + 1):
            other.submit(sweep(number))
        for number in range(1, sweeps + 1):
            name = sweep(number)["name"]
            other.await_final(name, timeout_s=600)
            expected = outcome(other, name)
            assert [job[0] for job in expected] == ["done"] * len(RULES)
            assert outcome(client, name) == expected
            check_attempts(client, name)
    tell(f"{sweeps} sweeps; {sum(counts.values())} kills: " + ", ".join(
        f"{victim} while {phase} {count}" for (phase, victim), count in sorted(counts.items())))
    for phase in PHASES:
        assert sum(count for (at, _), count in counts.items() if at == phase) >= LEAST
