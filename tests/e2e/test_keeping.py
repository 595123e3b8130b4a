"""What stays of checkpoints under a budget, and of sweeps that are deleted."""

import os
import pty

import pytest

from checkpoints import (agree, ask, change, files, folder_of, preload_faults, rows, until,
                         used)
from rpc import RpcError

TINY = {"tower": True, "widths": "100x10", "nb_epochs": 2}  # some 1 MB a checkpoint


def spec(name, *seeds, **settings):
    return {"name": name, "base": {**TINY, **settings}, "axes": {"seed": list(seeds)}}


def submit(daemon, *sweeps):
    with daemon.client() as client:
        for sweep in sweeps:
            client.submit(sweep)
            client.await_final(sweep["name"])


def runs(daemon):
    return {run for run, _ in files(daemon)}


def runs_of(daemon, sweep):
    return {run for (run,) in ask(daemon, "SELECT run_id FROM job JOIN sweep ON sweep.id = "
                                          "sweep_id WHERE name = ?", sweep)}


def one_file(daemon):
    return max(bytes for (bytes,) in ask(daemon, "SELECT bytes FROM checkpoint"))


# The budget.

def test_the_least_useful_go_first(new_daemon):
    """Of five runs: superseded, diverged; then the cheap one; never the kept."""
    daemon = new_daemon().start("--checkpoint-every", "0")
    submit(daemon, spec("kept", 1), spec("old", 2), spec("cheap", 3),
           spec("dear", 4, nb_epochs=30))
    with daemon.client() as client:
        client.submit(spec("fresh", 2), fresh=True)
        client.await_final("fresh")
        assert client.call("keep", target="kept") == {
            "sweep_id": 1, "name": "kept", "is_kept": True}
    (kept,), (old,), (cheap,), (dear,), (fresh,) = (
        runs_of(daemon, name) for name in ("kept", "old", "cheap", "dear", "fresh"))
    size = one_file(daemon)
    assert runs(daemon) == {kept, old, cheap, dear, fresh}
    for room, left in ((4.5, {kept, cheap, dear, fresh}), (2.5, {kept, dear}), (0, {kept})):
        daemon.stop()
        daemon.start("--checkpoint-budget", int(room * size))
        if room == 2.5:  # which of the two cheap ones goes first is a matter of luck
            until(lambda: len(runs(daemon)) == 2, "too much is left")
        until(lambda: runs(daemon) == left, f"{runs(daemon)} are left, expected {left}")
        agree(daemon)
    with daemon.client() as client:
        assert client.call("show", target="kept")["sweep"]["is_kept"] is True
    daemon.ctl("keep", "kept", "--undo")
    daemon.stop()
    daemon.start("--checkpoint-budget", 0)
    until(lambda: not files(daemon), "the last one is left")
    assert not agree(daemon)


def opened(pipe):
    """Its end to write to, if somebody reads."""
    try:
        return open(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK), "wb")
    except OSError:
        return None


def test_what_is_kept_while_others_go_stays(new_daemon):
    """The first is about to be removed when somebody asks for the second."""
    daemon = new_daemon().start("--checkpoint-every", "0")
    submit(daemon, spec("cheap", 1), spec("dear", 2, nb_epochs=30))
    daemon.stop()
    *_, hold = preload_faults(daemon)
    os.mkfifo(hold)
    with daemon.start("--checkpoint-budget", 0).client() as client:
        pipe = until(lambda: opened(hold), "nothing is about to be removed")
        hold.unlink()
        client.call("keep", target="dear")
        pipe.close()
        until(lambda: "1 files of checkpoints removed" in daemon.stderr(), "nothing goes")
        assert runs(daemon) == runs_of(daemon, "dear")


