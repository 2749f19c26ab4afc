"""The snippet for one's own data, on the page of the sampler: it runs as it stands, and what it trains learns."""

from __future__ import annotations

import torch
from sklearn.metrics import roc_auc_score
from torch import nn

from mtlrepro import paths
from mtlrepro.device import generator, seeded
from mtlrepro.models.task_heads import MultiTaskNet, TaskHeads
from mtlrepro.papers.cotask.data.small_table import small_tabular_set

SNIPPET = paths.book() / "papers" / "cotask" / "own_data.py"


def test_own_tabular_labels_are_combined_and_sampled_in_under_ten_lines(capsys):
    """The page's snippet as it stands, imports included: every label's AUROC on records not trained on is above 0.75."""
    lines = [line for line in SNIPPET.read_text().splitlines() if line and not line.startswith("#")]
    assert len(lines) < 10
    inputs, labels = small_tabular_set(seed=0)
    with seeded(0):
        bottom = nn.Sequential(nn.Linear(inputs.shape[1], 32), nn.ReLU())
        model = MultiTaskNet(bottom, TaskHeads(32, [2] * (labels.shape[1] + 4)))
    adam = torch.optim.Adam(model.parameters(), lr=0.01)

    def train_step(task, x, y):
        adam.zero_grad()
        nn.functional.cross_entropy(model(x, task), y).backward()
        adam.step()

    half = len(labels) // 2
    known = {"labels": labels[:half], "inputs": inputs[:half], "generator": generator(0), "train_step": train_step}
    exec(compile(SNIPPET.read_text(), str(SNIPPET), "exec"), known)
    assert len(known["tasks"]) == labels.shape[1] + 4
    assert all(made.name in capsys.readouterr().out for made in known["made"][:1])
    with torch.no_grad():
        for number, name in enumerate(labels):
            score = model(inputs[half:], number).softmax(-1)[:, 1]
            assert roc_auc_score(labels[name][half:], score) > 0.75, name
