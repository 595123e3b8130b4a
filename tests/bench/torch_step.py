#!/usr/bin/python3
"""The engine's BP and GAIT steps as one writes them in PyTorch: float32, one
thread, a square network of five layers of 784 units, batches of 60.

Reads "bp" or "gait" a line, takes one step, answers with its seconds of wall
time and of processor time.  Says "ready" first; ends at once where there is
no PyTorch.
"""

import os
import sys
import time

# Debian's PyTorch leaves products to the system's BLAS, which reads its own
# variables, once, and heeds set_num_threads only where it is built with OpenMP.
for library in ("OPENBLAS", "OMP", "MKL"):
    os.environ[library + "_NUM_THREADS"] = "1"

try:
    import torch
except ImportError:
    sys.exit(1)

torch.set_num_threads(1)
torch.manual_seed(1)
WIDTH, LAYERS, BATCH, CLASSES = 784, 5, 60, 10
RATE, LEAK = 1e-4, 0.1


class Network:
    def __init__(self):
        self.weights = [torch.linalg.qr(torch.randn(WIDTH, WIDTH))[0].contiguous()
                        for _ in range(LAYERS)]
        self.biases = [torch.zeros(WIDTH) for _ in range(LAYERS)]
        self.parameters = self.weights + self.biases
        self.m = [torch.zeros_like(p) for p in self.parameters]
        self.v = [torch.zeros_like(p) for p in self.parameters]

    def descend(self, gradients):
        for p, m, v, g in zip(self.parameters, self.m, self.v, gradients):
            m.mul_(0.9).add_(g, alpha=0.1)
            v.mul_(0.99).addcmul_(g, g, value=0.01)
            p.addcdiv_(m, v.sqrt().add_(1e-8), value=-RATE)


def slope(y):
    return torch.where(y >= 0, 1.0, LEAK)


def step(network, x, labels, inverts, strength):
    outputs = [x]
    for w, b in zip(network.weights, network.biases):
        outputs.append(torch.nn.functional.leaky_relu(outputs[-1] @ w + b, LEAK))
    error = torch.zeros_like(outputs[-1])
    error[:, :CLASSES] = outputs[-1][:, :CLASSES]
    error[torch.arange(BATCH), labels] -= 1.0
    weight_gradients, bias_gradients = [], []
    for l in reversed(range(LAYERS)):
        w = network.weights[l]
        delta = slope(outputs[l + 1]) * error
        gradient = outputs[l].T @ delta / BATCH
        if strength:
            gram = w @ w.T
            gram.fill_diagonal_(0.0)
            gradient += 4.0 * strength * gram @ w
        weight_gradients.insert(0, gradient)
        bias_gradients.insert(0, delta.mean(0))
        if l > 0:
            error = delta @ (torch.linalg.inv(w) if inverts else w.T)
    network.descend(weight_gradients + bias_gradients)


def main():
    networks = {"bp": (Network(), False, 0.0), "gait": (Network(), True, 0.1)}
    pixels = torch.rand(BATCH, WIDTH) * (torch.rand(BATCH, WIDTH) < 0.2)
    labels = torch.randint(CLASSES, (BATCH,))
    print("ready", flush=True)
    with torch.no_grad():
        for line in sys.stdin:
            network, inverts, strength = networks[line.strip()]
            start, begun = time.perf_counter(), time.process_time()
            step(network, pixels, labels, inverts, strength)
            print(time.perf_counter() - start, time.process_time() - begun, flush=True)


main()
