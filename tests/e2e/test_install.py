"""What `make install` puts in place works from there, and `make uninstall` takes it away."""

import os
import shutil
import socket
import subprocess

import pytest

from conftest import BUILD, REPOSITORY


def make(*arguments):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BUILD", "DESTDIR")}
    done = subprocess.run(
        ["make", f"BUILD={os.path.relpath(BUILD, REPOSITORY)}", "--assume-old=all", *arguments],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


UNITS = ("lib/systemd/system/gaitd.service", "lib/systemd/user/gaitd.service",
         "lib/sysusers.d/gaitd.conf")


def test_install_and_uninstall(folder, new_daemon):
    root = folder / "root"
    make("install", f"DESTDIR={root}", "PREFIX=/opt/gaitd")
    prefix = root / "opt" / "gaitd"
    installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert installed >= {"bin/gaitd", "bin/gaitctl", "libexec/gaitd/gait-worker",
                         "share/gaitd/quickstart.json", "share/doc/gaitd/README.md",
                         "share/doc/gaitd/protocol.md", *UNITS}
    for unit in UNITS[:2]:
        text = (prefix / unit).read_text()
        assert "ExecStart=/opt/gaitd/bin/gaitd\n" in text and "@" not in text
    daemon = new_daemon()
    daemon.build = prefix / "bin"
    daemon.start()
    daemon.ctl("submit", "--wait", "--nb_epochs=0")
    daemon.stop()
    make("uninstall", f"DESTDIR={root}", "PREFIX=/opt/gaitd")
    assert not [path for path in prefix.rglob("*") if path.is_file()]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("manager", ["system", "user"])
def test_systemd_takes_the_units(folder, manager):
    make("install", f"PREFIX={folder}/prefix")
    unit = folder / "prefix/lib/systemd" / manager / "gaitd.service"
    done = subprocess.run(
        ["systemd-analyze", f"--{manager}", "--man=no", "--recursive-errors=no", "verify", unit],
        env={**os.environ, "XDG_RUNTIME_DIR": str(folder)}, capture_output=True, text=True,
        check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_unit_says_when_it_is_ready(new_daemon, folder):
    """Type=notify: one datagram, when clients can connect."""
    daemon = new_daemon()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(30)
        daemon.environment["NOTIFY_SOCKET"] = str(folder / "notify")
        daemon.start()
        assert manager.recv(100) == b"READY=1"
        daemon.stop()
        assert manager.recv(100) == b"STOPPING=1"
