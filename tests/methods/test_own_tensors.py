"""Every weighting on what people really bring: the right numbers, or one refusal that names the method; never NaN in silence."""

from __future__ import annotations

import functools
import importlib
import itertools
import warnings
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue, MtlreproError
from mtlrepro.methods.alignment import covariance_similarity
from mtlrepro.methods.class_weights import ClassWeights, class_sums
from mtlrepro.methods.gradient_cosine import GradientCosine
from mtlrepro.methods.grouping_baselines import TagAffinity
from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.methods.hydalearn import hydalearn_weights
from mtlrepro.methods.ol_aux import OLAux
from mtlrepro.methods.registry import METHODS, build
from mtlrepro.methods.scale_matched import ScaleMatched
from mtlrepro.methods.static import MainShare, Static
from mtlrepro.methods.svd_reweighting import svd_weights
from mtlrepro.methods.task_grouping import hard, memberships_of_distances, point_based
from mtlrepro.methods.uncertainty import Uncertainty
from mtlrepro.training import Batch, fit, labelled, task_losses
from mtlrepro.training.metrics import Auroc, accuracy, auroc, mean_squared_error, spearman
from mtlrepro.training.weighting import Equal, Weighting

N, D, WIDTH = 8, 5, 3


class _Net(nn.Module):
    """A body and a norm that the tasks share, and a scale that only task 0 uses; the others with factor 0 where `through`."""

    def __init__(self, tasks: int = 2, through: bool = True) -> None:
        super().__init__()
        self.through, self.scale = through, nn.Parameter(torch.ones(WIDTH))
        with seeded(0):
            self.body, self.norm = nn.Linear(D, WIDTH), nn.LayerNorm(WIDTH)
            self.heads = nn.ModuleList(nn.Linear(WIDTH, 1) for _ in range(tasks))
        draw = generator(0)
        with torch.no_grad():
            for p in self.parameters():
                p.copy_(torch.rand(p.shape, generator=draw) - 0.4)

    def shared_parameters(self) -> list[nn.Parameter]:
        return [self.scale, *self.body.parameters(), *self.norm.parameters()]

    def forward(self, x: torch.Tensor) -> list[torch.Tensor]:
        z = self.norm(self.body(x.to(self.body.weight.dtype)).to(self.norm.weight.dtype)).tanh()
        each = [z * self.scale.to(z.dtype), *[z + 0 * self.scale.to(z.dtype) if self.through else z] * (len(self.heads) - 1)]
        return [head(own).squeeze(-1) for head, own in zip(self.heads, each, strict=True)]


