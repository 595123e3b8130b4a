"""Without a GPU: the programs start, know nothing of CUDA, and say why there is
no GPU when they are asked for one."""

import os
import pathlib
import re
import subprocess

import pytest

from conftest import BUILD

PLUGIN = BUILD / "gait-cuda.so"
STUBS = pathlib.Path("/usr/local/cuda/lib64/stubs/libcuda.so")
needs_plugin = pytest.mark.skipif(not PLUGIN.exists(), reason="built without CUDA")


def identify(*options, **variables):
    done = subprocess.run([BUILD / "gait-worker", "--identify", *options],
                          env=dict(os.environ, **variables), capture_output=True, text=True,
                          timeout=60, check=False)
    return done.returncode, done.stdout, done.stderr


def refusal(*options, **variables):
    code, out, err = identify(*options, **variables)
    assert (code, out) == (1, ""), (code, out, err)
    return err


def shared_object(tmp_path, source):
    path = tmp_path / "other.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", path], input=source,
                   text=True, check=True)
    return path


@pytest.mark.parametrize("program", ["gaitd", "gait-worker", "gaitctl"])
def test_no_program_is_linked_with_cuda(program):
    listed = subprocess.run(["ldd", BUILD / program], capture_output=True, text=True, check=True)
    assert not [line for line in listed.stdout.splitlines()
                if line.strip().startswith(("libcu", "libnv"))], listed.stdout


def test_an_absent_plugin_is_named():
    assert refusal("--device=cuda", "--plugin=/nowhere/gait-cuda.so") == (
        "gait-worker: no GPU: /nowhere/gait-cuda.so: cannot open shared object file: "
        "No such file or directory\n")


def test_a_plugin_of_another_build_is_refused(tmp_path):
    other = shared_object(tmp_path, "const int gait_plugin[8] = {99};\n")
    assert refusal("--device=cuda:0", f"--plugin={other}") == (
        f'gait-worker: no GPU: "{other}" has interface version 99, expected 2: '
        "it is of another build\n")


def test_another_shared_object_is_no_plugin(tmp_path):
    other = shared_object(tmp_path, "int nothing;\n")
    assert refusal("--device=cuda", f"--plugin={other}") == (
        f'gait-worker: no GPU: "{other}" is no plugin of gaitd\'s: it has no symbol '
        '"gait_plugin"\n')


def test_a_device_that_is_none_is_refused():
    assert refusal("--device=tpu") == (
        'gait-worker: no device "tpu", expected cpu, cuda, cuda:INDEX or cuda:UUID\n')


@needs_plugin
@pytest.mark.skipif(pathlib.Path("/proc/driver/nvidia").exists(), reason="there is a driver")
def test_no_driver():
    assert refusal("--device=cuda") == "gait-worker: no GPU: there is no NVIDIA driver\n"


@needs_plugin
@pytest.mark.skipif(not STUBS.exists(), reason="no stub of the driver's library")
def test_a_stub_is_no_driver(tmp_path):
    (tmp_path / "libcuda.so.1").symlink_to(STUBS)
    assert refusal("--device=cuda", LD_LIBRARY_PATH=str(tmp_path)) == (
        "gait-worker: no GPU: the library of the driver (libcuda.so.1) is a stub, "
        "for building only\n")


@needs_plugin
def test_the_self_test_says_that_there_is_no_gpu(tmp_path):
    if pathlib.Path("/proc/driver/nvidia").exists():
        pytest.skip("there is a driver")
    done = subprocess.run([BUILD / "gait-worker", "--selftest-gpu"], capture_output=True,
                          text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (
        1, "", "gait-worker: no GPU: there is no NVIDIA driver\n")


def pretended(tmp_path, gpu="", **variables):
    """What the replacement libraries are told."""
    rig = tmp_path / "rig"
    rig.write_text(f"gpu uuid=GPU-aa000000-0000-0000-0000-0000000000a1 {gpu}\n")
    return {"LD_LIBRARY_PATH": str(BUILD / "tests/cuda/lib"), "CUDASHIM_RIG": str(rig), **variables}


@needs_plugin
def test_a_gpu_that_is_too_old_is_refused(tmp_path):
    assert re.fullmatch(
        r"gait-worker: no GPU: cuda:0 \(.+\) has compute capability 6\.1, expected 7\.5 or later\n",
        refusal("--device", "cuda:0", **pretended(tmp_path, "capability=6.1")))


@needs_plugin
def test_the_self_test_can_fail(tmp_path):
    """A GPU that breaks while it is looked at; the report goes to its end."""
    variables = pretended(tmp_path, "capability=8.0", CUDASHIM_TF32="1",
                          CUDASHIM_FAIL="cudaMalloc:6+")
    done = subprocess.run([BUILD / "gait-worker", "--selftest-gpu"], capture_output=True,
                          env=dict(os.environ, **variables), text=True, timeout=300, check=False)
    last = re.fullmatch(r"(\d+) checks, (\d+) failed", done.stdout.splitlines()[-1])
    assert done.returncode == 1 and int(last[1]) > int(last[2]) > 10, done.stdout[-500:]
    assert "FAILED: the GPU failed in cudaMalloc: " in done.stdout
