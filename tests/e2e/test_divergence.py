"""A training that leaves the finite numbers fails at once, and stays so."""

import json
import re

import pytest

WILD = {"widths": "784x64x10", "tower": True, "learning_rate": 1e6, "nb_epochs": 50}
# One update an epoch: it takes a few of them until a square overflows.
SLOW = {**WILD, "learning_rate": 1000, "batch_size": 600}
NOTE = "1 job fails at once: its run is known to diverge before it ends"


def result_of(client, target):
    (row,) = client.call("results", target=target)["rows"]
    return row


def train(client, spec, **options):
    """The job that came of it, when it is final, and what submit said."""
    answer = client.submit(spec, **options)
    client.await_final(spec["name"])
    (job,) = client.jobs(spec["name"])
    return job, answer


@pytest.mark.parametrize("settings", [
    {"algorithm": "BP"}, {"algorithm": "GAIT", "orthogonal_reg": 0.1},
    {"algorithm": "TP", "linear": True}])
def test_it_fails_at_once_with_epoch_and_layer(gaitd, client, settings):
    job, _ = train(client, {"name": "wild", **WILD, **settings})
    assert (job["state"], job["attempts"]) == ("failed", 1)
    assert re.fullmatch(r"diverged in epoch 1 \(step \d+\): layer \d has a \w+ that is not finite",
                        job["reason"])
    shown = client.call("show", target=str(job["id"]))
    assert (shown["run"]["diverged_epoch"], shown["run"]["failure"]) == (1, job["reason"])
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["diverged"]
    row = result_of(client, "wild")
    assert (row["state"], row["epoch"], row["diverged_epoch"]) == ("failed", 0, 1)
    assert row["final_test_accuracy"] is None and row["peak_test_accuracy"] is not None
    (group,) = client.call("results", target="wild", by=["algorithm"])["rows"]
    assert (group["n"], group["failed"], group["unfinished"]) == (0, 1, 0)
    assert "1 failed" in gaitd.ctl("wait", "wild", status=1).stderr
    assert "1" in gaitd.ctl("results", "wild").stdout.splitlines()[1].split()
    explained = gaitd.ctl("explain", str(job["id"])).stdout
    assert re.fullmatch(rf"job 1 failed at [0-9: -]{{19}}: {re.escape(job['reason'])}\n", explained)


def test_it_is_remembered(new_daemon):
    """By a daemon that has been started again, too, and nothing is trained."""
    daemon = new_daemon().start()
    with daemon.client() as client:
        first, _ = train(client, {"name": "wild", **WILD})
        again, answer = train(client, {"name": "again", **WILD, "nb_epochs": 7})
        assert (answer["new"], answer["continued"], answer["failed"]) == (0, 0, 1)
        assert answer["notes"] == [NOTE]
        assert (again["state"], again["attempts"], again["started_at"]) == ("failed", 0, None)
        assert (again["reason"], again["run_id"]) == (first["reason"], first["run_id"])
        daemon.stop()
    daemon.start()
    done = daemon.ctl("submit", "-", "--wait", status=1,
                      input=json.dumps({"name": "later", **WILD}))
    assert f"note: {NOTE}" in done.stderr
    with daemon.client() as client:
        assert client.jobs("later")[0]["attempts"] == 0


def test_a_shorter_job_succeeds(client):
    """Its answers know nothing of what came after it."""
    train(client, {"name": "wild", **WILD})
    job, answer = train(client, {"name": "short", **WILD, "nb_epochs": 0})
    assert (job["state"], job["attempts"], answer["done"]) == ("done", 0, 1)
    row = result_of(client, "short")
    assert row["diverged_epoch"] is None and row["final_test_accuracy"] is not None


def test_a_later_epoch(client):
    long, _ = train(client, {"name": "long", **SLOW})
    assert long["state"] == "failed"
    epoch = client.call("show", target="1")["run"]["diverged_epoch"]
    assert 1 < epoch < 50
    assert f"diverged in epoch {epoch} " in long["reason"]
    assert [row["epoch"] for row in client.history("long")] == list(range(epoch))
    client.submit({"name": "around", "base": SLOW,
                   "axes": {"nb_epochs": [epoch - 1, epoch, epoch + 1]}})
    client.await_final("around")
    assert [job["state"] for job in client.jobs("around")] == ["done", "failed", "failed"]
    rows = client.call("results", target="around")["rows"]
    assert [row["diverged_epoch"] for row in rows] == [None, epoch, epoch]
    (group,) = client.call("results", target="around", by=[])["rows"]
    assert (group["n"], group["failed"]) == (1, 1)  # one training, done before it diverged


def test_jobs_that_wait_for_the_same_run(new_daemon):
    """The first to be trained settles it for all of them."""
    with new_daemon(slots=1).start().client() as client:
        client.submit({"name": "lengths", "base": SLOW,
                       "axes": {"nb_epochs": [50, 1, 40, 0, 30]}})
        client.await_final("lengths")
        jobs = client.jobs("lengths")
        assert [job["state"] for job in jobs] == ["failed", "done", "failed", "done", "failed"]
        assert [job["attempts"] for job in jobs] == [1, 0, 0, 0, 0]


def test_a_fresh_replica_tries_again(gaitd, client):
    """And a verification compares what was before it."""
    first, _ = train(client, {"name": "wild", **SLOW})
    again, answer = train(client, {"name": "again", **SLOW}, fresh=True)
    assert (answer["new"], answer["failed"], answer["notes"]) == (1, 0, [])
    assert (again["state"], again["attempts"], again["reason"]) == ("failed", 1, first["reason"])
    assert again["run_id"] != first["run_id"]
    (row,) = json.loads(gaitd.ctl("verify", "wild", "-o", "json").stdout)
    epoch = client.call("show", target="1")["run"]["diverged_epoch"]
    assert row["verdict"] == f"identical, {epoch} rows"
