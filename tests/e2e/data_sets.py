"""Small data sets in the formats that the real ones come in."""

import gzip
import random
import struct
import zipfile

CLASSES = 10
IDX_FILES = {
    ("train", "images"): "train-images-idx3-ubyte",
    ("train", "labels"): "train-labels-idx1-ubyte",
    ("test", "images"): "t10k-images-idx3-ubyte",
    ("test", "labels"): "t10k-labels-idx1-ubyte",
}
KMNIST_NPZ_FILES = {
    ("train", "images"): "kmnist-train-imgs.npz",
    ("train", "labels"): "kmnist-train-labels.npz",
    ("test", "images"): "kmnist-test-imgs.npz",
    ("test", "labels"): "kmnist-test-labels.npz",
}


class Images:
    """Rows of pixels that can be learned: a blot per class, and noise."""

    def __init__(self, rows, seed, side=28):
        chance = random.Random(seed)
        self.rows, self.side = rows, side
        self.labels = bytes(row % CLASSES for row in range(rows))
        self.pixels = b"".join(self.image(chance, label) for label in self.labels)

    def image(self, chance, label):
        pixels = bytearray(chance.randbytes(self.side * self.side))
        for i in range(len(pixels)):
            pixels[i] >>= 3
        lit = len(pixels) // CLASSES
        for i in range(label * lit, (label + 1) * lit):
            pixels[i] |= 0xC0
        pixels[0] = 255  # the pixel that stands for 1, in every set
        return bytes(pixels)


def idx_images(images, magic=0x803, rows=None):
    rows = images.rows if rows is None else rows
    return struct.pack(">IIII", magic, rows, images.side, images.side) + images.pixels


def idx_labels(images, magic=0x801, rows=None):
    rows = images.rows if rows is None else rows
    return struct.pack(">II", magic, rows) + images.labels


def npy(shape, data, dtype="|u1", order=False):
    header = f"{{'descr': '{dtype}', 'fortran_order': {order}, 'shape': {shape}, }}"
    header += " " * (-(len(header) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def write_npz(path, array, compression=zipfile.ZIP_DEFLATED):
    """As numpy.savez_compressed does it, zip64 sizes in the local header included."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        with archive.open("arr_0.npy", "w", force_zip64=True) as member:
            member.write(array)


def halves(train_rows, test_rows, seed):
    return (("train", Images(train_rows, seed)), ("test", Images(test_rows, seed + 1)))


def write_idx_set(folder, train_rows, test_rows, seed=1, packed=False):
    folder.mkdir(parents=True, exist_ok=True)
    for half, images in halves(train_rows, test_rows, seed):
        for kind, write in (("images", idx_images), ("labels", idx_labels)):
            data, name = write(images), IDX_FILES[half, kind]
            if packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(data, 1, mtime=0))
            else:
                (folder / name).write_bytes(data)


def write_npz_set(folder, train_rows, test_rows, seed=1, **options):
    folder.mkdir(parents=True, exist_ok=True)
    for half, images in halves(train_rows, test_rows, seed):
        write_npz(folder / KMNIST_NPZ_FILES[half, "images"],
                  npy((images.rows, images.side, images.side), images.pixels), **options)
        write_npz(folder / KMNIST_NPZ_FILES[half, "labels"],
                  npy(f"({images.rows},)", images.labels), **options)