def test_the_budget_holds_while_jobs_run(new_daemon):
    """And what was pruned is computed again when it is asked for."""
    daemon = new_daemon().start("--checkpoint-every", "0")
    submit(daemon, spec("first", 1))
    size = one_file(daemon)
    daemon.stop()
    daemon.start("--checkpoint-every", "0", "--checkpoint-budget", 2 * size + size // 2)
    submit(daemon, spec("more", *range(2, 8)))
    until(lambda: used(daemon) <= 2.5 * size, "over the budget")
    assert len(agree(daemon)) == 2
    submit(daemon, spec("longer", *range(1, 8), nb_epochs=3))
    assert len(ask(daemon, "SELECT * FROM history")) == 7 * 4


def test_verifications_leave_no_files(new_daemon):
    daemon = new_daemon().start()
    submit(daemon, spec("seeds", 1, 2))
    before = agree(daemon)
    assert "identical" in daemon.ctl("verify", "seeds").stdout
    until(lambda: files(daemon) == before, f"{files(daemon)}, expected {before}")
    assert agree(daemon) == before
    until(lambda: len(list((daemon.state / "runs").glob("*-*"))) == 2, "folders are left")


# Deleting.

def test_delete(new_daemon):
    """What another sweep uses stays; so do its answers."""
    daemon = new_daemon().start()
    submit(daemon, spec("mine", 1, 2), spec("other", 2, 3))
    daemon.ctl("verify", "mine")
    with daemon.client() as client:
        history = client.history("other")
        (gone,) = runs_of(daemon, "mine") - runs_of(daemon, "other")
        (size,), = ask(daemon, "SELECT bytes FROM checkpoint WHERE run_id = ?", gone)
        plan = client.call("delete", target="mine", request_id="d1", dry_run=True)
        # Its two jobs and the two that verified them.
        assert plan["jobs"] == 4 and plan["runs"] == 3 and plan["shared_runs"] == 1
        assert plan["rows"] == 3 * 3 and plan["bytes"] >= size
        done = client.call("delete", target="mine", request_id="d1")
        assert {**done, "bytes": plan["bytes"]} == plan
        assert client.call("delete", target="mine", request_id="d1") == {
            **done, "is_existing": True}
        assert [sweep["name"] for sweep in client.call("sweeps")["sweeps"]] == ["other"]
        with pytest.raises(RpcError, match='no sweep "mine"'):
            client.call("show", target="mine")
        assert client.history("other") == history
        until(lambda: not folder_of(daemon, gone).exists(), "its files are left")
        agree(daemon)
        # Its name is free, its numbers are not.
        again = client.submit(spec("mine", 1))
        assert (again["sweep_id"], again["new"]) == (4, 1)
        assert again["first_job"] == 7
        client.await_final("mine")


def test_a_verification_of_two_sweeps_shrinks(new_daemon):
    daemon = new_daemon().start()
    submit(daemon, spec("mine", 1), spec("other", 2))
    daemon.ctl("verify", "1..2")
    with daemon.client() as client:
        client.call("delete", target="mine", request_id="d")
        watched = client.call("watch", target="verify-3")
    assert (watched["job_count"], watched["counts"]["done"]) == (1, 1), watched


def test_delete_acts_once(new_daemon):
    daemon = new_daemon().start()
    with daemon.client() as client:
        client.submit(spec("mine", 1), request_id="s1")
        client.await_final("mine")
        client.call("delete", target="mine", request_id="d1")
        client.submit(spec("other", 1))
        client.await_final("other")
        client.call("verify", target="other", request_id="v1")
        with pytest.raises(RpcError, match='request_id "v1" was used for verify-3'):
            client.submit(spec("more", 2), request_id="v1")
        with pytest.raises(RpcError, match="has been deleted since"):
            client.submit(spec("mine", 1), request_id="s1")
        client.submit(spec("mine", 1), request_id="s2")
        assert client.call("delete", target="mine", request_id="d1")["is_existing"]
        client.await_final("mine")
        assert len(client.jobs("mine")) == 1


def test_delete_of_what_runs(new_daemon):
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        client.submit(spec("mine", 1, 2, nb_epochs=100000))
        client.submit(spec("other", 2, nb_epochs=100000))
        client.call("watch", target="mine")
        client.await_progress(lambda progress: True)
        refused = daemon.ctl("delete", "mine", "--yes", status=None)
        assert refused.returncode != 0
        assert 'sweep "mine" has 1 running job; cancel it first (gaitctl cancel mine)' in refused.stderr
        client.call("cancel", target="mine")
        until(lambda: not ask(daemon, "SELECT 1 FROM attempt WHERE ended_at IS NULL "
                                      "AND job_id < 3"), "still running")
        daemon.ctl("delete", "mine", "--yes")
        # The other's job, which waited for the same run, goes on.
        (job,) = client.jobs("other")
        assert job["state"] in ("queued", "running")
        until(lambda: client.jobs("other")[0]["state"] == "running", "it does not go on")
        client.call("cancel", target="other")
        client.await_final("other")


def test_delete_of_what_waits(new_daemon):
    daemon = new_daemon(slots=0).start()
    with daemon.client() as client:
        client.submit(spec("mine", *range(1, 1501)))
        done = client.call("delete", target="mine", request_id="d")
        assert (done["jobs"], done["runs"], done["rows"]) == (1500, 1500, 0)
        assert ask(daemon, "SELECT count(*) FROM job") == [(0,)]
        assert ask(daemon, "SELECT count(*) FROM run") == [(0,)]


def test_deletion_goes_on_after_a_crash(new_daemon):
    """From the mark on the sweep is gone for all who ask."""
    daemon = new_daemon().start()
    submit(daemon, spec("mine", 1, 2), spec("other", 2))
    (gone,) = runs_of(daemon, "mine") - runs_of(daemon, "other")
    daemon.stop()
    change(daemon, "INSERT INTO deletion (sweep_id, name, submit_id, request_id, uid, last_sweep, last_job, "
                   f"deleted_at) SELECT id, name, request_id, 'd', {os.getuid()}, 2, 3, 1 FROM sweep "
                   "WHERE name = 'mine'; UPDATE sweep SET is_complete = 0, name = 'deleted/1', "
                   "request_id = 'deleted/1' WHERE name = 'mine'; DELETE FROM attempt WHERE "
                   "job_id = 1; DELETE FROM job WHERE id = 1;"
                   f"UPDATE run SET key = 'deleted-1-{gone}' WHERE id = {gone}")
    daemon.start()
    with daemon.client() as client:
        assert [sweep["name"] for sweep in client.call("sweeps")["sweeps"]] == ["other"]
        until(lambda: ask(daemon, "SELECT is_finished, runs FROM deletion") == [(1, 1)],
              "it is not finished")
        assert ask(daemon, "SELECT count(*) FROM job") == [(1,)]
        until(lambda: not folder_of(daemon, gone).exists(), "its files are left")
        assert client.call("delete", target="mine", request_id="d")["is_existing"]
        assert len(client.history("other")) == 3


def test_asking_on_a_terminal(new_daemon):
    daemon = new_daemon(slots=0).start()
    with daemon.client() as client:
        client.submit(spec("mine", 1, 2))
    refused = daemon.ctl("delete", "mine", status=2)
    assert "mine: jobs to delete: 2, runs: 2" in refused.stderr
    assert "--yes agrees" in refused.stderr
    for answer, left in ((b"n\n", 2), (b"y\n", 0)):
        terminal, end = pty.openpty()
        os.write(terminal, answer)
        said = daemon.ctl("delete", "mine", stdin=end, status=None)
        assert "delete it? [y/N]" in said.stderr
        assert ask(daemon, "SELECT count(*) FROM job") == [(left,)]
        os.close(terminal)
        os.close(end)


def test_only_sweeps_are_deleted_and_kept(shared):
    shared.submit(spec("sweep", 1))
    shared.await_final("sweep")
    for method, params in (("delete", {"request_id": "d"}), ("keep", {}),
                           ("delete", {"request_id": "d", "dry_run": True})):
        with pytest.raises(RpcError, match='"target" is "1", expected a sweep'):
            shared.call(method, target="1", **params)
        with pytest.raises(RpcError, match='no sweep "none"'):
            shared.call(method, target="none", **params)


def test_rows_of_pruned_files_are_not_shown_to_workers(new_daemon):
    """A row whose file somebody removed does no harm."""
    daemon = new_daemon().start()
    submit(daemon, spec("mine", 1))
    ((run, name),) = rows(daemon)
    (folder_of(daemon, run) / name).unlink()
    submit(daemon, spec("longer", 1, nb_epochs=4))
    assert len(ask(daemon, "SELECT * FROM history")) == 5
