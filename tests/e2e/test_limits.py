"""fail_fast and time_limit: what ends a sweep's jobs before their time, and retry."""

import re

import pytest

from rpc import RpcError

TINY = {"tower": True, "widths": "16x10", "train_rows": 60, "test_rows": 60, "nb_epochs": 1}
WILD = {"widths": "784x64x10", "tower": True, "learning_rate": 1e6, "nb_epochs": 50}
SLOW = {"algorithm": "GAIT", "orthogonal_init": True, "orthogonal_reg": 0.1, "nb_layers": 1,
        "train_rows": 60, "test_rows": 60, "nb_epochs": 100000}


def states(client, target):
    return [job["state"] for job in client.jobs(target)]


def test_fail_fast(new_daemon):
    """With one slot the second failure is the last thing that happens."""
    client = new_daemon(slots=1).start().client()
    with client:
        client.submit({"name": "s", "base": TINY,
                       "points": [{"seed": 1}, {**WILD, "seed": 1}, {"seed": 2},
                                  {**WILD, "seed": 2}, {"seed": 3}, {"seed": 4}]},
                      controls={"fail_fast": 2})
        client.await_final("s")
        assert states(client, "s") == [
            "done", "failed", "done", "failed", "cancelled", "cancelled"]
        assert [job["attempts"] for job in client.jobs("s")] == [1, 1, 1, 1, 0, 0]
        assert {job["reason"] for job in client.jobs("s")[4:]} == {
            "fail_fast: too many jobs of the sweep failed"}
        finished = [event["text"] for event in client.call("events", target="s")["events"]
                    if event["kind"] == "finished"]
        assert finished == ["2 done, 2 failed, 2 cancelled"]
        # What is asked for again goes on, as long as nothing fails again.
        assert client.call("retry", target="s") == {
            "retried": 2, "failed": 0, "cancelled": 2, "diverged": 2}
        client.await_final("s")
        assert states(client, "s") == ["done", "failed", "done", "failed", "done", "done"]


def test_time_limit(new_daemon):
    """Over attempts and restarts; a retry with more time goes on from the checkpoint."""
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        daemon.ctl("submit", "--name=s", "--time-limit=2h",
                   *[f"--{name}={value}" for name, value in SLOW.items()])
        assert client.call("show", target="s")["sweep"]["time_limit"] == 7200
        client.call("watch", target="s")
        client.await_progress(lambda progress: progress["step"] >= 30)
        client.call("drain")
        daemon.stop()
    with daemon.start().client() as client:
        # Less than the first attempt took already.
        assert "nothing to retry" in daemon.ctl("retry", "s", "--time-limit=1").stderr
        client.call("drain", undo=True)
        client.await_final("s")
        (job,) = client.jobs("s")
        found = re.fullmatch(r"time limit of 1 s reached at epoch (\d+) of 100000", job["reason"])
        assert job["state"] == "failed" and found, job["reason"]
        assert 0 < int(found[1]) == job["epoch"] < 100000
        assert "1 job is in the queue again" in daemon.ctl(
            "retry", "s", "--time-limit", "1h").stderr
        client.call("watch", target="s")
        progress = client.await_progress(lambda progress: progress["step"] is not None)
        assert progress["step"] >= int(found[1])
        assert client.call("cancel", target="s")["stopping"] == 1
        with pytest.raises(RpcError) as refused:
            client.call("retry", target="s", time_limit=-3)
        assert refused.value.code == -32602 and "time_limit" in refused.value.message


def test_a_running_job_is_stopped_in_time(new_daemon):
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        client.submit({"name": "s", **SLOW}, controls={"time_limit": 1})
        client.await_final("s")
        (job,) = client.jobs("s")
        (attempt,) = client.call("show", target=str(job["id"]))["attempts"]
        assert job["reason"].startswith("time limit of 1 s reached at epoch "), job["reason"]
        assert attempt["outcome"] == "stopped"
        assert attempt["ended_at"] - attempt["started_at"] > 0.9, attempt


def test_a_limit_that_comes_later(new_daemon):
    """A job that runs without one is stopped, too."""
    with new_daemon(slots=1).start().client() as client:
        client.submit({"name": "s", **SLOW})
        client.call("watch", target="s")
        client.await_progress(lambda progress: True)
        client.call("control", target="s", controls={"time_limit": 1})
        client.await_final("s", 20)
        (job,) = client.jobs("s")
        assert job["reason"].startswith("time limit of 1 s reached at epoch "), job["reason"]


def test_limits_are_refused_by_the_names_of_their_flags(gaitd):
    for arguments, message in (
            (["retry", "last", "--time-limit", "soon"], '--time-limit: "soon" is not a time'),
            (["submit", "--nb_epochs=1", "--time_limit=2x"], '--time-limit: "2x" is not a time'),
            (["submit", "--nb_epochs=1", "--fail_fast=-3"], "  --fail-fast: -3 is below 1")):
        assert message in gaitd.ctl(*arguments, status=2).stderr
