"""What the replacement libraries catch, so that they cannot rot.

Each scene of defects.cu but `right` has one defect; here stands how it is
noticed: by the libraries (status 98), by a fault (97), by the compiler's checks
(1) or by a wrong result (1).
"""

import os
import pathlib
import subprocess

import pytest

BUILD = pathlib.Path(os.environ["GAITD_BUILD"])
LIBRARIES = BUILD / "tests/cuda/lib"
MODES = ("lazy", "eager", "2", "3")
CHECKED = {"GPUSIM_KERNELS": str(LIBRARIES / "libgpusim_defects_checked.so")}
PLAIN = {"GPUSIM_KERNELS": str(LIBRARIES / "libgpusim_defects.so")}
DEFECT, FAULT, WRONG, FAILED = 98, 97, 1, 3


def environment(**settings):
    own = {k: v for k, v in os.environ.items()
           if not k.startswith(("CUDA", "GPUSIM"))}
    return {**own, **PLAIN, "LD_LIBRARY_PATH": str(LIBRARIES), **settings}


def play(scene, **settings):
    return subprocess.run([BUILD / "tests/cuda/defects", scene], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          env=environment(**settings), check=False)


def expect(done, status, text=""):
    assert (done.returncode, text in done.stdout) == (status, True), \
        f"{text!r} expected with {status}, not {done.returncode}:\n{done.stdout}"


@pytest.mark.parametrize("seed", ("0", "1", "7"))
@pytest.mark.parametrize("mode", MODES)
def test_what_is_right_is_right_in_every_schedule(mode, seed):
    expect(play("right", CUDASHIM_MODE=mode, GPUSIM_SEED=seed), 0)


def test_what_is_right_passes_the_checks_of_every_access():
    expect(play("right", **CHECKED), 0)


@pytest.mark.parametrize("scene, status, text", [
    ("past_end", DEFECT, "wrote past the end of allocation 1"),
    ("far_past_end", FAULT, "touches"),
    ("shared_past_end", WRONG, "out of bounds"),
    ("misaligned", WRONG, "misaligned address"),
    ("divergent", DEFECT, "wait at a barrier that the others do not reach"),
    ("lost_lane", DEFECT, "lane 31 has exited"),
    ("no_wait", WRONG, "without waiting"),
    ("source_reused", DEFECT, "its pinned host buffer"),
    ("source_freed", DEFECT, "its pageable host buffer"),
    ("target_written", DEFECT, "was changed or freed before it ran"),
    ("pinned_freed", DEFECT, "a copy that has not run uses pinned"),
    ("host_reads", FAULT, "the host touches live device memory"),
    ("used_after_free", FAULT, "touches freed device memory"),
    ("freed_too_early", FAULT, "touches freed device memory"),
    ("freed_twice", DEFECT, "already freed"),
    ("wrong_kind", DEFECT, "the destination is on the device"),
    ("copy_too_long", DEFECT, "the destination needs"),
    ("empty_grid", DEFECT, "grid (0, 1, 1)"),
    ("block_too_large", DEFECT, "of at most 256 threads"),
    ("no_event", WRONG, "two streams"),
    ("blas_host", DEFECT, "A = 0x"),
    ("blas_too_small", DEFECT, "A needs 160000 bytes"),
    ("blas_overlap", DEFECT, "C and A overlap"),
    ("blas_no_workspace", DEFECT, "no workspace of its own"),
    ("blas_tf32", DEFECT, "TF32"),
    ("solver_no_room", DEFECT, "the workspace needs"),
    ("leak_memory", DEFECT, "leak: device allocation"),
    ("leak_stream", DEFECT, "leak: stream"),
    ("leak_handle", DEFECT, "leak: a handle of cuBLAS"),
])
def test_a_defect_is_caught(scene, status, text):
    expect(play(scene), status, text)


@pytest.mark.parametrize("scene, text", [
    ("no_barrier", "races with"),
    ("no_warp_sync", "races with"),
    ("no_atomic", "races with"),
    ("past_end", "write out of bounds of 4 bytes"),
    ("host_pointer", "at host memory"),
    ("shared_too_small", "access beyond the dynamic part"),
])
def test_a_look_at_every_access_catches_it(scene, text):
    done = play(scene, **CHECKED)
    expect(done, DEFECT if "exit" not in text else FAULT, text)
    assert "defects.cuh:" in done.stdout, f"no source line:\n{done.stdout}"


