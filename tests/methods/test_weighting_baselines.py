"""Laws of every weighting method: a run of a batch is that run alone, no host reads, and what the registry promises."""

from __future__ import annotations

import importlib
import inspect

import pytest
import torch

from mtlrepro import paths
from mtlrepro.device import generator
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.registry import METHODS, build, method
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.training import RunwiseSGD, fit
from mtlrepro.training.loop import train_step
from mtlrepro.training.per_run import RunValue
from mtlrepro.training.weighting import Batch, Weighting

RUNS, TASKS, P = 3, 3, 5

# A tuning grid of three runs for each method: parameter -> one value a run.
GRIDS = {
    "static": {},
    "uncertainty": {"rate": [0.1, 0.5, 0.01], "start": [0.0, 1.0, -1.0]},
    "gradnorm": {"alpha": [0.0, 1.5, 3.0], "rate": [0.025, 0.1, 0.5]},
    "dwa": {"temperature": [0.5, 2.0, 10.0]},
    "dtp": {"alpha": [0.75, 0.2, 1.0], "gamma": [0.0, 1.0, 3.0], "scale": [1.0, 5.0, 2.0], "high": [5.0, 1.0, torch.inf]},
    "gradient_cosine": {"scale": [1.0, 0.5, 2.0]},
    "gradient_cosine_weighted": {"scale": [1.0, 0.5, 2.0]},
    "ol_aux": {"step_size": [0.1, 1.0, 0.01], "every": [5, 2, 1], "start": [1.0, 0.0, 2.0]},
    "random_weights": {"total": [1.0, 3.0, 2.0], "spread": [1.0, 0.0, 2.0]},
    "pcgrad": {},
    "mgda": {},
    "cagrad": {"c": [0.0, 0.4, 0.9]},
    "upgrad": {},
}
SEEDED = {"random_weights", "pcgrad"}
ON_THE_HOST = {name for name, m in METHODS.items() if m.extra == "torchjd"}
BASELINES = sorted(set(METHODS) - {"hydalearn", "pareto_mtl"})  # which have laws of their own files


def _build(name, run=None):
    """The method for all three runs, or for one of them alone."""
    if METHODS[name].extra:
        pytest.importorskip(METHODS[name].extra)
    grid = {p: torch.tensor(values, dtype=torch.float64) for p, values in GRIDS[name].items()}
    if name in SEEDED:
        grid["generators"] = [generator(run) for run in range(RUNS)]
    return build(name, **(grid if run is None else {p: v[run] if p == "generators" else float(v[run]) for p, v in grid.items()}))


def _epochs(seed=0):
    """Losses (RUNS, TASKS), gradients (RUNS, TASKS, P) of 4 steps in each of 3 epochs, and validation metrics."""
    g = generator(seed)
    for _ in range(3):
        yield (
            [
                (
                    torch.rand(RUNS, TASKS, generator=g, dtype=torch.float64) + 0.1,
                    torch.randn(RUNS, TASKS, P, generator=g, dtype=torch.float64),
                )
                for _ in range(4)
            ],
            torch.rand(RUNS, TASKS, generator=g, dtype=torch.float64),
        )


@pytest.mark.parametrize("name", BASELINES)
def test_a_run_of_a_batch_gets_the_weights_that_it_gets_alone(name, step_of):
    together, alone = _build(name), [_build(name, run) for run in range(RUNS)]
    tolerance = 1e-6 if name in ON_THE_HOST else 1e-12  # iterative solvers amplify the rounding of products in a batch
    for steps, metrics in _epochs():
        for losses, gradients in steps:
            weights = together(step_of(gradients, losses))
            assert weights.shape == (RUNS, TASKS)
            assert not weights.requires_grad
            for run in range(RUNS):
                single = alone[run](step_of(gradients[run], losses[run]))
                torch.testing.assert_close(weights[run], single, rtol=0, atol=tolerance)
        mean = torch.stack([losses for losses, _ in steps]).mean(0)
        together.end_epoch(mean, metrics)
        for run in range(RUNS):
            alone[run].end_epoch(mean[run], metrics[run])


@pytest.mark.parametrize("name", BASELINES)
def test_a_method_never_changes_weights_that_it_gave_before(name, step_of):
    weighting = _build(name)
    given = []
    for steps, metrics in _epochs():
        for losses, gradients in steps:
            weights = weighting(step_of(gradients, losses))
            given.append((weights, weights.clone()))
        weighting.end_epoch(steps[0][0], metrics)
    assert all(torch.equal(now, then) for now, then in given)


def _squared(model, batch):
    return (model(batch.inputs) - batch.targets).square().mean(-1)


def _problem():
    model = StackedSharedBottom(P, 2, TASKS, [generator(s) for s in range(RUNS)])
    g = generator(1)
    x = torch.randn(RUNS, TASKS, 8, P, generator=g, dtype=torch.float64)
    return model, Batch(x, torch.randn(RUNS, TASKS, 8, generator=g, dtype=torch.float64))


