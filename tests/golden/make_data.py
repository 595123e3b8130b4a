"""Writes tests/golden/data: a tiny KMNIST as NumPy packs it, both ways.

Pixel i of a half is 7 i mod 251, label i is i mod 10; 12 training rows and 5
test rows of 4 x 3 pixels.  Run it with numpy; the files are kept, because not
every machine that runs the tests has numpy.
"""

import pathlib

import numpy as np

DATA = pathlib.Path(__file__).parent / "data"
ROWS = {"train": 12, "test": 5}

for how, save in (("stored", np.savez), ("deflated", np.savez_compressed)):
    folder = DATA / how
    folder.mkdir(parents=True, exist_ok=True)
    for half, rows in ROWS.items():
        pixels = (np.arange(rows * 12) * 7 % 251).astype(np.uint8).reshape(rows, 4, 3)
        labels = (np.arange(rows) % 10).astype(np.uint8)
        save(folder / f"kmnist-{half}-imgs.npz", pixels)
        save(folder / f"kmnist-{half}-labels.npz", labels)
