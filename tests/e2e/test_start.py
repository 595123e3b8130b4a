"""Starting and stopping gaitd, and what it refuses to start on."""

import pathlib
import signal
import socket
import sqlite3
import stat

import pytest

from daemon import await_exit


def refused(daemon, *arguments, status=1):
    """Expects a start that fails; returns the last line of its stderr."""
    done = daemon.run(*arguments)
    assert (done.returncode, done.stdout) == (status, ""), done.stderr
    return done.stderr.splitlines()[-1]


def test_ready_and_gone(new_daemon):
    daemon = new_daemon().start()
    assert stat.S_IMODE(daemon.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(daemon.state.stat().st_mode) == 0o700
    with daemon.client() as client:
        status = client.call("status")
    assert status["pid"] == daemon.process.pid
    assert status["protocol"] == 1
    assert status["state_dir"] == str(daemon.state)
    assert status["socket"] == str(daemon.socket)
    assert len(status["slots"]) == 2
    daemon.stop()
    assert not daemon.socket.exists()
    assert not list(daemon.folder.glob("**/*.lock"))


def test_nothing_needs_to_be_set(new_daemon):
    """XDG folders, or those of HOME where they are not set either."""
    daemon = new_daemon()
    for name in [name for name in daemon.environment if name.startswith(("XDG_", "GAITD_"))]:
        del daemon.environment[name]
    home = pathlib.Path(daemon.environment["HOME"])
    home.mkdir()
    daemon.socket = home / ".local/state/gaitd/gaitd.sock"
    # A relative one is as good as none; processes left behind are found by it.
    daemon.environment["XDG_STATE_HOME"] = f"relative{daemon.folder}"
    daemon.start()
    with daemon.client() as client:
        assert client.call("status")["state_dir"] == str(home / ".local/state/gaitd")
    daemon.stop()


def test_socket_in_the_runtime_folder(new_daemon):
    daemon = new_daemon()
    del daemon.environment["GAITD_SOCKET"]
    daemon.environment["XDG_RUNTIME_DIR"] = str(daemon.folder)
    daemon.socket = daemon.folder / "gaitd.sock"
    daemon.start()
    daemon.client().close()
    assert daemon.ctl("status").returncode == 0


def test_systemd_is_told(new_daemon, folder):
    daemon = new_daemon()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(folder / "notify"))
        notices.settimeout(30)
        daemon.environment["NOTIFY_SOCKET"] = str(folder / "notify")
        daemon.start()
        assert "READY=1" in notices.recv(4096).decode().split("\n")
        daemon.stop()
        assert "STOPPING=1" in notices.recv(4096).decode().split("\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_signals(new_daemon, number):
    daemon = new_daemon().start()
    daemon.process.send_signal(number)
    daemon.await_end()


def test_state_in_use(gaitd):
    message = refused(gaitd, "--socket", gaitd.folder / "other")
    assert message.endswith(f'state folder "{gaitd.state}" is in use by a running gaitd '
                            f"(pid {gaitd.process.pid})")
    with gaitd.client() as client:
        assert client.call("status")["pid"] == gaitd.process.pid


def test_socket_in_use(gaitd):
    message = refused(gaitd, "--state-dir", gaitd.folder / "other")
    assert message.endswith(f'socket "{gaitd.socket}" is in use by a running gaitd '
                            f"(pid {gaitd.process.pid})")
    with gaitd.client() as client:
        assert client.call("status")["pid"] == gaitd.process.pid


def test_socket_of_another_program(new_daemon):
    daemon = new_daemon()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(daemon.socket))
        other.listen()
        message = refused(daemon)
    assert message.endswith(f'socket "{daemon.socket}" is in use by another program')
    assert daemon.socket.exists()


def test_socket_that_is_a_file(new_daemon):
    daemon = new_daemon()
    daemon.socket.write_text("precious")
    assert refused(daemon).endswith(f'"{daemon.socket}" exists and is not a socket')
    assert daemon.socket.read_text() == "precious"


def test_stale_socket(new_daemon):
    """One that a daemon left behind when it was killed is replaced."""
    daemon = new_daemon().start()
    daemon.kill()
    assert daemon.socket.exists()
    daemon.start()
    with daemon.client() as client:
        assert client.call("status")["pid"] == daemon.process.pid


