"""The task-aware sampler beside a `WeightedRandomSampler` + `DataLoader` pipeline: same draws, batches per second.

Both give (task, inputs, labels) of one task a batch, tasks uniform, records weighted by log(x)/x of their class for that task.
The usual pipeline has one loader a task with the very weights of `task_aware_weights`; a second, stricter one hands whole
batches of indices to the data set, so that nothing is collated record by record. One thread, no worker processes, processor time
of this process; the pipelines take turns, and a ratio is the median of the ratios within a turn.

    pytest tests/papers/cotask/test_sampler_task_aware.py --benchmark-enable -s
"""

import itertools

import pandas as pd
import pytest
import torch
from ratios import report
from scipy import stats

from mtlrepro.device import generator
from mtlrepro.methods.task_aware_sampler import task_aware_weights
from mtlrepro.papers.cotask.sampler_task_aware import RECORDS, batched_loader, loader, random_records, task_aware, throughput

SIZE, TASKS, TURNS = 20_000, 18, 25


@pytest.mark.parametrize("pipeline", [task_aware, loader, batched_loader], ids=["ours", "loader", "loader of batches"])
def test_all_pipelines_draw_the_same_distribution(pipeline):
    """Law: drawn records of each task follow its weights, chi-square over all its records, p > 0.001."""
    data = random_records(200, tasks=3, shape=(), seed=0)
    drawn = torch.zeros(3, 200)
    for task, x, y in itertools.islice(pipeline(data, 64, generator(1)), 1500):
        rows = x.long()
        assert torch.equal(y, data.labels[rows, task])
        drawn[task] += torch.bincount(rows, minlength=200)
    for task in range(3):
        weights = task_aware_weights(data.labels[:, task])
        expected = weights / weights.sum() * drawn[task].sum()
        assert stats.chisquare(drawn[task].numpy(), expected.numpy()).pvalue > 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("what", RECORDS)
def test_throughput_beside_weighted_random_sampler_and_dataloader(benchmark, what):
    """Reports batches per second of both pipelines, and how many times the loader's ours are."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    data = random_records(SIZE, TASKS, RECORDS[what], seed=0)
    speed = pd.DataFrame(throughput(data, batch=128, turns=TURNS, seed=0))
    pipeline = task_aware(data, 128, generator(0))
    benchmark.pedantic(lambda: next(pipeline), rounds=200)
    benchmark.extra_info["batches per second"] = speed.median().to_dict()
    for name in ("loader", "loader of batches"):
        reach = "at least 10" if "image" in what and name == "loader" else ""
        faster = speed[f"times the {name}"].median()
        report(benchmark, f"task-aware sampler, {what}, beside a {name}", faster, reach, "times as fast")
