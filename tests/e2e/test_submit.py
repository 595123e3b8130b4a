"""What submitting means: expansion, names, request ids, flags and published lines."""

import json
import pathlib

import pytest

from data_sets import write_idx_set
from rpc import RpcError

CONFIGS = pathlib.Path(__file__).resolve().parents[2] / "configs"
TINY = {"tower": True, "widths": "16x10", "train_rows": 60, "test_rows": 60, "nb_epochs": 0}


def dry_run(gaitd, *arguments, **options):
    """The jobs that a command line stands for."""
    done = gaitd.ctl("submit", *arguments, "--dry-run", "-o", "json", **options)
    assert gaitd.ctl("list", "-o", "json").stdout.strip() in ("[]", "")
    return json.loads(done.stdout)["jobs"]


def varying(jobs, *names):
    return [tuple(job[name] for name in names) for job in jobs]


# From the README of the published script, with `python run.py` replaced.
PUBLISHED = [
    ("--algorithm=BP --learning_rate=0.0001 --nb_layers=4 --nb_epochs=100",
     {"algorithm": "BP", "learning_rate": 1e-4, "nb_layers": 4, "nb_epochs": 100}),
    ("--algorithm=GAIT --learning_rate=0.0001 --orthogonal_init --orthogonal_reg=0.1 "
     "--nb_layers=4 --nb_epochs=100",
     {"algorithm": "GAIT", "learning_rate": 1e-4, "orthogonal_init": True,
      "orthogonal_reg": 0.1, "nb_layers": 4}),
    ("--algorithm=TP --learning_rate=0.00001 --orthogonal_init --orthogonal_reg=1000.0 "
     "--nb_layers=4 --nb_epochs=100",
     {"algorithm": "TP", "learning_rate": 1e-5, "orthogonal_init": True,
      "orthogonal_reg": 1000, "nb_layers": 4}),
    ("--algorithm=GAIT --learning_rate=0.0001 --orthogonal_init --orthogonal_reg=0.1 "
     "--nb_layers=4 --nb_epochs=100 --tower",
     {"algorithm": "GAIT", "tower": True, "orthogonal_init": True, "orthogonal_reg": 0.1}),
    ("--algorithm=TP --linear --learning_rate=0.00001 --orthogonal_init "
     "--orthogonal_reg=1000.0 --nb_layers=4 --nb_epochs=100",
     {"algorithm": "TP", "linear": True, "learning_rate": 1e-5, "nb_layers": 4,
      "orthogonal_reg": 1000}),
]


@pytest.mark.parametrize("line, settings", PUBLISHED, ids=["bp", "gait", "tp", "tower", "linear"])
def test_published_lines(gaitd, line, settings):
    (job,) = dry_run(gaitd, *line.split())
    assert {name: job[name] for name in settings} == settings
    assert (job["dataset"], job["seed"], job["batch_size"]) == ("MNIST", 1, 60)


@pytest.mark.parametrize("config, count", [
    ("quickstart", 9), ("published", 45), ("published_xavier", 30), ("controls", 15)])
def test_configs(new_daemon, config, count):
    daemon = new_daemon()
    for name in ("KMNIST", "FMNIST"):
        write_idx_set(daemon.datasets / name, train_rows=6000, test_rows=2000, packed=True)
    daemon.start()
    assert len(dry_run(daemon, CONFIGS / f"{config}.json")) == count


def test_every_spec_is_covered():
    specs = {path.stem for path in CONFIGS.glob("*.json")} - {"gaitd"}
    assert specs == {"quickstart", "published", "published_xavier", "controls"}


def test_flags(gaitd):
    jobs = dry_run(gaitd, "--algorithm", "BP,GAIT", "--seed", "1..3", "--nb-epochs=5")
    assert varying(jobs, "algorithm", "seed", "nb_epochs") == [
        (algorithm, seed, 5) for algorithm in ("BP", "GAIT") for seed in (1, 2, 3)]
    jobs = dry_run(gaitd, "--seed=1..401:100")
    assert varying(jobs, "seed") == [(1,), (101,), (201,), (301,), (401,)]
    rates = [job["learning_rate"] for job in dry_run(gaitd, "--learning-rate=1e-5..1e-3:log:5")]
    assert rates == pytest.approx([1e-5, 10 ** -4.5, 1e-4, 10 ** -3.5, 1e-3], rel=1e-14)
    assert (rates[0], rates[-1]) == (1e-5, 1e-3)


