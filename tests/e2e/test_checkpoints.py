"""Checkpoints: in time, damaged, lost, full disks; and the same outcome always."""

import json
import os
import re
import shutil

import pytest

from checkpoints import agree, ask, change, files, folder_of, preload_faults, rows, until

# 10 steps an epoch, rows every 5.
LONG = {"name": "long", "algorithm": "GAIT", "orthogonal_init": True, "orthogonal_reg": 0.1,
        "tower": True, "widths": "100x10", "nb_epochs": 120, "eval_every": 5}
OFTEN = ("--checkpoint-every", "1e-9")  # after every batch
NEVER = ("--checkpoint-every", "0")
FAR = 22  # steps after which it is interrupted: in the third epoch


def outcome(client):
    """All that must not depend on what happened."""
    history = client.history("long")
    (job,) = client.jobs("long")
    run = client.call("show", target=str(job["id"]))["run"]
    for row in history:
        del row["seconds"], row["job"]
    assert job["state"] == "done", job["reason"]
    return history, run["state_hash"], run["step"]


@pytest.fixture(scope="module")
def undisturbed():
    return {}


@pytest.fixture
def expected(undisturbed, new_daemon):
    """Without any interruption or checkpoint on the way; trained once."""
    if not undisturbed:
        with new_daemon("undisturbed").start(*NEVER).client() as client:
            client.submit(LONG)
            client.await_final("long")
            undisturbed["outcome"] = outcome(client)
    return undisturbed["outcome"]


def get_far(daemon, client):
    client.submit(LONG)
    until(lambda: ask(daemon, "SELECT 1 FROM checkpoint WHERE step >= ?", FAR), "never far")


def finish(daemon, *options):
    """Starts it and waits; gives the outcome."""
    with daemon.start(*options).client() as client:
        client.await_final("long")
        return outcome(client)


def went_on_from(daemon):
    return [int(step) for step in re.findall(r"goes on from step (\d+)", daemon.stderr())]


def events(daemon, kind):
    return [text for (text,) in ask(daemon, "SELECT text FROM event WHERE kind = ?", kind)]


def newest(daemon):
    (run,) = {run for run, _ in rows(daemon)}
    names = sorted((name for _, name in rows(daemon)), key=lambda name: int(name.split("-")[0]))
    return folder_of(daemon, run) / names[-1]


def committed_step(file):
    data = file.read_bytes()
    header = json.loads(data[8:8 + int.from_bytes(data[:8], "little")])
    return int(header["__metadata__"]["committed_step"])


def stop_far(daemon, *options):
    """Leaves a job stopped in the middle, with two checkpoints."""
    with daemon.start(*options).client() as client:
        get_far(daemon, client)
    daemon.stop()


def test_often(new_daemon, expected):
    """A checkpoint after every batch changes nothing; two are left."""
    daemon = new_daemon()
    assert finish_from_nothing(daemon, "--checkpoint-every", "0.01") == expected
    assert len(agree(daemon)) == 2
    assert newest(daemon).name == "1200-1.safetensors"


def finish_from_nothing(daemon, *options):
    with daemon.start(*options).client() as client:
        client.submit(LONG)
        client.await_final("long")
        return outcome(client)


def test_never_but_at_the_end(new_daemon):
    daemon = new_daemon()
    finish_from_nothing(daemon, *NEVER)
    assert [name for _, name in agree(daemon)] == ["1200-1.safetensors"]


def test_kill_of_everything(new_daemon, expected):
    """What is lost is what came after the last checkpoint, and not noticed."""
    daemon = new_daemon()
    with daemon.start(*OFTEN).client() as client:
        get_far(daemon, client)
        os.kill(next(slot["worker_pid"] for slot in client.call("status")["slots"]
                     if slot["job"]), 9)
        daemon.process.kill()
    daemon.kill()
    assert finish(daemon, *NEVER) == expected
    assert went_on_from(daemon)[-1] >= FAR - 1
    agree(daemon)


def test_kill_before_the_rename(new_daemon, expected):
    daemon = new_daemon()
    _, kill, _ = preload_faults(daemon)
    with daemon.start("--checkpoint-every", "0.02").client() as client:
        get_far(daemon, client)
        until(lambda: rows(daemon), "no checkpoint")
        kill.touch()
        client.await_final("long")
        assert outcome(client) == expected
    assert not kill.exists()
    assert "killed by signal 9" in daemon.stderr()
    assert went_on_from(daemon)
    agree(daemon)


