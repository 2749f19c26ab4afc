import torch

from mtlrepro import plots
from mtlrepro.methods import task_grouping as grouping
from mtlrepro.methods.data_maps import DataMap, stacked

maps, kept = DataMap(len(tasks), len(confidences[0])), []
for confidence in confidences:  # of each epoch an array (n, tasks): probabilities of the true answers
    maps.update(torch.as_tensor(confidence), torch.arange(maps.points))
    kept.append(maps.snapshot())
groups = grouping.soft(grouping.task_vectors(stacked(kept)), clusters=2, seed=0)  # groups.memberships: (tasks, clusters)
figure = plots.data_maps(kept[-1].mean, kept[-1].std, groups.memberships, tasks)
# ruff: noqa: F821
