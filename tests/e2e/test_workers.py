"""Workers fail alone: killed, stopped, hanging, without end on stderr, or not
starting at all, they cost an attempt at most, and the history is as ever."""

import os
import pathlib
import signal
import struct
import subprocess
import time

import pytest

from daemon import await_exit, processes_with
from odd_worker import OddWorker

JOB = {"name": "job", "tower": True, "widths": "100x10", "nb_epochs": 3, "eval_every": 5}
# Long enough to be interrupted in the first of its epochs.
LONG = {"name": "long", "algorithm": "GAIT", "orthogonal_reg": 0.1, "nb_epochs": 2,
        "eval_every": 3}
SOON = "--retry-s", 0.05


@pytest.fixture
def odd(new_daemon):
    """A daemon with one slot, not started, whose workers can be made odd."""
    daemon = new_daemon(slots=1)
    daemon.odd = OddWorker(daemon)
    return daemon


def attempts(client, job=1):
    return client.call("show", target=str(job))["attempts"]


def outcomes(client, job=1):
    return [attempt["outcome"] for attempt in attempts(client, job)]


def rows(client, target):
    return [{name: value for name, value in row.items() if name not in ("seconds", "job")}
            for row in client.history(target)]


def explain(client, job=1):
    return client.call("explain", target=str(job))["text"]


def await_text(client, job, wanted):
    """Waits until `explain` says it."""
    deadline = time.monotonic() + 60
    while wanted not in (text := explain(client, job)):
        assert time.monotonic() < deadline, f"{wanted!r} was never said, last: {text!r}"
    return text


def test_a_folder_that_cannot_be_made_is_tried_again(new_daemon):
    """Disks fail, and come back."""
    daemon = new_daemon(slots=1).start(*SOON)
    runs = daemon.state / "runs"
    runs.rename(daemon.state / "away")
    runs.touch()
    with daemon.client() as client:
        client.submit(JOB)
        await_text(client, 1, "after a crash")
        assert "cannot make the folder" in attempts(client)[0]["message"]
        runs.unlink()
        (daemon.state / "away").rename(runs)
        client.await_final("job")
        assert outcomes(client) == ["crashed"] * (len(outcomes(client)) - 1) + ["done"]


def await_rows(client, count):
    """Waits until so many rows of LONG are stored."""
    deadline = time.monotonic() + 60
    while len(client.history("long")) < count:
        assert time.monotonic() < deadline, f"never had {count} rows"


def start_long(daemon, *arguments):
    """A job that is under way, its worker's pid, and a client that watches."""
    client = daemon.start(*arguments).client()
    client.submit(LONG)
    client.call("watch", target="long")
    await_rows(client, 2)
    (pid,) = {slot["worker_pid"] for slot in client.call("status")["slots"] if slot["job"]}
    return client, pid


@pytest.fixture(scope="module")
def undisturbed():
    return {}


@pytest.fixture
def expected(undisturbed, new_daemon):
    """The rows of LONG without any fault; trained once."""
    if not undisturbed:
        with new_daemon("undisturbed").start().client() as client:
            client.submit(LONG)
            client.await_final("long")
            undisturbed["rows"] = rows(client, "long")
    return undisturbed["rows"]


def await_event(client, is_it):
    while True:
        method, event = client.notification()
        if method == "event" and is_it(event):
            return event


def test_stopped_past_its_lease_and_continued(new_daemon, expected):
    """It has missed its lease, so it saves and goes, whatever waits in its pipe."""
    client, pid = start_long(new_daemon(slots=1), "--lease-s", 1)
    with client:
        os.kill(pid, signal.SIGSTOP)
        assert not await_exit(pid, 1.3)  # longer than its lease, shorter than two
        os.kill(pid, signal.SIGCONT)
        client.await_final("long")
        assert outcomes(client) == ["stopped", "done"]
        assert rows(client, "long") == expected


def test_stopped_for_good(new_daemon, expected):
    """gaitd kills the child that it sees, after twice the lease; that is not the job's fault."""
    client, pid = start_long(new_daemon(slots=1), "--lease-s", 0.5)
    with client:
        os.kill(pid, signal.SIGSTOP)
        client.await_final("long")
        first, second = attempts(client)
        assert (first["outcome"], second["outcome"]) == ("lost", "done")
        assert first["message"].startswith("killed because it answered nothing for 1"), first
        assert rows(client, "long") == expected


