#!/usr/bin/env python3
"""Writes diagnostics.json: what NumPy makes of the first batch of networks at
their initial weights, in float64 (worker/engine/diagnostics.h).

    make_diagnostics.py > tests/golden/diagnostics.json

worker_engine_diagnostics.c measures the same.
"""
import json

import numpy as np

import gait_reference as reference

ROWS = 12
SQUARE, TOWER = [35, 35, 35, 35], [35, 22, 13, 10]  # no multiples of a vector

CASES = [
    # algorithm, widths, linear, orthogonal_init
    (algorithm, widths, linear, orthogonal)
    for algorithm in ("BP", "GAIT", "TP")
    for widths in (SQUARE, TOWER)
    for linear, orthogonal in ((False, True), (False, False), (True, False))
]


def angle(a, b):
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    degrees = np.degrees(2 * np.arctan2(np.linalg.norm(a - b), np.linalg.norm(a + b)))
    assert abs(np.cos(np.radians(degrees)) - np.sum(a * b)) < 1e-14
    return degrees


def off_diagonal(W):
    gram = W @ W.T
    np.fill_diagonal(gram, 0.0)
    return np.linalg.norm(gram)


def layers(case, x, labels):
    algorithm, widths, linear, orthogonal = case
    net = reference.Network(reference.initial_weights(widths, 1, orthogonal),
                            [np.zeros(n) for n in widths], linear)
    xs = net.forward(x)
    rule, bp = (reference.layer_errors(net, xs, labels, name) for name in (algorithm, "BP"))
    rule_gradients, bp_gradients = (reference.gradients(net, xs, deltas, 0.0)
                                    for deltas in (rule, bp))
    return [{
        "angle": angle(rule_gradients[l][0], bp_gradients[l][0]),
        "off_diagonal": off_diagonal(W),
        "condition": np.linalg.cond(W),
        "error_rms": np.sqrt(np.mean((rule[l] / reference.derivative(xs[l + 1], linear)) ** 2)),
    } for l, W in enumerate(net.W)]


def main():
    x, labels = reference.toy_data(ROWS, SQUARE[0], seed=7)
    head = {"pixels": np.rint(x * 255).astype(int).tolist(), "labels": labels.tolist()}
    text = json.dumps(head)[:-1] + ', "cases": [\n'
    text += ",\n".join(json.dumps({
        "algorithm": case[0], "widths": case[1], "linear": case[2],
        "orthogonal_init": case[3], "layers": layers(case, x, labels),
    }) for case in CASES) + "\n]}"
    print(text)


if __name__ == "__main__":
    main()
