"""Laws of every weighting in the registry: a run of a batch is that run alone, no host reads, and a row says what is so."""

from __future__ import annotations

import functools
import importlib
import inspect
import re

import pytest
import torch
from torch.overrides import TorchFunctionMode

from mtlrepro import paths
from mtlrepro.device import generator
from mtlrepro.errors import BadValue, MtlreproError, UnknownName
from mtlrepro.methods import registry
from mtlrepro.methods.registry import METHODS, build, serving
from mtlrepro.models.shared_bottom import StackedSharedBottom
from mtlrepro.training import RunwiseSGD, fit
from mtlrepro.training.loop import train_step
from mtlrepro.training.per_run import RunValue
from mtlrepro.training.weighting import Batch, Step, Weighting, WeightingWrapper

RUNS, P = 3, 5
RATES = torch.tensor([0.02, 0.01, 0.03], dtype=torch.float64)
every_weighting = pytest.mark.parametrize("name", sorted(METHODS))
on_the_device = pytest.mark.parametrize("name", sorted(name for name, row in METHODS.items() if "host" not in row.needs))


def _tasks(name):
    return METHODS[name].tasks or 3


class _Problem:
    """A linear net on random data for all runs (a leading dimension of RUNS) or for one alone (none)."""

    def __init__(self, tasks, run=None):
        self.runs = list(range(RUNS)) if run is None else [run]
        self.alone = run is not None
        self.model = StackedSharedBottom(P, 2, tasks, [generator(s) for s in self.runs])
        x, y = (torch.randn(RUNS, tasks, 8, *size, generator=generator(1), dtype=torch.float64) for size in ((P,), ()))
        self.batch = Batch(x[self.runs], y[self.runs])
        rates = RATES[self.runs]
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=float(rates)) if self.alone else RunwiseSGD(
            self.model.parameters(), lr=rates
        )  # fmt: skip

    def losses(self, call, batch):
        values = (call(batch.inputs) - batch.targets).square().mean(-1)
        return values[0] if self.alone else values

    def offered(self):
        """What a method may ask for beside the step."""
        draws = [generator(run) for run in self.runs]
        return {
            "generators": draws[0] if self.alone else draws,
            "metric": lambda call: self.losses(call, self.batch)[..., 0],
            "maximise": False,
            "tasks": self.batch.inputs.shape[1],
        }

    def fit(self, weighting, epochs=3, batches=3):
        return fit(
            self.model, lambda _: [self.batch] * batches, self.losses, optimizer=self.optimizer, epochs=epochs,
            weighting=weighting, validate=lambda model: torch.exp(-self.losses(model, self.batch)),
        )  # fmt: skip


def _grid(name, problem):
    """A value of each parameter's grid for each run."""
    grid = {key: [values[run % len(values)] for run in problem.runs] for key, values in METHODS[name].grid.items()}
    return {key: values[0] if problem.alone else torch.tensor(values, dtype=RATES.dtype) for key, values in grid.items()}


def _build(name, problem):
    try:
        return build(name, problem.offered(), **_grid(name, problem))
    except MtlreproError as missing:
        if METHODS[name].extra and "needs TorchJD" in str(missing):
            pytest.skip(str(missing))
        raise


class _Traced(WeightingWrapper):
    """Keeps what a weighting gave, a copy of it, and what it asked for."""

    def __init__(self, inner):
        super().__init__(inner)
        self.given, self.copies, self.asked = [], [], set()

    def __call__(self, step):
        self.given.append(self.inner(step))
        self.copies.append(self.given[-1].clone())
        if step.differentiated:
            self.asked.add("gradients")
        return self.given[-1]

    def after_update(self, new_losses):
        def asked():
            self.asked.add("after_update")
            return new_losses()

        self.inner.after_update(asked)


@functools.cache
def _trained(name, run=None):
    problem = _Problem(_tasks(name), run)
    weighting = _Traced(_build(name, problem))
    return problem.fit(weighting), weighting, problem.model


