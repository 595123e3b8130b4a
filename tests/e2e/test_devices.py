"""GPUs, on libraries that stand in for NVIDIA's (tests/cuda): which there are, who may have
them, what fits into them, and what becomes of jobs when one fails."""

import os
import pathlib
import subprocess
import time

import pytest

from conftest import BUILD
from data_sets import write_idx_set
from odd_worker import OddWorker
from rpc import RpcError

LIBRARIES = BUILD / "tests" / "cuda" / "lib"
pytestmark = pytest.mark.skipif(
    not (BUILD / "gait-cuda.so").exists() or not LIBRARIES.exists(),
    reason="built without CUDA's compiler (nvcc): there is no plugin to run")

MIB = 1 << 20
A = "GPU-00000000-0000-4000-8000-00000000000a"
B = "GPU-00000000-0000-4000-8000-00000000000b"
M = "MIG-00000000-0000-4000-8000-00000000000c"
TINY = {"tower": True, "widths": "12x11x10", "batch_size": 20}
NEEDS = 4372880  # bytes of a GPU that TINY takes: what gaitd reckons with
LONG = {"name": "long", "base": {**TINY, "nb_epochs": 100000}}


class Rig:
    """The pretended GPUs of a daemon; writing replaces them while programs run."""

    def __init__(self, daemon):
        self.path = daemon.folder / "rig"
        self.gpus = [self.gpu(A), self.gpu(B)]
        self.more = []
        daemon.environment.update(LD_LIBRARY_PATH=str(LIBRARIES), CUDASHIM_RIG=str(self.path),
                                  OPENBLAS_NUM_THREADS="1")
        daemon.environment.update((name, value) for name, value in os.environ.items()
                                  if name == "LSAN_OPTIONS")
        self.write()

    @staticmethod
    def gpu(uuid, memory=256 * MIB, name="Pretended", capability="9.0", **more):
        rest = "".join(f" {key}={value}" for key, value in more.items())
        return (f'gpu uuid={uuid} name="{name}" capability={capability} memory={memory}'
                f"{rest}")

    def write(self, *lines):
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(["driver version=580.95.05 cuda=13000", *self.gpus,
                                  *self.more, *lines, ""]))
        new.rename(self.path)


@pytest.fixture
def machine(new_daemon):
    """Makes a daemon that sees pretended GPUs: it and its rig."""
    def make(name="a"):
        daemon = new_daemon(name, slots=None)
        write_idx_set(daemon.datasets / "MNIST", train_rows=60, test_rows=20)
        return daemon, Rig(daemon)
    return make


def start(daemon, *arguments):
    return daemon.start("--gpu-context-mib", 0, "--device-lock-dir", daemon.folder.parent,
                        "--foreign-s", "0.1", *arguments).client()


def devices(client):
    return {device["device"]: device for device in client.call("devices")["devices"]}


def attempts(client, job):
    return client.call("show", target=str(job))["attempts"]


def explain(client, job):
    return client.call("explain", target=str(job))["text"]


def await_that(condition, what):
    deadline = time.monotonic() + 60
    while not (found := condition()):
        assert time.monotonic() < deadline, f"never: {what()}"
    return found


def await_text(client, job, wanted):
    await_that(lambda: wanted in explain(client, job), lambda: explain(client, job))


def run(client, **settings):
    """One job, to its end: its attempts."""
    sweep = client.submit({"base": {**TINY, "nb_epochs": 1, **settings}})
    client.await_final(str(sweep["first_job"]))
    return attempts(client, sweep["first_job"])


def rows(client, target):
    return [{name: value for name, value in row.items() if name != "seconds"}
            for row in client.history(target)]


def running(client):
    return {slot["device"]: slot["worker_pid"] for slot in client.call("status")["slots"]
            if slot["job"]}


def environment(pid, name):
    pairs = pathlib.Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(pair.split(b"=", 1) for pair in pairs if b"=" in pair)[name.encode()].decode()


