"""Hooks: what gaitd's owner has set is run when a sweep has finished."""

import json
import os

import pytest

from rpc import RpcError

TINY = {"tower": True, "widths": "16x10", "train_rows": 60, "test_rows": 60, "nb_epochs": 1}
WILD = {"widths": "784x64x10", "tower": True, "learning_rate": 1e6, "nb_epochs": 50}


@pytest.fixture
def told(new_daemon):
    """A daemon with hooks."""
    daemon = new_daemon(slots=2)
    script = daemon.folder / "hook"
    script.write_text("#!/bin/sh\nread line && echo unexpected\n"
                      "printf '%s\\n' \"$@\" >> " f"{daemon.folder}/told\n"
                      "echo told; echo \"on stderr\" >&2; exit 2\n")
    script.chmod(0o755)
    daemon.hooks = {
        "mail": [str(script), "{sweep} $(touch /tmp/no) {id}", "{owner}", "{done}", "{failed}",
                 "{cancelled}", "0", "{nothing}", ""],
        "gone": ["/nonexistent/program"]}
    return daemon


def start(daemon):
    return daemon.start("--hooks", json.dumps(daemon.hooks))


def await_kind(client, kind, count=1):
    """The events of a kind, once there are so many."""
    client.call("events", follow=True, limit=1)
    while len(found := [event for event in client.pages("events", "events")
                        if event["kind"] == kind]) < count:
        client.notification()
    return found


def test_a_finished_sweep(told):
    with start(told).client() as client:
        told.ctl("submit", "-", "--name=s", "--on-finish=mail", input=json.dumps(
            {"base": TINY, "points": [{}, WILD]}))
        (event,) = await_kind(client, "hook")
        owner = client.jobs("s")[0]["owner"]
        assert event["text"] == 'hook "mail": exit status 2: told\non stderr'
        assert (event["sweep"], event["job"]) == ("s", None)
        lines = (told.folder / "told").read_text().split("\n")
        assert lines == ["s $(touch /tmp/no) 1", owner, "1", "1", "0", "0", "{nothing}", "", ""]
        # Once more when it finishes once more, and not for other sweeps.
        client.submit({"name": "t", **TINY})
        client.call("drain")
        client.submit({"name": "u", **TINY, "seed": 5}, controls={"on_finish": "mail"})
        client.call("cancel", target="u")
        await_kind(client, "hook", 2)
        assert client.call("retry", target="u")["retried"] == 1
        client.call("drain", undo=True)
        texts = [event["sweep"] for event in await_kind(client, "hook", 3)]
        assert texts == ["s", "u", "u"]
        assert client.call("show", target="u")["sweep"]["on_finish"] == "mail"
        # It can be deleted, though there were orders for it.
        assert client.call("delete", target="u", request_id="d")["jobs"] == 1


def test_hooks_that_cannot_be(told):
    with start(told).client() as client:
        with pytest.raises(RpcError) as refused:
            client.submit(TINY, controls={"on_finish": "mial"})
        (fault,) = refused.value.data["faults"]
        assert (fault["where"], fault["text"]) == (
            "controls.on_finish", '"mial" is not a hook of this gaitd, did you mean "mail"?')
        client.submit(TINY, controls={"on_finish": "gone"})
        with pytest.raises(RpcError, match='on_finish: "mial" is not a hook of this gaitd, did'):
            client.call("control", target="last", controls={"on_finish": "mial"})
        (event,) = await_kind(client, "hook")
        assert event["text"] == 'hook "gone": no such file or directory'
    for bad in ({"a": ["relative"]}, {"a": []}, {"a": "/bin/true"}, {"a": ["/bin/true", 1]}, []):
        done = told.run("--hooks", json.dumps(bad))
        assert done.returncode != 0 and "hooks" in done.stderr, done.stderr


def test_a_hook_that_gaitd_did_not_see_ending(told):
    """Is killed with gaitd's stop, and runs again."""
    told.hooks["slow"] = ["/bin/sh", "-c", f"echo x >> {told.folder}/began; cat {told.folder}/fifo"]
    os.mkfifo(told.folder / "fifo")
    with start(told).client() as client:
        client.submit(TINY, controls={"on_finish": "slow"})
        await_kind(client, "finished")
        # It reads now: opening for writing waits for that.
        with open(told.folder / "fifo", "wb"):
            told.stop()
    assert (told.folder / "began").read_text() == "x\n"
    with start(told).client() as client:
        with open(told.folder / "fifo", "wb") as fifo:
            fifo.write(b"done")
        (event,) = await_kind(client, "hook")
        assert event["text"] == 'hook "slow": exit status 0: done'
    assert (told.folder / "began").read_text() == "x\nx\n"


def test_an_order_of_a_deleted_sweep_is_no_other(new_daemon):
    """It still runs when the next one is given, which runs all the same."""
    daemon = new_daemon(slots=1)
    gate = daemon.folder / "gate"
    os.mkfifo(gate)
    hooks = {"slow": ["/bin/cat", str(gate)], "quick": ["/bin/true"]}
    with daemon.start("--hooks", json.dumps(hooks)).client() as client:
        client.submit({"name": "a", **TINY}, controls={"on_finish": "slow"})
        client.await_final("a")
        client.call("delete", target="a", request_id="d")
        for name in ("b", "c"):
            client.submit({"name": name, **TINY}, controls={"on_finish": "quick"})
        with open(gate, "w"):
            texts = [(event["sweep"], event["text"])
                     for event in await_kind(client, "hook", 2)]
    assert sorted(texts) == [("b", 'hook "quick": exit status 0'), ("c", 'hook "quick": exit status 0')]
