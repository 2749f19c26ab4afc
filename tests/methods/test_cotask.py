"""Laws of CO-TASK's auxiliary tasks: what is merged, how many records and tasks there are, same seed same tasks."""

from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mtlrepro.data.tasks import Records, Task
from mtlrepro.errors import BadValue, UnknownName
from mtlrepro.methods import cotask
from mtlrepro.methods.cotask import combine_labels, combine_tasks

seeds = st.integers(0, 2**32)


@st.composite
def task_sets(draw: st.DrawFn) -> list[Task]:
    """2 to 6 tasks of 2 to 5 classes, with two parts of random, also very unequal, sizes."""
    k, n = draw(st.integers(2, 5)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(seeds))
    made, start = [], 0
    for t in range(n):
        parts = {}
        for part in ("train", "test"):
            size = draw(st.integers(k, 40))
            rows = start + rng.permutation(size)
            start += size
            parts[part] = Records(rows, np.concatenate([np.arange(k), rng.integers(0, k, size - k)]))
        made.append(Task(name=f"t{t}", classes=tuple("abcde"[:k]), parts=parts))
    return made


@given(task_sets(), seeds)
def test_every_merged_class_holds_one_class_of_each_parent(tasks, seed):
    """Laws: the mapping is a permutation in both columns; each kept record's merged class holds its true class and parent."""
    for made in combine_tasks(tasks, math.comb(len(tasks), 2), seed):
        k = len(made.parents[0].classes)
        assert (np.sort(made.mapping, axis=0) == np.arange(k)[:, None]).all()
        for part, (rows, labels) in made.parts.items():
            truth = [dict(zip(*parent.parts[part], strict=True)) for parent in made.parents]
            for row, label, origin in zip(rows, labels, made.origin[part], strict=True):
                assert truth[origin][row] == made.mapping[label, origin]


@given(task_sets(), seeds)
def test_half_of_both_parents_records_each_once(tasks, seed):
    """Laws: floor((n_i + n_j) / 2) records of the same part, no record twice, none in another part or from another task."""
    for made in combine_tasks(tasks, math.comb(len(tasks), 2), seed):
        for part, (rows, _) in made.parts.items():
            both = np.concatenate([parent.parts[part].rows for parent in made.parents])
            assert len(rows) == len(both) // 2
            assert len(set(rows)) == len(rows)
            assert set(rows) <= set(both)


