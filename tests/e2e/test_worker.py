"""gait-worker alone: attempts, endings, checkpoints, locks, data sets."""

import fcntl
import json
import os
import signal
import subprocess

import pytest

from conftest import BUILD
from data_sets import write_idx_set, write_npz_set
from worker import KEY, Worker, of_type, prepare, rows_of

# 600 rows in batches of 10: 60 steps an epoch, rows every 20.
TINY = {"tower": True, "widths": "100x10", "batch_size": 10, "eval_every": 20}
STEPS = 60
LONG = 100000  # epochs: longer than any test


@pytest.fixture
def dataset(folder):
    write_idx_set(folder / "data", train_rows=600, test_rows=100)
    place = {"folders": [str(folder / "nowhere"), str(folder / "data")],
             "cache": str(folder / "cache"), "name": "MNIST"}
    found, status = prepare(BUILD, "MNIST", place["cache"], *place["folders"])
    assert status == 0, found
    return {**place, "digest": found["digest"]}


@pytest.fixture
def new_worker():
    workers = []

    def make(*options):
        workers.append(Worker(BUILD, *options))
        return workers[-1]

    yield make
    for worker in workers:
        worker.release()


@pytest.fixture
def worker(new_worker):
    return new_worker()


@pytest.fixture
def run_undisturbed(new_worker, folder, dataset):
    """Gives the messages of a run that nothing interrupts."""
    def run(to_epoch):
        worker = new_worker()
        worker.start(1, folder / "undisturbed", dataset, to_epoch, **TINY)
        messages = worker.until("done")
        worker.end()
        return messages

    return run


@pytest.fixture
def undisturbed(run_undisturbed):
    return run_undisturbed(6)


def checkpoints(run_dir):
    return sorted((file.name for file in run_dir.glob("*.safetensors")),
                  key=lambda name: [int(part) for part in name.split(".")[0].split("-")])


def metadata(file):
    data = file.read_bytes()
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    return header["__metadata__"]


def test_help_and_version():
    said = subprocess.run([BUILD / "gait-worker", "--help"], capture_output=True, check=True)
    assert said.stdout.startswith(b"usage: gait-worker")
    said = subprocess.run([BUILD / "gait-worker", "--version"], capture_output=True, check=True)
    assert said.stdout.startswith(b"gait-worker ")
    for wrong in (["--lease", "x"], ["--what"], ["extra"], ["--prepare", "MNIST"]):
        said = subprocess.run([BUILD / "gait-worker", *wrong], capture_output=True, check=False)
        assert said.returncode == 2 and b"usage:" in said.stderr


def test_hello(worker):
    said = subprocess.run([BUILD / "gait-worker", "--identify"], capture_output=True, check=True)
    identity = json.loads(said.stdout)
    assert identity.pop("pid") != worker.hello["pid"] == worker.process.pid
    assert identity == {name: value for name, value in worker.hello.items() if name != "pid"}
    assert identity["device"] == "cpu"
    assert (identity["worker_protocol"], identity["engine_version"]) == (1, 2)
    worker.send("ping")
    assert worker.receive() == {"type": "pong", "beats": 0, "expected_s": 0}
    worker.send("quit")
    assert worker.until_end() == []
    worker.end()


def test_an_attempt(worker, folder, dataset):
    run_dir = folder / "deep" / "run"
    worker.start(7, run_dir, dataset, 2, **TINY)
    messages = worker.until("done")
    assert [message["type"] for message in messages if message["type"] != "progress"] == \
        ["started"] + ["row"] * 7 + ["saved", "done"]
    assert messages[0]["step"] == 0
    rows = of_type(messages, "row")
    assert [row["step"] for row in rows] == [0, 20, 40, 60, 80, 100, 120]
    assert [row["epoch"] for row in rows] == [0, 0, 0, 1, 1, 1, 2]
    assert rows[0]["valid_accuracy"] is None
    saved, done = messages[-2:]
    assert (done["step"], done["state_hash"]) == (120, rows[-1]["state_hash"])
    assert checkpoints(run_dir) == ["120-7.safetensors"] == [saved["file"]]
    file = run_dir / saved["file"]
    assert saved["bytes"] == file.stat().st_size
    texts = metadata(file)
    assert (texts["hash"], texts["key"]) == (saved["hash"], KEY)
    assert (texts["step"], texts["evaluated_step"]) == ("120", "120")
    assert [json.loads(line)["step"] for line in texts["rows"].splitlines()] == \
        [row["step"] for row in rows]
    assert run_dir.stat().st_mode & 0o777 == 0o700


