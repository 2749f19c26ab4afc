from mtlrepro.methods.cotask import combine_labels, label_tasks
from mtlrepro.methods.task_aware_sampler import TaskAwareSampler

made = combine_labels(labels, count=4, seed=0)  # a table of 0 and 1, a named column each; no new label needed
print(made.table())  # what was merged with what
tasks = [*label_tasks(labels), *made]
sampler = TaskAwareSampler.of_tasks(tasks, batch=32, generator=generator)  # one task per batch, its classes balanced
for task, rows, targets in sampler.batches(600):
    train_step(task, inputs[rows], targets)
# ruff: noqa: F821
