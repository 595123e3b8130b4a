"""Data sets in all their formats, missing ones, and damaged ones."""

import gzip
import shutil
import zipfile

import pytest

from data_sets import (IDX_FILES, KMNIST_NPZ_FILES, Images, idx_images, idx_labels, npy,
                       write_idx_set, write_npz, write_npz_set)
from rpc import RpcError

ONCE = {"tower": True, "widths": "784x10", "nb_epochs": 1, "dataset": "KMNIST"}
TRAIN_IMAGES = IDX_FILES["train", "images"]
TRAIN_LABELS = IDX_FILES["train", "labels"]
NPZ_IMAGES = KMNIST_NPZ_FILES["train", "images"]


def refusal(client, spec):
    """Expects that the data set is refused; returns the sentence."""
    with pytest.raises(RpcError) as refused:
        client.submit(spec)
    assert client.call("sweeps")["sweeps"] == []
    (fault,) = refused.value.data["faults"]
    assert fault["setting"] == "dataset"
    return fault["text"]


def train(client, name):
    client.submit({"name": name, **ONCE})
    client.await_final(name)
    (job,) = client.jobs(name)
    assert job["state"] == "done", job["reason"]
    run = client.call("show", target=str(job["id"]))["run"]
    return run["dataset_digest"], client.history(name)[-1]["state_hash"]


WRITERS = {
    "idx": lambda folder: write_idx_set(folder, 120, 60),
    "gz": lambda folder: write_idx_set(folder, 120, 60, packed=True),
    "npz": lambda folder: write_npz_set(folder, 120, 60),
    "npz-stored": lambda folder: write_npz_set(folder, 120, 60, compression=zipfile.ZIP_STORED),
}


def test_all_formats_are_the_same_data(new_daemon):
    """The same pixels and labels, however packed, are one data set and one run."""
    found = {}
    for name, write in WRITERS.items():
        daemon = new_daemon(name)
        write(daemon.datasets / "KMNIST")
        with daemon.start().client() as client:
            found[name] = train(client, "k")
        daemon.stop()
    assert len(set(found.values())) == 1, found


def test_other_data_is_another_run(new_daemon):
    """The run's key is made from the contents, not the name."""
    daemon = new_daemon()
    folder = daemon.datasets / "KMNIST"
    write_idx_set(folder, 120, 60)
    with daemon.start().client() as client:
        digest, state_hash = train(client, "before")
        write_idx_set(folder, 120, 60, seed=9)
        other_digest, other_hash = train(client, "after")
        assert digest != other_digest and state_hash != other_hash
        assert [row["job"] for row in client.history("before")] == [1, 1]


def test_data_that_changes_under_a_queue(new_daemon):
    """What the cache has serves the queued job; without it, the job says what happened."""
    daemon = new_daemon(slots=1)
    folder = daemon.datasets / "KMNIST"
    write_idx_set(folder, 120, 60)
    with daemon.start().client() as client:
        # One job occupies the slot, so that the other waits.
        client.submit({"name": "first", "nb_epochs": 100000})
        client.call("watch", target="first")
        client.await_progress(lambda progress: True)
        client.submit({"name": "second", **ONCE})
        write_idx_set(folder, 120, 60, seed=9)
        for file in (daemon.folder / "cache").rglob("*.safetensors"):
            file.unlink()
        client.call("cancel", target="first")
        client.await_final("second")
        (job,) = client.jobs("second")
        assert job["state"] == "failed"
        assert job["reason"] == ('data set "KMNIST" has changed since the job was submitted')


def places(gaitd, *names):
    """The folders that are looked into, as the sentence lists them."""
    folders = [gaitd.datasets, "/usr/local/share/datasets", "/usr/share/datasets"]
    return ", ".join(f'"{folder}/{name}"' for name in names for folder in folders)


def test_missing(gaitd, client):
    assert refusal(client, {"dataset": "KMNIST"}) == (
        'data set "KMNIST" not found: looked for train-images-idx3-ubyte(.gz) or '
        f'kmnist-train-imgs.npz in {places(gaitd, "kmnist", "KMNIST", "KMNIST/raw")}; '
        "get it from http://codh.rois.ac.jp/kmnist, and put its four files there")


def test_missing_of_an_unknown_name(client):
    assert refusal(client, {"dataset": "FMNSIT"}) == (
        '"FMNSIT" is not configured; known: MNIST, KMNIST, FMNIST')


def test_missing_is_said_by_gaitctl(gaitd):
    done = gaitd.ctl("submit", "--dataset=KMNIST", status=2)
    assert "http://codh.rois.ac.jp/kmnist" in done.stderr


def test_one_of_several_is_missing(client):
    """Of a sweep over data sets nothing is stored."""
    text = refusal(client, {"base": {"nb_epochs": 1}, "axes": {"dataset": ["MNIST", "KMNIST"]}})
    assert text.startswith('data set "KMNIST" not found')


