from mtlrepro.methods import task_grouping as grouping
from mtlrepro.methods.data_maps import DataMap, stacked, true_label_probability

maps, kept = DataMap(tasks, points), []
for _ in range(epochs):
    for inputs, labels, rows in loader:  # labels (n, tasks) of 0 and 1; rows (n,): which of the points these are
        logits = train_step(inputs, labels)  # (n, tasks), of the step's own forward pass
        maps.update(true_label_probability(logits, labels), rows)
    kept.append(maps.snapshot())
groups = grouping.soft(grouping.task_vectors(stacked(kept)), clusters=2, seed=0)  # groups.memberships: (tasks, clusters)
# ruff: noqa: F821