def test_stopped_while_gaitd_is_killed(new_daemon, expected):
    """The orphan holds the run's lock until it is continued; then it saves and goes, and the
    next attempt, which has waited for it, goes on from there.  The wait is not a stall."""
    daemon = new_daemon(slots=1)
    client, pid = start_long(daemon, "--lease-s", 0.5)
    with client:
        os.kill(pid, signal.SIGSTOP)
        daemon.process.kill()
        daemon.process.wait()
        daemon.process = None
    with daemon.start("--lease-s", 0.5, "--stall-s", 0.3).client() as client:
        client.call("watch", target="long")
        assert not await_exit(pid, 1)
        assert outcomes(client) == ["lost", None]
        assert len(processes_with(daemon.environment["XDG_STATE_HOME"])) == 3
        os.kill(pid, signal.SIGCONT)
        assert await_exit(pid, 30)
        client.await_final("long")
        assert outcomes(client) == ["lost", "done"]
        assert rows(client, "long") == expected


class WallClock:
    """The clock on a daemon's and its workers' wall."""

    def __init__(self, daemon):
        self.file = daemon.folder / "wall-clock"
        self.jump(0)
        library = daemon.folder / "wall_clock.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library,
                        pathlib.Path(__file__).with_name("wall_clock.c")], check=True)
        daemon.environment.update(LD_PRELOAD=str(library), WALL_CLOCK=str(self.file))
        daemon.environment["ASAN_OPTIONS"] = ":".join(
            (daemon.environment.get("ASAN_OPTIONS", ""), "verify_asan_link_order=0"))

    def jump(self, seconds):
        with open(self.file, "r+b" if self.file.exists() else "wb") as file:
            file.write(struct.pack("d", seconds))


def test_the_wall_clock_jumps(new_daemon, expected):
    """No lease, stall or wait is measured by it; what it says is only what is shown."""
    daemon = new_daemon(slots=1)
    clock = WallClock(daemon)
    client, pid = start_long(daemon, "--lease-s", 1, "--stall-s", 1, "--retry-s", 1)
    with client:
        clock.jump(86400)
        os.kill(pid, signal.SIGKILL)
        await_event(client, lambda event: event["from"] == "running")
        clock.jump(-86400)
        await_rows(client, 4)
        clock.jump(86400)
        client.await_final("long")
        first, second = attempts(client)
        assert (first["outcome"], second["outcome"]) == ("crashed", "done")
        assert second["started_at"] < first["started_at"] - 80000 < second["ended_at"] - 160000
        assert rows(client, "long") == expected


@pytest.mark.parametrize("act", ["hang", "mute"])
def test_a_worker_that_hangs(odd, act):
    """In its training, or before; its pings are answered all the while."""
    odd.odd.say(act={act: 1})
    with odd.start(*odd.odd.arguments, "--stall-s", 0.6, "--lease-s", 30, *SOON).client() as client:
        client.submit(JOB)
        client.call("watch", target="job")
        await_event(client, lambda event: event["from"] == "running")
        odd.odd.say()
        client.await_final("job")
        first, second = attempts(client)
        assert (first["outcome"], second["outcome"]) == ("stalled", "done")
        assert first["message"].startswith(
            "killed because it finished no batch and no evaluation chunk for 0."), first


def test_a_slow_job_is_not_stalled(odd):
    """Batches that take longer than stall_s, as its worker says that it expects."""
    odd.odd.say(act={"slow": 8})
    with odd.start(*odd.odd.arguments, "--stall-s", 0.2).client() as client:
        client.submit({**JOB, "nb_epochs": 0})
        client.await_final("job")
        assert outcomes(client) == ["done"]


def test_three_crashes_and_what_it_said(odd):
    odd.odd.say(act={"crash": "out of luck \xff\n" * 3 + "no such thing\n"})
    with odd.start(*odd.odd.arguments, *SOON).client() as client:
        client.submit(JOB)
        client.await_final("job")
        made = attempts(client)
        assert [attempt["outcome"] for attempt in made] == ["crashed"] * 3
        assert {attempt["message"] for attempt in made} == {"exit status 0"}
        assert {attempt["stderr"] for attempt in made} == {
            "out of luck ?\n" * 3 + "no such thing"}
        (job,) = client.jobs("job")
        assert job["reason"] == (
            "crashed or stalled 3 times without a new checkpoint, and crashed at last: "
            "exit status 0")
        assert explain(client).endswith("exit status 0; its worker's last words: no such thing")
    said = odd.ctl("show", "1").stdout
    assert "last words of the worker of attempt 3:\n  out of luck ?\n" in said


