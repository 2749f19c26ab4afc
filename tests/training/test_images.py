"""Laws of the image trainer: equal to a plain loop bit for bit, bf16 close to it, resumable anywhere, no host read in a step."""

from __future__ import annotations

import dataclasses
import json
from contextlib import ExitStack

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from mtlrepro.data.digits import load_digits
from mtlrepro.data.tasks import Records, Task
from mtlrepro.device import generator, seeded
from mtlrepro.errors import BadValue, DataCorrupt, place_refused
from mtlrepro.methods.data_maps import DataMap, true_label_probability
from mtlrepro.methods.dwa import DynamicWeightAverage
from mtlrepro.methods.random_weights import RandomWeights
from mtlrepro.methods.static import Static
from mtlrepro.models.resnet import CifarResNet, shared_bottom
from mtlrepro.training.augmentation import Augmentation, draw_moves, image_data
from mtlrepro.training.checkpoints import load_checkpoint, save_checkpoint
from mtlrepro.training.image_batches import BinaryTasks, MixedTaskBatches, OneTaskBatches, SameImageBatches
from mtlrepro.training.image_evaluation import accuracies, binary_logits
from mtlrepro.training.image_settings import ImageTraining, settings_of
from mtlrepro.training.images import Checkpoint, train_images
from mtlrepro.training.loop import minibatches, mixed
from mtlrepro.training.precision import has_bf16, precision_on
from mtlrepro.training.schedules import Schedule
from mtlrepro.training.weighting import Equal

SMALL = ImageTraining(
    epochs=3, batch=16, rate=0.05, precision="float32", schedule=Schedule("cosine"), augmentation=Augmentation(1, "random")
)


def digit_tasks(train: int = 200) -> tuple[np.ndarray, list[Task]]:
    """Digits as bytes (n, 8, 8, 1), and two tasks of five classes with images of their own."""
    digits = load_digits()
    tasks = []
    for number, (rows, labels) in enumerate(digits.groups()):
        cut = (train, train + 200)
        parts = {
            name: Records(rows[chosen], labels[chosen])
            for name, chosen in {"train": slice(0, cut[0]), "test": slice(*cut)}.items()
        }
        tasks.append(Task(name=f"task {number}", classes=tuple("abcde"), parts=parts))
    return digits.images[..., None] * 15, tasks


def network(seed: int = 0, classes=(5, 5), widths=(8, 16)):
    with seeded(seed, "network"):
        return shared_bottom(CifarResNet((1,) * len(widths), widths, 1), classes)


class DigitAnswers(nn.Module):
    """One logit a task: images -> (tasks, n)."""

    def __init__(self, tasks: int = 10, dropout: float = 0.0):
        super().__init__()
        self.bottom, self.drop, self.head = CifarResNet((1, 1), (8, 16), 1), nn.Dropout(dropout), nn.Linear(16, tasks)

    def forward(self, images):
        return self.head(self.drop(self.bottom(images))).T

    def shared_parameters(self):
        return list(self.bottom.parameters())


def answers(dropout: float = 0.0):
    with seeded(0, "answers"):
        return DigitAnswers(dropout=dropout)