def wrong_magic(folder):
    (folder / TRAIN_IMAGES).write_bytes(idx_images(Images(120, 1), magic=0x0D03))


def labels_as_images(folder):
    shutil.copy(folder / TRAIN_LABELS, folder / TRAIN_IMAGES)


def short(folder):
    data = (folder / TRAIN_IMAGES).read_bytes()
    (folder / TRAIN_IMAGES).write_bytes(data[:-1])


def long(folder):
    with open(folder / TRAIN_IMAGES, "ab") as file:
        file.write(b"x")


def header_only(folder):
    (folder / TRAIN_IMAGES).write_bytes(b"\0\0\x08\x03\0\0")


def empty(folder):
    (folder / TRAIN_IMAGES).write_bytes(b"")


def huge(folder):
    (folder / TRAIN_IMAGES).write_bytes(b"\0\0\x08\x03" + b"\xff" * 12)


def other_count(folder):
    (folder / TRAIN_LABELS).write_bytes(idx_labels(Images(119, 1)))


def label_eleven(folder):
    images = Images(120, 1)
    images.labels = images.labels[:100] + b"\x0b" + images.labels[101:]
    (folder / TRAIN_LABELS).write_bytes(idx_labels(images))


def other_size(folder):
    (folder / IDX_FILES["test", "images"]).write_bytes(idx_images(Images(60, 2, side=14)))


def no_rows(folder):
    for kind, write in (("images", idx_images), ("labels", idx_labels)):
        (folder / IDX_FILES["train", kind]).write_bytes(write(Images(0, 1)))


def missing_part(folder):
    (folder / TRAIN_LABELS).unlink()


