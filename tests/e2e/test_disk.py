"""The disk is full, or fails: what was acknowledged stays, what runs goes on."""

import contextlib
import os
import shutil
import subprocess
import time

import pytest

from rpc import RpcError

TINY = {"tower": True, "widths": "16x10", "train_rows": 60, "test_rows": 60}


def mount(folder, size):
    """A disk of that size; a skip where this is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                          capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")


@pytest.fixture
def small_disk(folder):
    """Where the first daemon has its state: 32 MiB, so a reserve of 8."""
    state = folder / "a" / "state"
    mount(state, "32m")
    yield state
    subprocess.run(["umount", state], check=True)


@pytest.fixture
def on_small_disk(small_disk, new_daemon):  # released before the disk goes
    return new_daemon(slots=1)


def fill(folder, leave=0):
    """Takes all the room but so many bytes."""
    with open(folder / "filler", "ab", buffering=0) as file:
        with contextlib.suppress(OSError):
            while file.write(bytes(4096)):
                pass
        if leave:
            file.truncate(max(file.tell() - leave, 0) // 4096 * 4096)


def check_whole(rows, nb_epochs):
    assert [row["epoch"] for row in rows] == list(range(nb_epochs + 1))


def await_line(daemon, text, count=1):
    deadline = time.monotonic() + 60
    while daemon.stderr().count(text) < count:
        assert time.monotonic() < deadline, f"no \"{text}\" in\n{daemon.stderr()}"
        time.sleep(0.02)  # a log has no other way to be waited for


def test_a_full_disk_is_waited_out(on_small_disk, small_disk, folder):
    """Rows are kept while nothing can be stored, and the job trains on."""
    gaitd = on_small_disk.start("--run-dir", folder / "runs")
    with gaitd.client() as client:
        client.submit({"name": "long", "nb_layers": 1, "nb_epochs": 100_000})
        client.call("watch", target="long")
        client.await_progress(lambda progress: progress["step"] > 0)
        fill(small_disk)
        await_line(gaitd, "the database takes nothing")
        assert not (small_disk / "gaitd" / "ballast").exists()
        await_line(gaitd, "the database takes what comes again")  # its room
        fill(small_disk)
        await_line(gaitd, "the database takes nothing", count=2)
        with pytest.raises(RpcError, match="disk.* has .* free|full"):
            client.submit({"name": "refused", **TINY})
        assert client.call("status")["counts"]["running"] == 1
        step = client.await_progress(lambda progress: True)["step"]
        client.await_progress(lambda progress: progress["step"] > step)
        (small_disk / "filler").unlink()
        await_line(gaitd, "takes what comes again", count=2)
        before = client.call("list", target="long")["jobs"][0]["epoch"]
        assert before > 0
        client.call("cancel", target="long")
        client.submit({"name": "next", **TINY, "seed": 7, "nb_epochs": 1})
        client.await_final("next")
        rows = client.history("next")
        check_whole(rows, 1)
        rows = client.pages("history", "rows", target="long")
        assert len(rows) > before
        check_whole(rows, len(rows) - 1)
        deadline = time.monotonic() + 30
        while not (small_disk / "gaitd" / "ballast").exists():
            assert time.monotonic() < deadline
            client.submit({"name": "again", **TINY}, dry_run=True)


def test_new_sweeps_need_room(on_small_disk, small_disk):
    gaitd = on_small_disk.start()
    fill(small_disk, leave=4 << 20)
    with gaitd.client() as client:
        with pytest.raises(RpcError, match=r"4\.0 MiB free, and a new sweep needs 8\.0"):
            client.submit({"name": "x", **TINY})
        assert client.submit({"name": "x", **TINY}, dry_run=True)["job_count"] == 1
        (small_disk / "filler").unlink()
        assert client.submit({"name": "x", **TINY, "nb_epochs": 1}, request_id="r")["new"] == 1
        client.await_final("x")


def test_it_starts_on_a_full_disk(on_small_disk, small_disk):
    gaitd = on_small_disk.start()
    with gaitd.client() as client:
        client.submit({"name": "x", **TINY, "nb_epochs": 3})
        client.await_final("x")
    gaitd.stop()
    fill(small_disk)
    gaitd.start()
    with gaitd.client() as client:
        check_whole(client.history("x"), 3)
        with pytest.raises(RpcError, match="free"):
            client.submit({"name": "y", **TINY})


def test_a_large_sweep_on_a_filling_disk_leaves_nothing(on_small_disk, small_disk):
    """More jobs than there is room for: refused in the middle, and gone."""
    gaitd = on_small_disk
    gaitd.slots = 0
    gaitd.start()
    spec = {"name": "large", "base": TINY, "axes": {"seed": {"from": 1, "to": 100_000}}}
    with gaitd.client() as client:
        with pytest.raises(RpcError, match="free|full"):
            client.submit(spec)
        assert client.call("sweeps")["sweeps"] == []
        spec["axes"]["seed"]["to"] = 3
        deadline = time.monotonic() + 30
        while True:  # room comes back within the database, piece by piece
            try:
                assert client.submit(spec)["first_job"] > 0
                break
            except RpcError as error:
                assert "free" in str(error) or "full" in str(error)
                assert time.monotonic() < deadline
        assert client.call("status")["counts"]["queued"] == 3


def inject(daemon, fault):
    """strace that has a system call of gaitd fail; a skip where it may not."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tracer = subprocess.Popen(
        ["strace", "-f", "-q", "-o", daemon.folder / "strace", "-p", str(daemon.process.pid),
         "-e", "trace=fdatasync,pwrite64", "-e", f"inject={fault}"],
        stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 10
    while f"TracerPid:\t{tracer.pid}" not in status(daemon):
        if tracer.poll() is not None:
            pytest.skip(f"strace may not trace here: {tracer.stderr.read().strip()}")
        assert time.monotonic() < deadline, status(daemon)
        time.sleep(0.02)
    return tracer


def status(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return file.read()


@pytest.mark.skipif("leak" in os.environ.get("ASAN_OPTIONS", "") or
                    "address" in os.environ.get("GAITD_BUILD", ""),
                    reason="the leak checker does not work under strace")
@pytest.mark.parametrize("fault", ["fdatasync:error=EIO:when=1", "pwrite64:error=EIO:when=1"])
def test_an_error_of_the_commit_ends_gaitd(new_daemon, fault):
    """And the next one finds the truth: whole, and trained as if nothing was."""
    gaitd = new_daemon(slots=1).start()
    spec = {"name": "x", **TINY, "nb_epochs": 5}
    tracer = inject(gaitd, fault)
    with gaitd.client() as client:
        with pytest.raises((RpcError, ConnectionError)):
            client.submit(spec, request_id="once")
    assert gaitd.process.wait(60) == 1
    gaitd.process = None
    tracer.wait(10)
    assert "giving up: database" in gaitd.stderr()
    gaitd.start()
    with gaitd.client() as client:
        client.submit(spec, request_id="once")
        client.await_final("x")
        assert client.call("sweeps")["sweeps"][0]["done"] == 1
        assert len(client.call("sweeps")["sweeps"]) == 1
        check_whole(client.history("x"), 5)


def test_a_disk_without_writing_is_named(on_small_disk, small_disk):
    gaitd = on_small_disk.start()
    gaitd.stop()
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    done = gaitd.run()
    assert done.returncode == 1
    assert "Read-only file system" in done.stderr and str(small_disk) in done.stderr
