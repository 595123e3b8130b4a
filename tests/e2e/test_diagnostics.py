"""Diagnostics of layers, from the worker to gaitctl; and what a sweep would cost."""

import csv
import io
import json
import re

import pytest

COLUMNS = ["job", "algorithm", "step", "epoch", "layer", "angle", "off_diagonal", "condition",
           "error_rms"]
LONG = {"name": "long", "algorithm": "GAIT", "orthogonal_init": True, "orthogonal_reg": 0.1,
        "nb_layers": 1, "nb_epochs": 4, "eval_every": 5, "diagnostics": True}
FAR = 12  # steps after which it is interrupted: in the second epoch


@pytest.fixture(scope="module")
def measured(shared_daemon):
    """BP and GAIT, orthogonal starts, two layers, three rows each; and one without."""
    tower = ["--tower", "--widths=100x40"]
    shared_daemon.ctl("submit", "--wait", "--name=measured", "--algorithm=BP,GAIT",
                      "--diagnostics", "--orthogonal_init", "--orthogonal_reg=0.1",
                      "--nb_epochs=2", "--learning_rate=1e-3", *tower)
    shared_daemon.ctl("submit", "--wait", "--name=plain", "--nb_epochs=0", *tower)
    return shared_daemon


def layers_of(client, target):
    return client.pages("history", "rows", target=target, layers=True)


def test_layers(measured, shared):
    rows = layers_of(shared, "measured")
    assert [list(row) for row in rows] == [COLUMNS] * 12
    assert ([(row["job"], row["step"], row["epoch"], row["layer"]) for row in rows]
            == [(job, 10 * epoch, epoch, layer)
                for job in (1, 2) for epoch in range(3) for layer in range(2)])
    for row in rows:
        is_start = row["step"] == 0
        assert row["off_diagonal"] < 1e-3 if is_start else row["off_diagonal"] > 1e-2
        assert (abs(row["condition"] - 1) < 1e-4) == is_start
        assert 0 < row["error_rms"] < 1
        if row["algorithm"] == "BP" or row["layer"] == 1:
            assert row["angle"] == 0
        elif is_start:
            assert 0 <= row["angle"] < 1  # GAIT is BP at orthogonal weights, but for kinks
        else:
            assert 0 < row["angle"] < 90


def test_formats_agree(measured, shared):
    rows = layers_of(shared, "measured")
    command = ["history", "measured", "--layers", "-o"]
    assert json.loads(measured.ctl(*command, "json").stdout) == rows
    lines = measured.ctl(*command, "jsonl").stdout.splitlines()
    assert [json.loads(line) for line in lines] == rows
    as_csv = list(csv.DictReader(io.StringIO(measured.ctl(*command, "csv").stdout)))
    assert [list(row) for row in as_csv] == [COLUMNS] * 12
    assert [float(row["condition"]) for row in as_csv] == [row["condition"] for row in rows]
    table = measured.ctl("history", "measured", "--layers").stdout.splitlines()
    assert len(table) == 13 and "angle to BP, degrees" in table[0]


def test_plot(measured, shared):
    """A curve per layer, or the one that is asked for."""
    text = measured.ctl("plot", "measured", "--metric", "angle").stdout
    for name in ("BP layer=0", "BP layer=1", "GAIT layer=0", "GAIT layer=1"):
        assert name in text
    assert re.search("[\u2801-\u28ff]", text), "no braille"
    points = json.loads(measured.ctl("plot", "measured", "--metric=condition", "--layer=1",
                                     "-o", "json").stdout)
    expected = [(row["algorithm"], 1, row["epoch"], 1, row["condition"])
                for row in layers_of(shared, "measured") if row["layer"] == 1]
    assert [(point["algorithm"], point["layer"], point["epoch"], point["n"],
             point["condition_mean"]) for point in points] == expected


@pytest.mark.parametrize("arguments, status, message", [
    (["history", "plain", "--layers"], 3,
     'diagnostics of "plain" were not asked for: submit with --diagnostics'),
    (["plot", "plain", "--metric=angle"], 3,
     'diagnostics of "plain" were not asked for: submit with --diagnostics'),
    (["plot", "measured", "--metric=angle", "--layer=2"], 2,
     "--layer: no layer 2, expected 0 to 1"),
    (["plot", "measured", "--layer=0"], 2, '--layer: "test_accuracy" is not of layers'),
    (["plot", "measured", "--metric=angel"], 2, '--metric: "angel" is not test_accuracy'),
])
def test_what_is_not_there(measured, arguments, status, message):
    done = measured.ctl(*arguments, status=status)
    assert message in done.stderr and done.stdout == ""


def test_an_interruption_does_not_show(new_daemon):
    """Nor do the diagnostics themselves, but for their rows."""
    results = []
    for name, is_interrupted, is_measured in (("a", False, True), ("b", True, True),
                                              ("c", False, False)):
        daemon = new_daemon(name).start()
        with daemon.client() as client:
            client.submit({**LONG, "diagnostics": is_measured})
            if is_interrupted:
                client.call("watch", target="long")
                client.await_progress(lambda progress: progress["step"] >= FAR)
                daemon.kill()
        if is_interrupted:
            daemon.start()
        with daemon.client() as client:
            client.await_final("long")
            rows = client.history("long")
            for row in rows:
                del row["seconds"]
            results.append((rows, layers_of(client, "long") if is_measured else None))
            assert client.jobs("long")[0]["state"] == "done"
        daemon.stop()
    whole, interrupted, plain = results
    assert len(whole[0]) == 9 and len(whole[1]) == 18
    assert interrupted == whole
    assert plain[0] == whole[0]


# What a sweep would cost.

def test_dry_run_tells_the_share_of_evaluation(gaitd, client):
    spec = {"nb_epochs": 2, "eval_every": 2}
    work = client.submit(spec, dry_run=True)["work"]
    row = 2 * 784 * 784 + 2 * 784 * 10
    step = 5 * 2 * 784 * 784 * 60
    assert work["training_flops"] == 20 * step
    assert work["evaluation_flops"] == 11 * 700 * row
    assert work["evaluation_share"] == pytest.approx(
        11 * 700 * row / (11 * 700 * row + 20 * step), rel=1e-12)
    assert (work["evaluations_per_epoch"], work["evaluation_rows"]) == (5, 700)
    assert "work" not in client.submit({"name": "real", "nb_epochs": 0})
    flags = ["--dry-run", "--nb_epochs=2", "--eval_every=2"]
    talk = gaitd.ctl("submit", *flags).stderr
    assert ("evaluation is 57 % of the work (1.7e+10 FLOP): 5 times an epoch over 700 rows; "
            "with eval_every 0, once an epoch, 26 %\n") in talk
    talk = gaitd.ctl("submit", "--dry-run", "--nb_epochs=2", "--eval_every=0,2").stderr
    assert re.search(r"evaluation is \d+ % of the work \(.* FLOP\): over 700 rows; with", talk)
    talk = gaitd.ctl("submit", "--dry-run", "--nb_epochs=0").stderr
    assert "evaluation is 100 % of the work (8.71e+08 FLOP): once an epoch over 700 rows\n" in talk
