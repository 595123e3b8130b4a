"""What `make install` puts in place works from there, and `make uninstall` takes it away."""

import os
import subprocess

from conftest import BUILD, REPOSITORY


def make(*arguments):
    environment = {name: value for name, value in os.environ.items()
                   if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "BUILD", "DESTDIR")}
    done = subprocess.run(
        ["make", f"BUILD={os.path.relpath(BUILD, REPOSITORY)}", "--assume-old=all", *arguments],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_install_and_uninstall(folder, new_daemon):
    root = folder / "root"
    make("install", f"DESTDIR={root}", "PREFIX=/opt/gaitd")
    prefix = root / "opt" / "gaitd"
    installed = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert installed >= {"bin/gaitd", "bin/gaitctl", "libexec/gaitd/gait-worker",
                         "share/gaitd/quickstart.json", "share/doc/gaitd/README.md",
                         "share/doc/gaitd/protocol.md"}
    daemon = new_daemon()
    daemon.build = prefix / "bin"
    daemon.start()
    daemon.ctl("submit", "--wait", "--nb_epochs=0")
    daemon.stop()
    make("uninstall", f"DESTDIR={root}", "PREFIX=/opt/gaitd")
    assert not [path for path in prefix.rglob("*") if path.is_file()]
