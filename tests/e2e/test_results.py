"""results: what a mean is over is told, and data has each column once."""
import csv
import io

import pytest

GRID = {"name": "grid", "base": {"nb_epochs": 1},
        "points": [{"algorithm": "BP"}, {"algorithm": "GAIT", "orthogonal_reg": 0.1}],
        "axes": {"nb_layers": [1, 2], "seed": [1, 101]}}


@pytest.fixture
def grid(gaitd, client):
    client.submit(GRID)
    client.await_final("grid")
    return gaitd


def test_what_a_mean_is_over(grid):
    note = "note: beside the seed, a row's trainings differ in {}; --by tells them apart\n"
    told = {"algorithm": note.format("nb_layers"),
            "algorithm,nb_layers": "",  # the regulariser goes with the rule
            "nb_layers": note.format("algorithm, orthogonal_reg"),
            "orthogonal_reg,nb_layers,seed": ""}
    for by, talk in told.items():
        assert grid.ctl("results", "grid", "--by", by).stderr == talk, by


def test_each_column_once(grid):
    for command in (["list"], ["list", "--sweeps"], ["list", "grid"], ["show"], ["show", "1"],
                    ["results"], ["results", "--by=seed"], ["history"], ["plot"], ["events"],
                    ["status"], ["submit", "--nb_epochs=1"], ["wait"], ["explain", "1"]):
        header, *_ = csv.reader(io.StringIO(grid.ctl(*command, "-o", "csv").stdout))
        assert len(header) == len(set(header)), (command, header)


def test_a_dry_run_of_what_exists(grid):
    again = ["submit", "--name=grid2", "--nb_epochs=1"]
    grid.ctl(*again)
    done = grid.ctl(*again, "--dry-run")
    assert done.stdout == "grid2\n"
    assert 'sweep "grid2" exists already: 1 job' in done.stderr
    assert "not submitted" in done.stderr
