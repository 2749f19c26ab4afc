"""Laws of the runs on the toy problems: columns by epoch, ridge regression beside the networks, rows of one method."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from mtlrepro.papers.hydalearn import fig1_flips, fig4_toys
from mtlrepro.papers.hydalearn.compared_methods import METHODS, inside
from mtlrepro.papers.hydalearn.training.toy_problems import TOY_PROBLEMS, prepare
from mtlrepro.parameters import Params

SIZE = {"steps": 40, "points": 40, "rates": [0.05, 0.2], "grid": 4}


def test_epoch_columns_are_those_of_each_epoch():
    """Two seeds, three epochs of two updates: means 0.1, 0.3, 0.5 with deviation 0.1, and a constant."""
    share = torch.tensor([[0.0, 0.25], [0.2, 0.25], [0.2, 0.25], [0.4, 0.25], [0.4, 0.25], [0.6, 0.25]])
    moving, constant = fig4_toys.epoch_columns(share, 2, each=True)
    assert moving["epoch_high"] == pytest.approx(0.3 + 0.95 * 0.2, abs=1e-4)
    assert moving["epoch_spread"] == pytest.approx(0.1, abs=1e-5)
    assert moving["epoch_shares"] == "0.1000 0.3000 0.5000"
    assert (constant["epoch_high"], constant["epoch_spread"]) == (0.25, 0.0)
    (one,) = fig4_toys.epoch_columns(share[:2, :1], 2, each=False)
    assert math.isnan(one["epoch_high"])
    assert "epoch_shares" not in one


def test_ridge_regression_learns_what_is_linear_and_its_level_is_the_variance_of_the_labels():
    splits, _ = prepare("Exp2", "softened", [3], steps=1, check=1, points=1)
    (row,) = fig4_toys.ridge("Exp2", "softened", [3])
    y = splits.test.main[0].numpy()
    assert row["variance"] == pytest.approx(np.mean((y - y.mean(0)) ** 2), rel=1e-5)
    # The tanh of labels of spread 1 is mostly linear.
    assert row["loss"] < 0.25 * row["variance"]


def test_rows_of_a_method_on_the_toys():
    rows = fig4_toys.measure(
        method="hydalearn", problem="Exp2", inputs="softened", update="as printed", chosen="paper's", seeds=[0, 1], **SIZE
    )
    seeds, curve = ([row for row in rows if row["kind"] == kind] for kind in ("seed", "curve"))
    assert [row["rate"] for row in seeds] == [0.01, 0.01]
    assert [row["parameter"] for row in seeds] == [6.0, 6.0]
    assert len(curve) == fig4_toys.WINDOWS
    # Windows are equally long: the mean over them is the mean over seeds of the whole.
    assert np.mean([row["share"] for row in curve]) == pytest.approx(np.mean([row["share"] for row in seeds]), abs=1e-6)
    # So short a training only improves: the kept state is the last one, where the curve ends.
    assert [row["step"] for row in seeds] == [SIZE["steps"]] * 2
    assert curve[-1]["test"] == pytest.approx(np.mean([row["test"] for row in seeds]), abs=1e-4)


def test_settings_give_every_method_both_updates_and_a_single_task_one():
    values = {
        "seeds": 2,
        "first_seed": 5,
        "steps": {"Exp1": 40, "Exp2": 40},
        "methods": {key: ["stl", "olaux"] for key in TOY_PROBLEMS},
    }
    settings = fig4_toys.settings(Params("hydalearn/fig4", "quick", SIZE | values))
    assert len(settings) == 2 * 2 * ((1 + 2) + (1 + 1 + 2)) + 2 * 2
    assert all(setting["seeds"] == [5, 6] for setting in settings)


def test_boxes_are_measured_in_bursts_of_every_seed():
    rows = fig1_flips.measure("Exp2", "softened", "as printed", 0.1, 16, [0, 1], steps=24, points=30, bursts=2, burst=6)
    assert len(rows) == 2 * 2 * 2  # kinds of step, seeds, bursts
    assert {len(row["main colours"]) for row in rows if "main colours" in row} == {6}


def test_inside_means_off_both_ends_of_every_setting():
    tried = [{"learning_rate": rate, "beta": beta} for rate in (1.0, 2.0, 3.0) for beta in (1.0, 6.0)]
    assert inside({"learning_rate": 2.0}, tried)
    assert not inside({"learning_rate": 3.0}, tried)
    assert not inside({"learning_rate": 2.0, "beta": 6.0}, tried)


def test_the_paper_settings_are_those_of_table_6():
    assert fig4_toys.paper_point("hydalearn") == {"learning_rate": 0.01, "beta": 6.0}
    assert METHODS["static"].value(fig4_toys.paper_point("static")) == 1.5
    assert fig4_toys.paper_point("stl") == {"learning_rate": 0.01}
