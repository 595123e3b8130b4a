"""A write-ahead log that is cut short or has flipped bits: what was acknowledged
is there, or gaitd says exactly what is missing."""

import contextlib
import os
import re
import shutil
import sqlite3
import struct

import pytest

from checkpoints import ask, database, until
from conftest import daemons_in, short_folder

LONG = os.environ.get("GAITD_TORTURE") is not None
POINTS = 40 if LONG else 3  # of each kind

# 10 steps an epoch, rows every 5.
BASE = {"nb_epochs": 30, "eval_every": 5, "tower": True, "widths": "100x10"}
SWEEPS = [{"name": name, "base": BASE, "axes": {"seed": seeds}}
          for name, seeds in (("a", [1, 2, 3]), ("b", [4, 5]), ("c", [6, 7, 8, 9]))]
HEADER, FRAME_HEADER, PAGE = 32, 24, 4096
FRAME = FRAME_HEADER + PAGE


def log_of(daemon):
    return daemon.state / "gaitd.sqlite-wal"


def ledger_of(daemon):
    return daemon.state / "gaitd.sqlite-ledger"


def contents(daemon):
    """What a user knows of the database: sweeps, rows, final jobs."""
    return (
        set(ask(daemon, "SELECT 'sweep ' || name FROM sweep WHERE is_complete"))
        | set(ask(daemon, "SELECT 'row', run_id, step FROM history"))
        | set(ask(daemon, "SELECT 'job', id, state FROM job WHERE state IN "
                          "('done', 'failed', 'cancelled')")))


def outcome(client, name):
    """Histories by seed: numbers of jobs may differ."""
    jobs = {job["id"]: job for job in client.jobs(name)}
    assert {job["state"] for job in jobs.values()} == {"done"}
    result = {}
    for row in client.history(name):
        seed = jobs[row.pop("job")]["seed"]
        for setting in ("seconds", "seed"):
            row.pop(setting)
        result.setdefault(seed, []).append(row)
    return result


@pytest.fixture(scope="module")
def expected():
    with short_folder() as folder, daemons_in(folder, []) as make:
        with make().start().client() as client:
            for spec in SWEEPS:
                client.submit(spec)
            for spec in SWEEPS:
                client.await_final(spec["name"])
            yield {spec["name"]: outcome(client, spec["name"]) for spec in SWEEPS}


@pytest.fixture(scope="module")
def killed():
    """The state of a gaitd that was killed while it trained; the first sweep
    is in the database file, the rest in the log alone."""
    with short_folder() as folder, daemons_in(folder, []) as make:
        daemon = make()
        with daemon.start().client() as client:
            client.submit(SWEEPS[0])
            client.await_final("a")
            daemon.stop()
        with daemon.start().client() as client:
            client.submit(SWEEPS[1])
            for undo in (False, True, False):  # a transaction each
                client.call("keep", target="b", undo=undo)
            until(lambda: len(client.history("b")) > 20, "no rows")
            client.submit(SWEEPS[2])
            client.call("cancel", target="c")
            for undo in (False, True, False):
                client.call("keep", target="a", undo=undo)
            rows = until(lambda: len(rows := client.history("b")) > 60 and rows, "no rows")
            daemon.process.kill()
        daemon.kill()
        # What it has answered; jobs and runs have the same numbers here.  It may
        # have committed more.
        daemon.acknowledged = (
            {("sweep a",), ("sweep b",), ("sweep c",)}
            | {("row", row["job"], row["step"]) for row in rows}
            | {("job", job, "done") for job in (1, 2, 3)}
            | {("job", job, "cancelled") for job in (6, 7, 8, 9)})
        yield daemon


def commits(data):
    """Where its transactions end."""
    salts = data[16:24]
    ends = []
    for begin in range(HEADER, len(data) - FRAME + 1, FRAME):
        if data[begin + 8:begin + 16] != salts:
            break
        if struct.unpack(">I", data[begin + 4:begin + 8])[0]:
            ends.append(begin + FRAME)
    return ends