def test_a_missing_barrier_shows_in_some_order_of_the_threads():
    results = {play("no_barrier", GPUSIM_SEED=str(seed)).returncode for seed in range(4)}
    assert WRONG in results, results


def rig(tmp_path, *lines):
    path = tmp_path / "rig"
    new = tmp_path / "rig.new"
    new.write_text("\n".join(lines) + "\n", encoding="utf-8")
    new.rename(path)
    return str(path)


GPU_A = ('gpu uuid=GPU-aa000000-0000-0000-0000-0000000000a1 name="Pretended A" '
         'capability=9.0 memory=1000000')
GPU_B = ('gpu uuid=GPU-bb000000-0000-0000-0000-0000000000b2 name="Pretended B" '
         'capability=8.6 memory=2000000 used=500000')


def test_devices_are_those_of_the_rig(tmp_path):
    path = rig(tmp_path, GPU_A, GPU_B)
    done = play("devices", CUDASHIM_RIG=path, CUDA_VISIBLE_DEVICES="GPU-bb")
    expect(done, FAILED, "0 Pretended B 8.6 bbb2 ")
    expect(done, FAILED, "cudaMalloc answers 2")
    expect(play("devices", CUDASHIM_RIG=path, CUDA_VISIBLE_DEVICES="-1"), FAILED, "answers 100")
    expect(play("devices", CUDASHIM_RIG=rig(tmp_path, "driver cuda=12040", GPU_A)),
           FAILED, "answers 35")


@pytest.mark.parametrize("scene, status, text", [
    ("other_device", DEFECT, "the stream is of device 0, not 1"),
    ("other_memory", FAULT, "touches live device memory"),
])
def test_devices_are_kept_apart(scene, status, text, tmp_path):
    expect(play(scene, CUDASHIM_RIG=rig(tmp_path, GPU_A, GPU_B)), status, text)


@pytest.mark.parametrize("trouble, code", [("lost", 46), ("ecc", 214), ("xid", 719)])
def test_a_gpu_fails_in_the_middle(trouble, code, tmp_path):
    path = rig(tmp_path, GPU_A)
    with subprocess.Popen([BUILD / "tests/cuda/defects", "until_told"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT,
                          env=environment(CUDASHIM_RIG=path)) as process:
        assert process.stdout.readline() == "ready\n"
        rig(tmp_path, f"{GPU_A} error={trouble}")
        text = process.communicate()[0]
    assert (process.returncode, f"answers {code}" in text) == (FAILED, True), text


def test_memory_that_another_process_has_is_gone(tmp_path):
    path = rig(tmp_path, GPU_A.replace("1000000", "150000"))
    with subprocess.Popen([BUILD / "tests/cuda/defects", "until_told"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment(CUDASHIM_RIG=path)) as process:
        assert process.stdout.readline() == ""
    assert process.returncode == FAILED
    path = rig(tmp_path, GPU_A.replace("1000000", "300000"))
    with subprocess.Popen([BUILD / "tests/cuda/defects", "until_told"], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          env=environment(CUDASHIM_RIG=path)) as process:
        assert process.stdout.readline() == "ready\n"
        expect(play("right", CUDASHIM_RIG=path), FAILED, "cudaMalloc answers 2")
        process.communicate()
    assert process.returncode == 0
    expect(play("right", CUDASHIM_RIG=path), 0)


def calls_of(tmp_path):
    path = tmp_path / "calls"
    expect(play("right", CUDASHIM_CALLS=str(path)), 0)
    lines = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return {name: int(count) for count, name in lines}


def test_every_call_can_be_made_to_fail(tmp_path):
    calls = calls_of(tmp_path)
    assert {"cudaMalloc", "cudaMemcpyAsync", "__cudaLaunchKernel", "cublasSgemm_v2",
            "cusolverDnSgetrf", "cudaStreamSynchronize", "operation"} <= set(calls), calls
    for name in calls:
        done = play("right", CUDASHIM_FAIL=f"{name}:1:719" if name == "operation"
                    else f"{name}:1")
        expect(done, FAILED, "answers")
