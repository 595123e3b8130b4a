"""A gaitd of a test's own: its state, cache, data, socket and processes."""

import os
import pathlib
import select
import signal
import subprocess
import time

from rpc import Client

START_S = 30  # sanitized, on a busy machine
STOP_S = 60


def await_exit(pid, timeout_s):
    """Waits for a process that need not be a child; False if it stays."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(timeout_s * 1000))
    finally:
        os.close(descriptor)


def processes_with(text):
    """Ids of the living processes that have `text` in their environment."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
            if state != "Z" and text.encode() in (folder / "environ").read_bytes():
                found.append(int(folder.name))
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            pass
    return found


class Daemon:
    def __init__(self, build, folder, slots=2):
        self.build, self.folder, self.slots = build, folder, slots
        self.state = folder / "state" / "gaitd"
        self.datasets = folder / "data" / "gaitd" / "datasets"
        self.socket = folder / "socket"
        self.log = folder / "stderr"
        self.process = None
        folder.mkdir(parents=True, exist_ok=True)
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder / "home"),
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_CACHE_HOME": str(folder / "cache"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_CONFIG_HOME": str(folder / "config"),
            "GAITD_SOCKET": str(self.socket),
            "LANG": "C.UTF-8",
            **{name: value for name, value in os.environ.items()
               if name.endswith("SAN_OPTIONS")},
        }

    # Its life.

    def start(self, *arguments):
        """Starts it and waits until it is ready."""
        assert self.process is None
        ready, its_end = os.pipe()
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [self.build / "gaitd",
                 *(() if self.slots is None else ("--cpu-slots", str(self.slots))),
                 "--ready-fd", str(its_end), *map(str, arguments)],
                env=self.environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                pass_fds=[its_end])
        os.close(its_end)
        try:
            poll = select.poll()
            poll.register(ready, select.POLLIN)
            assert poll.poll(START_S * 1000), f"not ready in {START_S} s\n{self.stderr()}"
            assert os.read(ready, 64), f"ended before it was ready\n{self.stderr()}"
        except BaseException:
            self.kill()
            raise
        finally:
            os.close(ready)
        return self

    def run(self, *arguments, timeout_s=START_S):
        """Runs it to its end, for starts that are refused."""
        return subprocess.run(
            [self.build / "gaitd", *map(str, arguments)], env=self.environment,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout_s,
            check=False)

    def stop(self):
        """SIGTERM, exit 0, and nobody left behind."""
        self.process.send_signal(signal.SIGTERM)
        self.await_end()

    def await_end(self):
        status = self.process.wait(STOP_S)
        self.process = None
        assert status == 0, f"gaitd ended with {status}\n{self.stderr()}"
        assert not self.leftovers(0), f"processes left behind\n{self.stderr()}"

    def kill(self):
        """kill -9, and waits for its workers, which see their pipes close."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
        assert not self.leftovers(STOP_S), f"processes left behind\n{self.stderr()}"

    def leftovers(self, patience_s):
        deadline = time.monotonic() + patience_s
        left = []
        for pid in processes_with(self.environment["XDG_STATE_HOME"]):
            if not await_exit(pid, max(deadline - time.monotonic(), 0)):
                left.append(pid)
        return left

    def release(self):
        """The end of a test: whatever happened in it, nothing is left."""
        if self.process is not None:
            self.stop()
        left = self.leftovers(STOP_S)
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert not left, f"processes left behind: {left}\n{self.stderr()}"

    # Talking to it.

    def stderr(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def client(self):
        return Client(self.socket)

    def ctl(self, *arguments, status=0, timeout_s=120, **options):
        """Runs gaitctl; `status` is the exit status expected (None: any)."""
        done = subprocess.run(
            [self.build / "gaitctl", *map(str, arguments)],
            **{"env": self.environment, "capture_output": True, "text": True,
               "stdin": None if "input" in options else subprocess.DEVNULL,
               "timeout": timeout_s, "check": False, **options})
        if status is not None:
            assert done.returncode == status, (
                f"gaitctl {' '.join(map(str, arguments))}: exit {done.returncode}, expected "
                f"{status}\n{done.stdout}\n{done.stderr}\n{self.stderr()}")
        return done

    def ctl_process(self, *arguments, **options):
        """Starts gaitctl and returns at once."""
        return subprocess.Popen(
            [self.build / "gaitctl", *map(str, arguments)],
            **{"env": self.environment, "stdin": subprocess.DEVNULL,
               "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, **options})
