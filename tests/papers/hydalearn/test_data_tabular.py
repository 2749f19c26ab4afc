"""Tables of two tasks: nothing is learned from validation or test rows, and no group is in two parts."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mtlrepro.errors import BadValue
from mtlrepro.papers.hydalearn.data import tabular


def _table(rows: int = 300, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Features with gaps, of numbers and categories, a 0/1 label and days."""
    draw = np.random.default_rng(seed)
    numbers = draw.normal(5, 3, (rows, 3))
    numbers[draw.random((rows, 3)) < 0.2] = np.nan
    features = pd.DataFrame(numbers, columns=["a", "b", "c"]).assign(kind=draw.choice(["x", "y", "unknown"], rows))
    return features, (draw.random(rows) < 0.3).astype(np.int64), draw.exponential(10, rows)


def _task(features: pd.DataFrame, main: np.ndarray, days: np.ndarray, parts: tabular.Split) -> tabular.TwoTask:
    return tabular.two_task("t", features, main, days, parts, sha256="0" * 64, tier="synthetic", regression=True, fill={"a": 1.0})


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**31), groups=st.integers(30, 200), share=st.sampled_from([0.1, 0.15, 0.25]))
def test_a_split_covers_every_row_once_and_keeps_groups_whole(seed: int, groups: int, share: float) -> None:
    draw = np.random.default_rng(seed)
    member = np.concatenate([np.arange(groups), draw.integers(0, groups, 100)])
    main = (np.arange(len(member)) % 3 == 0).astype(np.int64)
    parts = tabular.split(main, seed, member, share, share)
    rows = [parts.train, parts.validation, parts.test]
    assert np.array_equal(np.sort(np.concatenate(rows)), np.arange(len(member)))
    owners = [set(member[r]) for r in rows]
    assert not owners[0] & owners[1]
    assert not owners[0] & owners[2]
    assert not owners[1] & owners[2]
    again = tabular.split(main, seed, member, share, share)
    assert all(np.array_equal(r, s) for r, s in zip(rows, [again.train, again.validation, again.test], strict=True))


def test_a_split_is_stratified_and_seeded() -> None:
    """Shares of the label differ by at most one row; another seed gives another split."""
    main = (np.random.default_rng(0).random(1000) < 0.1).astype(np.int64)
    parts = tabular.split(main, 0)
    for rows in (parts.train, parts.validation, parts.test):
        assert abs(main[rows].sum() - main.mean() * len(rows)) <= 1
    assert not np.array_equal(parts.test, tabular.split(main, 1).test)


@pytest.mark.parametrize(
    ("main", "more"),
    [
        (np.zeros(40), {"validation": 0.6, "test": 0.4}),
        (np.eye(1, 40)[0], {}),
        (np.ones(2), {}),
        (np.ones(9), {"groups": np.ones(8)}),
    ],
)
def test_what_cannot_be_split_is_refused_in_one_line(main: np.ndarray, more: dict) -> None:
    with pytest.raises(BadValue) as error:
        tabular.split(main, 0, **more)
    assert "\n" not in str(error.value)


def test_changing_validation_and_test_rows_changes_nothing_that_was_fitted() -> None:
    """Absurd values, new categories and other targets outside the training rows leave the training tensors as they were."""
    features, main, days = _table()
    parts = tabular.split(main, 0)
    task = _task(features, main, days, parts)
    outside = np.concatenate([parts.validation, parts.test])
    other, other_days = features.copy(), days.copy()
    other.loc[outside, ["a", "b", "c"]] = 1e6
    other.loc[outside, "kind"] = "never seen"
    other_days[outside] = 1e6
    changed = _task(other, main, other_days, parts)
    assert changed.names == task.names
    assert changed.scale == task.scale
    assert torch.equal(changed.train.x, task.train.x)
    assert torch.equal(changed.train.auxiliary, task.train.auxiliary)
    assert torch.equal(changed.preparation(features), task.preparation(features))
    assert not torch.equal(changed.test.x, task.test.x)


def test_a_preparation_fills_scales_and_codes_as_it_says() -> None:
    """Official fill-in, else the training median; mean 0 and deviation 1; 0/1 columns for gaps and categories."""
    train = pd.DataFrame({"a": [0.0, 2.0, np.nan, 4.0], "b": [1.0, np.nan, 3.0, 8.0], "kind": ["x", "x", "y", "y"]})
    prepare = tabular.Preparation.fit(train, fill={"a": 10.0}, rare=1)
    x = prepare(train).numpy()
    assert prepare.names == ("a", "b", "missingindicator_a", "missingindicator_b", "kind_x", "kind_y")
    for column, filled in (("a", [0, 2, 10, 4]), ("b", [1, 3, 3, 8])):
        expected = (np.array(filled) - np.mean(filled)) / np.std(filled)
        np.testing.assert_allclose(x[:, prepare.names.index(column)], expected, rtol=1e-6)
    np.testing.assert_array_equal(x[:, 2:], [[0, 0, 1, 0], [0, 1, 1, 0], [1, 0, 0, 1], [0, 0, 0, 1]])
    new = pd.DataFrame({"a": [1e9], "b": [np.nan], "kind": ["z"]})
    assert prepare(new)[0].tolist() == pytest.approx([5.0, x[1, 1], 0, 1, 0, 0])


def test_rare_and_unseen_categories_share_a_column() -> None:
    train = pd.DataFrame({"kind": ["x"] * 20 + ["y"] * 20 + ["p", "q"]})
    prepare = tabular.Preparation.fit(train, rare=10)
    assert len(prepare.names) == 3
    rows = prepare(pd.DataFrame({"kind": ["p", "never seen", "x"]})).numpy()
    np.testing.assert_array_equal(rows[0], rows[1])
    assert (rows.sum(1) == 1).all()
    assert (rows[2] != rows[0]).any()


def test_columns_that_are_always_missing_keep_their_place() -> None:
    train = pd.DataFrame({"a": [np.nan] * 3, "b": [1.0, 2.0, 3.0]})
    x = tabular.Preparation.fit(train, strategy="mean", indicators=False)(train)
    assert x.shape == (3, 2)
    assert x.dtype == torch.float32
    assert torch.isfinite(x).all()


@given(st.lists(st.floats(0, 1e4), min_size=2, max_size=30), st.booleans())
def test_a_standardised_target_can_be_turned_back(values: list[float], log: bool) -> None:
    target = np.array(values)
    scale = tabular.Standardized.fit(target, log)
    np.testing.assert_allclose(scale.inverse(scale(target)), target, rtol=1e-8, atol=1e-6)
    assert abs(scale(target).mean()) < 1e-6


def test_wrong_columns_and_unknown_fill_ins_are_refused() -> None:
    features, main, days = _table()
    task = _task(features, main, days, tabular.split(main, 0))
    with pytest.raises(BadValue, match="columns"):
        task.preparation(features[["a"]])
    with pytest.raises(BadValue, match="'zz'"):
        tabular.Preparation.fit(features, fill={"zz": 1.0})
    with pytest.raises(BadValue, match="training row"):
        tabular.Preparation.fit(features.iloc[:0])
    with pytest.raises(BadValue, match="rows"):
        _task(features, main[:-1], days, tabular.split(main, 0))


def test_table_arrays_tell_tables_apart() -> None:
    first = pd.DataFrame({"a": [1.0, 2.0], "k": ["x", "y"]})
    arrays = tabular.table_arrays(first)
    assert arrays["numbers"].shape == (2, 1)
    assert arrays["words"].tobytes() == b"x\ny"
