"""A bad spec is refused whole, naming every fault, and nothing of it is stored."""

import pytest

from rpc import RpcError


def refusal(client, spec):
    """Submits, expects a refusal; returns {where: text} and the message."""
    with pytest.raises(RpcError) as refused:
        client.submit(spec, request_id="bad")
    error = refused.value
    assert error.code == 1, error
    assert client.call("sweeps")["sweeps"] == []
    assert client.call("list")["jobs"] == []
    faults = error.data["faults"]
    assert all(set(fault) == {"where", "setting", "text"} for fault in faults)
    return [(fault["where"], fault["text"]) for fault in faults], error.message


ONE_FAULT = [
    # Names.
    ({"learning_rte": 1e-4}, "learning_rte",
     'unknown setting, did you mean "learning_rate"?'),
    ({"base": {"learning-rate": 1e-4}}, "base.learning-rate",
     'unknown setting, did you mean "learning_rate"?'),
    ({"axes": {"learning_rte": [1e-4]}}, "axes.learning_rte",
     'unknown setting, did you mean "learning_rate"?'),
    ({"points": [{}, {"sed": 1}]}, "points[1].sed", 'unknown setting, did you mean "seed"?'),
    ({"zzzzzzzzzzzz": 1}, "zzzzzzzzzzzz", "unknown setting"),
    ({"axis": {"seed": [1]}, "base": {}}, "axis", 'unknown member, did you mean "axes"?'),
    ({"seed": 1, "base": {}}, "seed", 'a sweep\'s settings are in "base": move it there'),
    # Types.
    ({"tower": "yes"}, "tower", '"yes" is not true or false'),
    ({"tower": 1}, "tower", "1 is not true or false"),
    ({"seed": "1"}, "seed", '"1" is not a whole number'),
    ({"seed": 1.5}, "seed", "1.5 is not a whole number"),
    ({"train_rows": "many"}, "train_rows", '"many" is neither a whole number nor "all"'),
    ({"learning_rate": "1e-4"}, "learning_rate", '"1e-4" is not a number'),
    ({"learning_rate": None}, "learning_rate", "null is not a number"),
    ({"learning_rate": [1e-4]}, "learning_rate", "a list is not a number"),
    ({"algorithm": "GIAT"}, "algorithm", '"GIAT" is not one of BP, GAIT, TP, ITP, FA, DFA'),
    ({"algorithm": "bp"}, "algorithm", '"bp" is not one of BP, GAIT, TP, ITP, FA, DFA'),
    ({"precision": "float16"}, "precision", '"float16" is not one of float32, float64'),
    ({"device": "gpu"}, "device",
     '"gpu" is not any, cpu, cuda, or the index of a GPU, 0 to 1023'),
    ({"dataset": "../MNIST"}, "dataset",
     '"../MNIST" is not a name of at most 63 letters, digits, ".", "_" and "-"'),
    # Bounds.
    ({"batch_size": 0}, "batch_size", "0 is below 1"),
    ({"nb_layers": 65}, "nb_layers", "65 is above 64"),
    ({"learning_rate": -1e-4}, "learning_rate", "-0.0001 is below 0"),
    ({"gamma": 0}, "gamma", "0 is below 1e-12"),
    ({"seed": 4294967231}, "seed", "4294967231 is above 4294967230"),
    # Against each other and the data.
    ({"widths": "784x10"}, "widths", 'needs "tower": true'),
    ({"tower": True, "widths": "784x800x10"}, "widths",
     '"784x800x10" is increasing, where each width must be at most the one before'),
    ({"tower": True, "widths": "784x9"}, "widths",
     '"784x9" is too narrow at the end, where 10 classes need a width of 10'),
    ({"tower": True, "widths": "900x10"}, "widths",
     "900x10 begins with 900, but MNIST has 784 pixels a row"),
    ({"batch_size": 601}, "batch_size", "601 is more than the 600 rows trained on"),
    ({"train_rows": 601}, "train_rows", "601, but MNIST has 600 training rows"),
    ({"test_rows": 101}, "test_rows", "101, but MNIST has 100 test rows"),
    ({"train_rows": 500, "valid_rows": 101}, "valid_rows",
     "101 and 500 train_rows, but MNIST has 600 training rows"),
    # Sweeps.
    ({"axes": {"seed": []}}, "axes.seed", "an axis without values"),
    ({"axes": {"seed": 1}}, "axes.seed", "expected a list of values or a range"),
    ({"axes": {"algorithm": {"from": 1, "to": 2}}}, "axes.algorithm",
     "a range is for numbers, expected a list of values"),
    ({"axes": {"seed": [1, 2, 1]}}, "axes.seed", "value 1 twice"),
    ({"axes": {"seed": [1, "x"]}}, "axes.seed", '"x" is not a whole number'),
    ({"axes": {"seed": {"from": 1}}}, "axes.seed.to",
     'missing: a range has "from" and "to"'),
    ({"axes": {"seed": {"from": 5, "to": 1}}}, "axes.seed", '"from" is above "to"'),
    ({"axes": {"seed": {"from": 1, "to": 5, "step": 0}}}, "axes.seed.step",
     "0 is not a whole number of at least 1"),
    ({"axes": {"seed": {"from": 1, "to": 5, "stop": 1}}}, "axes.seed.stop",
     'unknown member, did you mean "step"?'),
    ({"axes": {"learning_rate": {"from": 0.1, "to": 0.5}}}, "axes.learning_rate",
     'a range of numbers that need not be whole has "steps"'),
    ({"axes": {"learning_rate": {"from": 0, "to": 1, "steps": 3, "scale": "log"}}},
     "axes.learning_rate.from", "a log scale begins above 0"),
    ({"axes": {"learning_rate": {"from": 0.1, "to": 1, "steps": 3, "scale": "cubic"}}},
     "axes.learning_rate.scale", 'expected "log" or "linear"'),
    ({"axes": {"nb_layers": {"from": 60, "to": 70}}}, "axes.nb_layers", "70 is above 64"),
    ({"points": [{"seed": 1}], "axes": {"seed": [1, 2]}}, "seed",
     "both in points[0] and an axis"),
    ({"points": []}, "points", "a list without points"),
    ({"points": {"seed": 1}}, "points", "expected a list of objects"),
    ({"base": [1]}, "base", "expected an object of settings"),
    ({"axes": {"seed": {"from": 1, "to": 100001}}}, "axes.seed",
     "100001 values, and an axis has at most 100000"),
    ({"axes": {"seed": {"from": 1, "to": 1001}, "batch_size": {"from": 1, "to": 1000}}},
     "spec", "1001000 jobs, and a sweep has at most 1000000"),
    # The name.
    ({"name": "a b"}, "name",
     '"a b" is not a name of letters, digits, ".", "_" and "-" (not first)'),
    ({"name": "last"}, "name", '"last" is not a name: it reads as an id'),
    ({"name": "3..5"}, "name", '"3..5" is not a name: it reads as an id'),
    ({"name": ""}, "name", "a name has 1 to 127 bytes, and this one 0"),
    ({"name": "x" * 128}, "name", "a name has 1 to 127 bytes, and this one 128"),
    ({"name": 7}, "name", "not text"),
]