def test_a_sweep_is_spread_over_pinned_workers(machine):
    daemon, _ = machine()
    client = start(daemon)
    client.submit({"name": "two", "base": {**TINY, "nb_epochs": 100000},
                   "axes": {"seed": [1, 21]}})
    pids = await_that(lambda: len(both := running(client)) == 2 and both,
                      lambda: running(client))
    seen = await_that(lambda: all((found := devices(client))[gpu]["jobs"] and
                                  found[gpu]["free_bytes"] == 256 * MIB - NEEDS
                                  for gpu in ("cuda:0", "cuda:1")) and found,
                      lambda: devices(client))
    for name, uuid in (("cuda:0", A), ("cuda:1", B)):
        assert environment(pids[name], "CUDA_VISIBLE_DEVICES") == uuid
        assert f"cuda:{uuid}".encode() in pathlib.Path(f"/proc/{pids[name]}/cmdline").read_bytes()
        gpu = seen[name]
        assert (gpu["uuid"], gpu["model"], gpu["capability"], gpu["memory_bytes"],
                gpu["slots"], gpu["trouble"], gpu["used_by"]) == (
            uuid, "Pretended", "9.0", 256 * MIB, 1, None, None)
        assert gpu["device_class"].startswith("cuda-13.0 ")
    assert seen["cpu"]["slots"] == 0 and "since there are GPUs" in seen["cpu"]["trouble"]
    assert client.call("devices")["driver"] == "580.95.05"
    shown = daemon.ctl("devices").stdout
    assert A in shown and "NVIDIA driver 580.95.05" in shown, shown
    client.call("cancel", target="two")


def test_a_gpu_fails_and_its_jobs_go_to_the_other(machine):
    spec = {"name": "grid", "base": {**TINY, "nb_epochs": 24},
            "axes": {"seed": [1, 21, 41, 61]}}
    calm, _ = machine("calm")
    client = start(calm)
    client.submit(spec)
    client.await_final("grid")
    expected = rows(client, "grid")
    calm.stop()
    assert len(expected) == 4 * 25

    daemon, rig = machine("b")
    client = start(daemon)
    client.submit(spec)
    await_that(lambda: len(client.history("2")) > 5, lambda: len(client.history("2")))
    rig.gpus[1] = rig.gpu(B, error="xid")
    rig.write()
    client.await_final("grid")
    assert rows(client, "grid") == expected
    ended = [(attempt["device"], attempt["outcome"]) for job in client.jobs("grid")
             for attempt in attempts(client, job["id"])]
    assert ("cuda:1", "lost") in ended, ended
    assert [device for device, outcome in ended if outcome == "done"].count("cuda:0") >= 3, ended
    assert "slot 1 is out of service, its device has failed: the GPU failed in" in daemon.stderr()
    kinds = [event["kind"] for event in client.call("events")["events"]]
    assert "out_of_service" in kinds, kinds


def test_a_gpu_that_nvml_calls_lost_is_given_up(machine):
    daemon, rig = machine()
    client = start(daemon, "--devices", "0", "--lease-s", 0.5)
    client.submit(LONG)
    await_that(lambda: running(client), lambda: explain(client, 1))
    rig.write("event gpu=0 type=8 data=79")
    await_that(lambda: "Xid 79" in daemon.stderr(), daemon.stderr)
    assert attempts(client, 1)[0]["device"] == "cuda:0"
    await_that(lambda: len(attempts(client, 1)) == 2 and running(client),
               lambda: attempts(client, 1))  # it was well after all
    assert attempts(client, 1)[0]["outcome"] == "lost"
    client.call("cancel", target="long")


def test_what_does_not_fit_now_waits(machine):
    daemon, rig = machine()
    rig.gpus = [rig.gpu(A, memory=8 * MIB)]
    rig.write()
    client = start(daemon, "--devices", "0:2")
    client.submit(LONG)
    await_that(lambda: running(client), lambda: explain(client, 1))
    client.submit({"name": "next", "base": {**TINY, "nb_epochs": 1, "seed": 21}})
    await_text(client, 2, "needs 4.2 MiB of GPU memory, 3.8 MiB free on GPU 0")
    client.call("cancel", target="long")
    client.await_final("next")
    assert [attempt["outcome"] for attempt in attempts(client, 2)] == ["done"]