def _squared(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    return (output.float() - target).square().mean()


def _problem(tasks: int = 2, **changed: Any) -> SimpleNamespace:
    """A net with its losses and data; `changed` says what is odd."""
    draw = generator(1)
    x = torch.randn(N, D, generator=draw)
    y = [(x[:, i] > 0).float() for i in range(tasks)]
    usual = {"net": _Net(tasks), "x": x, "y": y, "losses": task_losses(*[_squared] * tasks), "given": {}, "wrap": lambda net: net}
    usual |= {"metric": lambda call: -_squared(call(x)[0], y[0]), "optimizer": functools.partial(torch.optim.SGD, lr=0.05)}
    rising = itertools.count(5)  # so that the last epoch's parameters are kept
    usual |= {"validate": lambda net: torch.full((tasks,), next(rising) / 10)}
    return SimpleNamespace(**(usual | changed))


def _trained(name: str, problem: SimpleNamespace) -> list[torch.Tensor]:
    """The parameters after three epochs of a step each."""
    offered = {"generators": generator(3), "metric": problem.metric, "tasks": len(problem.y), "share": 0.7}
    model = problem.wrap(problem.net)
    fit(
        model, lambda _: [Batch(problem.x, problem.y)], problem.losses, optimizer=problem.optimizer(model.parameters()),
        epochs=3, weighting=build(name, offered, **problem.given), validate=problem.validate,
    )  # fmt: skip
    return [p.detach().float() for p in problem.net.parameters()]


def _trained_by(weighting: Weighting) -> None:
    problem = _problem()
    optimizer = problem.optimizer(problem.net.parameters())
    fit(problem.net, lambda _: [Batch(problem.x, problem.y)], problem.losses, optimizer=optimizer, epochs=1, weighting=weighting)


def _odd(change: Callable[[_Net], object], **changed: Any) -> SimpleNamespace:
    problem = _problem(**changed)
    change(problem.net)
    return problem


def _with_nan(y: list[torch.Tensor]) -> list[torch.Tensor]:
    return [y[0], y[1].clone().index_fill(0, torch.tensor([2]), torch.nan)]


def _zero_second(call: Any, batch: Batch) -> torch.Tensor:
    return torch.stack([_squared(call(batch.inputs)[0], batch.targets[0]), 0 * call(batch.inputs)[1].sum()])


def _negative_second(call: Any, batch: Batch) -> torch.Tensor:
    return task_losses(_squared, _squared)(call, batch) - torch.tensor([0.0, 3.0])


def _a_sample(call: Any, batch: Batch) -> torch.Tensor:
    """(n, tasks): the mean over samples forgotten."""
    return torch.stack([(o - t).square() for o, t in zip(call(batch.inputs), batch.targets, strict=True)], -1)


def _detached(call: Any, batch: Batch) -> torch.Tensor:
    return task_losses(_squared, _squared)(call, batch).detach()


def _listed(call: Any, batch: Batch) -> list[torch.Tensor]:
    return list(task_losses(_squared, _squared)(call, batch))


def _tokens() -> SimpleNamespace:
    """Integer inputs, through an embedding that is shared too."""
    problem = _problem()
    table = nn.Embedding(4, D, _weight=torch.rand(4, D, generator=generator(2)))
    net = problem.net
    net.add_module("table", table)
    body, shared = net.body.forward, net.shared_parameters
    net.body.forward = lambda x: body(table(x.long()).mean(1))
    net.shared_parameters = lambda: [*shared(), table.weight]
    problem.x = (problem.x > 0).long()
    problem.metric = lambda call: -_squared(call(problem.x)[0], problem.y[0])
    return problem


_USUAL: Callable[[], SimpleNamespace] = _problem
# Case -> the odd problem, the plain one whose parameters it must give (None: numbers that are finite), and within what.
CASES: dict[str, tuple[Callable[[], SimpleNamespace], Callable[[], SimpleNamespace] | None, float]] = {
    "bf16 model, float32 losses": (lambda: _odd(lambda net: net.bfloat16()), _USUAL, 0.05),
    "half model, float32 losses": (lambda: _odd(lambda net: net.half()), _USUAL, 0.02),
    "mixed types of shared parameters": (lambda: _odd(lambda net: net.body.bfloat16()), _USUAL, 0.05),
    "double model, float32 losses": (lambda: _odd(lambda net: net.double()), _USUAL, 1e-4),
    "no gradient of a task in a parameter": (lambda: _problem(net=_Net(through=False)), _USUAL, 0.0),
    "part of the shared ones frozen": (lambda: _odd(lambda net: net.norm.requires_grad_(False)), None, 0.0),
    "all shared ones frozen": (
        lambda: _odd(lambda net: [p.requires_grad_(False) for p in net.shared_parameters()]), None, 0.0,
    ),
    "no shared parameters": (lambda: _odd(lambda net: vars(net).update(shared_parameters=list)), None, 0.0),
    "in DataParallel": (lambda: _problem(wrap=nn.DataParallel), _USUAL, 1e-6),
    "one task": (lambda: _problem(1), None, 0.0),
    "labels of one class": (lambda: _problem(y=[torch.ones(N), torch.zeros(N)]), None, 0.0),
    "a metric that is NaN": (lambda: _problem(metric=lambda call: auroc(call(torch.ones(N, D))[0], torch.ones(N))), _USUAL, 0.0),
    "a validation metric that is NaN": (lambda: _problem(validate=lambda net: torch.tensor([0.6, torch.nan])), None, 0.0),
    "a loss of exactly 0": (lambda: _problem(losses=_zero_second), None, 0.0),
    "a negative loss": (lambda: _problem(losses=_negative_second), None, 0.0),
    "NaN in labels": (lambda: _odd(lambda net: None, y=_with_nan(_problem().y)), None, 0.0),
    "integer inputs": (_tokens, None, 0.0),
    "losses a sample": (lambda: _problem(losses=_a_sample), None, 0.0),
    "LBFGS": (lambda: _problem(optimizer=torch.optim.LBFGS), None, 0.0),
    "another model's optimizer": (lambda: _problem(optimizer=lambda _: torch.optim.SGD(_Net().parameters(), lr=0.1)), None, 0.0),
    "losses without a gradient": (lambda: _problem(losses=_detached), None, 0.0),
    "losses in a list": (lambda: _problem(losses=_listed), None, 0.0),
    "an infinite loss": (lambda: _problem(losses=lambda *of: task_losses(_squared, _squared)(*of) * torch.inf), None, 0.0),
    "no sample": (lambda: _problem(x=torch.zeros(0, D), y=[torch.zeros(0)] * 2), None, 0.0),
    "tasks that are one": (lambda: _problem(losses=lambda *of: task_losses(_squared, _squared)(*of)[[0, 0]]), None, 0.0),
    "a metric a sample": (lambda: _problem(metric=lambda call: -(call(_problem().x)[0]).square()), _USUAL, 0.0),
    "a metric of one row": (lambda: _problem(metric=lambda call: -call(_problem().x)[0].square().mean(0, True)), None, 0.0),
    "no metric": (lambda: _problem(metric=None), None, 0.0),
    "a column of validation values": (lambda: _problem(validate=lambda net: torch.tensor([[0.5], [0.6]])), None, 0.0),
    "a validation number": (lambda: _problem(validate=lambda net: 0.5), None, 0.0),
    "a total below 0": (lambda: _problem(given={"total": -1.0}), None, 0.0),
}  # fmt: skip
# Those that no method can serve; the others are served by some.
REFUSED = {
    "a validation metric that is NaN",
    "NaN in labels",
    "losses a sample",
    "losses without a gradient",
    "losses in a list",
    "an infinite loss",
    "no sample",
    "a column of validation values",
    "a validation number",
    "LBFGS",
    "another model's optimizer",
    "a total below 0",
}


@functools.cache
def _plain(name: str, of: Callable[[], SimpleNamespace]) -> list[torch.Tensor]:
    return _trained(name, of())


# What names the cause where the method has none in it.
_BY_CAUSE = ("LBFGS", "optimizer", "validation value", "validation function", "total must be", "first-order gain")


def _outcome(name: str, case: str) -> str:
    """served, refused, or what is wrong."""
    problem, plain, tolerance = CASES[case]
    row = METHODS[name]
    try:
        trained = _trained(name, problem())
    except BadValue as refusal:
        words = {name, name.replace("_", "-"), row.constructor, row.fixed.get("rule", name), *_BY_CAUSE}
        words |= {"HydaLearn"} if row.module == "hydalearn" else set()
        named = any(word.lower() in str(refusal).lower() for word in words)
        return "refused" if named and "\n" not in str(refusal) else f"refused without a name: {refusal}"
    except MtlreproError as error:
        return "absent" if "needs TorchJD" in str(error) else f"wrong kind of error: {error}"
    except Exception as error:  # what a person would have to make sense of
        return f"{type(error).__name__}: {str(error).splitlines()[0]}"
    if not all(bool(p.isfinite().all()) for p in trained):
        return "NaN in silence"
    if plain is not None:
        away = max(float((p - q).abs().max()) for p, q in zip(trained, _plain(name, plain), strict=True))
        return "served" if away <= tolerance else f"off by {away:.2g}"
    return "served"


@pytest.mark.parametrize("case", CASES)
def test_every_method_gives_the_right_numbers_or_one_refusal(case: str) -> None:
    """Law: the parameters of the plain problem, or a BadValue of one line that names the method."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of solvers
        outcomes = {name: _outcome(name, case) for name in METHODS if case != "a total below 0" or name in _TOTALS}
    assert not {name: said for name, said in outcomes.items() if said not in ("served", "refused", "absent")}
    assert ("served" in outcomes.values()) == (case not in REFUSED)


_TOTALS = ("static", "single_task", "hydalearn", "random_weights", "famo")


# --- what is not called by a step of the registry's methods --------------------------------------------------------------


def test_a_batch_without_a_labelled_pixel_is_refused_where_class_weights_start_on_it() -> None:
    """L_a(0) would be 0, and every weight infinite for good; later in a training such a batch changes no weight of the step."""

    def losses(call: Any, batch: Batch) -> torch.Tensor:
        pixels = (call(batch.inputs)[0] - batch.targets[0]).square()
        return torch.cat([class_sums(pixels, batch.targets[1], 2), class_sums(pixels, batch.targets[1], 2)])

    def trained(labels: list[torch.Tensor]) -> _Net:
        problem = _problem()
        batches = [Batch(problem.x, [problem.y[0], label]) for label in labels]
        optimizer = torch.optim.SGD(problem.net.parameters(), lr=0.01)
        fit(problem.net, lambda _: batches, losses, optimizer=optimizer, epochs=1, weighting=ClassWeights())
        return problem.net

    some, none = torch.arange(N) % 2, torch.full((N,), -1)
    assert all(bool(p.isfinite().all()) for p in trained([some, none, some]).parameters())
    with pytest.raises(BadValue, match="ClassWeights: the loss or the weight of task 3, 4 is not finite in epoch 1"):
        trained([none, some])


def test_one_loss_that_makes_an_uncertainty_weight_0_is_refused_after_the_next_epoch() -> None:
    """One of 1e5 moves s by 0.025 * 5e4, to a weight exp(-1250) = 0, and s falls by 0.0125 a step: no training comes back."""

    def trained(spike: float) -> torch.Tensor:
        problem, scales = _problem(), iter([1.0, spike, 1.0, 1.0])

        def losses(call: Any, batch: Batch) -> torch.Tensor:
            return task_losses(_squared, _squared)(call, batch) * torch.tensor([1.0, next(scales)])

        optimizer = torch.optim.SGD(problem.net.parameters(), lr=1e-6)
        batches = [Batch(problem.x, problem.y)]
        return fit(problem.net, lambda _: batches, losses, optimizer=optimizer, epochs=4, weighting=Uncertainty()).weights

    assert bool((trained(100.0) > 0.05).all())
    with pytest.raises(BadValue, match=r"^Uncertainty: the weight of task 1 is 0 in epoch 3, .* lower `rate`\.$"):
        trained(1e6)


def test_tag_gives_a_loss_that_is_0_already_no_affinity() -> None:
    problem = _problem(losses=_zero_second)
    tag = TagAffinity()
    optimizer = torch.optim.SGD(problem.net.parameters(), lr=0.01)
    fit(problem.net, lambda _: [Batch(problem.x, problem.y)], problem.losses, optimizer=optimizer, epochs=1, weighting=tag)
    assert tag.affinity[0, 0] > 0
    assert tag.affinity[:, 1].tolist() == [0.0, 0.0]


def test_whole_numbers_and_mixed_formats_are_refused_by_the_method_s_name() -> None:
    x, y = torch.ones(4, 2), torch.eye(4)[:2]
    with pytest.raises(BadValue, match=r"SVD reweighting .*float32, torch.int64"):
        svd_weights(x, y.long(), 1)
    with pytest.raises(BadValue, match=r"covariance similarity .*float32, torch.float64"):
        covariance_similarity(x, x.double())
    with pytest.raises(BadValue, match=r"HydaLearn computes in one real number format, not in torch\.int64"):
        hydalearn_weights(torch.tensor(1), torch.tensor(2), 1.0)
    with pytest.raises(BadValue, match="SVD reweighting needs finite inputs and labels"):
        svd_weights(x, torch.full((2, 4), torch.nan), 1)
    with pytest.raises(BadValue, match="HydaLearn: total must be above 0, not -1"):
        hydalearn_weights(0.5, 0.2, -1.0)


def test_a_head_of_one_column_against_plain_targets_is_refused() -> None:
    """(n, 1) and (n,) would give n areas or n^2 differences."""
    with pytest.raises(BadValue, match=r"outputs of shape \(6, 1\) against targets of shape \(6,\): end the head with squeeze"):
        auroc(torch.linspace(0, 1, 6)[:, None], torch.ones(6))
    with pytest.raises(BadValue, match=r"outputs of shape \(6,\) against targets of shape \(6, 1\)"):
        accuracy(torch.eye(6), torch.arange(6)[:, None])
    with pytest.raises(BadValue, match=r"outputs of shape \(6,\) against targets of shape \(6, 1\)"):
        mean_squared_error(torch.linspace(0, 1, 6), torch.ones(6, 1))


@pytest.mark.parametrize("weights", [[1.0], [1.0, 2.0, 3.0], 2.0], ids=str)
def test_fixed_weights_are_one_a_task(weights: Any) -> None:
    """Law: one weight does not stand for all, in silence."""
    with pytest.raises(BadValue, match=r"^Static has \d task weights? for 2 tasks: give one a task\.$"):
        _trained_by(Static(weights))


@pytest.mark.parametrize("main", [-1, 2])
@pytest.mark.parametrize(
    "of",
    [functools.partial(MainShare, 0.5), GradientCosine, OLAux, functools.partial(ScaleMatched, Equal()), HeldOutClassWeights],
)
def test_a_main_task_that_is_none_is_refused(of: Callable[..., Weighting], main: int) -> None:
    """Law: no share is given to nobody."""
    with pytest.raises(BadValue, match=rf"^\w+: main is task {main}, and there are 2 tasks, counted from 0\.$"):
        _trained_by(of(main=main))


def test_what_is_not_finite_is_named_where_it_would_be_ranked_or_grouped() -> None:
    odd = torch.tensor([[1.0, torch.nan], [0.0, 1.0], [2.0, 1.0]])
    with pytest.raises(BadValue, match=r"^task grouping needs finite numbers"):
        hard(odd, 2, 0)
    with pytest.raises(BadValue, match=r"^task grouping needs finite numbers"):
        point_based(odd[:, None, None], 2, 0)
    with pytest.raises(BadValue, match=r"^memberships needs finite numbers"):
        memberships_of_distances(odd)
    with pytest.raises(BadValue, match=r"^covariance similarity needs finite numbers"):
        covariance_similarity(odd, odd)
    with pytest.raises(BadValue, match=r"^Spearman's correlation needs finite numbers"):
        spearman(odd[:, 0], odd[:, 1])


def test_a_label_that_is_nan_is_no_negative_one() -> None:
    with pytest.raises(BadValue, match=r"^AUROC: NaN among the labels"):
        Auroc(torch.tensor([0.0, 1.0, torch.nan]))
    with pytest.raises(BadValue, match=r"^AUROC: NaN among the labels"):
        auroc(torch.linspace(0, 1, 3), torch.tensor([0.0, 1.0, torch.nan]))


@pytest.mark.slow
def test_a_compiled_model_gives_what_it_gives_uncompiled_once_buffers_are_not_donated() -> None:
    compiled = functools.partial(torch.compile, backend="aot_eager")
    config = importlib.import_module("torch._functorch.config")
    with pytest.raises(BadValue, match=r"HydaLearn makes a backward pass a task through a compiled model: set torch\._functorch"):
        _trained("hydalearn", _problem(wrap=compiled))
    torch._dynamo.reset()
    with config.patch(donated_buffer=False):
        trained = _trained("hydalearn", _problem(wrap=compiled))
    for p, q in zip(trained, _plain("hydalearn", _problem), strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-5)


# --- what the model, the losses and the loader return ---------------------------------------------------------------------


class _Changed(_Net):
    """The net, with something else made of its list of outputs."""

    def __init__(self, change: Callable[[list[torch.Tensor]], Any]) -> None:
        super().__init__()
        self.change = change

    def forward(self, x: torch.Tensor) -> Any:
        return self.change(super().forward(x))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda outputs: {"main": outputs[0], "other": outputs[1]}, "a dict of 'main', 'other'"),
        (lambda outputs: tuple(outputs[:1]), "a tuple of 1"),
        (lambda outputs: [*outputs, outputs[0]], "a list of 3"),
        (lambda outputs: torch.stack(outputs, -1), r"one tensor \(8, 2\)"),
        (lambda outputs: iter(outputs), "a list_iterator"),
        (lambda outputs: None, "a NoneType"),
        (lambda outputs: outputs[0].sum(), "a Tensor"),
    ],
    ids=["dict", "too few", "too many", "one tensor", "iterator", "None", "number"],
)
def test_a_model_that_returns_no_list_of_outputs_is_told_what_to_return(change: Callable[..., Any], found: str) -> None:
    """Law: one line that says what came and what is wanted; without it, a dict's keys would be taken for outputs."""
    with pytest.raises(BadValue, match=rf"^the model returned {found}: return a list of 2, one output a task .*\.$"):
        _trained("equal", _problem(net=_Changed(change)))


@pytest.mark.parametrize("hand_on", [tuple, torch.stack], ids=["tuple", "one tensor a task"])
def test_outputs_in_a_tuple_or_stacked_by_task_give_the_parameters_of_a_list(hand_on: Callable[..., Any]) -> None:
    for p, q in zip(_trained("equal", _problem(net=_Changed(hand_on))), _plain("equal", _problem), strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize(
    ("second", "found"),
    [(lambda o, t: _squared(o, t).item(), "a float"), (lambda o, t: (o - t).square(), r"of shape \(8,\)")],
    ids=["number", "of each sample"],
)
def test_a_loss_of_one_task_that_is_unlike_the_others_is_refused(second: Callable[..., Any], found: str) -> None:
    with pytest.raises(BadValue, match=rf"^the loss of task 1 is {found}: each task's must be a tensor"):
        _trained("equal", _problem(losses=task_losses(_squared, second)))


def test_a_batch_without_a_target_of_each_task_is_refused() -> None:
    with pytest.raises(BadValue, match=r"^the batch has 1 targets, and there are 2 losses: one target a task\.$"):
        _trained("equal", _problem(y=_problem().y[:1]))


@pytest.mark.parametrize(
    ("batch", "found"), [({"x": torch.ones(2), "y": torch.ones(2)}, "a dict"), ([torch.ones(2, D)], "inputs alone")]
)
def test_a_loader_of_dicts_or_of_inputs_alone_is_told_what_to_yield(batch: Any, found: str) -> None:
    """Law: of a dict the loop would see the keys alone."""
    with pytest.raises(BadValue, match=rf"^the loader yields {found}: let it yield \(inputs, targets of task"):
        next(labelled([batch])(0))