@given(task_sets(), seeds)
def test_same_seed_same_tasks_and_a_larger_count_appends(tasks, seed):
    """Laws: equal in every array; the first `count` do not depend on how many follow; pairs are distinct."""
    most = math.comb(len(tasks), 2)
    one, other = combine_tasks(tasks, most, seed), combine_tasks(tasks, max(1, most // 2), seed)
    assert len({made.parents for made in one}) == most
    for a, b in zip(one, other, strict=False):
        assert a.name == b.name
        assert (a.mapping == b.mapping).all()
        for part in a.parts:
            assert all((x == y).all() for x, y in zip(a.parts[part], b.parts[part], strict=True))


def _small(n: int, k: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {f"t{t}": (np.arange(t * k, (t + 1) * k), np.arange(k)) for t in range(n)}


@pytest.mark.parametrize(("n", "k"), [(2, 2), (3, 2), (2, 3), (4, 2), (3, 3)])
def test_the_number_of_distinct_auxiliary_tasks_is_the_closed_form(n, k):
    """Law: over many seeds exactly (n choose 2) k! ways to merge appear, in equal shares (chi-square, p > 0.001)."""
    seen: dict[object, int] = {}
    draws = 60 * cotask.distinct_tasks(n, k)
    for seed in range(draws):
        made = combine_tasks(_small(n, k), 1, seed)[0]
        key = made.name, frozenset(map(tuple, made.mapping.tolist()))
        seen[key] = seen.get(key, 0) + 1
    assert len(seen) == math.comb(n, 2) * len(list(permutations(range(k)))) == cotask.distinct_tasks(n, k)
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3


def test_the_papers_task_set_has_22800():
    """Pinned: 20 tasks of 5 classes; 18 and 5 yes-no labels."""
    assert cotask.distinct_tasks(20, 5) == 190 * 120
    assert (cotask.distinct_labels(18), cotask.distinct_labels(5)) == (459, 30)


@given(st.integers(2, 6), st.integers(1, 30), seeds, st.floats(0.1, 1))
def test_an_auxiliary_label_is_an_or_of_two_and_never_the_fourth(n, size, seed, share):
    """Laws: the label is the OR of two literals; "not a or not b" is never made; every part keeps floor(share n) own records."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, (2 * size, n))
    parts = {"train": np.arange(size), "test": np.arange(size, 2 * size)}
    tasks = combine_labels(labels, math.comb(n, 2), seed, parts=parts, share=share)
    assert {made.columns for made in tasks} == set(combinations(range(n), 2))
    for made in tasks:
        assert made.negated != (True, True)
        a, b = (labels[:, c] != no for c, no in zip(made.columns, made.negated, strict=True))
        assert (made.of_labels(labels) == (a | b)).all()
        for part, (rows, found) in made.parts.items():
            assert len(set(rows)) == len(rows) == int(share * size)
            assert set(rows) <= set(parts[part])
            assert (found == (a | b)[rows]).all()


def test_the_three_patterns_are_drawn_equally_often_and_are_three_functions():
    """Laws: over seeds exactly 3 (n choose 2) labelings, in equal shares; the truth tables differ, and "both" is not one."""
    truth = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
    seen: dict[object, int] = {}
    for seed in range(600):
        made = combine_labels(np.tile(truth[:, :1], (1, 3)), 1, seed)[0]
        seen[made.name] = seen.get(made.name, 0) + 1
    assert len(seen) == cotask.distinct_labels(3)
    assert stats.chisquare(list(seen.values())).pvalue > 1e-3
    tables = {tuple(made.of_labels(truth)) for made in (combine_labels(truth, 1, seed)[0] for seed in range(40))}
    assert tables == {(0, 1, 1, 1), (1, 0, 1, 1), (1, 1, 0, 1)}


def test_major_tasks_are_drawn_in_proportion_to_their_weight():
    """Law: the first pair is drawn in proportion to the product of weights, the second among the rest (chi-square)."""
    names, major = ["a", "b", "c", "d"], {"a": 5.0, "b": 2.0}
    pairs = list(combinations(range(4), 2))
    drawn = [cotask.draw_pairs(names, 2, seed, major) for seed in range(4000)]
    weights = cotask.pair_weights(names, major)
    assert weights.tolist() == [10, 5, 5, 2, 2, 1]
    first = [sum(pair[0] == which for pair in drawn) for which in pairs]
    assert stats.chisquare(first, 4000 * weights / weights.sum()).pvalue > 1e-3
    share = weights / weights.sum()
    later = [sum(share[i] * share[j] / (1 - share[i]) for i in range(6) if i != j) for j in range(6)]
    second = [sum(pair[1] == which for pair in drawn) for which in pairs]
    assert stats.chisquare(second, 4000 * np.array(later)).pvalue > 1e-3


def test_the_table_names_what_was_merged_with_what():
    """Law: one line a merged class, and its counts are the records of that class."""
    tasks = [
        Task(name=name, classes=classes, parts={"train": Records(np.arange(start, start + 4), np.array([0, 0, 1, 1]))})
        for name, classes, start in (("fish", ("ray", "shark"), 0), ("trees", ("oak", "pine"), 4))
    ]
    made = combine_tasks(tasks, 1, seed=0)
    table = made.table()
    assert list(table["auxiliary task"]) == ["fish + trees"] * 2
    assert set(table["of the first"]) == {"ray", "shark"}
    assert set(table["of the second"]) == {"oak", "pine"}
    assert table["train"].sum() == 4
    assert "ray" in made._repr_html_()
    yes = combine_labels(pd.DataFrame({"AFIB": [0, 1, 1, 0], "LVH": [1, 0, 1, 0]}), 1, seed=2, share=1.0)
    assert yes.table()["train: records"].item() == 4
    assert yes.table()["train: yes"].item() == 3
    assert yes[0].name in {"AFIB or LVH", "AFIB or not LVH", "not AFIB or LVH"}


ROWS = np.arange(6)
TABLE = np.eye(4, dtype=int)


@pytest.mark.parametrize(
    ("call", "error", "match"),
    [
        (lambda: combine_tasks(_small(1, 3), 0, 0), BadValue, "at least two tasks, not 1"),
        (lambda: combine_tasks(_small(3, 3), 4, 0), BadValue, "3 tasks have 3 pairs; 4 auxiliary"),
        (lambda: combine_tasks(_small(3, 3), -1, 0), BadValue, "-1 auxiliary"),
        (lambda: combine_tasks(_small(2, 3) | {"x": (ROWS + 50, ROWS % 2)}, 1, 0), BadValue, "'t0' has 3, 'x' has 2"),
        (lambda: combine_tasks({"a": (ROWS, ROWS % 2), "b": (ROWS + 5, ROWS % 2)}, 1, 0), BadValue, "share.*combine_labels"),
        (lambda: combine_tasks(_small(3, 3), 1, 0, {"t7": 2}), UnknownName, "did you mean"),
        (lambda: combine_tasks(_small(3, 3), 1, 0, {"t1": 0}), BadValue, "above 0"),
        (lambda: combine_tasks({"a": (ROWS, ROWS / 2), "b": (ROWS, ROWS)}, 1, 0), BadValue, "whole numbers"),
        (lambda: combine_tasks({"a": (ROWS, ROWS[:3]), "b": (ROWS, ROWS)}, 1, 0), BadValue, "one length"),
        (lambda: combine_tasks({"a": (ROWS * 0, ROWS), "b": (ROWS, ROWS)}, 1, 0), BadValue, "stands twice"),
        (lambda: combine_tasks({"a": (ROWS, ROWS - 1), "b": (ROWS, ROWS)}, 1, 0), BadValue, "labels must be 0 to"),
        (lambda: combine_labels(TABLE + 1, 1, 0), BadValue, "0 and 1"),
        (lambda: combine_labels(TABLE[:, :1], 0, 0), BadValue, "at least two"),
        (lambda: combine_labels(TABLE, 7, 0), BadValue, "6 pairs"),
        (lambda: combine_labels(TABLE, 1, 0, share=0.0), BadValue, "share"),
        (lambda: combine_labels(TABLE, 1, 0, names=["a"]), BadValue, "1 names for 4"),
        (lambda: combine_labels(TABLE, 1, 0, names=list("aabc")), BadValue, "same name"),
    ],
)  # fmt: skip
def test_errors_are_one_line_that_says_what_is_wrong(call, error, match):
    with pytest.raises(error, match=match) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_tasks_with_different_parts_are_refused():
    one, other = (Task.of(name, np.arange(start, start + 2), np.arange(2)) for name, start in (("a", 0), ("b", 2)))
    renamed = Task(name="b", classes=other.classes, parts={"valid": other.parts["train"]})
    with pytest.raises(BadValue, match="different parts"):
        combine_tasks([one, renamed], 1, 0)