def test_committed_rows_do_not_travel(worker, folder, dataset):
    worker.start(1, folder / "run", dataset, LONG, **TINY)
    worker.until("row")
    worker.send("committed", attempt=1, step=0)
    worker.send("stop", attempt=1)
    messages = worker.until("stopped")
    (saved,) = of_type(messages, "saved")
    lines = metadata(folder / "run" / saved["file"])["rows"].splitlines()
    assert [json.loads(line)["step"] for line in lines] == \
        [row["step"] for row in of_type(messages, "row")]


def test_no_epochs(worker, folder, dataset):
    """Evaluated once; nothing to save."""
    worker.start(1, folder / "run", dataset, 0, **TINY)
    started, row, done = worker.until("done")
    assert (started["step"], row["step"], done["step"]) == (0, 0, 0)
    assert row["state_hash"] == done["state_hash"]
    assert os.listdir(folder / "run") == ["lock"]


def test_many_attempts_in_one_process(worker, folder, dataset):
    for attempt in range(1, 51):
        worker.start(attempt, folder / str(attempt), dataset, 0, seed=attempt, **TINY)
        worker.until("done")
        worker.send("closed", attempt=attempt)
    worker.send("quit")
    worker.end()


def test_stopped_and_resumed_gives_the_same(new_worker, folder, dataset, run_undisturbed):
    worker = new_worker()
    messages, stopped_at = [], 0
    for attempt in range(1, 5):
        worker.start(attempt, folder / "run", dataset, LONG, **TINY)
        last = worker.until("started")
        assert last[0]["step"] == stopped_at
        while not any(row["step"] > stopped_at for row in of_type(last, "row")):
            last += worker.until("row")
        worker.send("stop", attempt=attempt)
        last += worker.until("stopped")
        assert last[-1]["step"] == of_type(last, "saved")[-1]["step"] > stopped_at
        stopped_at = last[-1]["step"]
        messages += last
    to_epoch = stopped_at // STEPS + 2
    worker.start(5, folder / "run", dataset, to_epoch, **TINY)
    messages += worker.until("done")
    undisturbed = run_undisturbed(to_epoch)
    assert rows_of(messages) == rows_of(undisturbed)
    assert messages[-1]["state_hash"] == undisturbed[-1]["state_hash"]
    assert len(checkpoints(folder / "run")) == 2  # older ones are dropped


def test_extended(worker, folder, dataset, undisturbed):
    messages = []
    for attempt, to_epoch in enumerate((1, 1, 4, 6), 1):
        worker.start(attempt, folder / "run", dataset, to_epoch, **TINY)
        messages += worker.until("done")
        assert messages[-1]["step"] == to_epoch * STEPS
        worker.send("committed", attempt=attempt, step=to_epoch * STEPS)
    assert rows_of(messages) == rows_of(undisturbed)
    assert checkpoints(folder / "run") == ["240-3.safetensors", "360-4.safetensors"]


def test_a_checkpoint_ahead_with_the_row(new_worker, folder, dataset, undisturbed):
    """Nothing is trained; the rows up to the epoch are sent."""
    worker = new_worker()
    worker.start(1, folder / "run", dataset, 3, **TINY)
    worker.until("done")
    worker.start(2, folder / "run", dataset, 2, **TINY)
    messages = worker.until("done")
    rows = rows_of(undisturbed)
    assert rows_of(messages) == {step: rows[step] for step in rows if step <= 120}
    assert (messages[-1]["step"], messages[-1]["state_hash"]) == (120, rows[120]["state_hash"])
    assert checkpoints(folder / "run") == ["180-1.safetensors"]


