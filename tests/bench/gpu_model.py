#!/usr/bin/env python3
"""What a training would need of a GPU, from counts: the tables of docs/gpu.md.

    gpu_model.py BUILD            prints them
    gpu_model.py BUILD --check    compares them with the document, and the calls
                                  of a step with those that the plugin makes
    gpu_model.py BUILD --update   writes them into the document

Nothing here was measured on a GPU.  Counted: the operations of a step (steps()
follows worker/engine/step.c) and their blocks, FLOPs and bytes; the plugin on
the libraries of tests/cuda confirms the calls.  CARDS are data sheets; what is
ASSUMED is neither.
"""

import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DOCUMENT = ROOT / "docs/gpu.md"

# Peak rates in FLOP/s: of products in float32, in float64, with TF32; bytes/s.
Card = collections.namedtuple("Card", "name processors float32 float64 tf32 bandwidth l2")
CARDS = (Card("H100 SXM", 132, 66.9e12, 33.5e12, 494.7e12, 3.35e12, 50e6),
         Card("RTX 4090", 128, 82.6e12, 1.29e12, 82.6e12, 1.008e12, 72e6))

# ASSUMED
HOST_S = 2.5e-6     # of the host, to submit a kernel
LEAST_S = 3.0e-6    # from one small kernel's start to that of the next
GRAPH_S = 1.5e-6    # the same within a CUDA graph; and how long its blocks are there
REACHED = 0.7       # of peak, by a product whose blocks fill the card
TILE = 64           # rows and columns of a product's block
COLUMN_S = 1.0e-6   # LU: for each column the next one waits for
PANEL = 32          # LU and triangular solves: columns between two launches
PCIE = 25e9         # bytes/s, pinned
HASH = 10e9         # bytes/s, of the state, by the host

WIDTH, BATCH, CLASSES, CHUNK, THREADS = 784, 60, 10, 1000, 256
DEPTHS = (1, 4, 8)
CASES = [("BP", 0.0), ("BP", 0.1), ("GAIT", 0.1)]

# kind: which call it is ("within": part of the one before); columns: of LU.
Op = collections.namedtuple("Op", "kind name flops elements blocks launches columns")