def plain_loop(model, images, tasks, settings, seed):
    """The same training as one would write it down: float images (n, h, w, c), one image augmented after the other."""
    known = images[np.concatenate([task.parts["train"].rows for task in tasks])].astype(np.float64)
    mean, spread = (torch.tensor(known.mean((0, 1, 2))).float(), torch.tensor(known.std((0, 1, 2))).float())
    optimizer = torch.optim.SGD(
        model.parameters(), settings.rate, settings.momentum, nesterov=True, weight_decay=settings.decay, foreach=False
    )
    counts = [len(task.parts["train"].rows) // settings.batch for task in tasks]
    total, update, losses = settings.epochs * sum(counts), 0, []
    model.train()
    for epoch in range(settings.epochs):
        order = generator(seed, "batches", epoch)
        lots = [
            list(minibatches(len(t.parts["train"].rows), settings.batch, order))[:n] for t, n in zip(tasks, counts, strict=True)
        ]
        sequence = list(mixed(lots, order))
        every = torch.cat([torch.tensor(tasks[task].parts["train"].rows[part]) for task, part in sequence])
        moves = draw_moves(every, len(images), settings.augmentation, seed, epoch)
        for number, (task, part) in enumerate(sequence):
            rows, labels = (torch.from_numpy(each[part.numpy()]) for each in tasks[task].parts["train"])
            shown = []
            for i, row in enumerate(rows.tolist()):
                margin, place = settings.augmentation.crop, number * settings.batch + i
                wide = np.pad(images[row], ((margin, margin), (margin, margin), (0, 0)))
                down, right = int(moves.down[place]), int(moves.right[place])
                crop = wide[down : down + images.shape[1], right : right + images.shape[2]]
                shown.append(torch.tensor(crop[:, ::-1].copy() if moves.flipped[place] else crop).float())
            batch = ((torch.stack(shown) - mean) / spread).permute(0, 3, 1, 2)
            optimizer.param_groups[0]["lr"] = settings.rate * 0.5 * (1 + np.cos(np.pi * update / total))
            loss = cross_entropy(model(batch, task), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
            update += 1
    return losses


def same(a: nn.Module, b: nn.Module) -> bool:
    pairs = zip(a.state_dict().values(), b.state_dict().values(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.fixture(scope="module")
def digits():
    images, tasks = digit_tasks()
    return image_data(images, np.concatenate([task.parts["train"].rows for task in tasks])), tasks


@pytest.mark.parametrize("channels_last", [True, False])
def test_float32_training_equals_a_plain_loop_bit_for_bit(digits, channels_last):
    """Law: on one thread, with crops, flips, momentum and a schedule, every parameter and every statistic has the same bits."""
    data, tasks = digits
    ours, plain, images = network(), network(), digit_tasks()[0]
    trained = train_images(ours, data, tasks, dataclasses.replace(SMALL, channels_last=channels_last), seed=3)
    losses = plain_loop(plain, images, tasks, SMALL, seed=3)
    # One channel is channels last and first at once, so both orders are computed alike here.
    assert same(ours, plain)
    assert trained.updates == len(losses) == 3 * 2 * (200 // 16)
    assert trained.losses.shape == (3, 2)
    assert float(trained.losses[-1].mean()) == pytest.approx(np.mean(losses[-24:]), rel=1e-5)


def recorded(precision: str, seed: int, data, tasks, epochs: int) -> tuple[torch.Tensor, float]:
    losses: list[torch.Tensor] = []
    settings = dataclasses.replace(SMALL, precision=precision, epochs=epochs, augmentation=Augmentation(1))
    trained = train_images(
        network(seed), data, tasks, settings, seed=seed,
        observe=lambda logits, batch: losses.append(cross_entropy(logits, batch.targets)),
    )  # fmt: skip
    return torch.stack(losses), float(accuracies(trained.model, data, tasks, precision="float32").mean())


def test_bf16_follows_float32_in_loss():
    """Law: over 20 updates from one start each batch's loss differs by at most 0.05, of about 1.7 at first."""
    images, tasks = digit_tasks()
    data = image_data(images)
    exact, close = (recorded(precision, 0, data, tasks, epochs=1)[0][:20] for precision in ("float32", "bf16"))
    assert exact[0] > 1.4
    assert 0 < (exact - close).abs().max() < 0.05


@pytest.mark.slow
def test_bf16_reaches_the_accuracy_of_float32():
    """Law: mean test accuracy over five seeds within 0.02, every one well above chance (0.2)."""
    images, tasks = digit_tasks(400)
    data = image_data(images)
    found = {p: [recorded(p, seed, data, tasks, epochs=8)[1] for seed in range(5)] for p in ("float32", "bf16")}
    assert min(map(min, found.values())) > 0.9
    assert abs(np.mean(found["float32"]) - np.mean(found["bf16"])) < 0.02


class Interrupted(Exception):
    """A training that was cut off."""


def stop_at(update: int):
    def progress(now: int, _: int) -> None:
        if now == update:
            raise Interrupted

    return progress


def one_training(kind: str, data, tasks, **more):
    """(trained, data map or none) of a training with much state: weighting, running mean, dropout, data map."""
    settings = dataclasses.replace(SMALL, ema=0.9, snapshots=(1, 3))
    if kind == "one task":
        weighting = DynamicWeightAverage()
        trained = train_images(
            network(), data, tasks, settings, seed=5, weighting=weighting,
            validate=lambda m: accuracies(m, data, tasks, precision="float32"),
            at_snapshot=lambda _, m: {"accuracy": accuracies(m, data, tasks, precision="float32")}, **more,
        )  # fmt: skip
        return trained, weighting.weights
    rows = np.arange(100)
    binary = BinaryTasks(rows, load_digits().binary_tasks()[rows], np.full(10, 9.0))
    chart, draws = DataMap(10, 100), RandomWeights(generator(1, "weights"))
    trained = train_images(
        answers(dropout=0.3), data, binary, settings, seed=5, weighting=draws, kept=[chart],
        observe=lambda logits, batch: chart.update(true_label_probability(logits, batch.targets[0]).T, batch.targets[1]),
        at_snapshot=lambda _, m: {"logits": binary_logits(m, data, rows, precision="float32")}, **more,
    )  # fmt: skip
    return trained, chart.std


@pytest.mark.parametrize("kind", ["one task", "same images"])
def test_a_resumed_training_equals_an_uninterrupted_one_bit_for_bit(kind, digits, tmp_path):
    """Law: cut off in the first epoch, at the end of one and in the last, model, history, snapshots and weights are the same."""
    data, tasks = digits
    whole, state = one_training(kind, data, tasks)
    total = whole.updates
    for stops in ([2, total // 3, total - 2], [total]):
        checkpoint = Checkpoint(tmp_path / f"{stops[0]}.pt", seconds=0)
        for stop in stops:
            with pytest.raises(Interrupted):
                one_training(kind, data, tasks, checkpoint=checkpoint, progress=stop_at(stop))
        again, its_state = one_training(kind, data, tasks, checkpoint=checkpoint)
        assert same(whole.model, again.model)
        for name in ("losses", "weights", "validation"):
            assert torch.equal(getattr(whole, name), getattr(again, name)), name
        assert (again.updates, again.images) == (whole.updates, whole.images)
        assert torch.equal(state, its_state)
        assert again.snapshots.keys() == {1, 3}
        for epoch, kept in whole.snapshots.items():
            assert all(torch.equal(value, again.snapshots[epoch][name]) for name, value in kept.items())


def test_an_interruption_loses_what_came_after_the_last_checkpoint_only(digits, tmp_path):
    """Law: an interruption before any checkpoint leaves none, and the training starts anew with the same result."""
    data, tasks = digits
    checkpoint = Checkpoint(tmp_path / "state.pt", seconds=3600)
    with pytest.raises(Interrupted):
        train_images(network(), data, tasks, SMALL, seed=0, checkpoint=checkpoint, progress=stop_at(5))
    assert not checkpoint.path.exists()
    done = train_images(network(), data, tasks, SMALL, seed=0, checkpoint=checkpoint)
    assert same(done.model, train_images(network(), data, tasks, SMALL, seed=0).model)
    calls: list[int] = []
    again = train_images(network(), data, tasks, SMALL, seed=0, checkpoint=checkpoint, progress=lambda *now: calls.append(now))
    assert same(done.model, again.model)
    assert not calls


def test_within_a_run_a_training_goes_on_from_the_runs_own_files(digits, tmp_path, monkeypatch):
    """Laws: each training has a file of its own there, and one whose observer is not kept has none."""
    data, tasks = digits
    monkeypatch.setenv("MTLREPRO_CHECKPOINTS", str(tmp_path))
    done = [train_images(network(), data, tasks, SMALL, seed=seed) for seed in (0, 1)]
    assert len(list(tmp_path.iterdir())) == 2
    calls: list[int] = []
    again = train_images(network(), data, tasks, SMALL, seed=1, progress=lambda *now: calls.append(now))
    assert same(done[1].model, again.model)
    assert not calls
    train_images(network(), data, tasks, SMALL, seed=2, observe=lambda logits, batch: calls.append(len(logits)))
    assert len(list(tmp_path.iterdir())) == 2
    train_images(network(), data, tasks, SMALL, seed=2, observe=lambda logits, batch: None, kept=[Equal()])
    assert len(list(tmp_path.iterdir())) == 3


def test_checkpoints_of_another_training_and_damaged_ones_are_refused(digits, tmp_path):
    data, tasks = digits
    checkpoint = Checkpoint(tmp_path / "state.pt")
    once = dataclasses.replace(SMALL, epochs=1)
    train_images(network(), data, tasks, once, seed=0, checkpoint=checkpoint)
    others = [(network(), once, 1), (network(1), once, 0), (network(), dataclasses.replace(once, rate=0.1), 0)]
    for model, settings, seed in others:
        with pytest.raises(BadValue, match="other settings or data"):
            train_images(model, data, tasks, settings, seed=seed, checkpoint=checkpoint)
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:1000])
    with pytest.raises(DataCorrupt, match="no readable checkpoint"):
        train_images(network(), data, tasks, once, seed=0, checkpoint=checkpoint)


@pytest.mark.parametrize("size", [0, 1_000, 30_000])
def test_a_full_disk_keeps_the_checkpoint_before(tmp_path, small_disk, size):
    save_checkpoint(tmp_path / "state.pt", "a", {"value": torch.zeros(2)})
    with small_disk(size), pytest.raises(OSError, match=r"large|space") as error:
        save_checkpoint(tmp_path / "state.pt", "a", {"value": torch.ones(10_000)})
    assert "give the same command" in place_refused(error.value)
    assert load_checkpoint(tmp_path / "state.pt", "a")["value"].tolist() == [0, 0]
    assert [file.name for file in tmp_path.iterdir()] == ["state.pt"]


def test_a_flipped_bit_anywhere_in_a_checkpoint_is_not_believed(tmp_path):
    file, kept = tmp_path / "state.pt", {"value": torch.arange(40.0), "epochs": [1, 2], "of": {"a": torch.ones(3)}}
    save_checkpoint(file, "a", kept)
    whole, refused = file.read_bytes(), 0
    for place in range(0, len(whole), 7):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            found = load_checkpoint(file, "a")
        except DataCorrupt:
            refused += 1
            continue
        assert torch.equal(found["value"], kept["value"])
        assert torch.equal(found["of"]["a"], kept["of"]["a"])
        assert found["epochs"] == [1, 2]
    assert refused > 20


def test_a_training_that_is_no_number_is_stopped_with_task_steps_and_seed(digits):
    data, tasks = digits
    with pytest.raises(BadValue, match="weight of task 0, 1 is not finite in epoch 1, within steps 1 to 24, seed 5"):
        train_images(network(), data, tasks, dataclasses.replace(SMALL, rate=1e30), seed=5)


@pytest.mark.parametrize("batches", ["one task", "mixed tasks", "same images"])
@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_a_step_reads_no_value_on_the_host(batches, ema, digits, no_host_reads):
    """Law: from the images' look-up to the update nothing waits for the device."""
    data, tasks = digits
    how = dataclasses.replace(SMALL, epochs=1, ema=ema, augmentation=Augmentation(1, "alternating", 15.0))
    if batches == "same images":
        model, tasks = answers(), BinaryTasks(np.arange(100), load_digits().binary_tasks()[:100])
    else:
        model, how = network(), dataclasses.replace(how, batches=batches)
    with ExitStack() as opened:

        def progress(now: int, _: int) -> None:
            if now == 1:  # the epoch's own preparation is past
                opened.enter_context(no_host_reads())
            if now == 5:
                raise Interrupted

        with pytest.raises(Interrupted):
            train_images(model, data, tasks, how, seed=0, progress=progress)


def test_memberships_weigh_the_losses_of_binary_tasks(digits):
    """Law: a task of weight 0 leaves its row of the head as it was, without decay; and plain sums are weights of 1."""
    data, _ = digits
    rows = np.arange(100)
    tasks = BinaryTasks(rows, load_digits().binary_tasks()[rows])
    how = dataclasses.replace(SMALL, epochs=1, decay=0.0)
    weights = torch.ones(10)
    plain = train_images(answers(), data, tasks, how, seed=0).model
    assert same(plain, train_images(answers(), data, tasks, how, seed=0, weighting=Static(weights)).model)
    weights[3] = 0
    model = train_images(answers(), data, tasks, how, seed=0, weighting=Static(weights)).model
    moved = (model.head.weight - answers().head.weight).abs().amax(1)
    assert moved[3] == 0
    assert (moved > 0).sum() == 9


def test_a_longer_training_serves_shorter_budgets(digits):
    """Law: where the schedule does not depend on the budget, the snapshot after two epochs is a training of two epochs."""
    data, tasks = digits
    how = dataclasses.replace(SMALL, schedule=Schedule("step", milestones=(1.0,), factor=0.5), snapshots=(2,))
    long = train_images(
        network(), data, tasks, how, seed=0,
        at_snapshot=lambda _, m: {name: value.clone() for name, value in m.state_dict().items()},
    )  # fmt: skip
    with pytest.raises(BadValue, match="snapshots"):
        dataclasses.replace(how, epochs=1)
    short = train_images(network(), data, tasks, dataclasses.replace(how, epochs=2), seed=0)
    assert all(torch.equal(value, long.snapshots[2][name]) for name, value in short.model.state_dict().items())


def test_running_mean_of_the_weights():
    """Law: the evaluated model is the mean by the stated recursion, and the trained model is another."""
    images, tasks = digit_tasks()
    data, model, states = image_data(images), network(), []
    start = model.heads.weight.detach().clone()
    trained = train_images(
        model, data, tasks, dataclasses.replace(SMALL, epochs=1, ema=0.8), seed=0,
        progress=lambda *_: states.append(model.heads.weight.detach().clone()),
    )  # fmt: skip
    mean = start
    for update, state in enumerate(states, 1):
        decay = min(0.8, update / (9 + update))
        mean = decay * mean + (1 - decay) * state
    torch.testing.assert_close(trained.model.heads.weight, mean)
    assert not torch.equal(trained.model.heads.weight, model.heads.weight)


def test_auxiliary_tasks_may_have_other_budgets(digits):
    """Law: a task has its stated number of batches in each of its epochs, and none afterwards."""
    data, tasks = digits
    how = dataclasses.replace(SMALL, batches_per_epoch=(12, 3), epochs_of_tasks=(3, 1))
    trained = train_images(network(), data, tasks, how, seed=0)
    assert trained.updates == 3 * 12 + 3
    assert torch.isnan(trained.losses).tolist() == [[False, False], [False, True], [False, True]]


def test_one_task_batches_draw_each_record_once_and_each_task_as_often_as_it_has_full_batches(digits):
    _, tasks = digits
    samples = OneTaskBatches(tasks, 16, torch.device("cpu"))
    epochs = [samples.epoch(e, seed=0) for e in (0, 0, 1)]
    assert torch.equal(epochs[0].rows, epochs[1].rows)
    assert not torch.equal(epochs[0].rows, epochs[2].rows)
    first = epochs[0]
    assert first.sizes == [16] * 24
    assert sorted(first.tasks) == [0] * 12 + [1] * 12
    assert len(first.rows.unique()) == len(first.rows)
    for number, task in enumerate(first.tasks):
        rows, labels = tasks[task].parts["train"]
        known = dict(zip(rows.tolist(), labels.tolist(), strict=True))
        part = slice(16 * number, 16 * number + 16)
        assert [known[row] for row in first.rows[part].tolist()] == first.points[0][part].tolist()


def test_more_batches_than_a_task_has_come_from_further_shuffles(digits):
    _, tasks = digits
    samples = OneTaskBatches(tasks, 50, torch.device("cpu"), counts=(6, 1))
    rows = torch.cat([r for r, t in zip(samples.epoch(0, 0).rows.split(50), samples.epoch(0, 0).tasks, strict=True) if t == 0])
    assert torch.bincount(rows).unique().tolist() in ([0, 1, 2], [1, 2])  # 300 of 200 records: each once or twice
    assert (torch.bincount(rows) == 2).sum() == 100


def test_losses_of_mixed_batches_add_up_to_the_mean_over_the_batch(digits):
    """Law: their sum is the batch's mean cross-entropy, and each sample is answered by the head of its own task."""
    _, tasks = digits
    samples, model = MixedTaskBatches(tasks, 40, torch.device("cpu")), network().eval()
    order = samples.epoch(0, 0)
    assert len(order.sizes) == 10
    images = torch.randn(40, 1, 8, 8, generator=generator(0))
    batch = samples.batch(images, tuple(each[:40] for each in order.points), None)
    logits = samples.logits(model, batch)
    of = order.points[1][:40]
    assert 5 < int(of.sum()) < 35
    for task in (0, 1):
        torch.testing.assert_close(logits[of == task], model(images, task)[of == task])
    each = cross_entropy(logits, batch.targets, reduction="none")
    losses = samples.losses(logits, batch)
    torch.testing.assert_close(losses.sum(), each.mean())
    torch.testing.assert_close(losses[1], each[of == 1].sum() / 40)


def test_settings_go_into_json_and_back():
    how = dataclasses.replace(SMALL, snapshots=(1, 2), schedule=Schedule("step", milestones=(0.5, 2)), epochs_of_tasks=(3, 1))
    assert settings_of(json.loads(json.dumps(dataclasses.asdict(how)))) == how
    with pytest.raises(BadValue, match="sedes"):
        settings_of({"sedes": 3})
    with pytest.raises(BadValue, match=r"schedule\.kind"):
        settings_of({"schedule": {"kind": "cosinus"}})


@pytest.mark.parametrize(
    "wrong", [{"epochs": 0}, {"batches": "many"}, {"optimizer": "lion"}, {"label_smoothing": 1.0}, {"ema": 1.0}, {"rate": 0.0}]
)
def test_settings_out_of_range_are_refused(wrong):
    with pytest.raises(BadValue):
        ImageTraining(**wrong)


def test_settings_that_do_not_fit_the_tasks_are_refused(digits):
    data, tasks = digits
    binary = BinaryTasks(np.arange(5), np.zeros((5, 2)))
    fewer = Task(name="three", classes=tuple("abc"), parts={"train": Records(np.arange(3), np.arange(3))})
    wrong = [
        (binary, {"batches_per_epoch": (1, 1)}), (tasks, {"batches_per_epoch": (1,)}),
        (tasks, {"batches": "mixed tasks", "epochs_of_tasks": (1, 1)}), ([*tasks, fewer], {"label_smoothing": 0.1}),
    ]  # fmt: skip
    for given, setting in wrong:
        with pytest.raises(BadValue):
            train_images(network(), data, given, dataclasses.replace(SMALL, **setting), seed=0)
    with pytest.raises(BadValue):
        BinaryTasks(np.arange(4), np.zeros((5, 2)))


def test_precision_is_chosen_by_what_the_processor_has(monkeypatch):
    cpu = torch.device("cpu")
    assert precision_on(cpu, "auto") == ("bf16" if has_bf16(cpu) else "float32")
    for capabilities, chosen in (({}, "float32"), ({"avx512_bf16": True}, "bf16"), ({"amx_bf16": True}, "bf16")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found)
        assert precision_on(cpu, "auto") == chosen
        assert precision_on(cpu, "float32") == "float32"
    with pytest.raises(BadValue):
        precision_on(cpu, "half")


def test_label_smoothing_is_torchs_and_moves_binary_labels_to_the_middle(digits):
    _, tasks = digits
    samples = OneTaskBatches(tasks, 16, torch.device("cpu"), smoothing=0.1)
    logits, labels = torch.randn(16, 5, generator=generator(0)), torch.arange(16) % 5
    batch = samples.batch(torch.zeros(16, 1, 8, 8), (labels,), 0)
    smooth = torch.full((16, 5), 0.1 / 5).scatter_(1, labels[:, None], 0.9 + 0.1 / 5)
    torch.testing.assert_close(samples.losses(logits, batch)[0], -(smooth * logits.log_softmax(1)).sum(1).mean())
    binary = SameImageBatches(BinaryTasks(np.arange(4), np.array([[0], [1], [1], [0]])), 4, torch.device("cpu"), smoothing=0.1)
    answered = binary.batch(torch.zeros(4, 1, 8, 8), (torch.arange(4),), None)
    assert answered.targets[0].tolist() == [[0, 1, 1, 0]]
    middle = torch.tensor([0.05, 0.95, 0.95, 0.05]).logit()[None].requires_grad_()
    binary.losses(middle, answered).sum().backward()
    torch.testing.assert_close(middle.grad, torch.zeros(1, 4))  # least where the answer is the smoothed label


@pytest.mark.parametrize("odd", [None, 0.5, torch.tensor(0.5), torch.ones(3)], ids=str)
def test_a_validation_that_gives_no_value_for_each_task_is_refused(digits, odd):
    data, tasks = digits
    with pytest.raises(BadValue, match=r"the validation function returned .* tensor \(tasks,\), here \(2,\)"):
        train_images(network(), data, tasks, SMALL, seed=0, validate=lambda _: odd)


class Returning(nn.Module):
    """Logits of 5 classes, with something else made of them."""

    def __init__(self, change):
        super().__init__()
        self.change = change
        with seeded(0):
            self.head = nn.Linear(64, 5)

    def forward(self, images, task=None):
        return self.change(self.head(images.flatten(1)))


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda logits: {"logits": logits}, "a dict"),
        (lambda logits: [logits, logits], "a list"),
        (lambda logits: logits[:, 0], r"shape \(\d+,\)"),
        (lambda logits: logits.T, r"shape \(5, \d+\)"),
    ],
    ids=["dict", "list", "no classes", "transposed"],
)
def test_a_model_of_images_that_returns_no_logits_is_told_what_to_return(digits, change, found):
    data, tasks = digits
    with pytest.raises(BadValue, match=rf"^the model returned {found}: it must return one tensor of logits \(n, classes\), here"):
        train_images(Returning(change), data, tasks, SMALL, seed=0)


def test_logits_a_sample_of_tasks_on_the_same_images_are_refused(digits):
    """Law: (n, tasks) is not (tasks, n)."""
    data, tasks = digits
    rows = tasks[0].parts["train"].rows[:10]
    with pytest.raises(BadValue, match=r"^the model returned shape \(10, 5\): .* logits \(\.\.\., tasks, n\), here \(5, 10\)\.$"):
        train_images(Returning(lambda logits: logits), data, BinaryTasks(rows, np.zeros((10, 5))), SMALL, seed=0)


@pytest.mark.parametrize("label", [2.0, -1.0, float("nan")])
def test_labels_of_binary_tasks_other_than_0_and_1_are_refused(label):
    """Law: their cross-entropy would be a number all the same."""
    with pytest.raises(BadValue, match="labels of binary tasks must be 0 or 1"):
        BinaryTasks(np.arange(2), np.array([[0, 1], [label, 1]]))
    with pytest.raises(BadValue, match="weights of positive labels must be numbers, 0 or above"):
        BinaryTasks(np.arange(1), np.ones((1, 2)), np.array([1, -abs(label)]))


@pytest.mark.parametrize("row", [-1, 10_000])
def test_a_row_that_is_no_image_is_refused(digits, row):
    """Law: -1 is not the last one."""
    data, (task, other) = digits
    with pytest.raises(BadValue, match=rf"^rows of the tasks are .*{row}.* images: number them from 0\.$"):
        train_images(network(), data, BinaryTasks(np.array([0, row]), np.ones((2, 2))), SMALL, seed=0)
    rows, labels = task.parts["train"]
    odd = dataclasses.replace(task, parts={"train": Records(np.append(rows[1:], row), labels)})
    with pytest.raises(BadValue, match="number them from 0"):
        train_images(network(), data, [odd, other], SMALL, seed=0)


def test_time_to_an_accuracy_is_that_of_the_epochs_until_it(digits):
    """Law: seconds of the epochs up to the first that reaches the target, evaluation left out; inf where none does."""
    data, tasks = digits
    values = iter([torch.tensor([0.2, 0.4]), torch.tensor([0.7, 0.7]), torch.tensor([0.5, 0.5])])
    trained = train_images(network(), data, tasks, SMALL, seed=0, validate=lambda _: next(values))
    assert trained.seconds.shape == (3,)
    assert (trained.seconds > 0).all()
    assert trained.seconds_to(0.6) == pytest.approx(float(trained.seconds[:2].sum()))
    assert trained.seconds_to(0.8) == float("inf")
    with pytest.raises(BadValue):
        train_images(network(), data, tasks, SMALL, seed=0).seconds_to(0.5)
