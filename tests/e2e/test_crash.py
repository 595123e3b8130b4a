"""gaitd is killed before each of its writes and flushes to disk in turn: what
was acknowledged by then is there afterwards, and all ends as if nothing had
happened.

In short every so many of them; GAITD_TORTURE=1 (make torture) takes them all,
with the last write whole, and torn."""

import os
import signal
import sqlite3
import subprocess

import pytest

from conftest import REPOSITORY
from rpc import RpcError

IS_FULL = "GAITD_TORTURE" in os.environ
SHORT = 8  # points of the short form

BASE = {"tower": True, "widths": "16x10", "train_rows": 60, "batch_size": 20, "test_rows": 20,
        "nb_epochs": 2}
SWEEPS = [
    {"name": "first", "base": BASE, "axes": {"seed": {"from": 1, "to": 1901, "step": 100}}},
    {"name": "second", "base": {**BASE, "algorithm": "FA"},
     "axes": {"seed": {"from": 1, "to": 1901, "step": 100}}},
    # Trains nothing new: half of its runs are those of the first, extended.
    {"name": "third", "base": {**BASE, "nb_epochs": 3},
     "axes": {"seed": {"from": 1, "to": 901, "step": 100}}},
]
JOBS = 50


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("crash") / "crash.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", path,
                    REPOSITORY / "tests/e2e/crash.c", "-ldl"], check=True)
    return path


def submit_all(client, promised):
    for spec in SWEEPS:
        answer = client.submit(spec, request_id=f"request {spec['name']}")
        promised["sweeps"][spec["name"]] = answer["sweep_id"]


def watch(client, promised):
    """Until every job is done."""
    states = {}
    for spec in SWEEPS:
        client.call("watch", target=spec["name"])
    for spec in SWEEPS:
        for job in client.jobs(spec["name"]):
            states[job["id"]] = job["state"]
    promised["done"] |= {job for job, state in states.items() if state == "done"}
    while len(promised["done"]) < JOBS:
        method, params = client.notification()
        if method == "event" and params["to"] == "done":
            promised["done"].add(params["job"])


def run_script(daemon, promised):
    """True when it came to its end."""
    try:
        daemon.start()
    except AssertionError:
        return False
    try:
        with daemon.client() as client:
            submit_all(client, promised)
            watch(client, promised)
        daemon.stop()
        return True
    except (ConnectionError, RpcError, AssertionError, TimeoutError):
        if daemon.process is not None:
            assert daemon.process.wait(30) == -signal.SIGKILL, daemon.stderr()
        return False
    finally:
        daemon.kill()


def outcome(client):
    """What must be the same, by sweep and position."""
    found = {}
    for spec in SWEEPS:
        for job in client.jobs(spec["name"]):
            rows = [[row[name] for name in ("step", "epoch", "train_accuracy", "train_loss",
                                            "test_accuracy", "test_loss", "state_hash")]
                    for row in client.history(str(job["id"]))]
            found[spec["name"], len(found)] = (job["state"], job["nb_epochs"], job["seed"], rows)
    return found


def ask_database(daemon, sql):
    with sqlite3.connect(f"file:{daemon.state}/gaitd.sqlite?mode=ro", uri=True) as database:
        return database.execute(sql).fetchall()


def check_promises(client, promised):
    """Right after the restart."""
    for name, sweep_id in promised["sweeps"].items():
        assert client.call("show", target=name)["sweep"]["id"] == sweep_id
    for spec in SWEEPS:
        try:
            count = len(client.jobs(spec["name"]))
        except RpcError as error:
            assert error.code == 2 and spec["name"] not in promised["sweeps"], error
            continue
        assert count == (10 if spec["name"] == "third" else 20), spec["name"]
    for job in promised["done"]:
        (found,) = client.jobs(str(job))
        assert found["state"] == "done", f"job {job} was done and is {found['state']}"


def check_invariants(daemon):
    assert ask_database(daemon, "PRAGMA integrity_check") == [("ok",)]
    assert ask_database(daemon, "SELECT count(*) FROM job") == [(JOBS,)]
    assert ask_database(daemon, "SELECT count(*) FROM run") == [(40,)]
    assert ask_database(daemon, "SELECT count(*) FROM attempt WHERE ended_at IS NULL") == [(0,)]
    assert ask_database(daemon, "SELECT job_id FROM attempt WHERE outcome = 'done' "
                                "GROUP BY job_id HAVING count(*) > 1") == []


def crash(daemon, library, point, is_torn, expected):
    promised = {"sweeps": {}, "done": set()}
    faults = {"LD_PRELOAD": str(library), "CRASH_AT": str(point)}
    if is_torn:
        faults["CRASH_TORN"] = "1"
    daemon.environment.update(faults)
    is_over = run_script(daemon, promised)
    for name in faults:
        daemon.environment.pop(name)
    daemon.start()
    with daemon.client() as client:
        check_promises(client, promised)
        submit_all(client, {"sweeps": {}})
        watch(client, {"done": set()})
        assert outcome(client) == expected
    daemon.stop()
    check_invariants(daemon)
    return is_over


@pytest.fixture(scope="module")
def undisturbed(library):
    """What comes of it, and how many calls it takes."""
    return {}


@pytest.mark.parametrize("is_torn", [False, True] if IS_FULL else [True])
def test_killed_before_every_write(new_daemon, library, undisturbed, is_torn):
    if not undisturbed:
        daemon = new_daemon("undisturbed")
        count = daemon.folder / "count"
        daemon.environment.update(LD_PRELOAD=str(library), CRASH_COUNT=str(count))
        assert run_script(daemon, {"sweeps": {}, "done": set()})
        undisturbed["calls"] = int(count.read_text())
        daemon.environment.pop("LD_PRELOAD")
        daemon.start()
        with daemon.client() as client:
            undisturbed["outcome"] = outcome(client)
        daemon.stop()
    calls = undisturbed["calls"]
    step = 1 if IS_FULL else max(calls // SHORT, 1)
    survived = 0
    for point in range(1, calls + 1, step):
        daemon = new_daemon(f"{is_torn}{point}")
        survived += crash(daemon, library, point, is_torn, undisturbed["outcome"])
    print(f"{calls} writes and flushes; {survived} runs were over before theirs")
    assert survived < calls // step // 2, "most runs were not disturbed at all"