def up(a, b):
    return -(-a // b)


def kernel(name, elements, blocks, bytes_only=0):
    return Op("launch", name, 0, elements, blocks, 1, 0)


def each(name, reads, writes, rows=BATCH, cols=WIDTH):
    """A thread for every element of rows x cols."""
    return kernel(name, (reads + writes) * rows * cols, up(rows * cols, THREADS))


def product(m, k, n, reads_result=False, name="product"):
    elements = m * k + k * n + m * n * (2 if reads_result else 1)
    return Op("gemm", f"{name} {m} x {k} x {n}", 2 * m * k * n, elements,
              up(m, TILE) * up(n, TILE), 1, 0)


def factor():
    """LU in place, by panels: a panel's columns follow each other, and what lies to
    their right (half of the matrix, on average) is brought up to date."""
    n, panels = WIDTH, up(WIDTH, PANEL)
    inside = n * n * PANEL / 2
    return [Op("getrf", "LU: panels", inside, n * n, up(n, THREADS), panels, n),
            Op("within", "LU: rest", 2 * n**3 / 3 - inside, n * n * panels, up(n, TILE)**2 // 2,
               2 * panels, 0)]


def solve():
    """Row swaps, then two triangular solves by panels."""
    n = WIDTH
    return Op("getrs", "solve", 2 * n * n * BATCH, n * n + 4 * n * BATCH, up(n, TILE),
              1 + 2 * up(n, PANEL), 0)


def propagate(rule):
    n, b = WIDTH, BATCH
    if rule == "BP":
        return [product(b, n, n)]
    return [each("invert", 2, 1), each("copy", 1, 1),
            each("copy n x n", 1, 1, n, n), *factor(), solve(),
            each("copy", 1, 1), product(b, n, n, True, "residual"), solve(), each("add", 2, 1)]


def gradient(rule, reg, layer):
    n, b = WIDTH, BATCH
    ops = [kernel("gate_mean", 3 * b * n, up(n, 32)), product(n, b, n)]
    if reg:
        ops += [product(n, n, n), kernel("diagonal", 2 * n, up(n, THREADS)),
                product(n, n, n, True)]
    return ops + (propagate(rule) if layer else [])


def step(rule, reg, hidden):
    n, b, layers = WIDTH, BATCH, hidden + 1
    ops = [Op("launch", "gather", 0, b * n * 1.25, up(b * n, THREADS), 1, 0)]
    for _ in range(layers):
        ops += [product(b, n, n), each("activate", 1, 1)]
    ops.append(each("output_error", 1, 1))
    for layer in range(layers - 1, -1, -1):
        ops += gradient(rule, reg, layer)
    parameters = layers * (n * n + n)
    blocks = layers * (up(n * n, 4 * THREADS) + 1)
    return ops + [kernel("descend", 7 * parameters, blocks)]


def nominal(rule, reg, hidden):
    """FLOPs as schema/work.h counts them."""
    n, layers = WIDTH, hidden + 1
    flops = 2 * n * n * BATCH * (2 * layers + hidden)
    flops += 2 / 3 * n**3 * hidden if rule == "GAIT" else 0
    return flops + (3 * n**3 * layers if reg else 0)


# --- time -------------------------------------------------------------------


class Machine:
    """A card, and how it is used: `together` jobs in every launch; a graph or
    not; columns of LU one after another or, at best, for nothing; products
    spread over the card or not (split_k)."""

    def __init__(self, card, precision="float32", together=1, graph=False, is_best=False):
        self.card, self.together, self.is_best = card, together, is_best
        self.tensor = REACHED * getattr(card, precision)
        self.rate = REACHED * (card.float64 if precision == "float64" else card.float32)
        self.bytes = 8 if precision == "float64" else 4
        self.least = GRAPH_S if graph else LEAST_S
        self.host = 0 if graph else HOST_S

    def share(self, op):
        """Of the multiprocessors that have a block."""
        blocks, processors = op.blocks * self.together, self.card.processors
        if self.is_best and op.flops:
            return 1.0
        if op.flops:  # rounds of blocks, the last one not full
            return blocks / (up(blocks, processors) * processors)
        return min(1.0, blocks / processors)

    def seconds(self, op):
        is_tensor = op.name.startswith("product")  # LU and residuals are not
        rate = self.tensor if is_tensor else self.rate
        work = op.flops * self.together / (rate * self.share(op))
        memory = op.elements * self.bytes * self.together / self.card.bandwidth
        waits = 0 if self.is_best else op.columns * COLUMN_S
        return max(work, memory, waits, op.launches * self.least)

    def step(self, ops):
        """Seconds of the device, seconds of the host, seconds of whole processors."""
        device = sum(self.seconds(op) for op in ops)
        host = sum(op.launches for op in ops) * self.host
        busy = sum(self.busy(op) for op in ops)
        return device, host, busy

    def busy(self, op):
        """Seconds of the card that its blocks keep from others."""
        gaps = op.launches * (self.least - GRAPH_S)
        return max(self.seconds(op) - gaps, op.launches * GRAPH_S) * self.share(op)


def per_job(machine, ops):
    device, host, _ = machine.step(ops)
    return max(device, host) / machine.together


# --- tables -----------------------------------------------------------------


def table(head, rows):
    yield "| " + " | ".join(head) + " |"
    yield "| --- |" + " ---: |" * (len(head) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def title(rule, reg, hidden):
    return f"{rule}{' + regulariser' if reg and rule == 'BP' else ''}, {hidden}"


def every():
    for rule, reg in CASES:
        for hidden in DEPTHS:
            yield title(rule, reg, hidden), rule, reg, hidden


def ms(seconds):
    return f"{1e3 * seconds:.3f}" if seconds < 1e-3 else f"{1e3 * seconds:.2f}"


def tally(ops):
    return collections.Counter(op.kind for op in ops)


def counts(build):
    head = ["rule, hidden layers", "own kernels", "products", "LU", "solves", "GFLOP", "MB moved",
            "MB held"]
    rows = []
    for name, rule, reg, hidden in every():
        ops = step(rule, reg, hidden)
        kinds = tally(ops)
        _, held = account(build, rule, reg, hidden, 1)
        rows.append([name] + [str(kinds[kind]) for kind in ("launch", "gemm", "getrf", "getrs")] +
                    [f"{nominal(rule, reg, hidden) / 1e9:.2f}",
                     f"{4 * sum(op.elements for op in ops) / 1e6:.0f}", f"{held / 1e6:.0f}"])
    return table(head, rows)


def times(_):
    head = ["rule, hidden layers"]
    for card in CARDS:
        head += [f"{card.name}: at best", "as assumed", "of the peak", "of the card"]
    rows = []
    for name, rule, reg, hidden in every():
        row, ops = [name], step(rule, reg, hidden)
        for card in CARDS:
            machine = Machine(card)
            seconds = per_job(machine, ops)
            busy = machine.step(ops)[2]
            flops = nominal(rule, reg, hidden)
            row += [ms(per_job(Machine(card, is_best=True), ops)), ms(seconds),
                    f"{100 * flops / seconds / card.float32:.0f} %", f"{100 * busy / seconds:.0f} %"]
        rows.append(row)
    return table(head, rows)


def blocks(_):
    seen = {}
    for op in step("GAIT", 0.1, 1):
        seen.setdefault(op.name, op)
    head = ["operation", "blocks", "MFLOP", "MB"] + [f"{card.name}, µs" for card in CARDS]
    rows = [[op.name, str(op.blocks), f"{op.flops / 1e6:.0f}", f"{4 * op.elements / 1e6:.2f}"] +
            [f"{1e6 * Machine(card).seconds(op):.1f}" for card in CARDS] for op in seen.values()]
    return table(head, rows)


def crowd(card, ops, processes, is_mps):
    """Steps a second of all processes, against one's."""
    machine = Machine(card)
    device, host, busy = machine.step(ops)
    memory = sum(op.elements for op in ops) * machine.bytes / card.bandwidth
    floor = max(busy, memory) if is_mps else device
    return min(processes / max(device, host), 1 / floor) * max(device, host)


def sharing(_):
    head = ["card, rule, hidden layers", "processes", "MPS, 2", "MPS, 4", "MPS, 8", "graph",
            "K = 4", "K = 16"]
    rows = []
    for card in CARDS:
        for name, rule, reg, hidden in every():
            ops = step(rule, reg, hidden)
            alone = per_job(Machine(card), ops)
            gains = [crowd(card, ops, 8, False)]
            gains += [crowd(card, ops, k, True) for k in (2, 4, 8)]
            gains.append(alone / per_job(Machine(card, graph=True), ops))
            gains += [alone / per_job(Machine(card, together=k), ops) for k in (4, 16)]
            rows.append([f"{card.name}, {name}"] + [f"{gain:.1f}" for gain in gains])
    return table(head, rows)


def precisions(_):
    head = ["4 hidden layers, ms"]
    for card in CARDS:
        head += [f"{card.name}: float32", "TF32", "float64"]
    rows = []
    for rule, reg in CASES:
        row, ops = [title(rule, reg, 4).split(",")[0]], step(rule, reg, 4)
        for card in CARDS:
            row += [ms(per_job(Machine(card, precision), ops))
                    for precision in ("float32", "tf32", "float64")]
        rows.append(row)
    return table(head, rows)


def evaluation_ops(layers, rows):
    ops = []
    for done in range(0, rows, CHUNK):
        chunk = min(CHUNK, rows - done)
        ops.append(each("gather", 1, 1, chunk))
        for layer in range(layers):
            cols = CLASSES if layer == layers - 1 else WIDTH
            ops += [product(chunk, WIDTH, cols), each("activate", 1, 1, chunk, cols)]
        ops.append(kernel("score", chunk * CLASSES, 1))
    return ops


def evaluations(_):
    head = ["hidden layers", "kernels and products"]
    for card in CARDS:
        head += [f"{card.name}: device", "and host", "in steps of BP", "two processes"]
    rows = []
    for hidden in DEPTHS:
        ops = evaluation_ops(hidden + 1, 70000)
        state = 3 * 4 * (hidden + 1) * (WIDTH * WIDTH + WIDTH)
        row = [str(hidden), str(len(ops))]
        for card in CARDS:
            seconds = per_job(Machine(card), ops)
            whole = seconds + state / PCIE + state / HASH
            one = per_job(Machine(card), step("BP", 0.0, hidden))
            row += [ms(seconds), ms(whole), f"{whole / one:.0f}",
                    f"{(10 * one + whole) / (10 * one + seconds):.1f}"]
        rows.append(row)
    return table(head, rows)


def inverse(_):
    """The inverses of a step's layers: by LU, all layers' LU at once, by products."""
    n = WIDTH
    iteration = [product(n, n, n), product(n, n, n, True)]
    head = ["errors of GAIT, ms", "LU (as built)", "all layers' LU together", "2 iterations",
            "2 iterations, together"]
    rows = []
    for card in CARDS:
        for hidden in (4, 8):
            machine, together = Machine(card), Machine(card, together=hidden)
            one = propagate("GAIT")
            solves = [op for op in one if op.kind not in ("getrf", "within")]
            products = [op for op in one if op.kind == "launch"] + [product(BATCH, n, n)] * 3
            rows.append([f"{card.name}, {hidden} hidden layers"] + [ms(seconds) for seconds in (
                hidden * machine.step(one)[0],
                hidden * machine.step(solves)[0] + together.step(factor())[0],
                hidden * (machine.step(products)[0] + 2 * machine.step(iteration)[0]),
                hidden * machine.step(products)[0] + 2 * together.step(iteration)[0])])
    return table(head, rows)


TABLES = {"counts": counts, "times": times, "blocks": blocks, "sharing": sharing,
          "precisions": precisions, "evaluations": evaluations, "inverse": inverse}


# --- what the plugin does ---------------------------------------------------


def account(build, rule, reg, hidden, steps):
    """{function: calls} of so many steps, and the bytes of the network 784 wide."""
    with tempfile.NamedTemporaryFile("r", encoding="utf-8") as file:
        libraries = build / "tests/cuda/lib"
        done = subprocess.run(
            [build / "bench/gpu_calls", build / "gait-cuda.so", rule, str(hidden), str(reg),
             str(steps)],
            env=dict(os.environ, LD_LIBRARY_PATH=str(libraries), CUDASHIM_CALLS=file.name,
                     OPENBLAS_NUM_THREADS="1"),
            check=True, capture_output=True, text=True)
        calls = {name: int(count) for count, name in map(str.split, file)}
    return calls, int(done.stdout)


NAMES = {"__cudaLaunchKernel": "launch", "cublasSgemm_v2": "gemm", "cusolverDnSgetrf": "getrf",
         "cusolverDnSgetrs": "getrs", "cusolverDnSgetrf_bufferSize": "getrf"}
HARMLESS = {"cudaGetLastError", "operation", "any"}


def check_calls(build):
    """A step makes the calls of the model and no others: no copy, no wait."""
    wrong = 0
    for name, rule, reg, hidden in every():
        few, many = (account(build, rule, reg, hidden, steps)[0] for steps in (1, 4))
        kinds = tally(step(rule, reg, hidden))
        for call in sorted(set(many) - HARMLESS):
            found = (many[call] - few.get(call, 0)) / 3
            expected = kinds[NAMES[call]] if call in NAMES else 0
            if found != expected:
                print(f"gpu_model: {name}: {found:g} calls of {call} in a step, expected "
                      f"{expected}", file=sys.stderr)
                wrong += 1
    return wrong


def with_tables(text, build):
    """The document, what is between its marks anew."""
    for name, make in TABLES.items():
        body = "\n".join(make(build))
        text, found = re.subn(rf"(<!-- table {name} -->\n).*?(<!-- end -->)",
                              lambda m, body=body: f"{m[1]}{body}\n{m[2]}", text, flags=re.S)
        assert found == 1, f"{DOCUMENT}: the marks of table {name}: {found}, expected 1"
    return text


def main():
    build, options = pathlib.Path(sys.argv[1]).resolve(), sys.argv[2:]
    if not options:
        for name, make in TABLES.items():
            print(name, *make(build), sep="\n", end="\n\n")
        return 0
    text = DOCUMENT.read_text(encoding="utf-8")
    new = with_tables(text, build)
    if options == ["--update"]:
        DOCUMENT.write_text(new, encoding="utf-8")
        return 0
    wrong = check_calls(build)
    for was, now in zip(text.splitlines(), new.splitlines()):
        if was != now:
            print(f"docs/gpu.md: {was}\n   expected: {now}", file=sys.stderr)
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
