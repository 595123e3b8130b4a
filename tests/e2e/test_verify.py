"""Training again: as a check that nothing comes out differently, as a fresh
replica, and on a machine that is not the one it was."""

import json
import pathlib
import re

import pytest
from odd_worker import OddWorker
from rpc import RpcError

SMALL = {"tower": True, "widths": "64x10", "train_rows": 600, "test_rows": 100}
SWEEP = {"name": "pair", "base": {**SMALL, "nb_epochs": 2, "eval_every": 5},
         "points": [{"algorithm": "BP"}, {"algorithm": "GAIT", "orthogonal_reg": 0.1}]}
LOST_CLASS = "cpu OpenBLAS-0.3.0 Oldcore"


@pytest.fixture
def small(new_daemon):
    """A daemon with images of 8 by 8 pixels, and a worker that may lie."""
    from data_sets import Images, idx_images, idx_labels, IDX_FILES
    daemon = new_daemon()
    for half, rows in (("train", 600), ("test", 100)):
        images = Images(rows, len(half), side=8)
        for kind, write in (("images", idx_images), ("labels", idx_labels)):
            (daemon.datasets / "MNIST" / IDX_FILES[half, kind]).write_bytes(write(images))
    daemon.odd = OddWorker(daemon)
    return daemon


def start(daemon, **lies):
    daemon.odd.say(**lies)
    return daemon.start(*daemon.odd.arguments)


def trained(daemon, spec=SWEEP):
    with daemon.client() as client:
        client.submit(spec)
        client.await_final(spec["name"])
        return client.jobs(spec["name"])


def verdicts(done):
    return {row["job"]: row["verdict"] for row in json.loads(done.stdout)}


def test_identical(small):
    jobs = trained(start(small))
    assert [job["state"] for job in jobs] == ["done", "done"]
    done = small.ctl("verify", "pair", "-o", "json")
    assert verdicts(done) == {1: "identical, 5 rows", 2: "identical, 5 rows"}
    assert "verify-2: 2 jobs to compute again" in done.stderr
    table = small.ctl("verify", "1").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["job", "1"]
    assert table[1].endswith("  identical, 5 rows")


def test_it_is_trained_again_from_nothing_and_in_hiding(small):
    trained(start(small))
    with small.client() as client:
        status = client.call("status")
        results = client.call("results", target="pair", by=[])
        small.ctl("verify", "pair")
        listed = [job["id"] for job in client.call("list")["jobs"]]
        assert listed == [2, 1]
        assert [sweep["name"] for sweep in client.call("sweeps")["sweeps"]] == ["pair"]
        assert client.call("show", target="last")["sweep"]["name"] == "pair"
        assert client.call("results", target="pair", by=[]) == results
        assert client.call("results", target="1..9", by=[])["rows"] == results["rows"]
        assert [row["job"] for row in client.call("results", target="1..9")["rows"]] == [1, 2]
        assert {row["job"] for row in client.history("1..9")} == {1, 2}
        assert {row["job"] for row in client.history("3..4")} == set()
        after = client.call("status")
        assert (after["counts"], after["sweeps"]) == (status["counts"], status["sweeps"])

        shown = client.call("show", target="verify-2")
        assert shown["spec"] == {"verifies": "pair"}
        assert (shown["sweep"]["job_count"], shown["sweep"]["done"]) == (2, 2)
        again = client.jobs("verify-2")
        assert [job["verifies"] for job in again] == [1, 2]
        assert [job["verifies"] for job in client.jobs("pair")] == [None, None]
        one, other = (client.call("show", target=str(job)) for job in (1, again[0]["id"]))
        assert (one["run"]["replica"], other["run"]["replica"]) == (0, -1)
        for name in ("key", "device_class", "state_hash", "step"):
            assert one["run"][name] == other["run"][name]
        assert other["run"]["id"] not in [1, 2]
        # Asking for the same training finds the original.
        assert client.submit({**SWEEP, "name": "twin"})["done"] == 2