@every_weighting
def test_a_run_of_a_batch_gets_the_weights_and_the_model_that_it_gets_alone(name):
    _, together, model = _trained(name)
    tolerance = 1e-5 if "host" in METHODS[name].needs else 1e-11  # iterative solvers amplify the rounding of products in a batch
    for run in range(RUNS):
        _, alone, single = _trained(name, run)
        for weights, own in zip(together.given, alone.given, strict=True):
            assert weights.shape == (RUNS, _tasks(name))
            assert not weights.requires_grad
            torch.testing.assert_close(weights[run], own, rtol=0, atol=tolerance)
        for values, own in zip(model.parameters(), single.parameters(), strict=True):
            torch.testing.assert_close(values[run], own[0], rtol=0, atol=tolerance)


@every_weighting
def test_a_method_never_changes_weights_that_it_gave_before(name):
    _, weighting, _ = _trained(name)
    assert all(torch.equal(now, then) for now, then in zip(weighting.given, weighting.copies, strict=True))


@every_weighting
def test_every_method_trains_and_lowers_the_main_loss(name):
    """Of a preference vector that gives all to the other task, the other loss."""
    result, _, _ = _trained(name)
    assert result.losses.isfinite().all()
    fell = result.losses[-1] < result.losses[0]
    assert fell.any(-1).all()
    assert fell[:, 0].all() or "vector" in METHODS[name].grid


@on_the_device
def test_a_step_reads_no_tensor_on_the_host(name, no_host_reads):
    problem = _Problem(_tasks(name))
    weighting = _build(name, problem)
    for _ in range(3):
        with no_host_reads():
            for _ in range(2):
                train_step(problem.model, problem.batch, problem.losses, problem.optimizer, weighting)
        weighting.end_epoch(torch.ones(RUNS, _tasks(name)), torch.full((RUNS, _tasks(name)), 0.5))


# --- what the rows say --------------------------------------------------------------------------------------------------


@every_weighting
def test_a_method_asks_for_what_its_row_says_and_for_nothing_else(name, monkeypatch, step_of):
    """Each need is observed: taken gradients, look-aheads, losses after the update, a refusal, weights that follow losses."""
    problem, asked = _Problem(_tasks(name)), set()
    for need, called in (("look_ahead", "look_ahead"), ("slope", "look_ahead_gradient")):
        original = getattr(Step, called)

        def watched(*given, original=original, need=need, **options):
            asked.add(need)
            return original(*given, **options)

        monkeypatch.setattr(Step, called, watched)
    weighting = _Traced(_build(name, problem))
    problem.fit(weighting, epochs=2, batches=2)
    asked |= weighting.asked
    asked |= {need for need, holds in (
        ("validation", _refuses_no_validation(_build(name, problem))),
        ("all_tasks", _refuses_one_task(_build(name, _Problem(_tasks(name), 0)), step_of)),
        ("losses", _follows_losses(name, step_of)),
        ("generators", _refuses_no_generators(name)),
        ("host", _reads_on_the_host(name)),
    ) if holds}  # fmt: skip
    assert asked == set(METHODS[name].needs)


def _refuses_no_validation(weighting):
    try:
        weighting.end_epoch(torch.ones(RUNS, 3), None)
    except BadValue as refusal:
        return "validation function" in str(refusal)
    return False


def _refuses_one_task(weighting, step_of):
    """A method that compares tasks within a step refuses a batch of one task; the others give that task's weight."""
    try:
        weights = weighting(step_of([[1.0, 2.0]], [0.5], task=1))
    except BadValue as refusal:
        return "every batch must hold all of them" in str(refusal) or "every task" in str(refusal)
    assert weights.shape == (1,)
    return False


def _follows_losses(name, step_of):
    """Whether other losses, at the same gradients and metrics, lead to other weights."""
    each = []
    for seed in (0, 1):
        weighting = _build(name, _Problem(_tasks(name)))
        if "metric" in vars(weighting):
            weighting.metric = lambda call: 0 * call.first.sum(-1)
        draw, values = generator(seed), generator(5)
        weights = []
        for _ in range(3):
            losses = torch.rand(RUNS, _tasks(name), generator=draw, dtype=torch.float64) + 0.1
            gradients = torch.randn(RUNS, _tasks(name), P, generator=values, dtype=torch.float64)
            step = step_of(gradients, losses)
            step.rate = 0.1
            weights.append(weighting(step))
            weighting.after_update(lambda losses=losses: losses / 2)
            weighting.end_epoch(losses, torch.full_like(losses, 0.5))
        each.append(torch.stack(weights))
    return not torch.equal(*each)