@pytest.mark.parametrize("spec, where, text", ONE_FAULT,
                         ids=[str(spec)[:60] for spec, _, _ in ONE_FAULT])
def test_one_fault(shared, spec, where, text):
    faults, message = refusal(shared, spec)
    assert faults == [(where, text)]
    assert message == "the spec has 1 fault"


def test_every_fault_at_once(shared):
    """One of each kind, in different parts of the spec."""
    faults, message = refusal(shared, {
        "name": "a b", "base": {"batch_size": 0, "tower": "yes"},
        "points": [{"learning_rte": 1}, {"algorithm": "GIAT"}],
        "axes": {"seed": [], "gamma": [7]}})
    assert [where for where, _ in faults] == [
        "name", "base.batch_size", "base.tower", "points[0].learning_rte",
        "points[1].algorithm", "axes.seed", "axes.gamma"]
    assert message == "the spec has 7 faults"


def test_many_faults(shared):
    """The first 20 are told, the others counted."""
    faults, message = refusal(shared, {f"unknown_{number}": 1 for number in range(50)})
    assert len(faults) == 20
    assert message == "the spec has 50 faults"


def test_faults_of_one_combination(shared):
    """Only some jobs of the sweep are impossible: none is stored."""
    faults, _ = refusal(shared, {"axes": {"batch_size": [60, 700], "seed": [1, 2]}})
    assert faults == [("job 2 (seed=1, batch_size=700).batch_size",
                       "700 is more than the 600 rows trained on")]


@pytest.mark.parametrize("spec", [[], "spec", 7, None], ids=str)
def test_not_an_object(shared, spec):
    with pytest.raises(RpcError) as refused:
        shared.call("submit", spec=spec, request_id="r")
    assert refused.value.code == -32602
    assert refused.value.message == (
        '"spec" is missing, expected an object' if spec is None else '"spec" is not an object')
    assert shared.call("sweeps")["sweeps"] == []


def test_the_daemon_goes_on(gaitd, client):
    for spec in ({"seed": "x"}, {"axes": {"seed": []}}, {"dataset": "nothing"}):
        with pytest.raises(RpcError):
            client.submit(spec)
    client.submit({"name": "good", "nb_epochs": 0})
    client.await_final("good")
    assert [job["state"] for job in client.jobs("good")] == ["done"]
    assert [sweep["id"] for sweep in client.call("sweeps")["sweeps"]] == [1]
