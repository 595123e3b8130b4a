#!/usr/bin/env python3
"""Executable specification of the training engine, in float64 NumPy.

It favours clarity over speed and is the arbiter when prose and code disagree.
The worker's engine cites the same equations in its headers.  Nothing in the product
imports it: it exists to generate golden vectors and to settle arguments.

    gait_reference.py vectors OUTDIR      write golden vectors (JSON, float64)
    gait_reference.py selftest            internal consistency checks
"""
import json
import os
import sys

import numpy as np

SLOPE = 0.1      # leaky-ReLU slope for negative pre-activations
GAMMA = 1e-3     # GAIT-prop's step towards the target
BETA1, BETA2, EPSILON = 0.9, 0.99, 1e-8
CLASSES = 10


def activate(z, linear):
    return z if linear else np.where(z < 0.0, SLOPE * z, z)


def inverse_activate(x, linear):
    return x if linear else np.where(x < 0.0, x / SLOPE, x)


def derivative(x, linear):
    """Slope of the activation at output x (the sign survives the activation; 0 counts as positive)."""
    return np.ones_like(x) if linear else np.where(x < 0.0, SLOPE, 1.0)


# --- network -----------------------------------------------------------------

class Network:
    """Invertible layers: X[l] = activate(X[l-1][:, :n] @ W[l] + b[l]), W[l] is n x n.

    `widths` lists the layer widths after the input, non-increasing; a layer
    reads only the first widths[l] columns of what is below it.  The columns it
    does not read are auxiliary: they carry no error.
    """

    def __init__(self, weights, biases, linear):
        self.W = [w.copy() for w in weights]
        self.b = [b.copy() for b in biases]
        self.linear = linear

    def forward(self, x):
        xs = [x]
        for W, b in zip(self.W, self.b):
            xs.append(activate(xs[-1][:, :W.shape[0]] @ W + b, self.linear))
        return xs


def haar_orthogonal(n):
    """Haar-distributed orthogonal matrix by Householder reflections, drawing from NumPy's global
    legacy stream: the algorithm of SciPy's ortho_group before 1.10, which the published results used.
    Check: np.random.seed(1), n = 4, first row 0.77062242 -0.18660991 -0.37804738 -0.47791003."""
    H = np.eye(n)
    for k in range(n):
        x = np.random.normal(size=n - k)
        norm2, x0 = x @ x, x[0]
        sign = np.sign(x0) if x0 != 0.0 else 1.0
        x[0] += sign * np.sqrt(norm2)
        x /= np.sqrt((norm2 - x0 * x0 + x[0] * x[0]) / 2.0)
        H[:, k:] = -sign * (H[:, k:] - np.outer(H[:, k:] @ x, x))
    return H


def initial_weights(widths, seed, orthogonal):
    """Per-layer weights.  Layer k is seeded with seed + k, except that in a
    network of equal widths the output layer repeats the last hidden layer's seed."""
    square = len(set(widths)) == 1
    weights = []
    for k, n in enumerate(widths):
        np.random.seed(seed + (min(k, max(len(widths) - 2, 0)) if square else k))
        weights.append(haar_orthogonal(n) if orthogonal else np.random.randn(n, n) * np.sqrt(2.0 / (n + n)))
    return weights


# --- learning rules: per-layer errors at the pre-activations -------------------

def output_error(xs, labels):
    """X[L] - target: one-hot on the first CLASSES columns, zero on the auxiliary ones."""
    e = np.zeros_like(xs[-1])
    e[:, :CLASSES] = xs[-1][:, :CLASSES] - np.eye(CLASSES)[labels]
    return e


def layer_errors(net, xs, labels, algorithm):
    """delta[l] (N x n_l), so that the gradient of layer l is X[l-1]^T delta[l] / N."""
    L = len(net.W)
    e, deltas, scale = output_error(xs, labels), [None] * L, 1.0
    for l in reversed(range(L)):
        W, x = net.W[l], xs[l + 1]
        g = derivative(x, net.linear)
        deltas[l] = g * e
        if l == 0:
            break
        if algorithm == "BP":
            below = deltas[l] @ W.T
        else:
            # both move the layer's output by `step` and ask the exact inverse what input would have done that
            if algorithm == "GAIT":
                scale *= GAMMA
                step = scale * g * g * e
            else:
                step = e
            moved = inverse_activate(x, net.linear) - inverse_activate(x - step, net.linear)
            if algorithm == "GAIT":
                crossed = (x < 0.0) != (x - step < 0.0)
                moved = np.where(crossed & (not net.linear), moved / scale, g * e)
            below = np.linalg.solve(W.T, moved.T).T
        e = np.zeros_like(xs[l])
        e[:, :W.shape[0]] = below
    return deltas


def regulariser_gradient(W, orthogonal_reg):
    """d/dW of orthogonal_reg * sum over a != b of (W W^T)[a,b]^2.  At orthogonal W it is rounding noise."""
    gram = W @ W.T
    np.fill_diagonal(gram, 0.0)
    return orthogonal_reg * 4.0 * gram @ W


def gradients(net, xs, deltas, orthogonal_reg):
    grads = []
    for l, delta in enumerate(deltas):
        W = net.W[l]
        gW = xs[l][:, :W.shape[0]].T @ delta / len(delta)
        if orthogonal_reg != 0.0:
            gW = gW + regulariser_gradient(W, orthogonal_reg)
        grads.append((gW, delta.mean(axis=0)))
    return grads


# --- optimiser ---------------------------------------------------------------