@pytest.mark.parametrize("name", sorted(set(BASELINES) - ON_THE_HOST))
def test_a_step_reads_no_tensor_on_the_host(name, no_host_reads):
    model, batch = _problem()
    optimizer = RunwiseSGD(model.parameters(), lr=torch.full((RUNS,), 0.01, dtype=torch.float64))
    weighting = _build(name)
    with no_host_reads():
        for _ in range(3):
            train_step(model, batch, _squared, optimizer, weighting)
    for _ in range(2):
        weighting.end_epoch(torch.rand(RUNS, TASKS, generator=generator(0)), torch.rand(RUNS, TASKS, generator=generator(1)))
    with no_host_reads():
        train_step(model, batch, _squared, optimizer, weighting)


@pytest.mark.parametrize("name", BASELINES)
def test_every_method_trains_and_lowers_its_losses(name):
    model, batch = _problem()
    found = fit(
        model,
        lambda _: [batch] * 5,
        _squared,
        optimizer=RunwiseSGD(model.parameters(), lr=torch.full((RUNS,), 0.02, dtype=torch.float64)),
        epochs=8,
        weighting=_build(name),
        validate=lambda m: torch.exp(-_squared(m, batch)),
    )
    assert found.losses.isfinite().all()
    assert (found.losses[-1, :, 0] < found.losses[0, :, 0]).all()


@pytest.mark.parametrize("name", BASELINES)
def test_a_batch_of_one_task_is_served_or_refused_with_the_reason(name, step_of):
    """Methods that compare tasks within a step refuse it; the others give the weight of that task."""
    weighting = build(name, tasks=TASKS) if name == "uncertainty" else _build(name, 1)
    step = step_of([[1.0, 2.0]], [0.5], task=2)
    if name in {"static", "uncertainty", "dwa", "dtp"}:
        for _ in range(2):
            weighting.end_epoch(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.9, 0.8, 0.3]))
        weights = weighting(step)
        assert weights.shape == (1,)
        if name == "dtp":
            assert torch.equal(weights, weighting.weights[2:].double())
    else:
        with pytest.raises(BadValue, match="every batch must hold all of them"):
            weighting(step)


def test_the_registry_holds_every_weighting_class_and_only_those():
    """No method that weights tasks can be forgotten in the registry."""
    others = {
        "weighting": "the protocol",
        "scale_matched": "wraps another method",
        "class_weights": "weights classes of one task, and needs their labels",
        "grouping_baselines": "measures affinities at weights 1",
    }
    named = {(m.module, m.constructor) for m in METHODS.values()}
    for file in (paths.PACKAGE / "methods").glob("*.py"):
        if file.stem in {*others, "__init__"}:
            continue
        module = importlib.import_module(f"mtlrepro.methods.{file.stem}")
        for name, found in inspect.getmembers(module, inspect.isclass):
            if issubclass(found, Weighting) and not inspect.isabstract(found) and found.__module__ == module.__name__:
                assert (file.stem, name) in named


@pytest.mark.parametrize("name", sorted(METHODS))
def test_recommended_values_are_parameters_of_the_class(name):
    found = method(name)
    known = set(inspect.signature(found.load()).parameters)
    assert set(found.recommended) | set(found.fixed) <= known
    assert not set(found.recommended) & set(found.fixed)


def test_build_sets_what_it_is_given_and_keeps_the_paper_s_values():
    made = build("gradnorm", rate=0.1)
    assert (made.alpha.value, made.rate.value) == (1.5, 0.1)
    assert build("gradient_cosine_weighted").weighted
    assert not build("gradient_cosine").weighted
    assert (build("dwa").temperature.value, build("dtp").alpha.value, build("ol_aux").every.value) == (2.0, 0.75, 5)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("gradnrom", {}, "unknown weighting method 'gradnrom', did you mean 'gradnorm'"),
        ("gradnorm", {"alhpa": 1.0}, "unknown parameter of gradnorm 'alhpa', did you mean 'alpha'"),
        ("gradient_cosine", {"weighted": True}, "unknown parameter of gradient_cosine 'weighted'"),
    ],
)
def test_a_wrong_name_is_answered_with_the_nearest_one(name, parameters, message):
    with pytest.raises(UnknownName, match=message):
        build(name, **parameters)


def test_values_out_of_range_or_for_other_runs_are_refused(step_of):
    with pytest.raises(BadValue, match="alpha must be between 0 and inf, not -1"):
        build("gradnorm", alpha=-1.0)
    with pytest.raises(BadValue, match="not nan"):
        build("gradnorm", alpha=torch.tensor([1.0, torch.nan]))
    with pytest.raises(BadValue, match=r"not a tensor of shape \(2, 1\)"):
        RunValue("alpha", torch.ones(2, 1))
    for losses in (torch.ones(2), torch.ones(3, 2)):  # one run of two tasks, and three runs: the values are for two runs
        with pytest.raises(BadValue, match="is for 2 runs"):
            build("gradnorm", alpha=torch.tensor([1.0, 2.0]))(step_of(torch.ones(*losses.shape, 4), losses))