def test_full_disk(new_daemon, expected):
    """Training goes on; one event, however often it fails; the next succeeds."""
    daemon = new_daemon()
    full, *_ = preload_faults(daemon)
    full.touch()
    with daemon.start("--checkpoint-every", "0.02").client() as client:
        client.submit(LONG)
        (text,) = until(lambda: events(daemon, "unsaved"), "no event")
        assert "training goes on" in text and "No space left on device" in text
        until(lambda: ask(daemon, "SELECT 1 FROM history WHERE step >= 150"), "no training")
        assert not rows(daemon)
        full.unlink()
        client.await_final("long")
        assert outcome(client) == expected
    assert len(events(daemon, "unsaved")) == 1
    assert len(agree(daemon)) == 2


def flip(place):
    def damage(file):
        data = bytearray(file.read_bytes())
        data[place] ^= 1
        file.write_bytes(data)
    return damage


def cut(file):
    os.truncate(file, file.stat().st_size // 2)


def replace_by_folder(file):
    file.unlink()
    file.mkdir()


DAMAGES = {
    "flip": flip(-1), "cut": cut, "unreadable": replace_by_folder,
    "another": lambda file: shutil.copy(min(file.parent.glob("*.safetensors")), file),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage(new_daemon, expected, damage):
    """The one before it is taken; nobody sees a difference but in the events."""
    daemon = new_daemon()
    stop_far(daemon, *OFTEN)
    file = newest(daemon)
    step = int(file.name.split("-")[0])
    damage(file)
    assert finish(daemon, *NEVER) == expected
    assert went_on_from(daemon) == [step - 1]
    (text,) = events(daemon, "damaged")
    assert text.startswith(f'checkpoint "{file}" is damaged and renamed'), text
    assert text in daemon.stderr()
    assert (file.parent / f"{file.name}.damaged").exists()
    assert file.name not in {name for _, name in rows(daemon)}


def test_damage_of_all(new_daemon, expected):
    daemon = new_daemon()
    stop_far(daemon, *OFTEN)
    for file in newest(daemon).parent.glob("*.safetensors"):
        cut(file)
    assert finish(daemon, *NEVER) == expected
    assert went_on_from(daemon) == []
    assert len(events(daemon, "damaged")) == 2


@pytest.mark.parametrize("last, is_consistent", [(15, True), (5, False), (-1, True)])
def test_rows_that_were_lost(new_daemon, expected, last, is_consistent):
    """The database is older than the checkpoints: no gap where they begin."""
    daemon = new_daemon()
    stop_far(daemon, *OFTEN)
    change(daemon, f"DELETE FROM history WHERE step > {last}")
    if is_consistent:
        change(daemon, "UPDATE run SET (step, epochs_done, state_hash) = (SELECT step, epoch, "
                       "state_hash FROM history ORDER BY step DESC LIMIT 1)")
    # Under load what was committed may not have been heard before it was saved.
    is_usable = [committed_step(file) <= last
                 for file in newest(daemon).parent.glob("*.safetensors")]
    if is_consistent:
        change(daemon, "DELETE FROM checkpoint")
    assert finish(daemon, *NEVER) == expected
    assert len(went_on_from(daemon)) == any(is_usable)
    assert all(is_usable) or "but gaitd has them only up to" in daemon.stderr()
    agree(daemon)


def test_what_a_crash_leaves(new_daemon, expected):
    """Files without rows are adopted or removed, rows without files go."""
    daemon = new_daemon()
    stop_far(daemon, *OFTEN)
    both = rows(daemon)
    file = newest(daemon)
    change(daemon, "DELETE FROM checkpoint; INSERT INTO checkpoint VALUES "
                   "(1, 7, 9, '7-9.safetensors', 10, 'x')")
    (file.parent / "50-8.safetensors.tmp").write_bytes(b"half")
    stranger = file.parent.parent / "77-0123456789ab"
    stranger.mkdir()
    (stranger / "5-1.safetensors").write_bytes(b"of a run that is not there")
    (file.parent.parent / "78-0123456789ab").mkdir()
    daemon.slots = 0
    daemon.start()
    until(lambda: files(daemon) == rows(daemon) == both,
          f"files {files(daemon)}, rows {rows(daemon)}, expected {both}")
    until(lambda: [path.name for path in file.parent.parent.iterdir() if path.is_dir()]
          == [file.parent.name], "folders are left")
    daemon.stop()
    daemon.slots = 2
    assert finish(daemon) == expected
    assert went_on_from(daemon)


def test_run_dir_of_another(new_daemon):
    first = new_daemon("a").start()
    done = new_daemon("b").run("--run-dir", first.state / "runs")
    assert done.returncode == 1
    assert f'run_dir "{first.state}/runs" is in use by a running gaitd' in done.stderr
