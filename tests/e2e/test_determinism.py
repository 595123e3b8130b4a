"""The same key on the same device class gives the same bits: whatever runs
beside it, whatever its worker did before, however often it is interrupted."""

import os
import signal

import pytest

COMMON = {"nb_layers": 1, "train_rows": 500, "batch_size": 20, "shuffle": True, "eval_every": 7,
          "test_rows": 50}
TRAININGS = {
    "float32": {"algorithm": "GAIT", "orthogonal_init": True, "orthogonal_reg": 0.1,
                "precision": "float32", "nb_epochs": 4},
    "float64": {"algorithm": "TP", "orthogonal_init": True, "orthogonal_reg": 10,
                "precision": "float64", "valid_rows": 60, "nb_epochs": 2},
}
NOISE = {"name": "noise", "base": {"tower": True, "widths": "784x20x10", "nb_epochs": 3},
         "axes": {"seed": {"from": 1, "to": 20000, "step": 101},
                  "precision": ["float32", "float64"]}}


def rows_of(client, name):
    """All that must be the same."""
    (job,) = client.jobs(name)
    assert job["state"] == "done", job["reason"]
    run = client.call("show", target=str(job["id"]))["run"]
    rows = [{column: value for column, value in row.items() if column not in ("seconds", "job")}
            for row in client.history(name)]
    return rows, run["state_hash"]


def submit_all(client):
    for name, settings in TRAININGS.items():
        client.submit({"name": name, **COMMON, **settings})


@pytest.fixture(scope="module")
def alone():
    return {}


@pytest.fixture
def expected(alone, new_daemon):
    """One after the other, in a daemon with one slot."""
    if not alone:
        with new_daemon("alone", slots=1).start().client() as client:
            submit_all(client)
            for name in TRAININGS:
                client.await_final(name)
                alone[name] = rows_of(client, name)
    return alone


def check(client, expected):
    for name in TRAININGS:
        client.await_final(name)
        rows, state_hash = rows_of(client, name)
        assert rows == expected[name][0]
        assert state_hash == expected[name][1]


def outcomes(client):
    """Of all attempts at the trainings."""
    found = []
    for name in TRAININGS:
        (job,) = client.jobs(name)
        attempts = client.call("show", target=str(job["id"]))["attempts"]
        found += [attempt["outcome"] for attempt in attempts]
    return found


def test_beside_others(new_daemon, expected):
    """In workers that have trained other things before, and while others do."""
    with new_daemon(slots=3).start().client() as client:
        client.submit(NOISE)
        client.call("watch", target="noise")
        client.notification()
        done = 0
        while done < 6:
            method, params = client.notification()
            done += method == "event" and params["to"] == "done"
        client.call("cancel", target="noise")
        submit_all(client)
        client.submit({**NOISE, "name": "more"}, fresh=True)
        check(client, expected)
        client.call("cancel", target="more")
        client.await_final("more")


# What interrupts; each leaves a daemon that runs.

def workers(client, *names):
    jobs = {client.jobs(name)[0]["id"] for name in names}
    return [slot["worker_pid"] for slot in client.call("status")["slots"] if slot["job"] in jobs]


def term_workers(daemon, client):
    for pid in workers(client, *TRAININGS):
        os.kill(pid, signal.SIGTERM)


def kill_one_worker(daemon, client):
    for pid in workers(client, *TRAININGS)[:1]:
        os.kill(pid, signal.SIGKILL)


def restart(daemon, client):
    daemon.stop()
    daemon.start()


def kill_daemon(daemon, client):
    daemon.kill()
    daemon.start()


def kill_all(daemon, client):
    pids = workers(client, *TRAININGS)
    daemon.process.send_signal(signal.SIGSTOP)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    daemon.kill()
    daemon.start()


# Most come as soon as a job trains (again), so that a fast machine is not done
# before the end of the list; those marked wait until one is well on its way.
FAR = {5, 8}
INTERRUPTIONS = [term_workers, kill_one_worker, restart, term_workers, kill_daemon,
                 term_workers, kill_all, kill_one_worker, restart, term_workers]


def await_training(client, is_far):
    """Until a job trains; far: until one has moved on since it was first seen."""
    first = {job["job"]: job["step"]
             for job in client.call("watch", target="1..2")["running"] if job["step"] is not None}
    while is_far or not first:
        method, params = client.notification()
        if method == "event" and params["to"] == "done":
            return
        if method == "progress" and params["step"] is not None:
            if is_far and params["step"] > first.setdefault(params["job"], params["step"]):
                return
            first.setdefault(params["job"], params["step"])


def test_interrupted_again_and_again(new_daemon, expected):
    """Wherever each of them happens to be when the other makes progress."""
    daemon = new_daemon(slots=2).start()
    with daemon.client() as client:
        submit_all(client)
    interrupted = 0
    for number, interrupt in enumerate(INTERRUPTIONS):
        with daemon.client() as client:
            if {client.jobs(name)[0]["state"] for name in TRAININGS} == {"done"}:
                break
            await_training(client, number in FAR)
            interrupt(daemon, client)
            interrupted += 1
    with daemon.client() as client:
        check(client, expected)
        ended = outcomes(client)
        assert interrupted >= 6, f"{ended}: too fast to be interrupted often"
        assert ended.count("done") == 2 and {"stopped", "lost"} <= set(ended)
    daemon.ctl("verify", "1..2")