@pytest.mark.parametrize("column, value, text", [
    ("test_loss", 0.25, r"row of step 15: test_loss is 0\.25, was [0-9.e-]+ in run 1"),
    ("train_accuracy", 0.125, r"row of step 15: train_accuracy is 0\.125, was 0\.[0-9]+ in run 1"),
    ("state_hash", "0123456789abcdef" * 2,
     r"row of step 15: state_hash is (0123456789abcdef){2}, was [0-9a-f]{32} in run 1"),
    ("step", None, r"the row of step 15, which run 1 has, is missing before step 20"),
    ("step", 16, r"the row of step 15, which run 1 has, is missing before step 16"),
    ("step", 14, r"the row of step 14 is one that run 1 does not have"),
])
def test_the_first_row_that_differs_is_named(small, column, value, text):
    """Step 15 is the fourth of five rows."""
    trained(start(small))
    small.odd.say(row={"step": 15, "column": column, "value": value})
    done = small.ctl("verify", "1", "-o", "json", status=1)
    (row,) = json.loads(done.stdout)
    assert (row["job"], row["state"], row["rows"]) == (1, "failed", 3)
    assert re.fullmatch(r"not identical: " + text, row["reason"])
    assert row["verdict"] == f"failed: {row['reason']}, after 3 identical rows"
    with small.client() as client:
        (attempt,) = client.call("show", target=str(row["verified_by"]))["attempts"]
        assert (attempt["outcome"], attempt["message"]) == ("nondeterministic", row["reason"])
        assert [job["state"] for job in client.jobs("pair")] == ["done", "done"]
    small.odd.say()
    assert verdicts(small.ctl("verify", "1", "-o", "json")) == {1: "identical, 5 rows"}


def test_one_digit(small):
    """The least change that a number can have."""
    trained(start(small))
    with small.client() as client:
        row = client.history("2")[2]
    digits = re.sub(r"(\d)(?=\D*$)", lambda last: str((int(last[1]) + 3) % 10),
                    repr(row["test_loss"]))
    assert float(digits) != row["test_loss"]
    small.odd.say(row={"step": row["step"], "column": "test_loss", "value": float(digits)})
    done = small.ctl("verify", "pair", "-o", "jsonl", status=1)
    for answer in map(json.loads, done.stdout.splitlines()):
        found = re.search(r"row of step 10: test_loss is ([0-9.e-]+), was ([0-9.e-]+) in run",
                          answer["reason"])
        assert float(found[1]) == float(digits)
        if answer["job"] == 2:
            assert float(found[2]) == row["test_loss"]


def test_a_run_that_differs_from_itself(small):
    """No verification is needed when a resumed attempt meets its own rows."""
    start(small)
    with small.client() as client:
        client.submit({**SMALL, "name": "long", "nb_epochs": 2000, "eval_every": 5,
                       "widths": "64x64x64x10", "batch_size": 6})
        client.call("watch", target="long")
        client.await_progress(lambda progress: progress["step"] >= 50)
        (worker,) = {slot["worker_pid"] for slot in client.call("status")["slots"] if slot["job"]}
        small.odd.say(row={"step": 10, "column": "train_loss", "value": 0.5})
        kill(worker)
        client.await_final("long")
        (job,) = client.jobs("long")
        assert job["state"] == "failed"
        assert re.fullmatch(r"nondeterministic: the row of step 10 differs from the one stored: "
                            r"train_loss is 0\.5, was [0-9.e-]+", job["reason"])


def kill(pid):
    """kill -9 of a worker and of what stands before it."""
    import os
    import signal
    children = pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    for one in [pid, *map(int, children)]:
        os.kill(one, signal.SIGKILL)


def test_what_cannot_be_verified_is_skipped_and_said(small):
    """Of a job that is under way, the epochs that are there."""
    small.slots = 1
    start(small)
    with small.client() as client:
        client.submit({"name": "endless", "base": {**SMALL, "nb_epochs": 1000000},
                       "axes": {"seed": [1, 101]}})
        client.call("watch", target="1")
        client.await_progress(lambda progress: (progress["epoch"] or 0) >= 2)
        answer = client.call("verify", target="endless", request_id="half")
        assert (answer["job_count"], answer["skipped_count"], answer["skipped"]) == (
            1, 1, [{"job": 2, "reason": "has no rows yet"}])
        client.call("cancel", target="endless")
        client.await_final(answer["name"])
        (row,) = client.call("verification", target=answer["name"])["rows"]
        assert (row["job"], row["state"], row["rows"]) == (1, "done", row["nb_epochs"] + 1)
        assert row["nb_epochs"] >= 2

        with pytest.raises(RpcError) as refused:
            client.call("verify", target="2", request_id="none")
        assert (refused.value.code, refused.value.message) == (
            3, "nothing to verify: job 2 has no rows yet")
        with pytest.raises(RpcError) as refused:
            client.call("verify", target=answer["name"], request_id="twice")
        assert (refused.value.code, refused.value.message) == (
            3, "nothing to verify: job 3 is a verification itself")
    assert small.ctl("verify", "99", status=3).stderr == "gaitctl: no job 99\n"
    skipped = small.ctl("verify", "1..2")
    assert "skipped: job 2 has no rows yet" in skipped.stderr


