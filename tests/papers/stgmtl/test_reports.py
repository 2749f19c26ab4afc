"""What STG-MTL's reports measure on planted rows, worked by hand, and that they draw the committed runs."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import torch

from mtlrepro import exhibits, paths
from mtlrepro.papers.stgmtl import fig4_groups_report, fig6_hundred_tasks_report, fig7_f1_report, tab1_models_report, task_groups
from mtlrepro.papers.stgmtl.fig4_groups import as_text
from mtlrepro.registered_claims import NoClaim

ANIMALS = ("bird", "cat", "deer", "dog", "frog", "horse")
CLASSES = (*fig4_groups_report.VEHICLES, *ANIMALS)


def _rows(places, families, group, seed, of="multi-task", **columns):
    """Rows of tasks whose vectors lie at `places`: name -> coordinates."""
    points = torch.tensor(list(places.values()), dtype=torch.float64)
    apart = [as_text(row) for row in torch.cdist(points, points)]
    rows = {"kind": "task", "task": list(places), "family": families, "group": group, "of": of, "seed": seed, "apart": apart}
    return pd.DataFrame(rows | columns)


def _by_kind(seed, split=ANIMALS[::2], of="multi-task"):
    """G1 with vehicles at one place and animals at another, of which `split` stand a little apart from the others."""
    places = {name: (float(name in ANIMALS) * 100, float(name in split) * 5, 0.01 * i) for i, name in enumerate(CLASSES)}
    families = ["animal" if name in ANIMALS else "vehicle" for name in CLASSES]
    votes = ["1 0" if i % 2 else "0 1" for i in range(10)]
    return _rows(places, families, "G1", seed, of, **{"votes 2": votes, "f1": 0.9, "share": 0.1, "weight": 10.0})


def _gates(measured):
    return {gate.name: gate.passed for gate in measured.gates}


def test_groups_of_g1_against_those_that_the_paper_names():
    """Planted: animals against vehicles, and the animals divided as the paper says or across."""
    as_named = fig4_groups_report.measured_fig5(_by_kind(1, ("cat", "dog", "horse")))
    across = fig4_groups_report.measured_fig5(_by_kind(1, ("bird", "cat", "deer")))
    assert as_named.effects == {"two-clusters": [1.0], "three-clusters-split-living": [1.0], "vehicles-stay-together": [1.0]}
    assert across.effects["three-clusters-split-living"][0] < 0
    assert _gates(as_named) == {"learned": True, "kmeans": True, "converged": False, "equal-prevalence": True, "control": False}


def test_gates_fail_where_nothing_was_learned_or_recorded():
    rows = _by_kind(1)
    assert not _gates(fig4_groups_report.measured_fig5(rows.assign(f1=0.4)))["learned"]
    assert not _gates(fig4_groups_report.measured_fig5(rows.drop(columns="f1")))["learned"]
    uneven = rows.assign(share=[0.1] * 9 + [0.2])
    assert not _gates(fig4_groups_report.measured_fig5(uneven))["equal-prevalence"]


def test_variants_compare_kinds_of_maps_and_points():
    """The same maps agree fully; votes that ignore the kinds are worse by one less their own index."""
    rows = pd.concat([_by_kind(1), _by_kind(2), _by_kind(3), _by_kind(1, of="single-task")])
    found = fig4_groups_report.measured_variants(rows)
    assert found.effects["stl-maps-same"] == [1.0]
    assert found.effects["point-based-worse"][0] > 0.9
    assert _gates(found)["control"]
    assert _gates(found)["something-to-compare"]


def test_g2_random_alone_and_equal_complements():
    """Three places and one task far from all: it is alone in three clusters or more; the complements stand at one place."""
    names = [*CLASSES, "Living being", "Odd-numbered", "Downside", "Not living being", "random"]
    families = [*_by_kind(0).family, *["extra"] * 5]
    places = {name: (float(name in ANIMALS) * 100.0, 0.0) for name in CLASSES}
    places |= dict.fromkeys(names[10:14], (50.0, 100.0)) | {"random": (5000.0, 0.0)}
    rows = _rows(places, families, "G2", 1, f1=0.9)
    # In more clusters than places k-means splits equal points: judge three clusters by the law alone.
    labels = next(task_groups.task_maps(rows, "G2")).labels(3)
    assert task_groups.alone(labels).tolist() == [False] * 14 + [True]
    found = fig4_groups_report.measured_fig4(rows)
    assert found.effects["complements-equal"] == pytest.approx([0.0], abs=1e-9)
    assert found.effects["living-against-not"] == [1.0]
    assert found.effects["random-apart"][0] > 0.5


def _hundred(seed, spread=0.0):
    """G3 with each superclass at a place of its own (spread 0)."""
    families = [name for name in _SUPERCLASSES for _ in range(5)]
    names = [f"{family} {i}" for family in _SUPERCLASSES for i in range(5)]
    for i, name in enumerate(("orchid", "poppy", "rose", "sunflower", "tulip")):
        names[_SUPERCLASSES.index("flowers") * 5 + i] = name
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(20, 30)) * 10
    points = np.repeat(centers, 5, 0) + 0.01 * rng.normal(size=(100, 30))
    if spread:
        points = rng.normal(size=(100, 30))
    return _rows(dict(zip(names, points.tolist(), strict=True)), families, "G3", seed)


_SUPERCLASSES = [
    *fig6_hundred_tasks_report.NAMED, *fig6_hundred_tasks_report.MAMMALS, "vehicles_1", "vehicles_2", "fruit_and_vegetables",
    "household_furniture", *(f"other_{i}" for i in range(8)),
]  # fmt: skip


def test_planted_superclasses_are_seen_whole():
    found = fig6_hundred_tasks_report.measured_fig6(_hundred(1))
    assert found.effects["beyond-chance"] == [1.0]
    assert found.effects["coherent-superclasses"] == [1.0]
    assert found.effects["four-flowers"] == [1.0]
    assert found.effects["weights-concentrate"][0] > 0.3
    eight = fig6_hundred_tasks_report.measured_fig8(_hundred(1)).effects
    assert eight["five-categories"] == [1.0]
    assert eight["named-above-others"] == [0.0]
    assert eight["vehicles-merged"][0] < 0
    nine = fig6_hundred_tasks_report.measured_fig9(_hundred(1)).effects
    assert nine["fewer-clusters-more-coherent"] == pytest.approx([0.0])


def test_random_places_show_no_superclass():
    found = fig6_hundred_tasks_report.measured_fig6(_hundred(1, spread=1.0))
    assert abs(found.effects["beyond-chance"][0]) < 0.1
    assert abs(found.effects["weights-concentrate"][0]) < 0.1


def _scores(group, clusters, seed, **test):
    """Rows of one training: test F1 by method, training F1 0.1 above it."""
    same = {"group": group, "clusters": clusters, "seed": seed}
    rows = [same | {"method": m, "average": "logits", "train": f + 0.1, "test": f} for m, f in test.items()]
    return [*rows, same | {"method": "grouped", "average": "probabilities", "train": 0.5, "test": test["grouped"]}]


def test_gains_are_averaged_over_clusters_and_task_sets():
    arms = {"multi-task": 0.5, "single-task": 0.6, "random groups": 0.55, "no groups": 0.58}
    rows = []
    for seed in (1, 2, 3):
        rows += _scores("G1", 2, seed, **arms, grouped=0.60) + _scores("G1", 3, seed, **arms, grouped=0.64)
        rows += _scores("G2", 3, seed, **arms, grouped=0.54)
        rows += _scores("G3", 20, seed, **{k: v for k, v in arms.items() if k != "single-task"}, grouped=0.45)
        rows += _scores("G3", 5, seed, **arms, grouped=0.99)  # not a registered number of clusters
    found = fig7_f1_report.measured(pd.DataFrame(rows))
    assert found.effects["over-mtl-cifar10"] == pytest.approx([(0.12 + 0.04) / 2] * 3)
    assert found.effects["over-stl-cifar10"] == pytest.approx([(0.02 - 0.06) / 2] * 3)
    assert found.effects["over-mtl-cifar100"] == pytest.approx([-0.05] * 3)
    assert found.effects["consistent"] == pytest.approx([0.75 - 0.5] * 3)
    assert found.effects["grouping-is-why"] == pytest.approx([(0.07 - 0.01 - 0.1) / 3] * 3)
    assert found.effects["higher-train-f1"] == pytest.approx([(0.12 - 0.06) / 3 + (0.04 / 3)] * 3, abs=0.02)
    gates = _gates(found)
    assert gates["precision"]
    assert gates["control"]  # an ensemble without groups is above one model
    assert not gates["regime"]


def test_trainings_counted_break_the_order_only_with_two_tasks():
    rows = pd.DataFrame(
        {"n": 5, "seed": 1, "method": method, "models": models, "forwards": passes, "backwards": passes, "seconds": 1.0}
        for method, models, passes in (
            ("mtl", 1, 10), ("exhaustive", 31, 310), ("hoa", 10, 100), ("tag", 1, 60), ("stg_stl", 5, 50), ("stg", 1, 10),
        )
    )  # fmt: skip
    found = tab1_models_report.measured(rows).statements
    assert found["one-training"].printed.violations == 0
    assert (found["fewest"].printed.violations, found["fewest"].corrected.violations) == (2, 0)  # HOA and TAG tie at n = 2
    wrong = rows.assign(models=rows["models"].where(rows.method != "stg", 2))
    assert tab1_models_report.measured(wrong).statements["one-training"].printed.violations == 1


_DRAWN = {
    "fig2": [fig4_groups_report.draw_map, lambda rows: fig4_groups_report.draw_softness(rows, (2.0, 1.2))],
    "fig4": [fig4_groups_report.draw_fig4, fig4_groups_report.random_table, fig4_groups_report.findings_g2],
    "fig5": [fig4_groups_report.draw_fig5, fig4_groups_report.membership_table],
    "variants": [fig4_groups_report.stability_table, fig4_groups_report.findings],
    "fig6": [
        fig6_hundred_tasks_report.draw_examples, fig6_hundred_tasks_report.draw_families, fig6_hundred_tasks_report.cost_table,
        lambda rows: fig6_hundred_tasks_report.agreement_table(rows, 19), fig6_hundred_tasks_report.findings,
        lambda rows: fig6_hundred_tasks_report.softness_table(rows, (2.0,)),
    ],
    "fig8": [fig6_hundred_tasks_report.draw_many],
    "fig9": [fig6_hundred_tasks_report.draw_few],
    "fig7": [fig7_f1_report.draw, fig7_f1_report.gain_table, fig7_f1_report.findings],
    "tab1": [tab1_models_report.draw, tab1_models_report.cost_table, tab1_models_report.gain_table],
}  # fmt: skip


@pytest.mark.parametrize("profile", ["quick", "full"])
@pytest.mark.parametrize("exhibit", _DRAWN)
def test_committed_runs_are_drawn(exhibit, profile):
    """Figures have something on each visible axis; sentences hold no NaN."""
    rows = pd.read_csv(paths.recorded() / "stgmtl" / f"{exhibit}.{profile}.csv", low_memory=False)
    for make in _DRAWN[exhibit]:
        shown = make(rows)
        if isinstance(shown, plt.Figure):
            assert all(ax.has_data() for ax in shown.axes if ax.axison)
            plt.close(shown)
        else:
            assert len(shown)
            assert "nan" not in str(shown if isinstance(shown, str) else "")


def test_measurements_name_registered_claims_and_every_gate():
    reports = {"fig2": fig4_groups_report, "fig4": fig4_groups_report, "fig5": fig4_groups_report, "variants": fig4_groups_report}
    reports |= dict.fromkeys(("fig6", "fig8", "fig9"), fig6_hundred_tasks_report)
    for name, report in reports.items():
        exhibit = exhibits.get(f"stgmtl/{name}")
        rows = pd.read_csv(paths.recorded() / "stgmtl" / f"{name}.full.csv", low_memory=False)
        found = report.measured(exhibit.id, rows)
        assert not isinstance(exhibit.entry, NoClaim)
        assert set(found.effects) <= {claim.id for claim in exhibit.entry.claims}
        assert [gate.name for gate in found.gates] == [gate.name for gate in exhibit.entry.gates]
