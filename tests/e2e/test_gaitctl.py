"""gaitctl as people and scripts meet it: output, exit statuses, terminals, pipes."""

import csv
import io
import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import time

import pytest

TINY = {"tower": True, "widths": "16x10", "train_rows": 60, "test_rows": 60, "nb_epochs": 0}
# Ends only when it is told to.
ENDLESS = ["--name=endless", "--nb_epochs=100000", "--algorithm=BP"]
STOP_S = 60


@pytest.fixture
def trained(gaitd, client):
    """Two rules, two seeds, one epoch."""
    client.submit({"name": "four", "base": {"nb_epochs": 1},
                   "points": [{"algorithm": "BP"},
                              {"algorithm": "GAIT", "orthogonal_reg": 0.1}],
                   "axes": {"seed": [1, 101]}})
    client.await_final("four")
    return gaitd


@pytest.fixture
def endless(gaitd, client):
    """A job that runs, and a connection that watches it."""
    gaitd.ctl("submit", *ENDLESS)
    client.call("watch", target="endless")
    client.await_progress(lambda progress: True)
    return gaitd


class Terminal:
    """Runs gaitctl on a pseudo terminal of its own."""

    def __init__(self, gaitd, *arguments, **environment):
        self.text = b""
        self.master, slave = pty.openpty()
        self.process = gaitd.ctl_process(
            *arguments, stdin=slave, stdout=slave, stderr=slave, text=False,
            start_new_session=True,
            env={**gaitd.environment, "TERM": "xterm", **environment})
        os.close(slave)

    def read(self, until=None, timeout_s=60):
        """Reads to the end, or until the pattern has come; returns all the text."""
        deadline = time.monotonic() + timeout_s
        while not (until and re.search(until, self.text)):
            ready, _, _ = select.select([self.master], [], [], max(deadline - time.monotonic(), 0))
            assert ready, f"no {until} within {timeout_s} s in {self.text!r}"
            try:
                data = os.read(self.master, 1 << 16)
            except OSError:  # all ends of the other side are closed
                data = b""
            if not data:
                assert until is None, f"no {until} in {self.text!r}"
                break
            self.text += data
        return self.text.decode()

    def end(self):
        status = self.process.wait(STOP_S)
        os.close(self.master)
        return status


def rows_of(done):
    return json.loads(done.stdout)


# Output.

LISTINGS = [["list", "four"], ["list", "--sweeps"], ["history", "four"], ["results", "four"],
            ["results", "four", "--by", "algorithm"]]