def spread(items):
    return items[::max(1, len(items) // POINTS)][-POINTS:]


def cut(end):
    return lambda file: os.truncate(file, end)


def flip(place):
    def damage(file):
        data = bytearray(file.read_bytes())
        data[place] ^= 0x10
        file.write_bytes(data)
    return damage


def damages(data):
    """(name, what it does to the file)"""
    ends = commits(data)
    assert len(ends) > 8, "there is not much in the log"
    yield "nothing", lambda file: None
    yield "removed", lambda file: file.unlink()
    yield "empty", cut(0)
    yield "header", flip(17)
    for end in spread(ends[:-1]):
        yield f"cut between transactions at {end}", cut(end)
        yield f"cut in a page at {end}", cut(end + FRAME_HEADER + PAGE // 2)
        yield f"flip in a frame's header at {end}", flip(end + 9)
        yield f"flip in a page at {end}", flip(end + FRAME_HEADER + PAGE // 3)


def named(text):
    """The members of contents() that the sentence names."""
    found = set()
    for name in re.findall(r'sweep "(\w+)" \(sweep-\d+, \d+ jobs? from \d+ on\)', text):
        found.add((f"sweep {name}",))
    for run, first, last in re.findall(r"rows? of run (\d+) \(steps (\d+) to (\d+)\)", text):
        found |= {("row", int(run), step) for step in range(int(first), int(last) + 1, 5)}
    for first, last, state in re.findall(r"that jobs (\d+) to (\d+) are (\w+)", text):
        found |= {("job", job, state) for job in range(int(first), int(last) + 1)}
    for job, state in re.findall(r"that job (\d+) is (\w+)", text):
        found.add(("job", int(job), state))
    return found


def losses(daemon):
    return [text for (text,) in ask(daemon, "SELECT text FROM event WHERE kind = 'missing'")]


def check_told(daemon, before, acknowledged, whole):
    """What is missing is named, and nothing else."""
    daemon.slots = 0
    daemon.start()
    there = contents(daemon)
    (text,) = losses(daemon) or [""]
    assert acknowledged <= there | named(text)
    # A job that has its last row is done when gaitd starts, if it was not before.
    surplus = (there | named(text)) - whole | there & named(text)
    assert {(kind, *rest[1:]) for kind, *rest in surplus} <= {("job", "done")}
    if not text:
        assert before.returncode == 0, before.stdout
        return
    assert text in daemon.stderr()
    assert "the write-ahead log has lost its last" in text
    assert before.returncode == 1 and "ledger: the write-ahead log ends" in before.stdout
    sweeps = {name for name, *rest in named(text) if not rest}
    later = daemon.ctl("fsck", status=None).stdout
    for said in (before.stdout, later):
        assert {f"sweep {name}" for name in re.findall('missing sweep: sweep "(.*?)"', said)} \
            == sweeps


def check_end(daemon, expected):
    """What is missing is asked for again, and everything comes out the same."""
    daemon.stop()
    daemon.slots = 2
    with daemon.start().client() as client:
        # c was cancelled, and its trainings are asked for under another name.
        if "c" in {sweep["name"] for sweep in client.call("sweeps")["sweeps"]}:
            client.call("cancel", target="c")
        for spec, name in ((SWEEPS[0], "a"), (SWEEPS[1], "b"), (SWEEPS[2], "again")):
            client.submit({**spec, "name": name})
            client.await_final(name)
            assert outcome(client, name) == expected[spec["name"]]
        for name in ("a", "b"):
            client.call("keep", target=name)
        findings = client.call("fsck")["findings"]
        assert [finding["text"] for finding in findings if 'sweep "c"' not in finding["text"]] == []


def test_damage(killed, expected):
    data = log_of(killed).read_bytes()
    for number, (name, damage) in enumerate(damages(data)):
        with short_folder() as folder, daemons_in(folder, []) as make:
            whole_copy, daemon = make("whole"), make("a")
            shutil.copytree(killed.state, whole_copy.state)
            whole = contents(whole_copy)
            shutil.copytree(killed.state, daemon.state)
            damage(log_of(daemon))
            before = daemon.run("--fsck")
            try:
                check_told(daemon, before, killed.acknowledged, whole)
                if LONG or number % 6 == 1:
                    check_end(daemon, expected)
            except BaseException as fault:
                fault.add_note(f"damage: {name}\n{before.stdout}{daemon.stderr()}")
                raise


def test_a_shorter_ledger_is_no_alarm(killed):
    """As a power cut may leave it."""
    text = ledger_of(killed).read_bytes()
    for length in (0, len(text) // 3, len(text) - 5):
        with short_folder() as folder, daemons_in(folder, []) as make:
            daemon = make("a", slots=0)
            shutil.copytree(killed.state, daemon.state)
            os.truncate(ledger_of(daemon), length)
            daemon.start()
            assert losses(daemon) == []


def lines_of_ledger(daemon):
    return [line.split()[0] for line in ledger_of(daemon).read_text().splitlines()]


@pytest.mark.parametrize("copied", ["all", "some"])
def test_a_log_that_has_been_copied(new_daemon, copied):
    """What is left of it must not stand in front of newer pages."""
    daemon = new_daemon(slots=0).start()
    with daemon.client() as client, contextlib.closing(
            sqlite3.connect(f"file:{database(daemon)}?mode=ro", uri=True)) as reader:
        for number in range(10):
            if number == 5 and copied == "some":
                reader.execute("BEGIN")
                reader.execute("SELECT count(*) FROM job").fetchall()
            client.submit({"name": f"s{number}", "nb_epochs": 2, "seed": 1 + number})
        wanted = ["base"] if copied == "all" else ["base", *["commit"] * 1000, "copying"]
        until(lambda: lines_of_ledger(daemon)[-1] == wanted[-1], "not copied")
        daemon.process.kill()
        daemon.process.wait()
        whole = contents(daemon)
        data = log_of(daemon).read_bytes()
        shutil.copytree(daemon.state, daemon.folder / "saved")
    daemon.kill()
    shutil.rmtree(daemon.state)
    shutil.copytree(daemon.folder / "saved", daemon.state)
    os.truncate(log_of(daemon), commits(data)[len(commits(data)) // 2])
    if copied == "all":
        daemon.start()
        assert losses(daemon) == []
        assert contents(daemon) == whole
        assert (daemon.state / "gaitd.sqlite-wal.damaged").exists()
        assert daemon.client().call("fsck")["findings"] == []
    else:
        done = daemon.run()
        assert done.returncode == 1
        assert "is damaged where it was being copied into the database" in done.stderr
        done = daemon.run("--fsck")
        assert done.returncode == 1
        assert "cannot be read: put back a backup" in done.stdout
