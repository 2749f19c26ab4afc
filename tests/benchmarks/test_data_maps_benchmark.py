"""What recording data maps adds to a training step: medians with and without, alternating in one run; ResNet-18 on a CPU.

Batches of 128 images of 32 x 32, one thread, processor time of this process.

    pytest tests/benchmarks/test_data_maps_benchmark.py --benchmark-enable -s
"""

import time
from statistics import median

import pytest
import torch
from ratios import report
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models import resnet18

from mtlrepro.device import deterministic, generator, seeded
from mtlrepro.methods.data_maps import DataMap, true_label_probability

POINTS, BATCH, STEPS = 50_000, 128, 5


@pytest.mark.slow
@pytest.mark.timeout(1200)  # minutes on a busy machine; what is judged is processor time
@pytest.mark.parametrize(("tasks", "most"), [(10, 0.05), (100, 0.10)])
def test_recording_costs_little_of_a_training_step(benchmark, tasks, most):
    """Reach: 5% of a step for 10 tasks, 10% for 100."""
    if not benchmark.enabled:
        pytest.skip("a benchmark: run with --benchmark-enable")
    with seeded(0):
        model = resnet18(num_classes=tasks)
    optimizer, maps, draw = torch.optim.Adam(model.parameters(), 1e-3), DataMap(tasks, POINTS), generator(0)
    order = torch.randperm(POINTS, generator=draw).split(BATCH)

    def step(number: int, record: bool) -> float:
        images = torch.randn(BATCH, 3, 32, 32, generator=draw)
        labels = torch.randint(0, 2, (BATCH, tasks), generator=draw).float()
        start = time.process_time()
        logits = model(images)
        if record:
            maps.update(true_label_probability(logits, labels), order[number])
        optimizer.zero_grad()
        binary_cross_entropy_with_logits(logits, labels).backward()
        optimizer.step()
        return time.process_time() - start

    with deterministic(threads=1):
        taken: dict[bool, list[float]] = {False: [], True: []}
        for number in range(STEPS + 1):
            for record, times in taken.items():
                times.append(step(number, record))
        plain, recorded = (median(times[1:]) for times in taken.values())  # the first step of each warms up
        confidence = torch.rand(BATCH, tasks, generator=draw)
        benchmark.pedantic(maps.update, (confidence, order[0]), rounds=50, warmup_rounds=5)
    reach = f"at most {1 + most:g}"
    report(benchmark, f"ResNet-18 with a data map of {tasks} tasks, a step beside one without", recorded / plain, reach)
    report(benchmark, f"a data map's update alone, {tasks} tasks, beside a step", benchmark.stats.stats.median / plain)
