"""`make demo` ends by itself and leaves nothing running, however it ends."""

import contextlib
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import tempfile

import pytest

from conftest import BUILD, REPOSITORY
from daemon import await_exit, processes_with
from data_sets import write_idx_set

STOP_S = 60
RUN_S = 120
SPEC = {"name": "little", "base": {"nb_epochs": 2},
        "points": [{"algorithm": "BP"}, {"algorithm": "GAIT", "orthogonal_reg": 0.1}],
        "axes": {"seed": [1, 101]}}


class Demo:
    """The script with a small spec, and a build folder of its own."""

    def __init__(self, folder, spec):
        self.folder = folder
        build = folder / "build"
        build.mkdir()
        for program in ("gaitd", "gait-worker", "gaitctl"):
            (build / program).symlink_to(BUILD / program)
        write_idx_set(folder / "data" / "gaitd" / "datasets" / "MNIST", 600, 100)
        (folder / "spec.json").write_text(json.dumps(spec))
        (folder / "tmp").mkdir()
        # The user's own configuration, which must have no part in it.
        (folder / "config" / "gaitd").mkdir(parents=True)
        (folder / "config" / "gaitd" / "gaitd.json").write_text(
            json.dumps({"cpu_slots": 0, "run_dir": "/proc/nowhere"}))
        self.environment = {**os.environ, "BUILD": str(build), "TMPDIR": str(folder / "tmp"),
                            "XDG_DATA_HOME": str(folder / "data"),
                            "XDG_CONFIG_HOME": str(folder / "config"), "LANG": "C.UTF-8"}

    @contextlib.contextmanager
    def started(self):
        process = subprocess.Popen(
            [REPOSITORY / "tests" / "demo", self.folder / "spec.json"], cwd=REPOSITORY,
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True)
        try:
            yield process
        finally:
            for pid in processes_with(str(self.folder)):
                os.kill(pid, signal.SIGKILL)
            process.communicate()

    def run(self):
        """Its exit status and what it printed."""
        with self.started() as process:
            text, _ = process.communicate(timeout=RUN_S)
            self.check_nothing_left()
            return process.returncode, text.decode()

    def check_nothing_left(self):
        for pid in processes_with(str(self.folder)):
            assert await_exit(pid, timeout_s=0), f"process {pid} is left"
        assert not list((self.folder / "tmp").iterdir())


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory(prefix="gaitd-") as path:
        yield pathlib.Path(path)


def test_it_ends_by_itself(folder):
    demo = Demo(folder, SPEC)
    for _ in range(2):  # each with a state of its own
        status, text = demo.run()
        assert status == 0, text
        for algorithm in ("BP", "GAIT"):
            assert re.search(rf"^{algorithm} .*\b2\b", text, re.MULTILINE), text
        assert re.search("[\u2801-\u28ff]", text), "no curve"


def test_a_failure_is_told(folder):
    status, text = Demo(folder, {**SPEC, "base": {"dataset": "KMNIST"}}).run()
    assert status == 2 and "KMNIST" in text


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted(folder, number):
    """As Ctrl-C does it: to all of the foreground group."""
    demo = Demo(folder, {**SPEC, "base": {"nb_epochs": 100000}})
    with demo.started() as process:
        text = b""
        while b'sweep "little"' not in text:
            assert select.select([process.stdout], [], [], STOP_S)[0], text
            data = os.read(process.stdout.fileno(), 4096)
            assert data, text
            text += data
        os.killpg(process.pid, number)
        process.communicate(timeout=STOP_S)
        assert process.returncode == 128 + number
        demo.check_nothing_left()