def test_waiting_after_a_crash(odd):
    """The slot is for others meanwhile, and a restart of gaitd does not end the wait."""
    odd.odd.say(act={"crash": "no\n"})
    with odd.start(*odd.odd.arguments, "--retry-s", 60).client() as client:
        client.submit(JOB)
        text = await_text(client, 1, "after a crash (1 of 3)")
        assert text in (f"job 1 is queued: waits {left} s after a crash (1 of 3)"
                        for left in (58, 59, 60)), text
        odd.odd.say()
        client.submit({**JOB, "name": "other", "seed": 2})
        client.await_final("other")
        assert [job["state"] for job in client.jobs("job")] == ["queued"]
        odd.kill()
    with odd.start(*odd.odd.arguments, "--retry-s", 60).client() as client:
        assert "s after a crash (1 of 3)" in explain(client)
        odd.stop()
    with odd.start(*odd.odd.arguments, "--retry-s", 0.1).client() as client:
        client.await_final("job")
        assert outcomes(client) == ["crashed", "done"]


def test_stderr_without_end(odd):
    """Nobody waits for it, and the log stays readable."""
    odd.odd.say(act={"babble": 1})
    with odd.start(*odd.odd.arguments).client() as client:
        client.submit({**LONG, "name": "job", "nb_epochs": 2})
        client.await_final("job")
        (attempt,) = attempts(client)
        assert attempt["outcome"] == "done"
        assert 3000 < len(attempt["stderr"]) < 4096, attempt["stderr"]
        assert odd.stderr().count("says: babble") == 100
        assert "says more than goes here" in odd.stderr()


def test_a_grandchild_that_holds_the_pipes(odd):
    odd.odd.say(act={"leave": 1})
    with odd.start(*odd.odd.arguments, *SOON).client() as client:
        client.submit(JOB)
        client.call("watch", target="job")
        await_event(client, lambda event: event["from"] == "running")
        odd.odd.say()
        client.await_final("job")
        assert outcomes(client) == ["crashed", "done"]
    for pid in processes_with(odd.environment["XDG_STATE_HOME"]):
        if pid != odd.process.pid and "sleep" in open(f"/proc/{pid}/cmdline").read():
            os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("break_it", [
    lambda program: program.unlink(),
    lambda program: program.write_text("#!/bin/sh\necho cannot >&2\nexit 3\n"),
    lambda program: program.write_text('#!/bin/sh\necho \'{"type":"hello","build":"0"}\'\nexec cat\n'),
], ids=["missing", "ends", "another"])
def test_a_worker_that_cannot_start(odd, break_it):
    """The slot is out of service, jobs wait and lose nothing, and it comes back by itself."""
    text = odd.odd.program.read_text()
    with odd.start(*odd.odd.arguments).client() as client:
        client.submit(JOB, dry_run=True)  # which unpacks the data set
        break_it(odd.odd.program)
        base = {name: value for name, value in JOB.items() if name != "name"}
        client.submit({"name": "many", "base": base, "axes": {"seed": [1, 2, 3]}})
        text_said = await_text(client, 1, "out of service")
        assert text_said.startswith("job 1 is queued: cpu is out of service, its worker "
                                    "cannot start: "), text_said
        (slot,) = client.call("status")["slots"]
        assert slot["trouble"].startswith("out of service, its worker cannot start: "), slot
        assert "slot 0 is out of service" in odd.ctl("status").stdout
        odd.odd.program.unlink(missing_ok=True)
        odd.odd.program.write_text(text)
        odd.odd.program.chmod(0o755)
        client.await_final("many")
        assert {job["state"] for job in client.jobs("many")} == {"done"}
        assert sum(len(outcomes(client, job)) for job in (1, 2, 3)) == 4
        assert outcomes(client, 1) == ["lost", "done"]
        (slot,) = client.call("status")["slots"]
        assert slot["trouble"] is None


def test_one_of_two_workers_that_cannot_start(new_daemon):
    """A job that takes both slots waits; those behind it go on in the other one."""
    daemon = new_daemon(slots=2)
    odd = OddWorker(daemon)
    text = odd.program.read_text()
    base = {name: value for name, value in JOB.items() if name != "name"}
    with daemon.start(*odd.arguments).client() as client:
        client.submit(JOB, dry_run=True)  # which unpacks the data set
        odd.program.write_text(text.replace("exec", f"mkdir {daemon.folder}/first || exit 3\nexec"))
        for name, settings in (("ones", {"seed": [1, 2]}), ("pair", {"seed": [9], "threads": [2]}),
                               ("behind", {"seed": [3, 4, 5]})):
            sweep = client.submit({"name": name, "base": base, "axes": settings})
            if name == "ones":
                client.await_final(name)
            elif name == "pair":
                said = await_text(client, sweep["first_job"], "at once, and of cpu's 2 one is ")
                assert ("is queued: it needs 2 slots at once, and of cpu's 2 one is out of "
                        "service, its worker cannot start: ") in said, said
        client.await_final("behind")
        assert "is queued" in explain(client, 3)
        odd.program.write_text(text)
        client.await_final("pair")
