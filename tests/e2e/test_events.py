"""What happened while nobody looked: events, their cost, and the news of status."""

import csv
import io
import json
import os
import pty
import re
import signal
import subprocess

import pytest

from rpc import RpcError

TINY = {"tower": True, "widths": "16x10", "train_rows": 60, "test_rows": 60, "nb_epochs": 1}
LONG = {"name": "long", "algorithm": "GAIT", "orthogonal_init": True, "orthogonal_reg": 0.1,
        "nb_layers": 1, "nb_epochs": 5, "eval_every": 5}
FAR = 12  # steps


def kinds(events):
    return [event["kind"] for event in events]


def on_terminal(daemon, *arguments):
    """What gaitctl says on a terminal."""
    ours, theirs = pty.openpty()
    try:
        done = subprocess.run([daemon.build / "gaitctl", *arguments], env=daemon.environment,
                              stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.PIPE,
                              timeout=60, check=True)
    finally:
        os.close(theirs)
    text = b""
    try:
        while chunk := os.read(ours, 65536):
            text += chunk
    except OSError:  # the other end is closed
        pass
    os.close(ours)
    assert done.stderr == b""
    return text.decode().replace("\r", "")


def start_and_get_far(client):
    client.submit(LONG)
    client.call("watch", target="long")
    return client.await_progress(lambda progress: progress["step"] >= FAR)


def worker_pids(client):
    return [slot["worker_pid"] for slot in client.call("status")["slots"] if slot["worker_pid"]]


def test_a_killed_worker_costs_what_is_computed_again(gaitd, client):
    start_and_get_far(client)
    for pid in worker_pids(client):
        os.kill(pid, signal.SIGKILL)
    client.await_final("long")
    events = client.pages("events", "events", target="long")
    assert kinds(events)[:3] == ["submitted", "crashed", "resumed"]
    crashed, resumed = events[1:3]
    assert "killed by signal 9" in crashed["text"] and crashed["cost_s"] is None
    found = re.fullmatch(r"goes on from step (\d+) of 50; (\d+) steps are computed again",
                         resumed["text"])
    assert found, resumed["text"]
    first, again = map(int, found.groups())
    assert first + again >= FAR, resumed["text"]
    rows = client.history("long")
    pace = rows[-1]["seconds"] / rows[-1]["step"]
    assert again * pace / 20 < resumed["cost_s"] < again * pace * 20
    shown = json.loads(gaitd.ctl("events", "long", "-o", "json").stdout)
    assert shown == events


def test_a_clean_stop_costs_nothing(new_daemon):
    daemon = new_daemon().start()
    with daemon.client() as client:
        start_and_get_far(client)
        assert on_terminal(daemon, "status").splitlines()[0].startswith("gaitd")
        daemon.stop()
    with daemon.start().client() as client:
        client.await_final("long")
        events = client.pages("events", "events")
        assert kinds(events) == [
            "started", "submitted", "stopping", "started", "resumed", "finished"]
        assert re.fullmatch(r"goes on from step \d+ of 50; nothing is computed again",
                            events[4]["text"])
        assert (events[4]["cost_s"], events[4]["job"]) == (0, 1)
        assert events[3]["text"] == "0 attempts had been cut short"
        news = client.call("status")["news"]
        assert news["events"] == {"stopping": 1, "started": 1, "resumed": 1, "finished": 1}
        assert (news["done"], news["cost_s"], news["started_at"]) == (1, 0, events[3]["at"])
    # Only a look on a terminal takes the news.
    assert daemon.ctl("status").stdout.startswith("since ")
    seen = on_terminal(daemon, "status").splitlines()[0]
    assert re.fullmatch(r"since .* ago: restarted \d\d:\d\d; 1 job resumed; 1 done", seen), seen
    assert on_terminal(daemon, "status").splitlines()[0].startswith("gaitd")
    assert json.loads(daemon.ctl("status", "-o", "json").stdout)["news"] is None


def test_news_are_ones_own(gaitd, client):
    """The first look has none; what failed is told once."""
    assert client.call("status", look=True)["news"] is None
    assert client.call("status", look=True)["news"] is None
    client.submit({"name": "wild", **TINY, "widths": "784x64x10", "learning_rate": 1e6,
                   "nb_epochs": 50})
    client.await_final("wild")
    assert client.call("status", look=True)["news"]["events"]["failed"] == 1
    assert client.call("status", look=True)["news"] is None


def test_orders_are_of_known_kinds(gaitd, client):
    """Two kinds that nobody knows made an answer that nobody could read."""
    client.call("status", look=True)
    client.submit({"name": "a", **TINY, "nb_epochs": 1000})
    for order in ("hold", "release", "pause", "release", "cancel"):
        client.call(order, target="a")
    client.await_final("a")
    known = gaitd.ctl("events", "--kinds", "-o", "csv").stdout
    met = set(kinds(client.pages("events", "events")))
    assert {"held", "released", "paused", "cancelled"} <= met
    assert [kind for kind in met if f"\n{kind}," not in known] == []
    client.submit({"name": "wild", **TINY, "widths": "784x64x10", "learning_rate": 1e6,
                   "nb_epochs": 50})
    client.await_final("wild")
    news = json.loads(gaitd.ctl("status", "-o", "json").stdout)["news"]["events"]
    assert news["failed"] == 1 and news["held"] == 1 and "other" not in news