class Adam:
    """Moments 0.9 / 0.99, no bias correction, epsilon outside the root."""

    def __init__(self, net):
        self.m = [[np.zeros_like(w), np.zeros_like(b)] for w, b in zip(net.W, net.b)]
        self.v = [[np.zeros_like(w), np.zeros_like(b)] for w, b in zip(net.W, net.b)]

    def step(self, net, grads, rate):
        for l, pair in enumerate(grads):
            for k, g in enumerate(pair):
                m = self.m[l][k] = BETA1 * self.m[l][k] + (1.0 - BETA1) * g
                v = self.v[l][k] = BETA2 * self.v[l][k] + (1.0 - BETA2) * g * g
                p = (net.W, net.b)[k]
                p[l] = p[l] - rate * m / (EPSILON + np.sqrt(v))


# --- evaluation ----------------------------------------------------------------

def evaluate(net, x, labels):
    """accuracy: share of rows whose largest of the first CLASSES outputs is the label (first wins a tie);
    loss: mean over rows of the summed squared error of those outputs."""
    out = net.forward(x)[-1][:, :CLASSES]
    return (float(np.mean(out.argmax(axis=1) == labels)),
            float(np.mean(np.sum((out - np.eye(CLASSES)[labels]) ** 2, axis=1))))


def train(net, x, labels, algorithm, orthogonal_reg, rate, batch, steps):
    """Batches in data order, wrapping at the end of the data; returns the gradients of the first step."""
    adam, first, batches = Adam(net), None, len(x) // batch
    for s in range(steps):
        k = s % batches
        rows = slice(k * batch, (k + 1) * batch)
        xs = net.forward(x[rows])
        grads = gradients(net, xs, layer_errors(net, xs, labels[rows], algorithm), orthogonal_reg)
        first = first or grads
        adam.step(net, grads, rate)
    return first


# --- golden vectors --------------------------------------------------------------

CASES = [
    # name, widths, algorithm, linear, orthogonal init, orthogonal_reg, rate
    ("square_bp", [16, 16, 16], "BP", False, True, 0.0, 1e-3),
    ("square_bp_reg", [16, 16, 16], "BP", False, False, 0.1, 1e-3),
    ("square_gait", [16, 16, 16], "GAIT", False, True, 0.1, 1e-3),
    ("square_gait_xavier", [16, 16, 16], "GAIT", False, False, 0.1, 1e-3),
    ("square_tp", [16, 16, 16], "TP", False, True, 1000.0, 1e-3),
    ("square_tp_xavier", [16, 16, 16], "TP", False, False, 0.1, 1e-3),
    ("square_tp_linear", [16, 16, 16], "TP", True, True, 1000.0, 1e-3),
    ("square_gait_linear", [16, 16, 16], "GAIT", True, True, 0.1, 1e-3),
    ("tower_bp", [16, 14, 12, 10], "BP", False, True, 0.0, 1e-3),
    ("tower_gait", [16, 14, 12, 10], "GAIT", False, True, 0.1, 1e-3),
    ("tower_tp", [16, 14, 12, 10], "TP", False, True, 1000.0, 1e-3),
]


def toy_data(rows, width, seed):
    rng = np.random.RandomState(seed)
    return rng.randint(0, 256, size=(rows, width)) / 255.0, rng.randint(0, CLASSES, size=rows)


def write_vectors(folder):
    os.makedirs(folder, exist_ok=True)
    for name, widths, algorithm, linear, orthogonal, reg, rate in CASES:
        x, labels = toy_data(96, widths[0], seed=7)
        weights = initial_weights(widths, 1, orthogonal)
        net = Network(weights, [np.zeros(n) for n in widths], linear)
        before = evaluate(net, x, labels)
        xs = net.forward(x[:12])
        data = gradients(net, xs, layer_errors(net, xs, labels[:12], algorithm), 0.0)
        first = train(net, x, labels, algorithm, reg, rate, batch=12, steps=20)
        case = {
            "case": name, "widths": widths, "algorithm": algorithm, "linear": linear,
            "orthogonal_reg": reg, "learning_rate": rate, "batch_size": 12, "steps": 20,
            "pixels": np.rint(x * 255).astype(int).tolist(), "labels": labels.tolist(),
            "initial_weights": [w.tolist() for w in weights],
            "first_data_gradient_weights": [g.tolist() for g, _ in data],
            "first_regulariser_gradient_weights": [regulariser_gradient(w, reg).tolist() for w in weights],
            "first_gradient_weights": [g.tolist() for g, _ in first],
            "first_gradient_biases": [b.tolist() for _, b in first],
            "accuracy_loss_before": before, "accuracy_loss_after": evaluate(net, x, labels),
            "final_weights": [w.tolist() for w in net.W], "final_biases": [b.tolist() for b in net.b],
        }
        with open(os.path.join(folder, name + ".json"), "w") as f:
            json.dump(case, f)


def selftest():
    np.random.seed(1)
    assert np.allclose(haar_orthogonal(4)[0], [0.77062242, -0.18660991, -0.37804738, -0.47791003])
    x, labels = toy_data(24, 16, seed=3)
    for linear in (False, True):
        weights = initial_weights([16, 16, 16], 5, True)
        net = Network(weights, [np.zeros(16)] * 3, linear)
        xs = net.forward(x)
        bp, gait = (layer_errors(net, xs, labels, a) for a in ("BP", "GAIT"))
        for a, b in zip(bp, gait):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-12), "orthogonal weights: GAIT must equal BP"
    print("selftest ok")


if __name__ == "__main__":
    if sys.argv[1:2] == ["vectors"] and len(sys.argv) == 3:
        write_vectors(sys.argv[2])
    elif sys.argv[1:] == ["selftest"]:
        selftest()
    else:
        sys.exit(__doc__)
