"""What the reports of Algorithm 2, Figure 12 and the chest X-rays measure, on made-up rows with planted effects."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mtlrepro.papers.transfer import alg2_svd_reweighting
from mtlrepro.papers.transfer import alg2_svd_reweighting_report as alg2
from mtlrepro.papers.transfer import chestxray_svd_reweighting_report as chestxray
from mtlrepro.papers.transfer import fig12_label_noise_report as fig12

SEEDS = range(3)


def passed(measured):
    return {gate.name: gate.passed for gate in measured.gates}


# --- Figure 12 --------------------------------------------------------------------------------------------------------


def noise_rows(svd=1.0, kendall=0.6, clean=80.0, lost=2.0, spread=0.1):
    """Ten pairs: equal weights reach `clean`, with coin flips `lost` less on the noisy task; SVD and Kendall gain on them."""
    rows = []
    for level in (0.0, 0.2):
        methods = {"unweighted": 0.0, "Kendall": kendall, "SVD, r = 1": svd, "SVD, r = 2": 9.0}
        for method, gain in (methods | ({"linear": -5.0} if level == 0 else {})).items():
            for pair in range(10):
                for seed in SEEDS:
                    more = (gain + spread * (pair - 4.5) * (method == "SVD, r = 1")) if level else gain * (method == "linear")
                    row = {"k": 2, "noise": "coin", "level": level, "seed": seed, "group": pair, "tasks": f"a / {pair}"}
                    row |= {"method": method, "auc": clean + more, "noisy auc": clean + more - lost * (level > 0)}
                    rows.append(row | {"noisy weight": 0.5 if "SVD" in method else 1.0, "part": "networks"})
    return pd.DataFrame(rows)


def test_figure_12_measures_mean_gains_over_pairs_at_rank_one():
    measured = fig12.measured(noise_rows())
    assert measured.effects["over-unweighted"] == pytest.approx([1.0] * 3)
    assert measured.effects["over-kendall"] == pytest.approx([0.4] * 3)
    assert measured.effects["kendall-over-unweighted"] == pytest.approx([0.6] * 3)
    assert passed(measured) == {
        "noise-hurts": True, "baseline-level": True, "precision": True, "converged": False, "weights-differ": True,
        "control": False,
    }  # fmt: skip


def test_gates_of_figure_12_follow_the_rows():
    assert not passed(fig12.measured(noise_rows(lost=0.0)))["noise-hurts"]
    assert not passed(fig12.measured(noise_rows(clean=69.0)))["baseline-level"]
    assert not passed(fig12.measured(noise_rows(spread=1.0)))["precision"]
    rows = noise_rows()
    assert not passed(fig12.measured(rows[rows.method != "linear"]))["baseline-level"]
    assert not passed(fig12.measured(rows.assign(**{"noisy weight": 1.0})))["weights-differ"]


def test_more_than_without_noise_takes_the_clean_gain_off():
    rows = noise_rows()
    rows.loc[(rows.level == 0) & (rows.method == "Kendall"), "auc"] += 0.25
    table = fig12.conditions(rows).set_index(["noise", "method"])
    assert table.loc[("coin", "Kendall"), "more than without noise"] == "+0.35 [+0.35, +0.35]"
    assert "linear" not in table.index.get_level_values("method")


# --- chest X-rays -----------------------------------------------------------------------------------------------------


def xray_rows(source="nih64"):
    """Validation chooses rank 5, which gains 0.5 on equal weights; rank 1 gains 3 and is not chosen."""
    levels = {
        ("unweighted", 0): (80.0, 80.0), ("Kendall", 0): (80.3, 80.0), ("SVD", 1): (83.0, 79.0), ("SVD", 5): (80.5, 81.0),
        ("SVD", 14): (70.0, 80.0), ("linear", 0): (69.0, 69.0),
    }  # fmt: skip
    return pd.DataFrame(
        [
            {"source": source, "seed": seed, "method": method, "rank": rank, "auc": auc + seed, "valid": valid,
             "weight span": 3.0, "rate": 0.1}
            for seed in SEEDS for (method, rank), (auc, valid) in levels.items()
        ]
    )  # fmt: skip


def test_chest_xrays_are_judged_with_the_rank_that_validation_chooses():
    measured = chestxray.measured(xray_rows())
    assert measured.effects["over-unweighted"] == pytest.approx([0.5] * 3)
    assert measured.effects["over-kendall"] == pytest.approx([0.2] * 3)
    assert measured.effects["kendall-over-unweighted"] == pytest.approx([0.3] * 3)
    assert passed(measured) == {
        "baseline-level": True, "precision": True, "converged": False, "grid-interior": False, "weights-differ": True,
        "control": False,
    }  # fmt: skip


def test_without_validation_no_rank_is_chosen_and_tasks_that_exclude_one_another_are_not_judged():
    assert set(chestxray.measured(xray_rows().drop(columns=["valid", "rate", "weight span"])).effects) == {
        "kendall-over-unweighted"
    }
    assert chestxray.measured(xray_rows("cifar100")).effects == {}
    both = pd.concat([xray_rows("cifar100").assign(auc=1.0), xray_rows()])
    assert chestxray.measured(both).effects["over-unweighted"] == pytest.approx([0.5] * 3)


def test_a_rate_at_the_edge_of_its_grid_and_a_hundredfold_weight_fail_their_gates():
    rows = xray_rows()
    inside = pd.concat([rows, rows.assign(method="linear", rate=0.3), rows.assign(method="linear", rate=0.03)])
    assert not passed(chestxray.measured(inside.drop_duplicates(["seed", "method", "rank"])))["grid-interior"]
    assert not passed(chestxray.measured(rows.assign(**{"weight span": 100.0})))["weights-differ"]
    assert not passed(chestxray.measured(rows.assign(auc=rows.auc.where(rows.method != "linear", 79.0))))["baseline-level"]


# --- Algorithm 2 ------------------------------------------------------------------------------------------------------


def weight_rows():
    """Exact rows of few seeds: the map with its clean level, and the motivating example."""
    seeds = list(range(4))
    rows = []
    for noise in alg2_svd_reweighting.LEVELS:
        for level in (0.0, 0.2):
            for own in (0.0, 0.5):
                setting = {"noise": noise, "level": level, "k": 2, "rank": 1, "own": own}
                mapped = alg2_svd_reweighting.compare(seeds, noise, level, 2, 1, m=60, own=own)
                rows += [setting | row | {"part": "map"} for row in mapped]
    for level in (0.1, 10.0):
        example = alg2_svd_reweighting.motivating_example(seeds, level, 60)
        rows += [{"level": level, "part": "example"} | row for row in example]
    return pd.DataFrame(rows)


@pytest.fixture(scope="module")
def reweighted():
    return weight_rows()


def test_algorithm_2_gives_the_noisier_task_of_the_example_the_larger_weight(reweighted):
    example = reweighted[reweighted.part == "example"].set_index(["level", "seed"])
    measured = alg2.measured(reweighted)
    expected = (example.loc[0.1, "log ratio"] + example.loc[10.0, "log ratio"]) / 2
    assert measured.effects["noisy-task-weighs-less-additive"] == pytest.approx(expected.tolist())
    assert example.loc[10.0, "log ratio"].max() < 0
    # With a hundredth of the noise's share the shared direction is the clean task's own.
    assert (example["distance, clean tenfold"] < example["distance, equal"]).all()
    assert min(measured.effects["upweighting-clean-helps"]) > 0


def test_weight_lost_to_replaced_labels_is_before_over_after_in_octaves(reweighted):
    rows = reweighted[(reweighted.noise == "flipped signs") & (reweighted.method == "SVD")]
    table = rows.pivot(index=["seed", "own"], columns="level", values="noisy weight")
    expected = np.log2(table[0.0] / table[0.2]).groupby("seed").mean()
    measured = alg2.measured(reweighted)
    assert measured.effects["noisy-task-weighs-less-random-labels"] == pytest.approx(expected.tolist())
    halved = reweighted.copy()
    halved.loc[(halved.level == 0.2) & (halved.method == "SVD"), "noisy weight"] /= 2
    after = alg2.measured(halved).effects["noisy-task-weighs-less-random-labels"]
    assert after == pytest.approx([value + 1 for value in expected])


def test_old_rows_without_the_example_leave_its_claims_unmeasured(reweighted):
    old = reweighted[(reweighted.part == "map") & (reweighted.level > 0)].drop(columns="part")
    measured = alg2.measured(old)
    assert measured.effects == {}
    assert not passed(measured)["noise-hurts"]
    assert not passed(measured)["gates-of-figure"]
    assert passed(measured)["weights-differ"]


@pytest.mark.parametrize("level", [0.5, 2.0])
def test_the_example_s_distance_is_that_of_the_best_scaled_shared_direction(level):
    (row,) = alg2_svd_reweighting.motivating_example([7], level, 60)
    tasks = alg2_svd_reweighting.noisy_tasks([7], "additive", level, 2, m=60, base=0.0)
    x, (noisy, clean), theta = tasks.x[0].numpy(), tasks.ys[0].numpy(), tasks.models[0, 0].numpy()
    for key, share in (("distance, equal", 1.0), ("distance, clean tenfold", 10.0)):
        # Rank one on common inputs: the leading direction of the whitened, weighted least-squares models.
        q, r = np.linalg.qr(x)
        left, _, _ = np.linalg.svd(np.stack([q.T @ noisy, share**0.5 * (q.T @ clean)], 1))
        direction = np.linalg.solve(r, left[:, 0])
        scale = direction @ theta / (direction @ direction)
        assert row[key] == pytest.approx(np.sum((scale * direction - theta) ** 2), abs=1e-8)
