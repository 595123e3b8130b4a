"""Who may connect, and what they may do: by the kernel's word, with real other users."""

import os
import pickle
import stat
import threading
import time

import pytest

from rpc import Client, RpcError

ALICE, BOB = 54321, 54322  # of nobody, and without a name
LAB, CHIEFS = 54331, 54332

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def as_user(uid, groups, function):
    """What `function` returns or raises in a process of that user, whose first
    group is its primary one."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups(groups[1:])
            os.setresgid(*[groups[0]] * 3)
            os.setresuid(*[uid] * 3)
            outcome = (function(), None)
        except BaseException as raised:  # told to the parent
            outcome = (None, (type(raised).__name__, str(raised)))
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(outcome, pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        value, raised = pickle.load(pipe)
    os.waitpid(pid, 0)
    return value if raised is None else raised


@pytest.fixture
def start(folder, new_daemon):
    """Starts a daemon whose socket is where others can come."""
    def begin(*arguments):
        daemon = new_daemon()
        os.chmod(folder, 0o711)
        os.chmod(daemon.folder, 0o711)
        return daemon.start(*arguments)
    return begin


def calls(daemon, *requests):
    """A function that makes the calls and returns each result, or error code."""
    def call():
        answers = []
        with Client(daemon.socket) as client:
            for method, params in requests:
                try:
                    answers.append(client.call(method, **params))
                except RpcError as refused:
                    answers.append((refused.code, refused.message))
        return answers
    return call


STATUS = ("status", {})


def test_without_a_group_only_owner_and_root(start):
    daemon = start()
    assert stat.S_IMODE(os.stat(daemon.socket).st_mode) == 0o600
    assert as_user(ALICE, [LAB], calls(daemon, STATUS))[0] == "PermissionError"


def test_who_gets_past_the_file_gets_nothing(start):
    """The socket's mode is not all that protects it."""
    daemon = start()
    os.chmod(daemon.socket, 0o666)
    assert as_user(ALICE, [LAB], calls(daemon, STATUS))[0] in (
        "ConnectionError", "ConnectionResetError", "BrokenPipeError")
    assert f"turned away a client of user {ALICE}" in daemon.stderr()
    with daemon.client() as client:
        client.call("status")


@pytest.mark.parametrize("groups", [[LAB], [BOB, LAB], [BOB, *range(60000, 60100), LAB]],
                         ids=["primary", "supplementary", "many"])
def test_a_group_is_let_in(start, groups):
    daemon = start("--group", LAB)
    status = os.stat(daemon.socket)
    assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, LAB)
    assert as_user(ALICE, groups, calls(daemon, STATUS))[0]["pid"] == daemon.process.pid
    assert as_user(ALICE, [BOB], calls(daemon, STATUS))[0] == "PermissionError"
    os.chmod(daemon.socket, 0o666)
    assert as_user(ALICE, [BOB], calls(daemon, STATUS))[0] != "PermissionError"
    assert f"turned away a client of user {ALICE}" in daemon.stderr()


def submit(name):
    return ("submit", {"spec": {"name": name, "nb_epochs": 100000}, "request_id": name})


def test_users_see_all_and_change_what_is_theirs(start):
    daemon = start("--group", LAB)
    daemon.ctl("submit", "--name=roots", "--nb_epochs=100000")
    mine, jobs, foreign, own, end = as_user(ALICE, [LAB], calls(
        daemon, submit("alices"), ("list", {}), ("cancel", {"target": "roots"}),
        ("cancel", {"target": "alices"}), ("shutdown", {})))
    assert mine["owner"] == str(ALICE)
    assert {job["owner"] for job in jobs["jobs"]} == {"root", str(ALICE)}
    assert foreign == (4, 'sweep "roots" belongs to root')
    assert own["cancelled"] + own["stopping"] == 1
    assert end[0] == 4 and "only operators may shut gaitd down" in end[1]
    last, others = as_user(BOB, [LAB], calls(
        daemon, ("show", {"target": "last"}), ("cancel", {"target": "alices"})))
    assert last == (2, "you have submitted no sweep yet")
    assert others == (4, f'sweep "alices" belongs to {ALICE}')


