"""The replacement NVML tells what the rig says, as NVIDIA's documents it."""

import ctypes
import os
import pathlib
import subprocess

import pytest

LIBRARY = pathlib.Path(os.environ["GAITD_BUILD"]) / "tests/cuda/lib/libnvidia-ml.so.1"
OK, UNINITIALIZED, NOT_SUPPORTED, NOT_FOUND, TOO_SMALL, TIMEOUT, LOST = 0, 1, 3, 6, 7, 10, 15


class Memory(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in ("total", "free", "used")]


class Process(ctypes.Structure):
    _fields_ = [("pid", ctypes.c_uint), ("bytes", ctypes.c_ulonglong),
                ("instance", ctypes.c_uint), ("compute", ctypes.c_uint)]


class Event(ctypes.Structure):
    _fields_ = [("device", ctypes.c_void_p), ("type", ctypes.c_ulonglong),
                ("data", ctypes.c_ulonglong), ("instance", ctypes.c_uint),
                ("compute", ctypes.c_uint)]


class Rig:
    """A rig's file and NVML on it."""

    def __init__(self, folder):
        self.path = folder / "rig"
        self.library = None

    def write(self, *lines):
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(lines) + "\n", encoding="utf-8")
        new.rename(self.path)

    def call(self, name, *arguments):
        return getattr(self.library, name)(*arguments)

    def handle(self, index):
        handle = ctypes.c_void_p()
        code = self.call("nvmlDeviceGetHandleByIndex_v2", index, ctypes.byref(handle))
        assert code == OK, code
        return handle

    def text(self, name, *arguments):
        text = ctypes.create_string_buffer(96)
        code = self.call(name, *arguments, text, 96)
        assert code == OK, code
        return text.value.decode()

    def processes(self, handle):
        count, rows = ctypes.c_uint(16), (Process * 16)()
        code = self.call("nvmlDeviceGetComputeRunningProcesses_v3", handle,
                         ctypes.byref(count), rows)
        assert code == OK, code
        return [(row.pid, row.bytes, row.instance) for row in rows[:count.value]]


LINES = ['driver version=580.95.05 cuda=13000',
         'gpu uuid=GPU-aa name="Pretended A" capability=9.0 memory=1000 used=100',
         'gpu uuid=GPU-bb name="Pretended B" capability=7.5 memory=2000',
         'mig gpu=0 uuid=MIG-cc name="Pretended A MIG" memory=300',
         'process gpu=1 pid=1 bytes=700 name=other']


@pytest.fixture(name="rig")
def fixture_rig(tmp_path, monkeypatch):
    """The library keeps its state; each test has a copy of it."""
    rig = Rig(tmp_path)
    copy = tmp_path / "libnvidia-ml.so.1"
    copy.write_bytes(LIBRARY.read_bytes())
    monkeypatch.setenv("CUDASHIM_RIG", str(rig.path))
    # getenv of C, not of Python
    os.putenv("CUDASHIM_RIG", str(rig.path))
    rig.library = ctypes.CDLL(str(copy))
    rig.write(*LINES)
    assert rig.call("nvmlShutdown") == UNINITIALIZED
    assert rig.call("nvmlInit_v2") == OK
    return rig


def test_it_tells_what_is_there(rig):
    count = ctypes.c_uint()
    assert rig.call("nvmlDeviceGetCount_v2", ctypes.byref(count)) == OK
    assert count.value == 2
    assert rig.text("nvmlSystemGetDriverVersion") == "580.95.05"
    names = [rig.text("nvmlDeviceGetName", rig.handle(i)) for i in range(2)]
    assert names == ["Pretended A", "Pretended B"]
    assert rig.text("nvmlDeviceGetUUID", rig.handle(1)) == "GPU-bb"
    memory = Memory()
    assert rig.call("nvmlDeviceGetMemoryInfo", rig.handle(1), ctypes.byref(memory)) == OK
    assert (memory.total, memory.free, memory.used) == (2000, 1300, 700)
    assert rig.processes(rig.handle(1)) == [(1, 700, 0xffffffff)]


def test_sizes_that_are_too_small_are_refused(rig):
    name, count = ctypes.create_string_buffer(4), ctypes.c_uint(0)
    assert rig.call("nvmlDeviceGetName", rig.handle(0), name, 4) == TOO_SMALL
    assert rig.call("nvmlDeviceGetComputeRunningProcesses_v3", rig.handle(1),
                    ctypes.byref(count), None) == TOO_SMALL
    assert count.value == 1


def test_instances_are_devices_of_their_own(rig):
    instance, number = ctypes.c_void_p(), ctypes.c_uint()
    assert rig.call("nvmlDeviceGetMigDeviceHandleByIndex", rig.handle(0), 0,
                    ctypes.byref(instance)) == OK
    assert rig.text("nvmlDeviceGetUUID", instance) == "MIG-cc"
    assert rig.call("nvmlDeviceGetMigDeviceHandleByIndex", rig.handle(0), 1,
                    ctypes.byref(instance)) == NOT_FOUND
    assert rig.call("nvmlDeviceGetMaxMigDeviceCount", rig.handle(0), ctypes.byref(number)) == OK
    assert number.value == 7
    assert rig.call("nvmlDeviceGetMigMode", rig.handle(1), ctypes.byref(number),
                    ctypes.byref(number)) == NOT_SUPPORTED


def test_a_gpu_is_lost_meanwhile(rig):
    handle, name = rig.handle(1), ctypes.create_string_buffer(96)
    rig.write(*LINES[:2], LINES[2] + " error=lost")
    assert rig.call("nvmlDeviceGetName", handle, name, 96) == LOST
    assert rig.text("nvmlDeviceGetName", rig.handle(0)) == "Pretended A"


def test_events_arrive_as_they_are_written(rig):
    events, event = ctypes.c_void_p(), Event()
    assert rig.call("nvmlEventSetCreate", ctypes.byref(events)) == OK
    assert rig.call("nvmlDeviceRegisterEvents", rig.handle(1), ctypes.c_ulonglong(8),
                    events) == OK
    assert rig.call("nvmlEventSetWait_v2", events, ctypes.byref(event), 0) == TIMEOUT
    rig.write(*LINES, "event gpu=0 type=8 data=31", "event gpu=1 type=8 data=79")
    assert rig.call("nvmlEventSetWait_v2", events, ctypes.byref(event), 10000) == OK
    assert (event.device, event.type, event.data) == (rig.handle(1).value, 8, 79)
    assert rig.call("nvmlEventSetFree", events) == OK


def test_programs_on_the_replacement_runtime_are_seen(rig):
    rig.write(*LINES[:1], "gpu uuid=GPU-aa memory=1000000")
    defects = LIBRARY.parents[1] / "defects"
    own = {**os.environ, "CUDASHIM_RIG": str(rig.path), "LD_LIBRARY_PATH": str(LIBRARY.parent),
           "GPUSIM_KERNELS": str(LIBRARY.parent / "libgpusim_defects.so")}
    with subprocess.Popen([defects, "until_told"], stdin=subprocess.PIPE, text=True,
                          stdout=subprocess.PIPE, env=own) as process:
        assert process.stdout.readline() == "ready\n"
        (pid, size, _), = rig.processes(rig.handle(0))
        process.communicate()
    assert (pid, size) == (process.pid, 3 * 37 * 301 * 4 + 65536 + 24 * 4 + 4)
    assert rig.processes(rig.handle(0)) == []
