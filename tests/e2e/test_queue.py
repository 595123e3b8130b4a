"""The queue does as it is told: hold, pause, priorities, limits, waiting sweeps."""

import pytest

from rpc import RpcError

SMALL = {"tower": True, "widths": "784x48x10", "nb_epochs": 1}
FLAGS = ["--tower", "--widths=784x48x10", "--nb_epochs=1"]
LONG = {**SMALL, "name": "long", "algorithm": "GAIT", "nb_epochs": 120, "eval_every": 7}


def sweep(name, seeds, **base):
    return {"name": name, "base": {**SMALL, **base},
            "axes": {"seed": list(range(1, 100 * seeds, 100))}}


def outcome(client, name):
    rows = client.history(name)
    for row in rows:
        del row["seconds"], row["job"]
    (job,) = client.jobs(name)
    shown = client.call("show", target=str(job["id"]))
    return job["state"], rows, shown["run"]["state_hash"], [
        attempt["outcome"] for attempt in shown["attempts"]]


def started(client, target):
    """Jobs in the order in which they started."""
    jobs = client.jobs(target)
    return [job["id"] for job in sorted(jobs, key=lambda job: job["started_at"])]


def explain(client, job):
    return client.call("explain", target=str(job))["text"]


def test_paused_twice_and_resumed_the_history_is_the_same(new_daemon):
    with new_daemon("undisturbed").start().client() as client:
        client.submit(LONG)
        client.await_final("long")
        expected = outcome(client, "long")
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        client.submit(LONG)
        client.submit(sweep("other", 1))
        step = 0
        for _ in range(2):
            with daemon.client() as watcher:
                watcher.call("watch", target="long")
                step = watcher.await_progress(lambda progress: progress["step"] > step)["step"]
                assert daemon.ctl("pause", "long").stderr == (
                    "long: 0 held, 1 stopping at a checkpoint\n")
            client.await_final("other")  # the slot is free
            (job,) = client.jobs("long")
            assert (job["state"], job["reason"][:10]) == ("held", "paused by ")
            assert daemon.ctl("resume", "long").stderr == "long: 1 released\n"
        client.await_final("long")
        state, rows, state_hash, attempts = outcome(client, "long")
    assert (state, rows, state_hash) == expected[:3]
    assert attempts == ["stopped", "stopped", "done"]


def test_a_limit_is_kept_to(gaitd):
    with gaitd.client() as client, gaitd.client() as watcher:
        client.submit(sweep("few", 6), controls={"max_running": 1, "hold": True})
        watcher.call("watch", target="few")
        assert gaitd.ctl("release", "few").stderr == "few: 6 released\n"
        running, most, done = 0, 0, 0
        while done < 6:
            method, params = watcher.notification()
            if method == "event":
                running += (params["to"] == "running") - (params["from"] == "running")
                done += params["to"] == "done"
                most = max(most, running)
        assert most == 1
        shown = client.call("show", target="few")["sweep"]
        assert (shown["max_running"], shown["hold"], shown["after"]) == (1, False, None)


def test_orders_and_priorities(new_daemon):
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        client.submit(LONG)
        daemon.ctl("submit", "--name=a", "--seed=1,101,201", *FLAGS, "--priority", "-5")
        daemon.ctl("submit", "--name=b", "--seed=301,401", *FLAGS, "--hold")
        assert explain(client, 4) == "job 4 is queued behind 2 jobs"
        assert explain(client, 5) == 'job 5 is held by root; "gaitctl release 5" lets it go on'
        assert daemon.ctl("priority", "4", "-4").stderr == "4: 1 of priority -4\n"
        assert daemon.ctl("hold", "2..3").stderr == "2..3: 2 held\n"
        assert daemon.ctl("hold", "1..4").stderr == "1..4: 1 held, 1 running on, 2 held already\n"
        assert daemon.ctl("release", "1..4").stderr == "1..4: 3 released, 1 not held\n"
        assert daemon.ctl("release", "b").stderr == "b: 2 released\n"
        assert daemon.ctl("priority", "b", "7").stderr == "b: 2 of priority 7\n"
        assert explain(client, 4) == (
            "job 4 is queued behind 2 jobs of higher priority")
        daemon.ctl("cancel", "long")
        for name in ("long", "a", "b"):
            client.await_final(name)
        assert started(client, "1..6") == [1, 5, 6, 4, 2, 3]
        assert daemon.ctl("hold", "a").stderr == "a: 0 held, 3 final already\n"


def test_a_sweep_after_another(new_daemon):
    daemon = new_daemon(slots=2).start()
    with daemon.client() as client:
        daemon.ctl("submit", "--name=a", "--seed=1,101", *FLAGS, "--nb_epochs=2", "--hold")
        daemon.ctl("submit", "--name=b", "--seed=201,301", *FLAGS, "--after=a")
        daemon.ctl("submit", "--name=c", "--seed=401,501", *FLAGS, "--after", "last")
        assert explain(client, 3) == 'job 3 waits for sweep "a": of its jobs 2 are not done yet'
        daemon.kill()
    with daemon.start().client() as client:
        assert {job["state"] for job in client.jobs("3..6")} == {"queued"}
        daemon.ctl("release", "a")
        client.await_final("c")
        order = started(client, "1..6")
        assert [sorted(order[:2]), sorted(order[2:4]), sorted(order[4:])] == [
            [1, 2], [3, 4], [5, 6]]
        ended = {job["id"]: job["finished_at"] for job in client.jobs("1..6")}
        began = {job["id"]: job["started_at"] for job in client.jobs("1..6")}
        assert max(ended[1], ended[2]) <= min(began[3], began[4])


def test_limits_of_users(new_daemon):
    daemon = new_daemon(slots=2).start("--max-running-per-user", "1")
    with daemon.client() as client:
        client.submit(LONG)
        client.submit(sweep("short", 1))
        client.call("watch", target="long")
        client.await_progress(lambda progress: True)
        assert explain(client, 2) == (
            "job 2 is queued: 1 of root's jobs run, as many as this gaitd's "
            "max_running_per_user allows")
        daemon.ctl("cancel", "long")
        client.await_final("short")


def test_faults_are_told_together(gaitd, client):
    with pytest.raises(RpcError) as refused:
        client.submit({"nb_epochs": -1}, controls={"priority": 1000, "holt": True, "after": "x"})
    assert [(fault["where"], fault["text"]) for fault in refused.value.data["faults"]] == [
        ("nb_epochs", "-1 is below 0"),
        ("controls.priority", "1000 is above 100"),
        ("controls.holt", 'unknown control, did you mean "hold"?')]
    said = gaitd.ctl("submit", *FLAGS, "--after=nobody", status=2).stderr
    assert said == ('gaitctl: the spec has 1 fault\n'
                    '  --after: no sweep "nobody"\n')
    assert gaitd.ctl("limit", "last", "3", status=None).stderr == (
        "gaitctl: you have submitted no sweep yet\n")
    client.submit(sweep("a", 1))
    assert gaitd.ctl("limit", "a", "0", status=2).stderr == "gaitctl: max_running: 0 is below 1\n"
    assert gaitd.ctl("limit", "a", "2").stderr == "a: max_running 2\n"
    again = client.submit(sweep("a", 1), controls={"priority": -1})
    assert again["is_existing"] and again["notes"] == [
        'the sweep keeps its own controls, which "gaitctl show a" tells']
