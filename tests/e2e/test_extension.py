"""The same training is never done twice: what submit says of that, and that nobody's
answers change when somebody else extends a run."""

import sqlite3

TINY = {"tower": True, "widths": "16x10", "train_rows": 60, "test_rows": 60}


def submit(client, name, **settings):
    answer = client.submit({"name": name, **TINY, **settings})
    client.await_final(name)
    return answer


def counts(answer):
    return tuple(answer[name] for name in ("new", "continued", "done", "failed", "waiting"))


def answers(gaitd, client, target):
    """All that is said of a sweep."""
    (sweep,) = [s for s in client.call("sweeps")["sweeps"] if s["name"] == target]
    said = [client.jobs(target), client.history(target), sweep,
            client.call("results", target=target), client.call("results", target=target, by=[])]
    for job in client.jobs(target):
        shown = client.call("show", target=str(job["id"]))
        said += [shown["job"], shown["attempts"], client.call("explain", target=str(job["id"]))]
    said += [gaitd.ctl(*command, target).stdout
             for command in (("results",), ("history",), ("plot",), ("list",))]
    with sqlite3.connect(f"file:{gaitd.state}/gaitd.sqlite?mode=ro", uri=True) as database:
        for view in ("result", "curve"):
            said.append(database.execute(f"SELECT * FROM {view} WHERE sweep = ?",
                                         (target,)).fetchall())
    return said


def test_more_epochs_go_on_from_the_checkpoint(gaitd, client):
    assert counts(submit(client, "short", nb_epochs=3)) == (1, 0, 0, 0, 0)
    before = answers(gaitd, client, "short")
    answer = submit(client, "longer", nb_epochs=7)
    assert counts(answer) == (0, 1, 0, 0, 0) and answer["notes"] == []
    assert "job 2 goes on from step 3 in slot" in gaitd.stderr()
    assert [row["step"] for row in client.history("longer")] == list(range(8))
    assert answers(gaitd, client, "short") == before
    answer = submit(client, "again", nb_epochs=5)
    assert counts(answer) == (0, 0, 1, 0, 0)
    assert gaitd.ctl("submit", "--name=third", "--dry-run", "--nb_epochs=9",
                     *[f"--{name}={value}" for name, value in TINY.items()]).stderr.startswith(
                         'sweep "third": 1 job (1 continued)')
    assert client.jobs("again")[0]["attempts"] == 0
    assert answers(gaitd, client, "short") == before


def test_answers_stay_when_the_run_diverges_later(gaitd, client):
    wild = {"widths": "784x64x10", "learning_rate": 1000, "train_rows": 600, "batch_size": 600}
    submit(client, "short", nb_epochs=1, **wild)
    assert client.jobs("short")[0]["state"] == "done"
    before = answers(gaitd, client, "short")
    submit(client, "longer", nb_epochs=50, **wild)
    assert client.jobs("longer")[0]["state"] == "failed"
    assert answers(gaitd, client, "short") == before


def test_what_a_new_job_differs_in(client):
    submit(client, "first", nb_epochs=1)
    note = "new: differs from run 1 in test_rows (60 there)"
    assert submit(client, "second", nb_epochs=1, test_rows=50)["notes"] == [note]
    assert client.submit({**TINY, "test_rows": 40}, dry_run=True)["notes"] == [
        "new: differs from run 2 in test_rows (50 there)"]
    # Of settings that the sweep varies nothing is said, nor of what differs in two.
    assert client.submit({**TINY, "seed": 7, "linear": True, "nb_epochs": 1})["notes"] == []
    answer = client.submit({"name": "grid", "base": {**TINY, "nb_epochs": 1, "test_rows": 30},
                            "axes": {"seed": [1, 101]}})
    assert answer["notes"] == ["seed=1 is new: differs from run 2 in test_rows (50 there)"]
    answer = client.submit({"base": {**TINY, "nb_epochs": 1}, "axes": {"seed": [201, 301]}})
    assert answer["notes"] == []
    assert client.submit({**TINY, "nb_epochs": 1}, fresh=True)["notes"] == []
