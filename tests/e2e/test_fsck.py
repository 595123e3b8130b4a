"""fsck: every check finds what it is for, and nothing on a database that is well."""

import json
import re
import shutil
import subprocess

import pytest

from checkpoints import change
from conftest import daemons_in, short_folder
from test_disk import mount

# 10 steps an epoch, rows after 4, 7 and 10 of them.
DONE = {"name": "a", "base": {"nb_epochs": 3, "eval_every": 3, "eval_offset": 1,
                              "diagnostics": True, "tower": True, "widths": "100x10"},
        "axes": {"seed": [1, 2, 3]}}
WAITING = {"name": "b", "base": {"nb_epochs": 2}, "axes": {"seed": [1, 101]}}


@pytest.fixture(scope="module")
def stopped_state():
    """The state of a daemon that has done three jobs, and left two in the queue."""
    with short_folder() as folder, daemons_in(folder, []) as make:
        daemon = make()
        with daemon.start().client() as client:
            client.submit(DONE)
            client.await_final("a")
        daemon.stop()
        daemon.slots = 0
        with daemon.start().client() as client:
            client.submit(WAITING)
        daemon.stop()
        yield daemon.state


@pytest.fixture
def stopped(new_daemon, stopped_state):
    daemon = new_daemon()
    shutil.copytree(stopped_state, daemon.state)
    return daemon


def put_missing(kind, name, item, first=0, last=0):
    return ("INSERT INTO missing (kind, name, item, first, last, count, at) VALUES "
            f"('{kind}', '{name}', {item}, {first}, {last}, 3, 0)")


ROW_17 = "WHERE run_id = 1 AND step = 17"
DAMAGES = {
    "integrity": ("PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, "
                  "'(job_id)', '(number)') WHERE name = 'attempt_job'",
                  "row 2 missing from index attempt_job"),
    "references": ("UPDATE job SET run_id = 999 WHERE id = 4",
                   r"a row of the table job \(4\) has no run"),
    "ledger": ("INSERT INTO ledger VALUES (0)", "the table ledger has 2 rows, expected 1"),
    "missing sweep": (put_missing("sweep", "gone", 7, 20, 22),
                      r'sweep "gone" \(sweep-7, 3 jobs from 20 on\); submit it again'),
    "missing rows": ("INSERT INTO missing SELECT 'rows', substr(key, 1, 12), id, 40, 50, 3, 0 "
                     "FROM run WHERE id = 2", r"3 rows of run 2 \(steps 40 to 50\)"),
    "missing ends": (put_missing("jobs", "cancelled", 4, 4, 5),
                     "that jobs 4 to 5 are cancelled"),
    "missing deletion": (put_missing("deletion", "a", 1), r'the deletion of sweep "a" \(sweep-1\)'),
    "missing controls": (put_missing("control", "is_kept", 1, 1),
                         "is_kept of sweep-1 as it was chosen last; choose it again"),
    "missing transactions": (put_missing("commits", "", 0),
                             "3 transactions of which nothing is known"),
    "steps": (f"DELETE FROM diagnostic {ROW_17}; DELETE FROM history {ROW_17}",
              "run 1: after step 14 comes the row of step 20, expected 17"),
    "epochs": (f"UPDATE history SET epoch = 2 {ROW_17}",
               "run 1: the row of step 17 says epoch 2, expected 1"),
    "last row": ("UPDATE run SET epochs_done = 2 WHERE id = 1",
                 "run 1: its last row is said to be of step 30, epoch 2, .* step 30, epoch 3"),
    "done jobs": ("DELETE FROM diagnostic WHERE step = 30; DELETE FROM history WHERE step = 30",
                  "job 2 is done, but its run 2 has no row of step 30"),
    "metrics": ("UPDATE job SET peak_test_accuracy = 1.5 WHERE id = 3",
                "job 3: the metrics kept with it are not those of its rows"),
    "attempts": ("INSERT INTO attempt (job_id, number, device, started_at) VALUES "
                 "(4, 1, 'cpu:0', 0), (4, 2, 'cpu:1', 0)",
                 "run 4: 2 attempts are under way at once, of jobs 4,4"),
    "running jobs": ("UPDATE job SET state = 'running', is_ready = 0 WHERE id = 4",
                     "job 4 is running without an attempt"),
    "ready jobs": ("UPDATE job SET is_ready = 1 WHERE id = 1",
                   "job 1 may be started, although it is done"),
    "queued jobs": ("UPDATE job SET is_ready = 0 WHERE id = 5",
                    "job 5 is queued with nothing in its way"),
    "states": ("PRAGMA ignore_check_constraints = ON; UPDATE job SET state = 'odd' WHERE id = 4",
               'job 4 is in the unknown state "odd"'),
    "ends": ("UPDATE job SET finished_at = NULL WHERE id = 2",
             "job 2 is done, and its end is not known"),
    "sweeps": ("UPDATE sweep SET job_count = 9 WHERE id = 2",
               r'sweep "b" \(sweep-2\) has 2 jobs, expected 9'),
    "counts": ("UPDATE job_count SET count = 8 WHERE sweep_id = 1 AND state = 'done'",
               "sweep-1: 8 jobs are counted as done, and 3 are"),
    "diagnostics": (f"DELETE FROM diagnostic {ROW_17} AND layer = 0",
                    "run 1: the row of step 17 has diagnostics of 1 layers, expected 2"),
}