def test_a_checkpoint_ahead_without_the_row(new_worker, folder, dataset, run_undisturbed):
    """Training begins anew, and the checkpoint that is ahead stays."""
    worker = new_worker()
    worker.start(1, folder / "run", dataset, LONG, **TINY)
    messages = []
    while not messages or messages[-1]["step"] < STEPS:
        messages += worker.until("row")
    worker.send("committed", attempt=1, step=STEPS)
    worker.send("stop", attempt=1)
    stopped_at = worker.until("stopped")[-1]["step"]
    worker.start(2, folder / "run", dataset, 1, **TINY)
    messages = worker.until("done")
    file = folder / "run" / f"{stopped_at}-1.safetensors"
    assert messages[0]["message"] == (
        f'checkpoint "{file}" is not used: it is ahead of step 60 and does not carry its row')
    undisturbed = run_undisturbed(1)
    assert rows_of(messages) == rows_of(undisturbed)
    assert messages[-1]["state_hash"] == undisturbed[-1]["state_hash"]
    assert checkpoints(folder / "run") == ["60-2.safetensors", file.name]


def leave_by_end_of_file(worker):
    worker.process.stdin.close()


def leave_by_signal(worker):
    worker.process.send_signal(signal.SIGTERM)


def leave_by_hangup(worker):
    worker.process.send_signal(signal.SIGHUP)


def leave_by_quit(worker):
    worker.send("quit")


def leave_by_nonsense(worker):
    worker.send_bytes(b"nonsense\n")


@pytest.mark.parametrize("leave", [leave_by_end_of_file, leave_by_signal, leave_by_hangup,
                                   leave_by_quit, leave_by_nonsense])
def test_leaving_saves(new_worker, folder, dataset, run_undisturbed, leave):
    """Whatever ends the worker, the next one goes on from there."""
    worker = new_worker()
    worker.start(1, folder / "run", dataset, LONG, **TINY)
    messages = worker.until("row") + worker.until("row")
    leave(worker)
    messages += worker.until_end()
    assert [message["type"] for message in messages[-2:]] == ["saved", "stopped"]
    worker.end()
    other = new_worker()
    to_epoch = messages[-1]["step"] // STEPS + 1
    other.start(2, folder / "run", dataset, to_epoch, **TINY)
    again = other.until("done")
    assert again[0]["step"] == messages[-1]["step"] > 0
    assert rows_of(again) == rows_of(run_undisturbed(to_epoch))


def test_a_silent_gaitd(new_worker, folder, dataset):
    """The lease: pings keep it; without them the worker saves and leaves."""
    worker = new_worker("--lease", "0.2")
    worker.start(1, folder / "run", dataset, LONG, **TINY)
    messages = worker.until_end()
    assert [message["type"] for message in messages[-2:]] == ["saved", "stopped"]
    assert "nothing heard for 0.2 s" in worker.stderr()


def test_gaitd_does_not_read(new_worker, folder, dataset):
    """A full pipe holds the worker up; it still leaves when it must."""
    worker = new_worker("--lease", "0.2")
    worker.start(1, folder / "run", dataset, LONG, **{**TINY, "eval_every": 1, "test_rows": 1,
                                                      "train_rows": 10})
    assert worker.process.wait(60) == 0
    assert len(checkpoints(folder / "run")) == 1


def test_killed_at_once(new_worker, folder, dataset, undisturbed):
    """kill -9 leaves no checkpoint; the next attempt gives the same."""
    worker = new_worker()
    worker.start(1, folder / "run", dataset, 6, **TINY)
    worker.until("row")
    worker.kill()
    (folder / "run" / "60-1.safetensors.tmp").write_bytes(b"unfinished")
    other = new_worker()
    other.start(2, folder / "run", dataset, 6, **TINY)
    assert rows_of(other.until("done")) == rows_of(undisturbed)
    assert not list((folder / "run").glob("*.tmp"))


