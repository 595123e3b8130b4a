#!/usr/bin/env python3
"""Writes trajectories.json: what the reference measures during an epoch on
Fashion-MNIST (Debian's dataset-fashion-mnist), 784 wide, in float64.

    make_trajectories.py > tests/golden/trajectories.json      some minutes

worker_engine_trajectory.c trains the same and compares row by row.
"""
import gzip
import json
import sys

import numpy as np

import gait_reference as reference

FOLDER = "/usr/share/datasets/fashion-mnist/"
TRAIN_ROWS, TEST_ROWS, BATCH = 1200, 1000, 60
EVAL_EVERY, EVAL_OFFSET = 5, 1
LEARNING_RATE = 1e-3

# No regulariser at orthogonal weights: there its gradient is rounding noise,
# which the optimiser blows up wherever the data has no gradient.
CASES = [
    # algorithm, nb_layers (0: tower), linear, orthogonal_init, orthogonal_reg
    ("BP", 1, False, True, 0.0),
    ("BP", 2, False, False, 0.1),
    ("GAIT", 1, False, False, 0.1),
    ("GAIT", 2, False, True, 0.0),
    ("GAIT", 2, False, False, 0.1),
    ("TP", 1, False, True, 0.0),
    ("TP", 2, False, False, 0.1),
    ("TP", 1, True, True, 0.0),
    ("BP", 0, False, True, 0.0),
    ("GAIT", 0, False, True, 0.0),
    ("TP", 0, False, False, 0.1),
]


def rows(name, count):
    with gzip.open(FOLDER + name + "-images-idx3-ubyte.gz") as f:
        pixels = np.frombuffer(f.read(16 + count * 784)[16:], np.uint8)
    with gzip.open(FOLDER + name + "-labels-idx1-ubyte.gz") as f:
        labels = np.frombuffer(f.read(8 + count)[8:], np.uint8)
    return pixels.reshape(count, 784) / 255.0, labels


def is_due(batch, batches):
    past = batch - EVAL_OFFSET
    return batch in (0, batches) or (past > 0 and past % EVAL_EVERY == 0)


def trajectory(case, train, test):
    algorithm, nb_layers, linear, orthogonal, reg = case
    widths = [784] * (nb_layers + 1) if nb_layers else [784, 500, 200, 10]
    net = reference.Network(reference.initial_weights(widths, 1, orthogonal),
                            [np.zeros(n) for n in widths], linear)
    adam, measured = reference.Adam(net), []
    batches = len(train[0]) // BATCH
    for batch in range(batches + 1):
        if is_due(batch, batches):
            measured.append([batch, *reference.evaluate(net, *train),
                             *reference.evaluate(net, *test)])
        if batch < batches:
            part = slice(batch * BATCH, (batch + 1) * BATCH)
            xs, labels = net.forward(train[0][part]), train[1][part]
            deltas = reference.layer_errors(net, xs, labels, algorithm)
            adam.step(net, reference.gradients(net, xs, deltas, reg),
                      LEARNING_RATE)
    return {"algorithm": algorithm, "nb_layers": nb_layers, "linear": linear,
            "orthogonal_init": orthogonal, "orthogonal_reg": reg,
            "rows": measured}


def main():
    train, test = rows("train", TRAIN_ROWS), rows("t10k", TEST_ROWS)
    assert train[0].max() == 1.0
    cases = []
    for case in CASES:
        print(case, file=sys.stderr)
        cases.append(trajectory(case, train, test))
    head = {"train_rows": TRAIN_ROWS, "test_rows": TEST_ROWS,
            "batch_size": BATCH, "eval_every": EVAL_EVERY,
            "eval_offset": EVAL_OFFSET, "learning_rate": LEARNING_RATE,
            "columns": ["step", "train_accuracy", "train_loss",
                        "test_accuracy", "test_loss"]}
    text = json.dumps(head)[:-1] + ', "cases": [\n'
    text += ",\n".join(json.dumps(case) for case in cases) + "\n]}"
    print(text)


if __name__ == "__main__":
    main()