def test_socket_path_too_long(new_daemon):
    daemon = new_daemon()
    path = daemon.folder / ("s" * (108 - len(str(daemon.folder)) - 1))
    expected = (f"the socket's path has 108 bytes, at most 107 are possible: set GAITD_SOCKET "
                f'to a shorter one than "{path}"')
    daemon.environment["GAITD_SOCKET"] = str(path)
    assert refused(daemon, status=2) == f"gaitd: socket: {expected}"
    assert daemon.ctl("status", status=4).stderr.startswith(f"gaitctl: {expected}")
    daemon.environment["GAITD_SOCKET"] = str(path)[:-1]
    daemon.socket = pathlib.Path(str(path)[:-1])
    daemon.start()
    daemon.ctl("status")


def test_state_path_too_long(new_daemon):
    daemon = new_daemon()
    path = "/tmp/" + "s" * 4096
    assert refused(daemon, "--state-dir", path, status=2) == (
        f'gaitd: --state-dir: the path "{path[:100]}..." has 4101 bytes, at most 4095 are possible')


def test_database_of_a_newer_version(new_daemon):
    daemon = new_daemon().start()
    daemon.stop()
    (database,) = daemon.state.glob("*.sqlite")
    with sqlite3.connect(database) as connection:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute(f"PRAGMA user_version = {version + 1}")
    before = database.read_bytes()
    assert refused(daemon).endswith(
        f'database "{database}" is of version {version + 1}; this gaitd knows up to {version}')
    assert database.read_bytes() == before


def test_database_of_another_program(new_daemon):
    daemon = new_daemon().start()
    daemon.stop()
    (database,) = daemon.state.glob("*.sqlite")
    database.unlink()
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    assert refused(daemon).endswith(f'"{database}" is not a database of gaitd')


def test_database_that_is_none(new_daemon):
    daemon = new_daemon().start()
    daemon.stop()
    (database,) = daemon.state.glob("*.sqlite")
    database.write_bytes(b"not a database, but long enough to be taken for one" * 100)
    assert refused(daemon).endswith(f'database "{database}": file is not a database')


def test_folder_that_cannot_be_made(new_daemon):
    daemon = new_daemon()
    (daemon.folder / "file").write_text("")
    path = daemon.folder / "file" / "state"
    assert refused(daemon, "--state-dir", path).endswith(
        f'cannot make folder "{path}": Not a directory')


@pytest.mark.parametrize("arguments, message", [
    (["--cpu-slot", "2"], '--cpu-slot: unknown option, did you mean "--cpu-slots"?'),
    (["--cpu-slots", "many"], '--cpu-slots: "many" is not a whole number'),
    (["--cpu-slots", "-1"], "--cpu-slots: -1 is not within 0 and 1024"),
    (["--log-level", "loud"],
     '--log-level: "loud" is not one of: error warning info debug'),
    (["--config", "/nowhere/gaitd.json"],
     '--config: cannot read "/nowhere/gaitd.json": No such file or directory'),
    (["now"], 'command line: unexpected argument "now"'),
], ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_bad_flags(new_daemon, arguments, message):
    done = new_daemon().run(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"gaitd: {message}\n"


def test_config_file(new_daemon):
    """Comments are allowed, flags override it, and faults are all named."""
    daemon = new_daemon()
    file = daemon.folder / "config" / "gaitd" / "gaitd.json"
    file.parent.mkdir(parents=True)
    file.write_text('// mine\n{"cpu_slots": 1, // one\n "idle_release": 5}\n')
    daemon.start()
    with daemon.client() as client:
        assert len(client.call("status")["slots"]) == 2
    daemon.stop()
    file.write_text('{"cpu_slots": "two", "idle_relase": 5}')
    done = daemon.run()
    assert done.returncode == 2
    assert done.stderr == (
        'gaitd: gaitd.json.cpu_slots: "two" is not a whole number\n'
        'gaitd: gaitd.json.idle_relase: unknown option, did you mean "idle_release"?\n')


def test_help_and_version(new_daemon):
    daemon = new_daemon()
    for arguments, expected in ((["--help"], "--state-dir"), (["--version"], "gaitd 0.1.0")):
        done = daemon.run(*arguments)
        assert (done.returncode, done.stderr) == (0, "")
        assert expected in done.stdout


def test_idle_workers_leave(new_daemon):
    """A slot without work has no process after idle_release."""
    daemon = new_daemon().start("--idle-release", "0.1")
    with daemon.client() as client:
        client.submit({"name": "one", "nb_epochs": 0})
        client.await_final("one")
        (attempt,) = client.call("show", target="1")["attempts"]
        assert await_exit(attempt["pid"], timeout_s=30)
