"""Sweeps are trained by real workers, several at once, and give sane answers."""

import pytest

TINY = {"widths": "16x10", "tower": True, "train_rows": 60, "test_rows": 60, "nb_epochs": 0}


def test_two_workers_train_two_jobs_at_once(client):
    sweep = client.submit({"name": "pair", "base": {"nb_epochs": 6}, "axes": {"seed": [1, 101]}})
    client.await_final("pair")
    attempts = [client.call("show", target=str(job))["attempts"]
                for job in range(sweep["first_job"], sweep["last_job"] + 1)]
    assert [len(of_job) for of_job in attempts] == [1, 1]
    (one,), (other,) = attempts
    assert one["pid"] != other["pid"]
    assert one["outcome"] == other["outcome"] == "done"
    overlap_s = (min(one["ended_at"], other["ended_at"])
                 - max(one["started_at"], other["started_at"]))
    assert overlap_s > 0.5 * (one["ended_at"] - one["started_at"])


def test_each_slot_of_a_job_with_threads_shows_it(new_daemon):
    with new_daemon(slots=3).start().client() as client:
        job = client.submit({"name": "wide", "nb_epochs": 100000, "threads": 2})["first_job"]
        client.call("watch", target="wide")
        client.await_progress(lambda progress: (progress["epoch"] or 0) >= 1)
        slots = client.call("status")["slots"]
        assert [slot["job"] for slot in slots] == [job, job, None]
        assert slots[0]["worker_pid"] and not slots[1]["worker_pid"]
        client.call("cancel", target="wide")
        client.submit({"name": "wider", "nb_epochs": 1, "threads": 3})
        client.await_final("wider")  # which takes them all


def test_a_job_passes_through_its_states_in_order(new_daemon):
    """With one slot, the second of two jobs is still queued when it is watched."""
    with new_daemon(slots=1).start().client() as client:
        client.submit({"name": "first", "nb_epochs": 3})
        second = client.submit({"name": "second", "nb_epochs": 1, "seed": 2})["first_job"]
        assert client.await_final("second") == [
            (second, "queued", "running"), (second, "running", "done")]


def test_a_thousand_tiny_jobs(client):
    """How fast, tests/bench/jobs tells."""
    sweep = client.submit({"name": "thousand", "base": TINY,
                           "axes": {"seed": {"from": 1, "to": 1000}}})
    assert sweep["job_count"] == sweep["new"] == 1000
    client.await_final("thousand", timeout_s=240)
    jobs = client.jobs("thousand")
    assert len(jobs) == 1000
    assert {job["state"] for job in jobs} == {"done"}
    assert [job["seed"] for job in jobs] == list(range(1, 1001))
    assert [(job["epoch"], job["attempts"]) for job in jobs] == [(0, 1)] * 1000
    rows = client.history("thousand")
    assert [(row["job"], row["step"]) for row in rows] == [(job["id"], 0) for job in jobs]
    assert len({row["state_hash"] for row in rows}) == 1000


def test_rows_come_at_the_cadence_asked_for(client):
    """600 rows in batches of 60: 10 updates an epoch; as published, none after the first."""
    client.submit({"name": "published", "nb_epochs": 2, "eval_every": 4, "eval_offset": 1})
    client.submit({"name": "plain", "nb_epochs": 2})
    client.await_final("published")
    client.await_final("plain")
    steps = [(row["step"], row["epoch"]) for row in client.history("published")]
    assert steps == [(0, 0), (5, 0), (9, 0), (10, 1), (15, 1), (19, 1), (20, 2)]
    assert [row["step"] for row in client.history("plain")] == [0, 10, 20]


@pytest.mark.parametrize("settings", [
    {"algorithm": "BP", "learning_rate": 1e-4},
    {"algorithm": "GAIT", "learning_rate": 1e-4, "orthogonal_init": True, "orthogonal_reg": 0.1},
    {"algorithm": "TP", "learning_rate": 1e-4, "orthogonal_init": True, "orthogonal_reg": 10},
    {"algorithm": "GAIT", "tower": True, "orthogonal_init": True, "orthogonal_reg": 0.1},
    {"algorithm": "TP", "linear": True, "learning_rate": 1e-4, "orthogonal_init": True,
     "orthogonal_reg": 10},
    {"algorithm": "BP", "precision": "float64", "shuffle": True, "valid_rows": 60,
     "batch_size": 20},
], ids=lambda settings: "-".join(str(value) for value in settings.values()))
def test_it_learns(client, settings):
    client.submit({"name": "learn", "nb_epochs": 3, **settings})
    client.await_final("learn")
    (job,) = client.jobs("learn")
    assert job["state"] == "done", job["reason"]
    rows = client.history("learn")
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert rows[-1]["test_accuracy"] > 0.5 > rows[0]["test_accuracy"]
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    has_valid = "valid_rows" in settings
    assert all((row["valid_accuracy"] is not None) == has_valid for row in rows)
    assert (job["test_accuracy"], job["train_accuracy"]) == (
        rows[-1]["test_accuracy"], rows[-1]["train_accuracy"])


def test_what_is_there_is_not_trained_again(client):
    """More epochs go on from the checkpoint; fewer are answered at once."""
    spec = {"nb_epochs": 2, "seed": 7}
    client.submit({"name": "two", **spec})
    client.await_final("two")
    again = client.submit({"name": "again", **spec})
    assert (again["new"], again["continued"], again["done"]) == (0, 0, 1)
    more = client.submit({"name": "more", **spec, "nb_epochs": 4})
    assert (more["new"], more["continued"], more["done"]) == (0, 1, 0)
    client.await_final("more")
    two, again, more = (client.history(name) for name in ("two", "again", "more"))
    strip = [{**row, "job": None} for row in two]
    assert strip == [{**row, "job": None} for row in again]
    assert strip == [{**row, "job": None} for row in more][:3]
    assert [row["epoch"] for row in more] == [0, 1, 2, 3, 4]
    assert client.call("show", target="two")["spec"] is not None


def test_divergence_fails_the_job_with_epoch_and_layer(client):
    client.submit({"name": "wild", "nb_epochs": 30, "learning_rate": 1e6, "nb_layers": 3,
                   "algorithm": "TP", "orthogonal_reg": 1000})
    client.await_final("wild")
    (job,) = client.jobs("wild")
    assert job["state"] == "failed"
    assert "epoch 1" in job["reason"] and "layer" in job["reason"]
    assert job["attempts"] == 1
    run = client.call("show", target=str(job["id"]))["run"]
    assert run["diverged_epoch"] == 1
