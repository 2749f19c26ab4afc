"""Laws of tuning with an auxiliary task: chosen on validation, a grid of runs is each run alone, test data change nothing."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods.static import Static
from mtlrepro.papers.hydalearn.compared_methods import METHODS
from mtlrepro.papers.hydalearn.data.toys import PairedSamples, Parts, toy
from mtlrepro.papers.hydalearn.training.tuned_runs import TrainingConfig, tune

SEEDS = [0, 1, 2]
POINTS = [{"learning_rate": rate, "main": main} for rate in (0.01, 0.1) for main in (1.0, 1.5)]
CONFIG = TrainingConfig(shared=[8], head=[4], steps=60, check=20)


def _static(runs):
    main = runs.settings["main"]
    return Static(torch.stack([main, 2 - main], -1))


def _small(seeds=SEEDS):
    splits = toy("unrelated", seeds, spread=1.0)
    return Parts(splits.train._replace(**{k: v[:, :64] for k, v in splits.train._asdict().items()}), *splits[1:])


def _tuned(seeds=SEEDS, points=POINTS, matched=False, splits=None, test_curve=False):
    return tune(splits or _small(seeds), seeds, points, _static, CONFIG, matched, test_curve)


@pytest.mark.parametrize("matched", [False, True])
def test_a_grid_point_of_a_seed_is_trained_as_it_would_be_alone(matched):
    together = _tuned(matched=matched)
    for i, seed in enumerate(SEEDS):
        alone = [_tuned([seed], [point], matched) for point in POINTS]
        best = min(range(len(POINTS)), key=lambda j: float(alone[j].validation))
        assert together.point[i] == best
        torch.testing.assert_close(together.validation[i], alone[best].validation[0], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(together.test[i], alone[best].test[0], atol=1e-5, rtol=1e-5)
        assert together.step[i] == alone[best].step[0]


def test_the_same_seed_gives_the_same_result():
    a, b = _tuned(), _tuned()
    assert torch.equal(a.test, b.test)
    assert torch.equal(a.weights, b.weights)


def test_test_data_have_no_say_in_what_is_chosen():
    splits = _small()
    other = splits._replace(test=PairedSamples(*(part.flip(1) * 2 for part in splits.test)))
    a, b = (_tuned(splits=data, test_curve=True) for data in (splits, other))
    assert torch.equal(a.point, b.point)
    assert torch.equal(a.step, b.step)
    assert torch.equal(a.validation, b.validation)
    assert not torch.equal(a.test, b.test)


def test_a_run_that_diverges_is_counted_and_never_chosen():
    points = [{"learning_rate": 0.05, "main": 1.0}, {"learning_rate": 1e9, "main": 1.0}]
    result = _tuned(points=points)
    assert result.point.tolist() == [0, 0, 0]
    assert result.diverged.tolist() == [0.5, 0.5, 0.5]
    assert result.test.isfinite().all()


def test_weights_of_every_step_are_kept_and_reported_before_any_rescaling():
    result = _tuned(matched=True)
    assert result.weights.shape == (60, 3, 2)
    expected = torch.tensor([[POINTS[i]["main"], 2 - POINTS[i]["main"]] for i in result.point])
    torch.testing.assert_close(result.weights, expected.expand(60, 3, 2))


def test_the_test_curve_passes_through_the_kept_state():
    """Law: at the check whose state was kept, the curve is the test metric that is reported."""
    result = _tuned(test_curve=True)
    assert result.test_curve.shape == (3, 3)
    kept = result.test_curve[result.step // CONFIG.check - 1, torch.arange(3)]
    torch.testing.assert_close(kept, result.test, atol=1e-5, rtol=1e-5)


def test_what_the_weights_do_to_the_head_is_reported():
    """Static weights scale the head's rate with the main weight; HydaLearn leaves it alone and takes both gradients."""
    static, splits = _tuned(), _small()
    torch.testing.assert_close(static.head_weight, static.weights[0, :, 0])
    assert static.gradient_ratio.isnan().all()
    plain, matched = (
        tune(splits, SEEDS, [{"learning_rate": 0.05, "beta": 1.0}], METHODS["hydalearn"].build, CONFIG, m) for m in (False, True)
    )
    assert plain.head_weight.tolist() == [1, 1, 1]
    assert (plain.gradient_ratio > 1.1).all()
    torch.testing.assert_close(matched.gradient_ratio, torch.ones(3), atol=1e-4, rtol=0)


def test_the_loss_on_validation_is_that_of_the_kept_model():
    splits = _small()
    result = _tuned(splits=splits._replace(test=splits.validation))
    torch.testing.assert_close(result.validation_loss, result.loss)


def test_unknown_names_are_refused_with_the_known_ones():
    with pytest.raises(UnknownName, match="MAE"):
        TrainingConfig([8], [4], 1, 1, metric="MAR")
    with pytest.raises(UnknownName, match="squared error"):
        TrainingConfig([8], [4], 1, 1, losses=("squared eror", "squared error"))


def test_every_method_gets_a_grid_of_the_same_size_and_range():
    for name, method in METHODS.items():
        points = method.grid(0.01, 0.1, 12)
        assert len(points) == 12, name
        rates = [point["learning_rate"] for point in points]
        assert min(rates) == pytest.approx(0.01)
        assert max(rates) == pytest.approx(0.1)
        assert len({tuple(point.items()) for point in points}) == 12
    with pytest.raises(BadValue, match="cannot hold the 2 values"):
        METHODS["hydalearn"].grid(0.01, 0.1, 5)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("matched", [False, True])
def test_every_method_trains_each_seed_as_it_would_alone(name, matched):
    method, splits = METHODS[name], _small()
    points = method.grid(0.02, 0.05, 4)
    together = tune(splits, SEEDS, points, method.build, CONFIG, matched)
    alone = tune(_small([2]), [2], points, method.build, CONFIG, matched)
    assert together.test.isfinite().all()
    torch.testing.assert_close(together.test[2:], alone.test, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.weights[:20, 2:], alone.weights[:20], atol=1e-2, rtol=1e-2)


def test_single_task_learning_ignores_the_auxiliary_labels():
    splits = _small()
    other = splits._replace(train=splits.train._replace(auxiliary=splits.train.auxiliary.flip(1) * 3))
    build, points = METHODS["stl"].build, METHODS["stl"].grid(0.02, 0.05, 4)
    a, b = (tune(data, SEEDS, points, build, CONFIG, False) for data in (splits, other))
    assert torch.equal(a.test, b.test)


def test_gains_measured_on_training_data_see_no_validation_labels():
    splits = _small()
    held = splits.validation
    other = splits._replace(validation=held._replace(main=-held.main))
    build, points = METHODS["hydalearn"].build, [{"learning_rate": 0.05, "beta": 1.0}]

    def weights(data, part):
        return tune(data, SEEDS, points, build, dataclasses.replace(CONFIG, measured_on=part), False).weights

    assert torch.equal(weights(splits, "training"), weights(other, "training"))
    assert not torch.equal(weights(splits, "validation"), weights(other, "validation"))
