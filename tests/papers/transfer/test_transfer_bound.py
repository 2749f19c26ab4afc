"""Lemma 8 and Theorem 2: the laws that the checks rest on, the corrected statements, and that the printed ones can fail."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlrepro.papers.transfer.theory import lemma8_angle, optimum, source_target, thm2_bound
from mtlrepro.papers.transfer.theory.fact7_angles import sine
from mtlrepro.papers.transfer.theory.proof_lines import batched_line_rows
from mtlrepro.papers.transfer.theory.source_target import LinearSetting

SEEDS = st.integers(0, 2**31)


@st.composite
def instances(draw) -> LinearSetting:
    d = draw(st.integers(2, 12))
    return LinearSetting(
        d=d,
        kappa1=draw(st.sampled_from([1.0, 3.0, 10.0])),
        kappa2=draw(st.sampled_from([1.0, 2.0, 8.0])),
        c=draw(st.sampled_from([0.05, 0.3])),
        share=draw(st.sampled_from([0.0, 0.5, 1.0])),
        sigma1=draw(st.sampled_from([0.0, 1.0, 8.0])),
        noise=draw(st.sampled_from([0.0, 0.3, 2.0])),
        rows=d + draw(st.integers(0, 20)),
    )


@settings(max_examples=25)
@given(setting=instances(), seed=SEEDS, factor=st.sampled_from([1e-3, 0.1, 1.0]))
def test_angle_to_the_source_model_obeys_the_deterministic_bound(setting, seed, factor):
    drawn = source_target.draw(setting, 5, seed, factor)
    bound, _ = lemma8_angle.angle_bound(drawn)
    assert (lemma8_angle.source_sine(drawn, source_target.shared_direction(drawn)) <= bound + 1e-6).all()


@settings(max_examples=25)
@given(setting=instances(), seed=SEEDS)
def test_corrected_condition_gives_lemma_and_theorem(setting, seed):
    rows = source_target.try_bounds(setting, 5, seed, 1.0, "corrected")
    assert sum(row["lemma_failed"] for row in rows) == 0
    assert sum(row["theorem_failed"] for row in rows) == 0
    assert all(row["error"] <= row["sharper"] + 1e-9 for row in rows)


@settings(max_examples=25)
@given(setting=instances(), seed=SEEDS)
def test_every_line_of_the_proof_of_theorem_2_holds_once_lemma_8_does(setting, seed):
    drawn = source_target.draw(setting, 5, seed, 1.0, "corrected")
    lines = thm2_bound.theorem_lines(drawn, source_target.shared_direction(drawn))
    assert {row["line"]: row["broken"] for row in batched_line_rows(lines, 1e-6)} == dict.fromkeys(lines, 0)


@given(setting=instances(), seed=SEEDS)
@settings(max_examples=25)
def test_moments_are_those_of_two_noisy_linear_tasks(setting, seed):
    """Gram, cross and square agree with X θ + ε, whose parts the draw reports, and the target has the wanted condition."""
    drawn = source_target.draw(setting, 3, seed, 1.0)
    for task, theta, noise in [(drawn.source, drawn.theta1, drawn.noise1), (drawn.target, drawn.theta2, drawn.noise2)]:
        clean = (task.gram @ theta[..., None])[..., 0]
        assert torch.allclose(task.cross, clean + noise, rtol=1e-9, atol=1e-9 * float(task.gram.abs().max()))
    clean = (drawn.source.gram @ drawn.theta1[..., None])[..., 0]
    size = (clean * drawn.theta1).sum(-1) + 2 * (drawn.noise1 * drawn.theta1).sum(-1) + drawn.noise1_size
    assert torch.allclose(drawn.source.square, size)
    values = torch.linalg.eigvalsh(drawn.target.gram)
    assert torch.allclose((values[:, -1] / values[:, 0]).sqrt(), torch.tensor(setting.kappa2, dtype=torch.float64))
    sin12 = setting.share * setting.c / setting.kappa2
    assert torch.allclose(sine(drawn.theta1, drawn.theta2), torch.tensor(sin12, dtype=torch.float64), atol=1e-9)


def test_source_covariance_is_the_wanted_one():
    setting = LinearSetting(d=3, kappa1=5.0, kappa2=1.0)
    drawn = source_target.draw(setting, 4, 0, 2000.0)
    values = torch.linalg.eigvalsh(drawn.source.gram) / drawn.m1[:, None]
    assert torch.allclose(values, setting.spectrum.flip(0).expand(4, 3), rtol=0.02)


def test_diagonal_optimum_agrees_with_the_general_one():
    g = np.random.default_rng(3)
    for _ in range(10):
        s1, p1, p2 = g.uniform(0.5, 20, 6), g.standard_normal(6) * 5, g.standard_normal(6)
        fast = source_target.diagonal_optimum(s1, p1, 1.5, p2)
        tensors = [torch.from_numpy(x) for x in (np.diag(s1), p1, 1.5 * np.eye(6), p2)]
        zero = torch.zeros((), dtype=torch.float64)
        exact = optimum.moments_optimum(
            [optimum.Moments(tensors[0], tensors[1], zero), optimum.Moments(tensors[2], tensors[3], zero)], 1
        ).shared[:, 0].numpy()  # fmt: skip
        assert abs(fast @ exact) / np.linalg.norm(exact) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("constant", [1.0, 10.0])
def test_printed_condition_is_not_enough_at_any_constant(constant):
    rows = source_target.noisy_source(constant, 0.3, 0.1, 4.0, 3, 0)
    assert all(row["lemma_failed"] for row in rows)


def test_lemma_fails_with_too_few_samples():
    rows = source_target.try_bounds(LinearSetting(d=10, kappa2=3.0), 50, 0, 1e-4, "printed")
    assert np.mean([row["lemma_failed"] for row in rows]) > 0.5


def test_proof_lines_that_fail_and_their_corrections():
    instances = source_target.draw(LinearSetting(d=10), 40, 0, 1.0)
    lines = lemma8_angle.lemma_lines(instances, source_target.shared_direction(instances))
    rows = {row["line"]: row for row in batched_line_rows(lines)}
    assert rows["h(B*) ≥ |y₁|²"]["broken"] == 40
    assert rows["|y₂|²/|X₁θ₁|² ≤ |y₂|²/(m₁²/4)"]["broken"] == 40
    assert sum(row["broken"] for name, row in rows.items() if name.startswith(("(corrected)", "(ours)"))) == 0


def test_covariance_needs_the_factor_that_the_proof_drops():
    row = lemma8_angle.try_concentration(100, 0.1, 20, 0)
    assert row["printed"] == 20
    assert row["corrected"] == 0
