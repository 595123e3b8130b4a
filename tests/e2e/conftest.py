"""What every end-to-end test stands on: real programs in a folder of their own."""

import contextlib
import os
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from daemon import Daemon  # noqa: E402
from data_sets import write_idx_set  # noqa: E402

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("GAITD_BUILD", REPOSITORY / "build"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Shows the daemons' logs beside a failure."""
    report = (yield).get_result()
    if report.failed:
        for daemon in getattr(item, "daemons", [])[-3:]:
            report.sections.append((f"{daemon.folder.name}'s gaitd", daemon.stderr()))


@pytest.fixture
def tell(request):
    """Of a proof that takes long: what was done, for the summary at the end."""
    return lambda line: request.node.user_properties.append(("told", line))


def pytest_terminal_summary(terminalreporter):
    lines = [line for reports in terminalreporter.stats.values() for report in reports
             if getattr(report, "when", "") == "call"
             for name, line in report.user_properties if name == "told"]
    if lines and "GAITD_TORTURE" in os.environ:
        terminalreporter.section("what was done")
        for line in lines:
            terminalreporter.line(line)


@contextlib.contextmanager
def short_folder():
    """A folder whose name is short enough for sockets."""
    path = pathlib.Path(tempfile.mkdtemp(prefix="gaitd-"))
    try:
        yield path
    finally:
        shutil.rmtree(path)


@contextlib.contextmanager
def daemons_in(folder, made):
    """Yields what makes daemons, not started yet; checks how each of them ends."""
    def make(name="a", **options):
        daemon = Daemon(BUILD, folder / name, **options)
        made.append(daemon)
        write_idx_set(daemon.datasets / "MNIST", train_rows=600, test_rows=100)
        return daemon

    yield make
    faults = []
    for daemon in made:
        try:
            daemon.release()
        except AssertionError as fault:
            faults.append(str(fault))
    assert not faults, "\n".join(faults)


@pytest.fixture
def folder():
    with short_folder() as path:
        yield path


@pytest.fixture
def new_daemon(folder, request):
    request.node.daemons = []
    with daemons_in(folder, request.node.daemons) as make:
        yield make


@pytest.fixture
def gaitd(new_daemon):
    """A running daemon with two slots and a small MNIST."""
    return new_daemon().start()


@pytest.fixture
def client(gaitd):
    with gaitd.client() as connection:
        yield connection


@pytest.fixture(scope="module")
def shared_daemon():
    """One for all tests of a file that leave nothing behind in it."""
    with short_folder() as folder, daemons_in(folder, []) as make:
        yield make().start()


@pytest.fixture
def shared(shared_daemon, request):
    """A connection to it."""
    request.node.daemons = [shared_daemon]
    with shared_daemon.client() as connection:
        yield connection