def test_since_and_formats(gaitd, client):
    client.submit({"name": "a", **TINY})
    client.await_final("a")
    client.submit({"name": "b", **TINY})
    events = client.pages("events", "events")
    assert kinds(events) == ["started", "submitted", "finished", "submitted", "finished"]
    assert [event["sweep"] for event in events] == [None, "a", "a", "b", "b"]
    assert client.call("events", limit=2)["next"] == 2
    assert client.call("events", after=3)["events"] == events[3:]
    assert client.call("events", since=int(events[-1]["at"]) + 5)["events"] == []
    read = json.loads(gaitd.ctl("events", "--since", "3", "-o", "json").stdout)
    assert read == events[3:]
    rows = list(csv.DictReader(io.StringIO(gaitd.ctl("events", "a", "-o", "csv").stdout)))
    assert [row["kind"] for row in rows] == ["submitted", "finished"]
    for since in ("1h", "1d12h", "2020-01-31", "2020-01-31T13:45", "2020-01-31 13:45:10"):
        assert len(gaitd.ctl("events", "--since", since).stdout.splitlines()) == 6, since
    assert gaitd.ctl("events", "--since", "2099-01-01").stdout.count("\n") <= 1
    for bad in ("yesterday", "2h3d", "2020-04-31", "1", "h", ""):
        if bad != "1":
            assert "--since" in gaitd.ctl("events", "--since", bad, status=2).stderr, bad
    listed = gaitd.ctl("events", "--kinds").stdout
    assert all(kind in listed for kind in ("started", "resumed", "drained"))


def test_following(gaitd, client):
    watcher = gaitd.ctl_process("events", "--follow", "-o", "jsonl")
    try:
        lines = [json.loads(watcher.stdout.readline())]
        client.submit({"name": "a", **TINY})
        lines += [json.loads(watcher.stdout.readline()) for _ in range(2)]
    finally:
        watcher.kill()
        watcher.communicate()
    assert kinds(lines) == ["started", "submitted", "finished"]


def test_drain(new_daemon):
    """Running jobs finish, no other starts, restarts or not, until it is undone."""
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        start_and_get_far(client)
        client.submit({"name": "later", **TINY})
        waiting = daemon.ctl_process("drain", "--wait")
        assert waiting.stderr.readline() == "no job is started any more; 1 running job goes on\n"
        client.await_final("long")
        assert waiting.communicate(timeout=60)[1] == "no job is running any more\n"
        assert waiting.returncode == 0
        assert kinds(client.pages("events", "events"))[-2:] == ["finished", "quiet"]
        daemon.stop()
    with daemon.start().client() as client:
        (job,) = client.jobs("later")
        assert (job["state"], job["attempts"]) == ("queued", 0)
        assert client.call("status")["drained"]["user"]
        assert re.search(r"drained +since .* by .*: no job is started",
                         daemon.ctl("status").stdout)
        assert "had the queue drained" in client.call("explain", target=str(job["id"]))["text"]
        answer = client.call("drain")
        assert answer == {"is_drained": True, "running": 0}
        assert daemon.ctl("drain", "--undo").stderr == "jobs are started again\n"
        client.await_final("later")
        assert client.call("status")["drained"] is None
        assert kinds(client.pages("events", "events"))[-3:] == [
            "started", "undrained", "finished"]


def test_retry(new_daemon):
    """Exactly what failed or was cancelled, and not what diverged."""
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        client.submit({"name": "s", "base": {**TINY, "widths": "784x64x10"},
                       "points": [{"learning_rate": 1e6, "nb_epochs": 50}, {"seed": 1}]})
        client.await_final("s")
        client.call("drain")
        client.submit({"name": "t", "base": TINY, "axes": {"seed": [1, 2, 3, 4]}})
        first = client.jobs("t")[0]["id"]
        assert client.call("cancel", target=f"{first + 1}..{first + 2}")["cancelled"] == 2
        answer = client.call("retry", target="t")
        assert answer == {"retried": 2, "failed": 0, "cancelled": 2, "diverged": 0}
        assert [job["state"] for job in client.jobs("t")] == ["queued"] * 4
        assert [job["finished_at"] for job in client.jobs("t")] == [None] * 4
        client.call("drain", undo=True)
        client.await_final("t")
        assert [job["attempts"] for job in client.jobs("t")] == [1] * 4
        before = client.jobs("s")
        assert client.call("retry", target="s") == {
            "retried": 0, "failed": 0, "cancelled": 0, "diverged": 1}
        assert client.jobs("s") == before
        assert "1 left alone" in daemon.ctl("retry", "s").stderr
        with pytest.raises(RpcError) as refused:
            client.call("retry", target="nothing")
        assert refused.value.code == 2


def test_retry_after_crashes(new_daemon):
    """A job that failed by three crashes goes on, its crashes forgotten; one that
    is still stopping is not started twice."""
    daemon = new_daemon(slots=2).start()
    with daemon.client() as client:
        client.submit(LONG)
        client.call("watch", target="long")
        client.await_progress(lambda progress: progress["step"] >= 3)
        client.call("cancel", target="long")
        assert client.call("retry", target="long")["retried"] == 1
        client.await_final("long")
        (job,) = client.jobs("long")
        attempts = client.call("show", target=str(job["id"]))["attempts"]
        assert job["state"] == "done"
        assert [attempt["outcome"] for attempt in attempts] == ["stopped", "done"]
        assert attempts[1]["started_at"] >= attempts[0]["ended_at"]