def test_every_rule_is_tried(stopped):
    done = stopped.run("--fsck")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{len(DAMAGES)} rules, 3 checkpoints: all is well\n"


@pytest.mark.parametrize("check", DAMAGES)
def test_damage(stopped, check):
    script, text = DAMAGES[check]
    change(stopped, script)
    done = stopped.run("--fsck")
    assert done.returncode == 1, done
    assert re.search(f"^{check}: .*{text}", done.stdout, re.MULTILINE), done


def flip(file):
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


FILES = {
    "flip": (flip, "its bytes do not match its hash"),
    "cut": (lambda file: file.write_bytes(file.read_bytes()[:30]), "is cut off"),
    "remove": (lambda file: file.unlink(), "cannot be read: No such file or directory"),
}


@pytest.mark.parametrize("damage, text", FILES.values(), ids=FILES)
def test_checkpoint(stopped, damage, text):
    file = next(stopped.state.glob("runs/2-*/*.safetensors"))
    damage(file)
    done = stopped.run("--fsck")
    assert (done.returncode, done.stderr) == (1, "")
    assert re.match(f'checkpoints: run 2: checkpoint "{file}".*{text}; ', done.stdout), done


def test_a_file_that_is_no_database(stopped):
    (stopped.state / "gaitd.sqlite").write_bytes(b"not a database, " * 1000)
    done = stopped.run("--fsck")
    assert done.returncode == 1
    assert "file is not a database" in done.stderr


def test_a_running_gaitd_is_asked(gaitd):
    done = gaitd.run("--fsck")
    assert done.returncode == 1
    assert done.stderr.startswith("gaitd: ask it with gaitctl fsck: state folder "), done


def test_gaitctl(stopped):
    change(stopped, DAMAGES["metrics"][0])
    stopped.slots = 0
    stopped.start()
    done = stopped.ctl("fsck", status=1)
    assert done.stderr == f"{len(DAMAGES)} rules, 3 checkpoints: 1 finding\n"
    assert done.stdout == (
        "metrics: job 3: the metrics kept with it are not those of its rows\n"
        "    its history is right, results are not: put back a backup\n")
    (finding,) = json.loads(stopped.ctl("fsck", "-o", "json", status=1).stdout)
    assert finding["check"] == "metrics"


def test_clean_while_it_trains(gaitd):
    """Whatever it is at: nothing is found."""
    with gaitd.client() as client, gaitd.client() as asker:
        client.submit({**DONE, "name": "long",
                       "axes": {"seed": {"from": 1, "to": 1601, "step": 100}}})
        client.submit(WAITING)
        client.call("cancel", target="b")
        for _ in range(1000):
            answer = asker.call("fsck")
            assert answer["findings"] == []
            if all(job["state"] in ("done", "cancelled") for job in client.jobs("long")):
                break
        assert {job["state"] for job in client.jobs("long")} == {"done"}


# Backups.

def test_backup_while_it_trains(new_daemon):
    """A gaitd that is started on it goes on from there, to the same end."""
    daemon = new_daemon().start()
    file = daemon.folder / "copy of it"
    with daemon.client() as client:
        client.submit(DONE)
        client.submit(WAITING)
        daemon.ctl("backup", "copy of it", cwd=daemon.folder)
        client.await_final("a")
        client.await_final("b")
        expected = client.history("a"), client.history("b")
    assert file.stat().st_mode & 0o777 == 0o600
    other = new_daemon("b")
    other.state.mkdir(parents=True)
    shutil.copy(file, other.state / "gaitd.sqlite")
    with other.start().client() as client:
        client.await_final("a")
        client.await_final("b")
        assert client.call("fsck")["findings"] == []
        found = client.history("a"), client.history("b")
    for rows in (*expected, *found):
        for row in rows:
            del row["seconds"]
    assert found == expected


def test_backup_refuses(gaitd):
    file = gaitd.folder / "file"
    gaitd.ctl("backup", file)
    first = file.read_bytes()
    done = gaitd.ctl("backup", file, status=2)
    assert f'"{file}" is there already; --force replaces' in done.stderr
    gaitd.ctl("submit", "--nb_epochs=0", "--name=one", status=None)
    gaitd.ctl("backup", file, "--force")
    assert file.read_bytes() != first
    file.write_text("of somebody else")
    done = gaitd.ctl("backup", file, "--force", status=2)
    assert "is no database of gaitd, and is not replaced" in done.stderr
    assert file.read_text() == "of somebody else"
    database = gaitd.state / "gaitd.sqlite"
    assert "is the database itself" in gaitd.ctl("backup", database, "--force", status=2).stderr
    assert "No such file" in gaitd.ctl("backup", gaitd.folder / "none/file", status=None).stderr
    assert sorted(path.name for path in gaitd.folder.glob("file*")) == ["file"]


def test_backup_to_a_full_disk(gaitd):
    disk = gaitd.folder / "disk"
    mount(disk, "64k")
    try:
        done = gaitd.ctl("backup", disk / "file", status=None)
        assert done.returncode not in (0, 2)
        assert f'cannot write the backup "{disk}/file.' in done.stderr
        assert "full" in done.stderr
        assert list(disk.iterdir()) == []
    finally:
        subprocess.run(["umount", disk], check=True)


def test_several_may_train_a_run(new_daemon):
    daemon = new_daemon(slots=0)
    with daemon.start().client() as client:
        for name in "ab":
            client.submit({"name": name, "nb_epochs": 1})
    assert "all is well" in daemon.ctl("fsck").stderr