def test_what_fits_shares_the_card(machine):
    daemon, rig = machine()
    rig.gpus = [rig.gpu(A, memory=9 * MIB)]
    rig.write()
    client = start(daemon, "--gpu-slots", 2)
    client.submit({"name": "long", "base": LONG["base"], "axes": {"seed": [1, 21]}})
    await_that(lambda: sum(bool(slot["job"]) for slot in client.call("status")["slots"]) == 2,
               lambda: client.call("status"))
    client.call("cancel", target="long")


def test_what_can_never_fit_is_refused(machine):
    daemon, rig = machine()
    rig.gpus = [rig.gpu(A, memory=8 * MIB), rig.gpu(B, memory=16 * MIB)]
    rig.write()
    client = start(daemon)
    with pytest.raises(RpcError) as refused:
        client.submit({"base": {"nb_epochs": 1}})
    (fault,) = refused.value.data["faults"]
    assert fault["setting"] == "device"
    assert fault["text"].startswith("needs ") and fault["text"].endswith(
        "of GPU memory, and the largest GPU it may have gives 16.0 MiB"), fault
    big = {**TINY, "batch_size": 60, "widths": "500x11x10"}
    assert {a["device"] for a in run(client, **big)} == {"cuda:1"}
    with pytest.raises(RpcError) as refused:
        run(client, **big, device="0")
    assert "gives 8.0 MiB" in refused.value.data["faults"][0]["text"]
    with pytest.raises(RpcError) as refused:
        run(client, device="2")
    assert refused.value.data["faults"][0]["text"] == "no GPU 2: this gaitd has GPU 0, 1"
    with pytest.raises(RpcError) as refused:
        run(client, device="cpu")
    assert refused.value.data["faults"][0]["text"] == "no CPU slots: this gaitd has GPUs only"


def test_jobs_run_where_they_ask_for(machine):
    daemon, _ = machine()
    client = start(daemon, "--cpu-slots", 1)
    asked = {"0": "cuda:0", "1": "cuda:1", "cpu": "cpu", "cuda": "cuda:0", "any": "cuda:0"}
    for seed, (device, expected) in enumerate(asked.items()):
        ran = run(client, device=device, seed=1 + 20 * seed)
        assert [attempt["device"] for attempt in ran] == [expected], device


def test_a_blocked_device_does_not_block_the_others(machine):
    daemon, _ = machine()
    client = start(daemon, "--cpu-slots", 1, "--devices", "0,cpu")
    client.submit({**LONG, "base": {**LONG["base"], "device": "cuda"}})
    await_that(lambda: running(client), lambda: explain(client, 1))
    client.submit({"name": "behind", "base": {**TINY, "device": "0", "seed": 21}})
    assert [attempt["device"] for attempt in run(client, device="cpu", seed=41)] == ["cpu"]
    client.call("cancel", target="long")
    client.call("cancel", target="behind")


def test_a_run_goes_on_where_it_began_only(machine):
    daemon, rig = machine()
    client = start(daemon, "--devices", "0")
    client.submit({"name": "grid", "base": {**TINY, "nb_epochs": 50}})
    await_that(lambda: len(client.history("1")) > 5, lambda: explain(client, 1))
    daemon.stop()
    first = rig.gpus
    rig.gpus = [rig.gpu(A, name="Other", capability="8.0")]
    rig.write()
    client = start(daemon)
    await_text(client, 1, "waits for a slot of device class \"cuda-13.0")
    assert run(client, seed=41)[0]["outcome"] == "done"
    daemon.stop()
    rig.gpus = first
    rig.write()
    client = start(daemon)
    client.await_final("grid")
    assert [attempt["outcome"] for attempt in attempts(client, 1)] == ["stopped", "done"]


def test_the_server_of_mps_is_nobody(machine):
    daemon, rig = machine()
    rig.gpus = [rig.gpu(A)]
    with subprocess.Popen(["sleep", "1000"]) as server:
        rig.write(f"process gpu=0 pid={server.pid} bytes={MIB} "
                  "name=/usr/bin/nvidia-cuda-mps-server")
        client = start(daemon)
        assert devices(client)["cuda:0"]["used_by"] is None
        assert run(client)[0]["outcome"] == "done"
        server.kill()