def test_operators_may_do_everything(start):
    daemon = start("--group", LAB, "--operator-group", CHIEFS)
    daemon.ctl("submit", "--name=roots", "--nb_epochs=100000")
    cancelled, end = as_user(BOB, [LAB, CHIEFS], calls(
        daemon, ("cancel", {"target": "roots"}), ("shutdown", {})))
    assert cancelled["cancelled"] + cancelled["stopping"] == 1
    assert "running" in end
    daemon.await_end()


def test_operators_alone_may_be_let_in(start):
    daemon = start("--operator-group", CHIEFS)
    assert os.stat(daemon.socket).st_gid == CHIEFS
    assert as_user(BOB, [CHIEFS], calls(daemon, STATUS))[0]["pid"] == daemon.process.pid


def test_a_group_that_does_not_exist(new_daemon):
    done = new_daemon().run("--group", "nobodys-group")
    assert done.returncode == 1
    assert 'group: there is no group "nobodys-group" on this machine' in done.stderr


def test_connections_of_one_user(start):
    """A user who has enough is told so; others come in."""
    daemon = start("--group", LAB, "--max-connections-per-user", "3")

    def four():
        clients = [Client(daemon.socket) for _ in range(4)]
        for client in clients[:3]:
            client.call("status")
        refused = clients[3].receive()["error"]
        end = clients[3].receive()
        clients[0].close()
        # Its place is free when the daemon has seen that.
        for _ in range(1000):
            with Client(daemon.socket) as client:
                client.send("status")
                if "result" in client.receive():
                    return refused, end, True
        return refused, end, False

    refused, end, is_free_again = as_user(ALICE, [LAB], four)
    assert refused == {"code": 12, "message": "3 of your clients are connected already"}
    assert (end, is_free_again) == (None, True)
    assert as_user(BOB, [LAB], calls(daemon, STATUS))[0]["pid"] == daemon.process.pid


def test_queued_jobs_of_one_user(start):
    daemon = start("--group", LAB, "--max-queued-per-user", "10")

    def sweep(name, count):
        return ("submit", {"request_id": name, "spec": {
            "name": name, "base": {"nb_epochs": 100000},
            "axes": {"seed": {"from": 1, "to": count}}}})

    def codes(answers):
        return [answer if isinstance(answer, tuple) else answer.get("job_count")
                for answer in answers]

    refusal = (12, "with these {} you would have more than 10 jobs that are not final "
                   "(max_queued_per_user)")
    assert codes(as_user(ALICE, [LAB], calls(
        daemon, sweep("a", 11), sweep("b", 8), sweep("c", 3), sweep("d", 2)))) == [
            (12, refusal[1].format(11)), 8, (12, refusal[1].format(3)), 2]
    assert codes(as_user(BOB, [LAB], calls(daemon, sweep("e", 10)))) == [10]
    assert codes(as_user(ALICE, [LAB], calls(daemon, sweep("f", 1)))) == [
        (12, refusal[1].format(1))]
    with daemon.client() as client:
        client.call("cancel", target="b")
        client.await_final("b")
    assert codes(as_user(ALICE, [LAB], calls(daemon, sweep("f", 1)))) == [1]


def test_one_users_questions_leave_threads_to_others(start):
    """Half of the threads answer one user's endless flood; the others wait for somebody."""
    daemon = start("--group", LAB)
    with daemon.client() as client:
        client.submit({"name": "many", "base": {"nb_epochs": 100000},
                       "axes": {"seed": {"from": 1, "to": 3000}}})
    is_over = threading.Event()
    floods = []

    def flood():
        with daemon.client() as client:
            while not is_over.is_set():
                begin = time.monotonic()
                asked = [client.send("results", target="many", by=["algorithm"])
                         for _ in range(8)]
                for _ in asked:
                    client.receive_line()
                floods.append(time.monotonic() - begin)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()

    def seconds():
        taken = []
        with Client(daemon.socket) as client:
            for _ in range(20):
                start_s = time.monotonic()
                client.call("show", target="1")
                taken.append(time.monotonic() - start_s)
        return sorted(taken)

    try:
        taken = as_user(ALICE, [LAB], seconds)
    finally:
        is_over.set()
        for thread in threads:
            thread.join()
    print(f"a question beside a flood: median {1e3 * taken[10]:.1f} ms, "
          f"longest {1e3 * taken[-1]:.1f} ms; the flood's own {1e3 * max(floods):.1f} ms")
    assert taken[10] < max(floods) / 4, (taken, floods)
    with daemon.client() as client:
        client.call("cancel", target="many")