def cut_gzip(folder):
    data = gzip.compress((folder / TRAIN_IMAGES).read_bytes())
    (folder / TRAIN_IMAGES).unlink()
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(data[:len(data) // 2])


def flipped_gzip(folder):
    data = bytearray(gzip.compress((folder / TRAIN_IMAGES).read_bytes()))
    data[-6] ^= 1  # in the checksum
    (folder / TRAIN_IMAGES).unlink()
    (folder / f"{TRAIN_IMAGES}.gz").write_bytes(data)


def a_folder(folder):
    (folder / TRAIN_IMAGES).unlink()
    (folder / TRAIN_IMAGES).mkdir()


@pytest.mark.parametrize("damage, message", [
    (a_folder, '"{train_images}": not a file'),
    (wrong_magic, '"{train_images}": magic number 0x00000d03, expected 0x00000803 (images)'),
    (labels_as_images, '"{train_images}": magic number 0x00000801, expected 0x00000803 (images)'),
    (short, '"{train_images}": holds 94095 bytes, its header says 94096'),
    (long, '"{train_images}": holds more than the 94096 bytes its header says'),
    (header_only, '"{train_images}": holds 6 bytes, its header alone has 16'),
    (empty, '"{train_images}": is empty'),
    (huge, '"{train_images}": larger than 4 GiB of pixels, or than 1000000000 rows'),
    (other_count, '"{train_labels}": 119 labels for 120 images'),
    (label_eleven, '"{train_labels}": label 11 at row 100; expected 0 to 9'),
    (other_size, '"{test_images}": images of 196 pixels, but 784 in "{train_images}"'),
    (no_rows, '"{train_images}": holds no images'),
    (missing_part, 'data set "KMNIST": "{train_images}" is there, but not '
                   "train-labels-idx1-ubyte(.gz) beside it"),
    (cut_gzip, '"{train_images}.gz": broken gzip data: it ends early'),
    (flipped_gzip, '"{train_images}.gz": broken gzip data: incorrect data check'),
], ids=lambda value: value.__name__ if callable(value) else "")
def test_corrupt_idx(new_daemon, damage, message):
    daemon = new_daemon()
    folder = daemon.datasets / "KMNIST"
    write_idx_set(folder, 120, 60)
    damage(folder)
    files = {"train_images": folder / TRAIN_IMAGES, "train_labels": folder / TRAIN_LABELS,
             "test_images": folder / IDX_FILES["test", "images"]}
    with daemon.start().client() as client:
        assert refusal(client, ONCE) == message.format(**files)
        assert client.call("status")["pid"] == daemon.process.pid


def test_unreadable_file(new_daemon):
    """Not the spec's fault: the operating system refuses."""
    daemon = new_daemon()
    folder = daemon.datasets / "KMNIST"
    write_idx_set(folder, 120, 60)
    (folder / TRAIN_IMAGES).unlink()
    (folder / TRAIN_IMAGES).symlink_to("/proc/self/mem")  # its first page is nobody's
    with daemon.start().client() as client:
        with pytest.raises(RpcError) as refused:
            client.submit(ONCE)
        assert (refused.value.code, refused.value.message) == (
            7, f'cannot read "{folder / TRAIN_IMAGES}": Input/output error')
        assert client.call("sweeps")["sweeps"] == []


def npz_images(folder, array=None, **options):
    images = Images(120, 1)
    write_npz(folder / NPZ_IMAGES,
              npy((120, 28, 28), images.pixels, **options) if array is None else array)


def npz_cut(folder):
    data = (folder / NPZ_IMAGES).read_bytes()
    (folder / NPZ_IMAGES).write_bytes(data[:-100])


def npz_flipped(folder):
    data = bytearray((folder / NPZ_IMAGES).read_bytes())
    data[len(data) // 2] ^= 0x10
    (folder / NPZ_IMAGES).write_bytes(data)


def npz_other_member(folder):
    with zipfile.ZipFile(folder / NPZ_IMAGES, "w") as archive:
        archive.writestr("images.npy", npy((120, 28, 28), Images(120, 1).pixels))


@pytest.mark.parametrize("damage, message", [
    (npz_cut, "truncated, or not a zip file"),
    (npz_flipped, "broken zip file: "),
    (npz_other_member, 'has no member "arr_0.npy"'),
    (lambda folder: npz_images(folder, dtype="<f4"),
     'values of type "<f4", expected "|u1" (bytes)'),
    (lambda folder: npz_images(folder, order=True),
     "stored in Fortran order, expected C order"),
    (lambda folder: npz_images(folder, npy((120, 784), Images(120, 1).pixels)),
     "shape (120, 784), expected (rows, height, width)"),
    (lambda folder: npz_images(folder, npy((121, 28, 28), Images(120, 1).pixels)),
     "holds 94080 values, its shape says 94864"),
    (lambda folder: npz_images(folder, b"not numpy's"),
     '"arr_0.npy" is not a NumPy array'),
], ids=["cut", "flipped", "member", "type", "fortran", "shape", "count", "npy"])
def test_corrupt_npz(new_daemon, damage, message):
    daemon = new_daemon()
    folder = daemon.datasets / "KMNIST"
    write_npz_set(folder, 120, 60)
    damage(folder)
    with daemon.start().client() as client:
        assert refusal(client, ONCE).startswith(f'"{folder / NPZ_IMAGES}": {message}')


def test_corrupt_cache_is_made_anew(new_daemon):
    daemon = new_daemon()
    write_idx_set(daemon.datasets / "KMNIST", 120, 60)
    with daemon.start().client() as client:
        expected = train(client, "first")
    daemon.stop()
    for file in (daemon.folder / "cache").rglob("*.safetensors"):
        data = bytearray(file.read_bytes())
        data[-1] ^= 1
        file.write_bytes(data)
    with daemon.start().client() as client:
        client.submit({"name": "second", **ONCE, "seed": 2})
        client.await_final("second")
        (job,) = client.jobs("second")
        assert job["state"] == "done", job["reason"]
        assert client.call("show", target=str(job["id"]))["run"]["dataset_digest"] == expected[0]


def damaged_checkpoint(daemon, damage):
    """Trains, damages the last checkpoint, asks for more epochs."""
    with daemon.start().client() as client:
        client.submit({"name": "short", "nb_epochs": 2})
        client.await_final("short")
        (file,) = (daemon.state / "runs").rglob("*.safetensors")
        damage(file)
        client.submit({"name": "more", "nb_epochs": 3})
        client.await_final("more")
        (job,) = client.jobs("more")
        assert job["state"] == "done", job["reason"]
        rows = [{**row, "seconds": 0, "job": 0} for row in client.history("more")]
        return file, rows


@pytest.fixture
def undamaged(new_daemon):
    return damaged_checkpoint(new_daemon("good"), lambda file: None)[1]


def flip(file):
    data = bytearray(file.read_bytes())
    data[-5] ^= 1
    file.write_bytes(data)


@pytest.mark.parametrize("damage, is_there", [
    (flip, True),
    (lambda file: file.write_bytes(file.read_bytes()[:-10]), True),
    (lambda file: file.write_bytes(b""), True),
    (lambda file: file.write_bytes(b"\xff" * 100), True),
    (lambda file: file.unlink(), False),
], ids=["flipped", "short", "empty", "nonsense", "gone"])
def test_unreadable_checkpoint(new_daemon, undamaged, damage, is_there):
    """It is set aside with a warning, and the run starts over: the same rows."""
    daemon = new_daemon()
    file, rows = damaged_checkpoint(daemon, damage)
    assert rows == undamaged
    aside = file.with_name(file.name + ".damaged")
    assert aside.exists() == is_there
    if is_there:
        assert f'checkpoint "{file}" is damaged and renamed to *.damaged' in daemon.stderr()
