#!/usr/bin/env python3
"""Writes vectors/published_*.json: GAIT-prop in the arithmetic it was
published with, in float64 NumPy: every layer's activity is moved by gamma,
taken through an inverse matrix, subtracted, and divided by gamma.

    make_published.py tests/golden/vectors

Shallow networks only: deeper, its rounding takes over, and two NumPys differ.
The rest (network, optimiser, metrics) is the reference's, as is the format.
"""
import json
import os
import sys

import numpy as np

import gait_reference as reference


def target(xs, labels):
    """One-hot classes; the auxiliary outputs are their own target."""
    t = xs[-1].copy()
    t[:, :reference.CLASSES] = np.eye(reference.CLASSES)[labels]
    return t


def layer_errors(net, xs, labels, algorithm):
    assert algorithm == "GAIT"
    deltas, t, scale = [], target(xs, labels), 1.0
    for l in reversed(range(len(net.W))):
        W, y, below = net.W[l], xs[l + 1], xs[l]
        d = reference.derivative(y, net.linear)
        deltas.insert(0, d * (scale * (y - t)))
        part = reference.GAMMA * d * d
        moved = (1.0 - part) * y + part * t
        z = reference.inverse_activate(moved, net.linear) - net.b[l]
        t = below.copy()  # units that are not read stay where they are
        t[:, :W.shape[0]] = z @ np.linalg.inv(W)
        scale = scale / reference.GAMMA
    return deltas


# Name, widths, linear, orthogonal initial weights, gamma.
CASES = [
    ("published_square", [16, 16], False, True, 1e-3),
    ("published_kinks", [16, 16, 16], False, False, 1.0),
    ("published_linear", [16, 16, 16], True, False, 0.1),
    ("published_tower", [16, 14, 12, 10], False, True, 0.5),
]


def main(folder):
    reference.layer_errors = layer_errors
    for name, widths, linear, orthogonal, gamma in CASES:
        reference.GAMMA = gamma
        reference.CASES = [
            (name, widths, "GAIT", linear, orthogonal, 0.1, 1e-3)]
        reference.write_vectors(folder)
        path = os.path.join(folder, name + ".json")
        with open(path) as f:
            case = json.load(f)
        with open(path, "w") as f:
            json.dump({**case, "gamma": gamma}, f)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
