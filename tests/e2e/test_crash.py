"""Something happens at one call that changes what is on disk, and at every
other one in turn: gaitd or a worker is killed before it or in the middle of a
write, a write is short, it fails.  What was acknowledged by then is there
afterwards, and all ends as if nothing had happened.

In short a few points of each; GAITD_TORTURE=1 (make torture) takes them all
(of what does not kill gaitd, every seventh), or every GAITD_TORTURE_STRIDE-th
of those."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess

import pytest

from conftest import REPOSITORY
from daemon import STOP_S
from rpc import RpcError

IS_FULL = "GAITD_TORTURE" in os.environ
STRIDE = int(os.environ.get("GAITD_TORTURE_STRIDE", "1"))
POINTS = {"kill": 3, "torn": 4, "short": 1, "EIO": 2, "ENOSPC": 2}  # of the short form

# How gaitd may end by that; of the others it must not.
DEATHS = {"kill": [-signal.SIGKILL], "torn": [-signal.SIGKILL], "EIO": [1],
          "ENOSPC": [1]}  # of a flush, nobody knows what it means

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
JOBS, RUNS = 50, 40
FEW = [{"name": "few", "base": {**BASE, "eval_every": 1},
        "points": [{"algorithm": "BP"}, {"algorithm": "GAIT", "orthogonal_reg": 0.1}]}]
SHUTTING_DOWN = "gaitd is shutting down"
ATTEMPTS = 5  # of a request, before it is clear that nothing will come of it


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("crash") / "crash.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-O1", "-o", path,
                    REPOSITORY / "tests/e2e/crash.c", "-ldl"], check=True)
    return path


def insist(ask, *arguments, **parameters):
    """What is refused, because of the disk, is asked for again; not of a gaitd
    that is giving up."""
    for _ in range(ATTEMPTS - 1):
        try:
            return ask(*arguments, **parameters)
        except RpcError as error:
            if error.message == SHUTTING_DOWN:
                raise ConnectionError(SHUTTING_DOWN) from error
    return ask(*arguments, **parameters)


def submit_all(client, promised, sweeps=SWEEPS):
    for spec in sweeps:
        promised["sweeps"][spec["name"]] = insist(
            client.submit, spec, request_id=f"request {spec['name']}")["sweep_id"]


def watch(client, promised, sweeps=SWEEPS):
    """Until every job is done."""
    states = {}
    for spec in sweeps:
        insist(client.call, "watch", target=spec["name"])
    for spec in sweeps:
        for job in client.jobs(spec["name"]):
            states[job["id"]] = job["state"]
    promised["done"] |= {job for job, state in states.items() if state == "done"}
    while len(promised["done"]) < len(states):
        method, params = client.notification()
        if method == "event":
            assert params["to"] not in ("failed", "cancelled"), params
            if params["to"] == "done":
                promised["done"].add(params["job"])


def run_script(daemon, promised, deaths):
    """True when it came to its end."""
    try:
        daemon.start()
    except AssertionError:
        return False  # it ended before it was ready, and has been buried
    try:
        with daemon.client() as client:
            submit_all(client, promised)
            watch(client, promised)
        daemon.process.terminate()
    except ConnectionError:
        pass
    try:
        status = daemon.process.wait(STOP_S)
        assert status in [0, *deaths], f"gaitd ended with {status}\n{daemon.stderr()}"
        return status == 0
    finally:
        daemon.kill()


def outcome(client, sweeps=SWEEPS):
    """What must be the same, by sweep and position."""
    found = {}
    for spec in sweeps:
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
    checked = daemon.run("--fsck")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert ask_database(daemon, "PRAGMA integrity_check") == [("ok",)]
    assert ask_database(daemon, "SELECT count(*) FROM job") == [(JOBS,)]
    assert ask_database(daemon, "SELECT count(*) FROM run") == [(RUNS,)]
    assert ask_database(daemon, "SELECT count(*) FROM attempt WHERE ended_at IS NULL") == [(0,)]
    assert ask_database(daemon, "SELECT job_id FROM attempt WHERE outcome = 'done' "
                                "GROUP BY job_id HAVING count(*) > 1") == []


def points_of(calls, how, stride=STRIDE):
    """Which calls are tried, counted from 1."""
    if IS_FULL:
        return range(1, calls + 1, stride)
    return [calls * (2 * i + 1) // (2 * POINTS[how]) for i in range(POINTS[how])]


def crash(daemon, library, point, how, expected):
    """True when the script came to its end all the same."""
    promised = {"sweeps": {}, "done": set()}
    faults = {"LD_PRELOAD": str(library), "CRASH_PROGRAM": "gaitd", "CRASH_AT": str(point),
              "CRASH_HOW": how}
    daemon.environment.update(faults)
    is_over = run_script(daemon, promised, DEATHS.get(how, []))
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
    shutil.rmtree(daemon.folder)  # of thousands
    return is_over


@pytest.fixture(scope="module")
def undisturbed():
    """What comes of it, and how many calls it takes, by program."""
    return {}


def count_calls(daemon, library, program):
    count = daemon.folder / "count"
    daemon.environment.update(LD_PRELOAD=str(library), CRASH_PROGRAM=program,
                              CRASH_COUNT=str(count))
    return count


@pytest.fixture
def of_gaitd(undisturbed, new_daemon, library):
    if "gaitd" not in undisturbed:
        daemon = new_daemon("undisturbed")
        count = count_calls(daemon, library, "gaitd")
        assert run_script(daemon, {"sweeps": {}, "done": set()}, [])
        calls = int(count.read_text())
        daemon.environment.pop("LD_PRELOAD")
        daemon.start()
        with daemon.client() as client:
            undisturbed["gaitd"] = calls, outcome(client)
        daemon.stop()
    return undisturbed["gaitd"]


@pytest.mark.parametrize("how", POINTS)
def test_gaitd_at_every_write(new_daemon, library, of_gaitd, how, tell):
    calls, expected = of_gaitd
    points = points_of(calls, how, STRIDE if how in ("kill", "torn") else 7 * STRIDE)
    ended = sum(crash(new_daemon(f"{how}{point}"), library, point, how, expected)
                for point in points)
    tell(f"gaitd, {how}: {len(points)} of {calls} calls; {ended} times it went on")
    assert DEATHS.get(how) != [-signal.SIGKILL] or ended <= len(points) // 2, \
        "most runs were not disturbed at all"


def test_gaitd_while_it_makes_its_database(new_daemon, library):
    """What it had begun to make is made anew."""
    daemon = new_daemon(slots=0)
    count = count_calls(daemon, library, "gaitd")
    daemon.start().stop()
    calls = int(count.read_text())
    for point in range(1, calls + 1, 1) if IS_FULL else range(2, 40, 2):
        shutil.rmtree(daemon.state)
        daemon.environment.update(LD_PRELOAD=str(library), CRASH_AT=str(point), CRASH_HOW="kill")
        with contextlib.suppress(AssertionError):  # some come when it is ready
            daemon.start()
        daemon.kill()
        daemon.environment.pop("LD_PRELOAD")
        daemon.start()
        daemon.kill()


OFTEN = ("--checkpoint-every", "1e-9", "--retry-s", "0")  # after every batch


def run_few(daemon):
    daemon.start(*OFTEN)
    with daemon.client() as client:
        submit_all(client, {"sweeps": {}}, FEW)
        watch(client, {"done": set()}, FEW)
        found = outcome(client, FEW)
    daemon.stop()
    return found


@pytest.fixture
def of_worker(undisturbed, new_daemon, library):
    if "worker" not in undisturbed:
        daemon = new_daemon("undisturbed", slots=1)
        count = count_calls(daemon, library, "gait-worker")
        expected = run_few(daemon)
        undisturbed["worker"] = int(count.read_text()), expected
    return undisturbed["worker"]


def disturb_worker(daemon, library, point, how, expected):
    """True when a worker got as far as that."""
    armed = daemon.folder / "armed"
    armed.touch()
    daemon.environment.update(LD_PRELOAD=str(library), CRASH_PROGRAM="gait-worker",
                              CRASH_AT=str(point), CRASH_HOW=how, CRASH_ONCE=str(armed))
    assert run_few(daemon) == expected
    ends = [end for (end,) in ask_database(daemon, "SELECT outcome FROM attempt")]
    # Whoever dies behind the last row has done its job.
    assert len(ends) <= 3 and set(ends) <= {"done", "crashed", "lost"}, ends
    left = [path.name for path in daemon.state.glob("runs/*/*") if path.name != "lock"]
    assert all(name.endswith(".safetensors") for name in left), left
    was_reached = not armed.exists()
    shutil.rmtree(daemon.folder)
    return was_reached


@pytest.mark.parametrize("how", POINTS)
def test_worker_at_every_write(new_daemon, library, of_worker, how, tell):
    calls, expected = of_worker
    points = points_of(calls, how)
    reached = sum(disturb_worker(new_daemon(f"{how}{point}", slots=1), library, point, how,
                                 expected) for point in points)
    tell(f"worker, {how}: {reached} of {calls} calls")
    assert reached >= len(points) // 2, "most runs were not disturbed at all"
