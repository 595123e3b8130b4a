"""Whatever is stopped or killed in the middle of a job, its history and its
weights end up as if nothing had happened."""

import os
import signal

import pytest

LONG = {"name": "long", "algorithm": "GAIT", "orthogonal_init": True, "orthogonal_reg": 0.1,
        "nb_layers": 1, "nb_epochs": 8, "eval_every": 5}
FAR = 12  # steps after which it is interrupted: in the second epoch


def outcome(client):
    """All that must not depend on interruptions."""
    rows = client.history("long")
    (job,) = client.jobs("long")
    run = client.call("show", target=str(job["id"]))["run"]
    for row in rows:
        del row["seconds"], row["job"]
    assert job["state"] == "done", job["reason"]
    return rows, run["state_hash"], run["step"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return {}


@pytest.fixture
def expected(undisturbed, new_daemon):
    """The outcome without any interruption; trained once."""
    if not undisturbed:
        with new_daemon("undisturbed").start().client() as client:
            client.submit(LONG)
            client.await_final("long")
            undisturbed["outcome"] = outcome(client)
    return undisturbed["outcome"]


def attempts(client):
    (job,) = client.jobs("long")
    return client.call("show", target=str(job["id"]))["attempts"]


def start_and_get_far(client):
    client.submit(LONG)
    client.call("watch", target="long")
    client.await_progress(lambda progress: progress["step"] >= FAR)


def finish(daemon):
    """Restarts the daemon and waits; returns the outcome and the attempts."""
    with daemon.start().client() as client:
        client.await_final("long")
        return outcome(client), attempts(client)


def check_resumed(result, expected, first_outcome):
    """The same rows, from an attempt that went on in the middle."""
    (rows, state_hash, step), made = result
    assert rows == expected[0]
    assert (state_hash, step) == expected[1:]
    assert [attempt["outcome"] for attempt in made] == [first_outcome, "done"]


def test_the_rows_are_complete(expected):
    rows, state_hash, step = expected
    assert [row["step"] for row in rows] == list(range(0, 81, 5))
    assert step == 80
    assert rows[-1]["state_hash"] == state_hash


def test_sigterm(new_daemon, expected):
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        daemon.stop()
    result = finish(daemon)
    check_resumed(result, expected, "stopped")


def test_shutdown_by_request(new_daemon, expected):
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        assert client.call("shutdown") == {"running": 1}
        daemon.await_end()
    check_resumed(finish(daemon), expected, "stopped")


def test_kill_of_the_daemon(new_daemon, expected):
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        daemon.kill()
    check_resumed(finish(daemon), expected, "lost")


def test_kill_of_the_worker(new_daemon, expected):
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        (pid,) = {slot["worker_pid"] for slot in client.call("status")["slots"] if slot["job"]}
        os.kill(pid, signal.SIGKILL)
        client.await_final("long")
        result = outcome(client), attempts(client)
    check_resumed(result, expected, "crashed")
    assert result[1][0]["pid"] != result[1][1]["pid"]
    assert result[1][0]["message"] == "killed by signal 9, perhaps out of memory"


def test_sigterm_of_the_worker(new_daemon, expected):
    """It saves a checkpoint, and the job goes on elsewhere."""
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        (pid,) = {slot["worker_pid"] for slot in client.call("status")["slots"] if slot["job"]}
        os.kill(pid, signal.SIGTERM)
        client.await_final("long")
        check_resumed((outcome(client), attempts(client)), expected, "stopped")


def test_kill_of_everything(new_daemon, expected):
    """No checkpoint is written: what the database has must fit what is trained anew."""
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        workers = {slot["worker_pid"] for slot in client.call("status")["slots"]}
        daemon.process.send_signal(signal.SIGSTOP)
        for pid in workers - {None}:
            os.kill(pid, signal.SIGKILL)
        daemon.kill()
    check_resumed(finish(daemon), expected, "lost")


def test_cancel_and_ask_again(new_daemon, expected):
    """A cancelled job leaves its checkpoint; the same training goes on from it."""
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        assert client.call("cancel", target="long") == {
            "cancelled": 0, "stopping": 1, "already_final": 0}
        client.await_final("long")
        (job,) = client.jobs("long")
        assert job["state"] == "cancelled"
        again = client.submit({**LONG, "name": "again"})
        assert (again["new"], again["continued"], again["done"]) == (0, 1, 0)
        client.await_final("again")
        rows = [{name: value for name, value in row.items() if name not in ("seconds", "job")}
                for row in client.history("again")]
        assert rows == expected[0]


def test_stop_between_jobs_keeps_the_queue(new_daemon):
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        client.submit({"name": "long", "base": {"nb_epochs": 4},
                       "axes": {"seed": [1, 101, 201, 301]}})
        client.call("watch", target="long")
        client.await_progress(lambda progress: True)
        daemon.stop()
    with daemon.start().client() as client:
        states = [job["state"] for job in client.jobs("long")]
        assert len(states) == 4 and set(states) <= {"queued", "running", "done"}
        client.await_final("long")
        assert {job["state"] for job in client.jobs("long")} == {"done"}