def test_a_request_acts_once(small):
    trained(start(small))
    with small.client() as client:
        first = client.call("verify", target="pair", request_id="once")
        again = client.call("verify", target="pair", request_id="once")
        assert again == {**first, "is_existing": True}
        client.await_final(first["name"])
        rows = client.pages("verification", "rows", target=first["name"])
        assert [(row["job"], row["state"], row["rows"], row["reason"]) for row in rows] == [
            (1, "done", 5, None), (2, "done", 5, None)]


def test_a_name_of_verifications_is_not_to_be_had(small):
    start(small)
    refused = small.ctl("submit", "--name=verify-7", "--nb-epochs=0", status=2)
    assert '"verify-7" is not a name: it reads as an id' in refused.stderr


# Fresh replicas.

def test_fresh(small):
    """New runs, trained from nothing, that supersede without adding to n."""
    trained(start(small))
    with small.client() as client:
        small.ctl("submit", "-", "--fresh", "--name=again", "--wait", input=json.dumps(SWEEP))
        runs = [client.call("show", target=str(job))["run"] for job in range(1, 5)]
        assert [run["replica"] for run in runs] == [0, 0, 1, 1]
        assert len({run["id"] for run in runs}) == 4
        for old, new in zip(runs, runs[2:]):
            assert (old["key"], old["state_hash"]) == (new["key"], new["state_hash"])
        assert [job["attempts"] for job in client.jobs("again")] == [1, 1]
        (row,) = client.call("results", target="1..4", by=[])["rows"]
        assert (row["n"], row["failed"], row["unfinished"]) == (2, 0, 0)
        # The newest replica is the one that is gone on with.
        more = client.submit({**SMALL, "eval_every": 5, "name": "more", "nb_epochs": 3,
                              "algorithm": "BP"})
        assert (more["new"], more["continued"]) == (0, 1)
        client.await_final("more")
        assert client.jobs("more")[0]["run_id"] == runs[2]["id"]
        third = client.submit({**SWEEP, "name": "third"}, fresh=True)
        assert (third["new"], third["continued"], third["done"]) == (2, 0, 0)
        client.await_final("third")
        assert {job["replica"] for job in client.jobs("third")} == {2}


def test_the_newest_replica_counts(small):
    """One that came out differently, so that it can be told which was taken."""
    trained(start(small))
    small.odd.say(row={"step": 20, "column": "test_accuracy", "value": 0.0625})
    with small.client() as client:
        client.submit({**SWEEP, "name": "other"}, fresh=True)
        client.await_final("other")
        for target, expected in (("other", 0.0625), ("1..4", 0.0625)):
            (row,) = client.call("results", target=target, by=[])["rows"]
            assert (row["n"], row["final_test_accuracy_mean"]) == (2, expected)
            assert row["final_test_accuracy_sd"] == 0
        (row,) = client.call("results", target="pair", by=[])["rows"]
        assert row["final_test_accuracy_mean"] != 0.0625
    assert small.ctl("plot", "1..4").stdout.count("n 1, at epoch 2: 6.25 %") == 2


def test_fresh_needs_a_name_of_its_own(small):
    trained(start(small))
    refused = small.ctl("submit", "-", "--fresh", status=2, input=json.dumps(SWEEP))
    assert 'sweep "pair" exists (sweep-1): a fresh one needs another name' in refused.stderr
    dry = small.ctl("submit", "-", "--fresh", "--dry-run", "--name=x", "-o", "json",
                    input=json.dumps(SWEEP))
    assert json.loads(dry.stdout)["new"] == 2


def test_jobs_of_one_fresh_sweep_share_their_runs(small):
    start(small)
    spec = {"base": SMALL, "axes": {"nb_epochs": [1, 2]}}
    with small.client() as client:
        for name in ("one", "two"):
            client.submit({**spec, "name": name}, fresh=True)
            client.await_final(name)
        jobs = client.jobs("one") + client.jobs("two")
        assert [job["replica"] for job in jobs] == [0, 0, 1, 1]
        assert len({job["run_id"] for job in jobs}) == 2


# A device class that is gone.

def on_the_old_machine(daemon, nb_epochs=2):
    start(daemon, device_class=LOST_CLASS)
    jobs = trained(daemon, {**SMALL, "name": "old", "nb_epochs": nb_epochs})
    assert jobs[0]["state"] == "done"
    daemon.stop()


def test_what_is_done_serves_on_any_machine(small):
    on_the_old_machine(small)
    start(small)
    with small.client() as client:
        same = client.submit({**SMALL, "name": "same", "nb_epochs": 2})
        assert (same["done"], same["waiting"], same["notes"]) == (1, 0, [])


