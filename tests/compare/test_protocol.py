"""Laws of the protocol, on problems whose best method is known."""

import numpy as np
import pandas as pd
import pytest

from mtlrepro.compare import problems, protocol, report, statistics
from mtlrepro.compare.problems import Problem, Task
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods import registry
from mtlrepro.methods.registry import Method

SEEDS, TRIALS = [0, 1, 2, 3], 4


def noise(seed):
    """The auxiliary task is noise of thirty times the main task's size."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(300, 5))
    main, other = x[:, 0] * x[:, 1] + x[:, 2], 30 * rng.normal(size=300)
    cuts = {"train": slice(0, 100), "validation": slice(100, 200), "test": slice(200, 300)}
    return {name: (x[rows], main[rows], other[rows]) for name, rows in cuts.items()}


VALUES = Task("values")
NOISE = Problem(
    title="noise", load=noise, tasks=(VALUES, VALUES), metric="MAE", shared=(12,), steps=100, rates=(0.003, 0.1)
)  # fmt: skip


@pytest.fixture
def measured(monkeypatch):
    monkeypatch.setattr(protocol, "at", lambda place: NOISE)
    monkeypatch.setattr(protocol, "parts_at", lambda place, seeds: NOISE.parts(seeds))

    def rows(*methods):
        setting = {"problem": "noise", "place": "here", "seeds": SEEDS, "trials": TRIALS, "share": 1.0}
        each = [[row | {"problem": "noise", "method": m} for row in protocol.measure(method=m, **setting)] for m in methods]
        return pd.DataFrame([row for some in each for row in some])

    return rows


def test_the_best_method_of_a_problem_where_it_is_known_comes_out_best(measured):
    """Nothing is to be had from noise: the single task wins, and random weights, with half their weight on it, lose."""
    rows = measured("single_task", "equal", "static", "random_weights")
    table = report.by_problem(rows).set_index("method")
    assert table["effect"].idxmax() == "single_task"
    assert table.loc["single_task", "low"] > 0
    assert table.loc["equal", "effect"] < 0
    assert statistics.mean_ranks(report.means(rows))["single_task"] == 1


def test_a_planted_copy_of_a_method_is_called_the_same(measured, monkeypatch):
    copy = Method(title="copy", paper="planted", module="static", constructor="MainShare", grid={"share": (0.75, 0.95)})
    table = registry.MethodTable({"static": registry.METHODS["static"], "copy": copy, "equal": registry.METHODS["equal"]})
    monkeypatch.setattr(registry, "METHODS", table)
    rows = measured("static", "equal", "copy")
    assert (rows[rows.method == "copy"]["test"].to_numpy() == rows[rows.method == "static"]["test"].to_numpy()).all()
    several = pd.concat([rows.assign(problem=f"noise {i}") for i in range(6)])
    line = report.overall(several).set_index("method").loc["copy"]
    assert line["same"] == 1
    assert line["rank differs from static"] == "no"


def test_test_data_change_nothing_that_is_chosen():
    train, validation, test = NOISE.parts(SEEDS)
    spoilt = test._replace(targets=tuple(y * np.nan for y in test.targets))
    tried = protocol.grid("equal", NOISE.rates, 2)
    both = [protocol.train(NOISE, (train, validation, part), "equal", SEEDS, tried, 20) for part in (test, spoilt)]
    np.testing.assert_array_equal(both[0][1], both[1][1])


def test_a_run_is_the_same_beside_other_seeds():
    tried = protocol.grid("random_weights", NOISE.rates, 2)
    alone, beside = (protocol.train(NOISE, NOISE.parts(s), "random_weights", s, tried, 20)[1] for s in ([1], [0, 1]))
    np.testing.assert_allclose(alone, beside[:, 2:], rtol=1e-4)


def test_the_earliest_of_equal_scores_is_chosen_and_a_diverged_run_never():
    scores = protocol.torch.tensor([[0.1, np.nan, 0.5, 0.2], [0.3, 0.3, 0.5, np.nan]])
    check, trial = protocol.chosen(scores, 2)
    assert (check.tolist(), trial.tolist()) == ([1, 0], [0, 0])


def test_every_method_gets_the_same_number_of_trials():
    for name, row in registry.METHODS.items():
        assert len(protocol.grid(name, (0.01, 1.0), 10)) == 10, name
        assert len(row.points()) <= 5


def test_trials_that_do_not_divide_into_a_grid_are_refused():
    with pytest.raises(BadValue, match="3 trials do not hold the 2 values of static"):
        protocol.grid("static", (0.01, 1.0), 3)


@pytest.mark.parametrize(("method", "gradients", "cost"), [("equal", 1, 1), ("gradient_cosine", 2, 5 / 3), ("famo", 1, 4 / 3)])
def test_an_update_costs_its_passes_forward_and_twice_those_backward(method, gradients, cost):
    tried = protocol.grid(method, NOISE.rates, 4)
    assert protocol.gradients(method, 2) == gradients
    assert protocol.train(NOISE, NOISE.parts([0]), method, [0], tried, 20)[2] == pytest.approx(cost)


def test_a_target_that_is_not_known_has_no_gradient():
    outputs = protocol.torch.zeros(1, 3, 1, requires_grad=True)
    loss = protocol._loss(VALUES, outputs, protocol.torch.tensor([[[1.0], [np.nan], [3.0]]]))
    loss.sum().backward()
    assert loss.item() == 5
    assert outputs.grad.flatten().tolist() == [-1, 0, -3]


def test_a_problem_serves_the_methods_whose_needs_it_meets():
    binary = Problem(title="two", load=noise, tasks=(Task("binary"),) * 2, metric="AUROC")
    three = Problem(title="three", load=noise, tasks=(Task("binary"),) * 3, metric="AUROC")
    assert "dtp" not in protocol.methods_for(NOISE)
    assert "dtp" in protocol.methods_for(binary)
    assert "pareto_mtl" in protocol.methods_for(binary)
    assert "pareto_mtl" not in protocol.methods_for(three)
    assert protocol.methods_for(binary, ["dwa"]) == ["single_task", "equal", "static", "dwa", "random_weights"]
    with pytest.raises(UnknownName, match="did you mean 'dwa'"):
        protocol.methods_for(binary, ["dwaa"])


def test_tasks_may_have_inputs_of_their_own():
    def own(seed):
        rng = np.random.default_rng(seed)
        return {
            part: ([rng.normal(size=(n, 3)) for n in (20, 30)], np.arange(20) % 2, np.arange(30) % 3) for part in problems.PARTS
        }

    problem = Problem(title="own", load=own, tasks=(Task("binary"), Task("classes", 3)), metric="accuracy", batch=10)
    states, scores, cost = protocol.train(problem, problem.parts([0]), "equal", [0], protocol.grid("equal", (0.1, 1), 2), 20)
    assert cost == 1
    assert scores.shape == (protocol.CHECKS, 2)
    assert all(value.shape[:2] == scores.shape for value in states.values())


ONE = np.ones((1, 1))
BAD = {
    "no dict": (lambda seed: 3, 'load must return a dict with "train"'),
    "fails": (lambda seed: 1 / 0, "load.0. failed: ZeroDivisionError"),
    "few targets": (lambda seed: {p: (ONE, [1.0]) for p in ("train", "validation", "test")}, "needs inputs and 2 targets"),
    "rows": (lambda seed: {p: (ONE, [1.0, 2.0], [1.0]) for p in ("train", "validation", "test")}, "do not fit the inputs"),
    "range": (lambda seed: {p: (ONE, [1.0], [7.0]) for p in ("train", "validation", "test")}, "must lie in 0 to 1"),
    "input": (lambda seed: {p: (np.nan * ONE, [1.0], [0.0]) for p in ("train", "validation", "test")}, "not finite"),
}


@pytest.mark.parametrize(("load", "says"), BAD.values(), ids=BAD)
def test_data_that_do_not_fit_get_one_clear_line(load, says):
    problem = Problem(title="bad", load=load, tasks=(VALUES, Task("binary")), metric="MAE")
    with pytest.raises(BadValue, match=says) as raised:
        problem.parts([0])
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("PROBLEM = 3", "defines no PROBLEM"),
        ("def (", "line 1 cannot be run: SyntaxError"),
        ("raise ValueError('two\\nlines')", "cannot be run: ValueError: two lines"),
        ("import nothing_of_that_name", "cannot be run: ModuleNotFoundError"),
        (
            "from mtlrepro.compare.problems import *\nPROBLEM = Problem(title='x', load=dict, tasks=(), metric='F1')",
            "unknown metric",
        ),
    ],
)
def test_a_bad_problem_file_gets_one_clear_line(tmp_path, text, says):
    file = tmp_path / "bad.py"
    file.write_text(text)
    with pytest.raises((BadValue, UnknownName), match=says) as raised:
        problems.at(problems.place(str(file)))
    assert "\n" not in str(raised.value)


def test_every_papers_problem_is_discovered_and_stands_alone():
    """No paper's problem names another paper's."""
    for name, place in problems.discovered().items():
        paper = name.partition("/")[0]
        assert place.startswith(f"mtlrepro.papers.{paper}.problems.")
        assert isinstance(problems.at(place), Problem)