def test_a_gpu_that_others_use_is_left_alone(machine):
    daemon, rig = machine()
    rig.gpus = [rig.gpu(A)]
    with subprocess.Popen(["sleep", "1000"]) as other:
        used = f"process gpu=0 pid={other.pid} bytes={MIB} name=python"
        rig.write(used)
        client = start(daemon)
        assert devices(client)["cuda:0"]["used_by"] == f"{other.pid} (python)"
        client.submit({"name": "next", "base": {**TINY, "nb_epochs": 1}})
        await_text(client, 1, f"cuda:0 is left to process {other.pid} (python), which uses it")
        assert not attempts(client, 1)
        rig.write()
        client.await_final("next")
        rig.write(used)
        daemon.stop()
        client = start(daemon, "--foreign", "share")
        assert run(client, seed=21)[0]["outcome"] == "done"
        assert f"shared with process {other.pid} (python)" in daemon.ctl("devices").stdout
        other.kill()


@pytest.mark.parametrize("failure", ["cudaMalloc:1", "cudaSetDevice:1:46", "cublasCreate_v2:1:1",
                                     "cusolverDnCreate:1:1"])
def test_memory_that_others_took_is_waited_for(machine, failure):
    """Whoever wants some says so in his own way."""
    daemon, _ = machine()
    daemon.environment["CUDASHIM_FAIL"] = failure
    client = start(daemon, "--devices", "0", "--retry-s", 0.01)
    assert [attempt["outcome"] for attempt in run(client)] == ["crowded", "done"]


def test_two_gaitd_keep_apart(machine):
    (one, rig), (two, its_rig) = machine(), machine("b")
    for of in (rig, its_rig):
        of.gpus = [of.gpu(A)]
        of.write()
    client = start(one)
    assert run(client)[0]["outcome"] == "done"
    other = start(two)
    other.submit({"name": "next", "base": {**TINY, "nb_epochs": 1}})
    await_text(other, 1, f"cuda:0 is in use by a running gaitd (pid {one.process.pid})")
    assert not attempts(other, 1)
    one.stop()
    other.await_final("next")


def test_cuda_visible_devices_is_obeyed(machine):
    daemon, _ = machine()
    daemon.environment["CUDA_VISIBLE_DEVICES"] = "1"
    client = start(daemon)
    assert "hidden by CUDA_VISIBLE_DEVICES=1" in devices(client)["cuda:0"]["trouble"]
    assert [attempt["device"] for attempt in run(client)] == ["cuda:1"]


def test_an_instance_is_a_device(machine):
    daemon, rig = machine()
    rig.gpus = [rig.gpu(A), f'mig gpu=0 uuid={M} name="Pretended MIG 1g" memory={64 * MIB}']
    rig.write()
    client = start(daemon)
    seen = devices(client)
    assert seen["cuda:0"]["trouble"] == "divided into instances (MIG)"
    assert (seen["cuda:0.0"]["uuid"], seen["cuda:0.0"]["memory_bytes"]) == (M, 64 * MIB)
    assert [attempt["device"] for attempt in run(client)] == ["cuda:0.0"]


def test_devices_are_chosen(machine):
    daemon, _ = machine()
    client = start(daemon, "--devices", f"!1,{A[:20]}:3")
    seen = devices(client)
    assert [seen[name]["slots"] for name in ("cuda:0", "cuda:1", "cpu")] == [3, 0, 0]
    assert seen["cuda:1"]["trouble"] == 'excluded by "!1" of devices'
    daemon.stop()
    client = start(daemon, "--devices", "cpu:2")
    seen = devices(client)
    assert [seen[name]["slots"] for name in ("cuda:0", "cuda:1", "cpu")] == [0, 0, 2]
    daemon.stop()
    refused = daemon.run("--devices", "0,gpu1")
    assert refused.returncode == 2 and '"gpu1" names no device: expected auto, cpu' in (
        refused.stderr), refused.stderr


def test_a_worker_on_another_gpu_is_refused(machine):
    daemon, _ = machine()
    odd = OddWorker(daemon)
    client = start(daemon, *odd.arguments, "--devices", "0")
    odd.say(uuid=B)
    client.submit({"base": {**TINY, "nb_epochs": 1}})
    await_that(lambda: f'it opened "{B}", expected "{A}"' in daemon.stderr(), daemon.stderr)
    odd.say()
    client.await_final("1")