def test_nothing_is_mixed(small):
    """More epochs of a run that began elsewhere wait for its machine."""
    on_the_old_machine(small)
    start(small)
    more = {**SMALL, "name": "more", "nb_epochs": 3}
    with small.client() as client:
        here = client.call("status")["slots"][0]["device_class"]
        answer = client.submit(more)
        assert (answer["new"], answer["continued"], answer["done"], answer["waiting"]) == (
            0, 0, 0, 1)
        assert answer["notes"] == [
            f'run 1 began on "{LOST_CLASS} threads-1", which this machine does not offer (it '
            f'offers "{here}"), and nothing is mixed: 1 job waits for it; submit with --fresh '
            f'to train anew here']
        (job,) = client.jobs("more")
        assert (job["state"], job["reason"]) == (
            "queued", f'waits for a slot of device class "{LOST_CLASS} threads-1", on which its '
                      f'run began; --fresh would train it anew')
        assert small.ctl("explain", "2").stdout == (
            f'job 2 waits for a slot of device class "{LOST_CLASS} threads-1", on which its run '
            f'began, and this machine offers "{here}": gaitctl submit --fresh trains '
            f'it anew here\n')

        fresh = client.submit({**more, "name": "anew"}, fresh=True)
        assert (fresh["new"], fresh["waiting"], fresh["notes"]) == (1, 0, [])
        client.await_final("anew")
        run = client.call("show", target=str(fresh["first_job"]))["run"]
        assert (run["replica"], run["device_class"]) == (1, here + " threads-1")
        # From now on that one is the run of this training.
        assert client.submit({**more, "name": "later", "nb_epochs": 4})["continued"] == 1
        client.await_final("later")
    small.stop()
    start(small, device_class=LOST_CLASS)
    with small.client() as client:
        client.await_final("more")
        (job,) = client.jobs("more")
        assert (job["state"], job["run_id"]) == ("done", 1)
        assert client.call("show", target="2")["run"]["device_class"] == LOST_CLASS + " threads-1"


def test_a_queued_job_of_a_class_that_went_away(small):
    """It was under way when the library was replaced."""
    start(small, device_class=LOST_CLASS)
    with small.client() as client:
        client.submit({**SMALL, "name": "long", "nb_epochs": 1000000})
        client.call("watch", target="long")
        client.await_progress(lambda progress: progress["step"] >= 20)
        small.stop()
    start(small)
    with small.client() as client:
        client.submit({**SMALL, "name": "next", "nb_epochs": 1, "seed": 7})
        client.await_final("next")
        (job,) = client.jobs("long")
        assert job["state"] == "queued"
        assert f'"{LOST_CLASS} threads-1"' in job["reason"]
        client.call("cancel", target="long")


def test_verify_without_the_class_is_refused(small):
    on_the_old_machine(small)
    start(small)
    with small.client() as client:
        here = client.call("status")["slots"][0]["device_class"]
        trained(small)
    refused = small.ctl("verify", "old", status=2)
    assert refused.stderr == (
        f'gaitctl: nothing to verify: job 1 began on device class "{LOST_CLASS} threads-1", '
        f'which has no slot here; there is "{here}"\n')
    some = small.ctl("verify", "1..3", "-o", "json")
    assert f'skipped: job 1 began on device class "{LOST_CLASS} threads-1"' in some.stderr
    assert set(verdicts(some)) == {2, 3}


# Explaining.

def test_explain(small):
    small.slots = 1
    start(small)
    with small.client() as client:
        client.submit({**SMALL, "name": "first", "nb_epochs": 1000000})
        client.call("watch", target="first")
        client.await_progress(lambda progress: True)
        client.submit({**SMALL, "name": "same", "nb_epochs": 999999})
        client.submit({"name": "rest", "base": {**SMALL, "nb_epochs": 1},
                       "axes": {"seed": [101, 201]}})
        texts = [client.call("explain", target=str(job))["text"] for job in range(1, 5)]
        assert re.fullmatch(r"job 1 has been running since \d{4}(-\d\d){2} [0-9:]{8} "
                            r"\(attempt 1\)", texts[0])
        assert texts[1:] == [
            "job 2 is queued: its run is being trained by job 1",
            "job 3 is queued: it comes next, when a slot is free",
            "job 4 is queued behind 1 job"]
        client.call("cancel", target="1..2")
        client.await_final("rest")
        texts = [client.call("explain", target=str(job))["text"] for job in (1, 3)]
        assert re.fullmatch(r"job 1 was cancelled at [0-9: -]{19}: cancelled by \S+", texts[0])
        assert re.fullmatch(r"job 3 was done at [0-9: -]{19}", texts[1])
        with pytest.raises(RpcError) as refused:
            client.call("explain", target="rest")
        assert (refused.value.code, refused.value.message) == (
            -32602, '"target" is "rest", expected one job')
    assert json.loads(small.ctl("explain", "3", "-o", "json").stdout) == {
        "job": 3, "state": "done", "text": texts[1]}