def test_waits_for_the_lock(new_worker, folder, dataset):
    run_dir = folder / "run"
    run_dir.mkdir()
    with open(run_dir / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker = new_worker()
        worker.start(1, run_dir, dataset, 1, **TINY)
        worker.send("ping")
        while worker.receive()["expected_s"] is not None:  # until it waits: no telling
            worker.send("ping")
    messages = worker.until("done")
    assert messages[0]["type"] == "started"


@pytest.mark.parametrize("leave", [lambda worker: worker.send("stop", attempt=1),
                                   leave_by_signal, leave_by_end_of_file])
def test_stopped_while_waiting(new_worker, folder, dataset, leave):
    run_dir = folder / "run"
    run_dir.mkdir()
    with open(run_dir / "lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        worker = new_worker()
        worker.start(1, run_dir, dataset, 1, **TINY)
        leave(worker)
        # It may be over before it had begun to wait, and then says nothing.
        if leave in (leave_by_signal, leave_by_end_of_file):
            assert of_type(worker.until_end(), "started") == []
        else:
            assert worker.until("stopped")[0]["type"] == "stopped"
            worker.start(2, folder / "other", dataset, 0, **TINY)
            worker.until("done")
        worker.end()


def test_two_workers_of_one_run(new_worker, folder, dataset):
    """The second goes on where the first, told to stop, has left it."""
    first, second = new_worker(), new_worker()
    first.start(1, folder / "run", dataset, LONG, **TINY)
    first.until("row")
    second.start(2, folder / "run", dataset, LONG, **TINY)
    first.send("stop", attempt=1)
    stopped = first.until("stopped")[-1]
    assert second.until("started")[-1]["step"] == stopped["step"]


def test_a_damaged_checkpoint(new_worker, folder, dataset, undisturbed):
    """It is renamed, and the one before it counts."""
    worker = new_worker()
    for attempt, to_epoch in ((1, 2), (2, 4)):
        worker.start(attempt, folder / "run", dataset, to_epoch, **TINY)
        worker.until("done")
    file = folder / "run" / "240-2.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    worker.start(3, folder / "run", dataset, 6, **TINY)
    messages = worker.until("done")
    assert [m["type"] for m in messages[:2]] == ["damaged", "started"]
    assert messages[0]["message"] == (
        f'checkpoint "{file}" is damaged and renamed to *.damaged: '
        "its bytes do not match its hash: damaged")
    assert messages[1]["step"] == 120
    assert (folder / "run" / "240-2.safetensors.damaged").exists()
    assert rows_of(messages) == rows_of(undisturbed)


def test_a_checkpoint_of_another_run(worker, folder, dataset):
    other = "f" * 32
    worker.start(1, folder / "run", dataset, 1, **TINY)
    worker.until("done")
    worker.start(2, folder / "run", dataset, 1, key=other, **TINY)
    messages = worker.until("done")
    assert messages[0]["message"].endswith(
        f"is not used: it belongs to the run with key {KEY}, expected {other}")
    assert messages[1]["step"] == 0


def test_no_room_for_a_checkpoint(worker, folder, dataset):
    """What is trained is done all the same."""
    run_dir = folder / "run"
    run_dir.mkdir()
    (run_dir / "60-1.safetensors.tmp").mkdir()
    worker.start(1, run_dir, dataset, 1, **TINY)
    messages = worker.until("done")
    assert messages[-2]["type"] == "unsaved"
    assert messages[-2]["message"] == (
        f'cannot write "{run_dir}/60-1.safetensors.tmp": Is a directory')


@pytest.mark.parametrize("change, kind, message", [
    ({"digest": "0" * 32}, "dataset",
     'data set "MNIST" has changed since the job was submitted'),
    ({"folders": []}, "dataset",
     'data set "MNIST" not found: looked for train-images-idx3-ubyte(.gz) or '
     "mnist-train-imgs.npz in no folder; get it from "
     "https://ossci-datasets.s3.amazonaws.com/mnist, and put its four files there"),
    ({"digest": "x"}, "dataset", '"x" is not a digest'),
    ({"folders": 3}, "error", 'dataset: "folders" is not a list of texts'),
], ids=["changed", "gone", "digest", "folders"])
def test_a_failing_data_set(worker, folder, dataset, change, kind, message):
    for file in (folder / "cache").iterdir():
        file.unlink()
    worker.start(1, folder / "run", {**dataset, **change}, 1, **TINY)
    (failed,) = worker.until("failed")
    assert (failed["kind"], failed["message"]) == (kind, message)
    worker.start(2, folder / "run", dataset, 1, **TINY)  # it goes on
    worker.until("done")


def test_bad_orders(worker, folder, dataset):
    worker.start(1, folder / "run", dataset, -1, **TINY)
    assert worker.until("failed")[-1]["message"] == '"to_epoch": -1 is below 0'
    worker.start(2, folder / "run", dataset, 1, key="short", **TINY)
    assert worker.until("failed")[-1]["message"] == '"short" is not a key'
    worker.start(3, folder / "run", dataset, 1, batch_size=0)
    assert worker.until("failed")[-1]["message"].startswith("settings: ")
    (folder / "file").write_text("")
    worker.start(4, folder / "file" / "run", dataset, 1, **TINY)
    failed = worker.until("failed")[-1]
    assert (failed["kind"], failed["message"]) == (
        "checkpoint", f'cannot make the folder "{folder}/file/run": Not a directory')


def test_divergence(worker, folder, dataset):
    """`epoch` is the one in which it diverged, counted from 1."""
    worker.start(1, folder / "run", dataset, 3, **{**TINY, "learning_rate": 1e6, "linear": True,
                                                   "eval_every": 0, "widths": "100x90x80x10"})
    messages = worker.until("failed")
    failed = messages[-1]
    assert failed["kind"] == "diverged"
    assert failed["epoch"] == len(of_type(messages, "row"))
    assert f"diverged in epoch {failed['epoch']} " in failed["message"]


def test_progress(worker, folder, dataset):
    worker.start(1, folder / "run", dataset, LONG, **TINY)
    progress = worker.until("progress")[-1]
    assert progress["steps"] == LONG * STEPS
    assert 0 < progress["step"] < progress["steps"] and progress["steps_per_second"] > 0


def test_prepared_once_for_all_formats(folder):
    write_idx_set(folder / "raw", 60, 30)
    write_idx_set(folder / "gz", 60, 30, packed=True)
    write_npz_set(folder / "npz", 60, 30)
    cache = folder / "cache"
    found = [prepare(BUILD, "KMNIST", cache, folder / kind)[0] for kind in ("raw", "gz", "npz")]
    assert len({one["digest"] for one in found}) == 1
    (file,) = cache.iterdir()
    assert {one["file"] for one in found} == {str(file)}
    assert (found[0]["train_rows"], found[0]["test_rows"], found[0]["width"]) == (60, 30, 784)
    source = found[0]["sources"][0]
    status = os.stat(source["file"])
    assert source == {"file": str(folder / "raw" / "train-images-idx3-ubyte"),
                      "bytes": status.st_size, "modified": status.st_mtime}
    inode = file.stat().st_ino
    prepare(BUILD, "KMNIST", cache, folder / "raw")
    assert file.stat().st_ino == inode  # it was there
    file.write_bytes(b"damaged")
    prepare(BUILD, "KMNIST", cache, folder / "raw")
    assert file.stat().st_size > 90 * 784


def test_names_of_data_sets(folder):
    found, status = prepare(BUILD, "../x", folder, folder)
    assert status == 1
    assert found == {"type": "failed", "code": -32602, "message":
                     '"../x" cannot name a data set: expected letters, digits, \'.\', \'_\' and '
                     "'-'"}