def test_flags_over_a_file(gaitd):
    spec = {"base": {"nb_epochs": 7}, "axes": {"seed": [1, 2], "algorithm": ["BP", "TP"]}}
    file = gaitd.folder / "spec.json"
    file.write_text(json.dumps(spec))
    jobs = dry_run(gaitd, file)
    assert varying(jobs, "seed", "algorithm", "nb_epochs") == [
        (1, "BP", 7), (1, "TP", 7), (2, "BP", 7), (2, "TP", 7)]
    jobs = dry_run(gaitd, file, "--nb_epochs=9", "--seed=5")
    assert varying(jobs, "seed", "algorithm", "nb_epochs") == [(5, "BP", 9), (5, "TP", 9)]
    jobs = dry_run(gaitd, "-", input=json.dumps(spec))
    assert len(jobs) == 4


def test_points_and_ranges(client):
    answer = client.submit({
        "base": {"nb_epochs": 3},
        "points": [{"algorithm": "GAIT"}, {"algorithm": "TP", "learning_rate": 1e-5}],
        "axes": {"seed": {"from": 1, "to": 9, "step": 4},
                 "gamma": {"from": 0.5, "to": 1, "steps": 2, "scale": "linear"}}}, dry_run=True)
    assert answer["job_count"] == 12
    assert (answer["sweep_id"], answer["first_job"], answer["submitted_at"]) == (None,) * 3
    assert varying(answer["jobs"], "algorithm", "learning_rate", "seed", "gamma") == [
        (algorithm, rate, seed, gamma)
        for algorithm, rate in (("GAIT", 1e-4), ("TP", 1e-5))
        for seed in (1, 5, 9) for gamma in ((None, None) if algorithm == "TP" else (0.5, 1))]


def test_same_name(client):
    spec = {"name": "mine", "base": TINY, "axes": {"seed": [1, 2]}}
    first = client.submit(spec)
    again = client.submit(spec)
    assert not first["is_existing"] and again["is_existing"]
    assert [again[name] for name in ("sweep_id", "first_job", "last_job")] == [
        first[name] for name in ("sweep_id", "first_job", "last_job")]
    with pytest.raises(RpcError) as refused:
        client.submit({**spec, "axes": {"seed": [1, 2, 3]}})
    assert refused.value.code == 3
    assert refused.value.message == (
        f'sweep "mine" exists with another spec (sweep-1, submitted by {first["owner"]})')
    assert [sweep["job_count"] for sweep in client.call("sweeps")["sweeps"]] == [2]


def test_same_request_id(client):
    """A client that saw no answer asks again, and gets the sweep it made."""
    spec = {"base": TINY, "axes": {"seed": [1, 2]}}
    first = client.submit(spec, request_id="abc")
    again = client.submit(spec, request_id="abc")
    assert again["sweep_id"] == first["sweep_id"]
    other = client.submit(spec, request_id="def")
    assert other["sweep_id"] != first["sweep_id"]
    assert len(client.call("sweeps")["sweeps"]) == 2


def test_submissions_survive_kill(new_daemon):
    """What was answered is there; equal trainings are done once."""
    daemon = new_daemon(slots=1).start()
    with daemon.client() as client:
        client.submit({"name": "s", "base": TINY, "axes": {"seed": {"from": 1, "to": 300}}})
        daemon.kill()
    with daemon.start().client() as client:
        client.await_final("s")
        jobs = client.jobs("s")
        assert len(jobs) == 300 and {job["state"] for job in jobs} == {"done"}
        rows = client.history("s")
        assert sorted(row["job"] for row in rows) == [job["id"] for job in jobs]


def test_twins_are_trained_once(client):
    sweep = client.submit({"name": "twins", "base": TINY, "axes": {"gamma": [0.1, 0.2, 0.3]}})
    client.await_final("twins")
    jobs = client.jobs("twins")
    assert len({job["run_id"] for job in jobs}) == 1
    assert sum(job["attempts"] for job in jobs) == 1
    rows = client.history("twins")
    assert len(rows) == 3 and len({row["state_hash"] for row in rows}) == 1
    assert sweep["new"] == 3 or sweep["new"] == 1


def test_seeds_too_close_are_noted(client):
    answer = client.submit({"base": {"nb_layers": 4}, "axes": {"seed": [1, 2]}}, dry_run=True)
    assert any("seed" in note for note in answer["notes"])
    answer = client.submit({"base": {"nb_layers": 4}, "axes": {"seed": [1, 101]}}, dry_run=True)
    assert not any("seed" in note for note in answer["notes"])