@pytest.mark.parametrize("command", LISTINGS, ids=" ".join)
def test_formats_agree(trained, command):
    as_json = rows_of(trained.ctl(*command, "-o", "json"))
    assert as_json and isinstance(as_json, list)
    lines = trained.ctl(*command, "-o", "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == as_json
    as_csv = list(csv.DictReader(io.StringIO(trained.ctl(*command, "-o", "csv").stdout)))
    assert [set(row) for row in as_csv] == [set(row) for row in as_json]
    for texts, row in zip(as_csv, as_json):
        for name, value in row.items():
            if value is None or isinstance(value, (bool, str)):
                assert texts[name] == {None: "", True: "true", False: "false"}.get(value, value)
            else:
                assert float(texts[name]) == value
    table = trained.ctl(*command).stdout.splitlines()
    assert len(table) >= len(as_json) + 1
    assert "\033" not in "".join(table)


def test_accuracies(trained):
    """Fractions in data; percent, and said so, in tables."""
    (row, *_) = rows_of(trained.ctl("results", "four", "-o", "json"))
    assert 0 <= row["final_test_accuracy"] <= 1
    assert row["peak_test_accuracy"] >= row["final_test_accuracy"]
    table = trained.ctl("results", "four").stdout
    assert "%" in table.splitlines()[0] + table.splitlines()[1]
    assert f"{100 * row['final_test_accuracy']:.2f}"[:4] in table


def test_statistics(trained):
    """Mean, sample standard deviation and n over what is left."""
    by_job = rows_of(trained.ctl("results", "four", "-o", "json"))
    groups = rows_of(trained.ctl("results", "four", "--by", "algorithm", "-o", "json"))
    assert [group["algorithm"] for group in groups] == ["BP", "GAIT"]
    for group in groups:
        values = [row["final_test_accuracy"] for row in by_job
                  if row["algorithm"] == group["algorithm"]]
        mean = sum(values) / len(values)
        deviation = (sum((v - mean) ** 2 for v in values) / (len(values) - 1)) ** 0.5
        assert (group["n"], group["failed"], group["unfinished"]) == (2, 0, 0)
        assert group["final_test_accuracy_mean"] == pytest.approx(mean, rel=1e-12)
        assert group["final_test_accuracy_sd"] == pytest.approx(deviation, rel=1e-9, abs=1e-12)


def test_limit(trained):
    """Of rows, and of groups."""
    for command in (["list", "four"], ["results", "four"], ["history", "four"],
                    ["results", "four", "--by", "algorithm,seed"]):
        rows = rows_of(trained.ctl(*command, "-o", "json"))
        assert len(rows) >= 4
        for limit in (1, 3):
            assert rows_of(trained.ctl(*command, "-n", limit, "-o", "json")) == rows[:limit]
        assert rows_of(trained.ctl(*command, "-n", 0, "-o", "json")) == rows


def test_columns_of_later_pages(gaitd, client):
    """What only a later page holds has its column from the first row on."""
    client.submit({
        "name": "pages", "base": {**TINY, "batch_size": 10},
        "points": [{}, {"valid_rows": 10},
                   {"learning_rate": 1e6, "orthogonal_reg": 1000, "algorithm": "TP",
                    "nb_epochs": 30}],
        "axes": {"gamma": {"from": 0.1, "to": 0.9, "steps": 1100, "scale": "linear"}}})
    client.await_final("pages")
    for command, headings in (("results", ["final valid accuracy %", "diverged in epoch"]),
                              ("history", ["valid accuracy %", "valid loss"])):
        heading, first, *_ = gaitd.ctl(command, "pages").stdout.splitlines()
        for text in headings:
            assert text in heading
        assert len(first) == len(heading)
        as_csv = gaitd.ctl(command, "pages", "-o", "csv").stdout.splitlines()
        row = json.loads(gaitd.ctl(command, "pages", "-o", "jsonl").stdout.splitlines()[-1])
        assert set(as_csv[0].split(",")) == set(row)


def test_targets(trained, client):
    """Ids, ranges, names, sweep-ID and last name the same jobs."""
    ids = [row["id"] for row in rows_of(trained.ctl("list", "four", "-o", "json"))]
    sweep = client.call("sweeps")["sweeps"][0]["id"]
    for target in ("last", f"sweep-{sweep}", f"{ids[0]}..{ids[-1]}"):
        listed = rows_of(trained.ctl("list", target, "-o", "json"))
        assert [row["id"] for row in listed] == ids
    (row,) = rows_of(trained.ctl("list", str(ids[1]), "-o", "json"))
    assert row["id"] == ids[1]


def test_show(trained):
    text = trained.ctl("show", "1").stdout
    for expected in ("BP", "done", "784"):
        assert expected in text or expected == "784"
    assert trained.ctl("show", "four").stdout
    shown = json.loads(trained.ctl("show", "1", "-o", "json").stdout)
    assert shown["job"]["id"] == 1 and shown["attempts"][0]["outcome"] == "done"


def test_plot(trained):
    text = trained.ctl("plot", "four").stdout
    assert re.search("[\u2801-\u28ff]", text), "no braille"
    assert "BP" in text and "GAIT" in text
    plain = trained.ctl("plot", "four", env={**trained.environment, "LC_ALL": "C"})
    assert plain.stdout.isascii()


def test_status(trained):
    text = trained.ctl("status").stdout
    assert str(trained.socket) in text
    status = json.loads(trained.ctl("status", "-o", "json").stdout)
    assert status["pid"] == trained.process.pid


# Exit statuses.

def test_no_daemon(new_daemon):
    daemon = new_daemon()
    for command in (["status"], ["list"], ["submit", "--nb_epochs=0"], ["watch", "last"],
                    ["shutdown"]):
        done = daemon.ctl(*command, status=4)
        assert done.stdout == ""
        assert done.stderr == (f'gaitctl: gaitd is not running on "{daemon.socket}"; '
                               "start it with: gaitd\n")


@pytest.mark.parametrize("arguments, message", [
    ([], "usage: gaitctl COMMAND"),
    (["explode"], '"explode": unknown command; gaitctl help lists them'),
    (["lsit"], '"lsit": unknown command, did you mean "list"?'),
    (["list", "--sweps"], '"--sweps": unknown flag, did you mean "--sweeps"?'),
    (["list", "a", "b"], '"b": unexpected word'),
    (["list", "-o", "yaml"], '--output: "yaml" is not table, json, jsonl or csv'),
    (["submit", "--learning_rte=1"], '"--learning_rte": unknown flag, did you mean '
                                     '"--learning_rate"?'),
    (["submit", "--seed="], '--seed: "" is no value'),
    (["submit", "--seed=5..1"], 'axes.seed: "from" is above "to"'),
    (["submit", "--seed=1..5:0"],
     '--seed: "1..5:0" is not a range such as 1..5 or 1..401:100'),
    (["submit", "--learning_rate=0..1:log:3"],
     "axes.learning_rate.from: a log scale begins above 0"),
    (["submit", "--algorithm=BP,,TP"], '--algorithm: "BP,,TP" has an empty item'),
    (["submit", "--nb_epochs"], '"--nb_epochs" needs a value'),
    (["wait", "last", "--timeout", "soon"],
     '--timeout: "soon" is not a time: expected seconds, or a duration (30m, 2h, 3d)'),
    (["-o", "json", "list"], '"-o": flags come behind the command'),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_usage(gaitd, arguments, message):
    done = gaitd.ctl(*arguments, status=2)
    assert done.stdout == ""
    assert message in done.stderr


def test_bad_spec(gaitd):
    done = gaitd.ctl("submit", "--batch_size=0", "--algorithm=GIAT", "--tower=maybe", status=2)
    assert done.stdout == ""
    assert "batch_size: 0 is below 1" in done.stderr
    assert "GIAT" in done.stderr and "maybe" in done.stderr
    assert rows_of(gaitd.ctl("list", "--sweeps", "-o", "json")) == []


def test_bad_spec_files(gaitd):
    file = gaitd.folder / "spec.json"
    assert "nowhere" in gaitd.ctl("submit", "/nowhere/spec.json", status=3).stderr
    for text, message in (("{", "it ends too early"), ("[]", "must be a JSON object"),
                          ('{"seed": 1, "seed": 2}', 'member "seed" twice'),
                          ('{"seed": 1} x', "unexpected text at byte 13")):
        file.write_text(text)
        done = gaitd.ctl("submit", file, status=2)
        assert message in done.stderr and "spec.json" in done.stderr


@pytest.mark.parametrize("command", ["show", "watch", "wait", "cancel", "history", "results",
                                     "plot", "list"])
def test_not_found(gaitd, command):
    done = gaitd.ctl(command, "nobody", status=3)
    assert done.stdout == ""
    assert '"nobody"' in done.stderr


def test_conflict(gaitd):
    gaitd.ctl("submit", "--name=x", "--nb_epochs=0")
    gaitd.ctl("submit", "--name=x", "--nb_epochs=0")
    assert '"x"' in gaitd.ctl("submit", "--name=x", "--nb_epochs=1", status=2).stderr


def test_wait(trained):
    trained.ctl("wait", "four")
    trained.ctl("submit", "--wait", "--name=more", "--nb_epochs=0", "--seed=7")


def test_wait_for_failure(gaitd):
    wild = ["--learning_rate=1e6", "--orthogonal_reg=1000", "--algorithm=TP", "--nb_layers=3",
            "--nb_epochs=30"]
    gaitd.ctl("submit", "--name=wild", *wild)
    gaitd.ctl("wait", "wild", status=1)
    gaitd.ctl("watch", "wild", status=1)
    gaitd.ctl("submit", "--wait", "--name=wilder", *wild, "--nb_epochs=31", status=1)


def test_wait_timeout(endless):
    before = time.monotonic()
    done = endless.ctl("wait", "endless", "--timeout", "0.2", status=124)
    assert time.monotonic() - before >= 0.2
    assert done.stdout == ""


@pytest.fixture
def stuck(gaitd):
    """A daemon that takes what it is sent and does not answer."""
    gaitd.process.send_signal(signal.SIGSTOP)
    yield gaitd
    gaitd.process.send_signal(signal.SIGCONT)


@pytest.mark.parametrize("arguments, talk", [
    (["submit", "--seed=7"], "the sweep may be stored or not: "),
    (["submit", "--seed=7", "--wait"], "the sweep may be stored or not: "),
    (["submit", "--seed=7", "--dry-run"], ""),
    (["submit", "-", "--follow"], "the sweep may be stored or not: "),
    (["wait", "nobody"], '"nobody": '),
    (["watch", "nobody"], '"nobody": '),
    (["shutdown"], ""),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_timeout_of_an_answer(stuck, arguments, talk):
    # More than a socket's buffers hold.
    spec = json.dumps({"base": {}, "points": [{"seed": seed} for seed in range(100000)]})
    done = stuck.ctl(*arguments, "--timeout", "0.2", status=124, timeout_s=20, input=spec)
    assert done.stdout == ""
    assert done.stderr == f"gaitctl: {talk}gaitd has not answered after 0.2 s\n"


def test_timeout_of_connecting(stuck):
    """Those who gave up stay in the queue of a daemon that is stuck."""
    while True:
        with socket.socket(socket.AF_UNIX) as attempt:
            attempt.setblocking(False)
            try:
                attempt.connect(str(stuck.socket))
            except BlockingIOError:
                break
    done = stuck.ctl("shutdown", "--timeout", "0.2", status=124, timeout_s=20)
    assert done.stderr == "gaitctl: gaitd has not answered after 0.2 s\n"


def test_cancel(endless, client):
    waiting = endless.ctl_process("wait", "endless")
    done = endless.ctl("cancel", "endless")
    assert "1" in done.stdout + done.stderr
    assert waiting.wait(STOP_S) == 5
    waiting.communicate()
    endless.ctl("wait", "endless", status=5)
    endless.ctl("cancel", "endless")


def test_cancel_of_what_is_queued(new_daemon):
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        daemon.ctl("submit", *ENDLESS, "--seed=1,101,201")
        client.call("watch", target="endless")
        client.await_progress(lambda progress: True)
        assert client.call("cancel", target="3") == {
            "cancelled": 1, "stopping": 0, "already_final": 0}
        assert client.call("cancel", target="endless") == {
            "cancelled": 1, "stopping": 1, "already_final": 1}
        client.await_final("endless")
        assert {job["state"] for job in client.jobs("endless")} == {"cancelled"}


def test_shutdown(gaitd):
    gaitd.ctl("shutdown")
    gaitd.await_end()
    gaitd.ctl("status", status=4)


def test_daemon_goes_while_waiting(endless):
    waiting = endless.ctl_process("wait", "endless")
    endless.stop()
    _, talk = waiting.communicate(timeout=STOP_S)
    assert waiting.returncode == 4
    assert talk


# Watching.

def test_settings_without_effect(gaitd, client):
    """A row of their own, and "-" in it; nothing in CSV."""
    gaitd.ctl("submit", "--name=mixed", "--nb_epochs=0", "--algorithm=BP,GAIT", "--gamma=0.1,0.5",
              "--wait")
    rows = rows_of(gaitd.ctl("results", "mixed", "--by=gamma", "-o", "json"))
    assert [(row["gamma"], row["n"]) for row in rows] == [(None, 1), (0.1, 1), (0.5, 1)]
    lines = gaitd.ctl("results", "mixed", "--by=gamma", "-o", "csv").stdout.splitlines()
    assert [line.split(",")[0] for line in lines] == ["gamma", "", "0.1", "0.5"]
    table = Terminal(gaitd, "results", "mixed", "--by=gamma", NO_COLOR="1")
    assert re.search(r"^\s*-\s+1\s", table.read(), re.MULTILINE)
    assert table.end() == 0
    job = client.call("show", target="1")["job"]
    assert (job["gamma"], job["gait_form"], job["orthogonal_init"]) == (None, None, True)


def test_watch_to_a_pipe(gaitd, client):
    """A line per event, and an end when all jobs are final."""
    gaitd.ctl("submit", "--name=two", "--nb_epochs=2", "--seed=1,101")
    done = gaitd.ctl("watch", "two")
    lines = (done.stdout + done.stderr).splitlines()
    assert "\033" not in done.stdout + done.stderr
    assert sum("done" in line for line in lines) >= 2


def test_watch_says_first_how_things_stand(endless, client):
    commands = (["endless"], ["1", "-o", "csv"])
    watching = [endless.ctl_process("watch", *command) for command in commands]
    for process in watching:
        assert select.select([process.stderr], [], [], STOP_S)[0], "nothing is said"
    client.call("cancel", target="endless")
    said = [process.communicate(timeout=STOP_S)[1].splitlines() for process in watching]
    assert [lines[0] for lines in said] == ['sweep "endless": 1 job: 1 running',
                                            "job 1: 1 running"]
    for lines in said:
        assert re.fullmatch(r"job 1  running, epoch \d+/100000", lines[1])


def test_follow(gaitd):
    done = gaitd.ctl("submit", "--follow", "--name=two", "--nb_epochs=1", "--seed=1,101")
    assert "\033" not in done.stdout + done.stderr


def test_watch_on_a_terminal(gaitd):
    gaitd.ctl("submit", "--name=two", "--nb_epochs=3", "--seed=1,101")
    terminal = Terminal(gaitd, "watch", "two")
    text = terminal.read()
    assert terminal.end() == 0
    assert "\033[" in text and "100" in text
    assert "%  2 jobs" in text
    terminal = Terminal(gaitd, "submit", "--follow", "--name=one", "--nb_epochs=3", "--seed=501")
    assert "%  1 job" in (text := terminal.read()) and "1 jobs" not in text
    assert terminal.end() == 0


def test_no_color(gaitd):
    """NO_COLOR leaves the cursor's moves, but no colour."""
    gaitd.ctl("submit", "--name=two", "--nb_epochs=1", "--seed=1,101")
    colour = re.compile(r"\033\[[0-9;]*m")
    terminal = Terminal(gaitd, "watch", "two", NO_COLOR="1")
    assert not colour.search(terminal.read())
    assert terminal.end() == 0
    for arguments in (["list"], ["results", "two"], ["plot", "two"], ["status"]):
        terminal = Terminal(gaitd, *arguments, NO_COLOR="1")
        assert "\033" not in terminal.read()
        assert terminal.end() == 0
    terminal = Terminal(gaitd, "list")
    assert colour.search(terminal.read())
    terminal.end()


def test_interrupted_watch(endless, client):
    """Ctrl-C leaves the job alone and says how to cancel it."""
    terminal = Terminal(endless, "watch", "endless")
    terminal.read(until=rb"1e-04|endless|BP|%")
    terminal.process.send_signal(signal.SIGINT)
    text = terminal.read()
    assert terminal.end() == 130
    assert "gaitctl cancel endless" in text
    assert client.jobs("endless")[0]["state"] == "running"


def test_interrupted_in_a_pipe(gaitd):
    """A line of an event shows that it watches."""
    gaitd.ctl("submit", "--name=many", "--nb_epochs=2", "--seed=1..60")
    watching = gaitd.ctl_process("watch", "many")
    assert select.select([watching.stdout, watching.stderr], [], [], STOP_S)[0]
    watching.send_signal(signal.SIGINT)
    _, talk = watching.communicate(timeout=STOP_S)
    assert watching.returncode == 130
    assert "gaitctl cancel many" in talk


# Pipes.

def test_closed_pipe(gaitd, client):
    """`gaitctl list | head` ends quietly."""
    client.submit({"name": "many", "base": TINY, "axes": {"seed": {"from": 1, "to": 3000}}})
    listing = gaitd.ctl_process("list", "many", "-o", "csv")
    assert listing.stdout.readline().startswith("id,")
    listing.stdout.close()
    assert listing.wait(STOP_S) in (-signal.SIGPIPE, 128 + signal.SIGPIPE)
    assert listing.stderr.read() == ""
    client.call("cancel", target="many")
    client.await_final("many")


def test_full_device(trained):
    """Output that could not be written is a failure."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = trained.ctl("list", "four", status=1, capture_output=False,
                           stdout=full, stderr=subprocess.PIPE)
    assert "No space left on device" in done.stderr


def test_help(new_daemon):
    daemon = new_daemon()
    usage = daemon.ctl("--help").stdout
    for command in ("submit", "list", "show", "watch", "wait", "cancel", "history", "results",
                    "plot", "status", "shutdown"):
        assert re.search(rf"^(\w+)? +{command} ", usage, re.MULTILINE)
        text = daemon.ctl(command, "--help").stdout
        assert text.startswith(f"usage: gaitctl {command}")
    assert len(usage.splitlines()) < 40 and max(map(len, usage.splitlines())) <= 80
    assert "  124  --timeout came first\n" in daemon.ctl("help", "exit").stdout
    assert daemon.ctl("--version").stdout == "gaitctl 0.1.0\n"


def test_it_starts_fast(gaitd):
    """Not a benchmark: that no second dynamic loader's worth of libraries is pulled in."""
    libraries = subprocess.run(["ldd", gaitd.build / "gaitctl"], capture_output=True, text=True,
                               check=True).stdout
    assert not re.search("libuv|sqlite|blas", libraries)