def _reads_on_the_host(name):
    problem, called = _Problem(_tasks(name)), set()

    class Watching(TorchFunctionMode):
        def __torch_function__(self, func, types, args=(), kwargs=None):
            called.add(getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    weighting = _build(name, problem)
    with Watching():
        train_step(problem.model, problem.batch, problem.losses, problem.optimizer, weighting)
    return bool(called & {"numpy", "tolist", "item", "cpu", "__bool__", "__float__", "__int__"})


def _refuses_no_generators(name):
    problem = _Problem(_tasks(name))
    offered = problem.offered()
    del offered["generators"]
    try:
        train_step(problem.model, problem.batch, problem.losses, problem.optimizer, build(name, offered, **_grid(name, problem)))
    except BadValue as refusal:
        return "generator" in str(refusal)
    return False


def test_the_registry_holds_every_weighting_class_and_only_those():
    """No method that weights tasks can be forgotten in the registry."""
    others = {
        "scale_matched": "wraps another method",
        "class_weights": "weights classes of one task, and needs their labels",
        "grouping_baselines": "measures affinities at equal weights",
    }
    named = {(row.module, row.constructor) for row in METHODS.values()} | {("static", "Static")}  # weights that one gives
    for file in (paths.PACKAGE / "methods").glob("*.py"):
        if file.stem in {*others, "__init__"}:
            continue
        module = importlib.import_module(f"mtlrepro.methods.{file.stem}")
        for name, member in inspect.getmembers(module, inspect.isclass):
            if issubclass(member, Weighting) and not inspect.isabstract(member) and member.__module__ == module.__name__:
                assert (file.stem, name) in named


@every_weighting
def test_a_row_s_values_are_parameters_of_its_class_and_its_grid_can_be_a_batch_of_runs(name):
    row = METHODS[name]
    known = set(inspect.signature(row.load()).parameters)
    assert set(row.recommended) | set(row.fixed) | set(row.grid) <= known
    assert not (set(row.recommended) | set(row.grid)) & set(row.fixed)
    assert row.variant_of is None or METHODS[row.variant_of].constructor == row.constructor
    points = row.points()
    assert len({tuple(point.items()) for point in points}) == len(points) >= 1
    assert all(point.keys() == row.grid.keys() for point in points)


def test_titles_are_distinct_and_names_are_identifiers():
    assert len({row.title for row in METHODS.values()}) == len(METHODS)
    assert all(re.fullmatch("[a-z][a-z0-9_]*", name) for name in METHODS)


def test_an_experiment_is_served_by_the_methods_whose_needs_it_has():
    everything = serving(2, variants=True)
    assert everything == list(METHODS)
    assert set(everything) - set(serving(3, variants=True)) == {name for name, row in METHODS.items() if row.tasks == 2}
    for need in registry.Need.__args__:
        lost = set(everything) - set(serving(2, [need], variants=True))
        assert lost == {name for name, row in METHODS.items() if need in row.needs}
        assert lost
    assert set(everything) - set(serving(2)) == {name for name, row in METHODS.items() if row.variant_of}
    with pytest.raises(UnknownName, match="did you mean 'gradients'"):
        serving(2, ["gradient"])


# --- build --------------------------------------------------------------------------------------------------------------


def test_what_is_set_goes_before_what_is_offered_and_that_before_what_is_recommended():
    offered = {"alpha": 0.5, "kinds": "regression", "temperature": 4.0}
    assert build("gradnorm").alpha.value == 1.5
    assert build("gradnorm", offered).alpha.value == 0.5
    assert build("gradnorm", offered, alpha=3.0).alpha.value == 3.0
    assert build("gradient_cosine", {"weighted": True}).weighted is False


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


def test_a_parameter_without_a_value_is_named():
    with pytest.raises(BadValue, match=r"random_weights needs generators\."):
        build("random_weights")


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
