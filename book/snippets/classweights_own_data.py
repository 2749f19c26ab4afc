from mtlrepro.methods.held_out_class_weights import HeldOutClassWeights
from mtlrepro.training import fit, labelled


def losses(call, batch):  # the loader gives inputs, targets of the main task, class labels of the auxiliary task
    predicted, scores = call(batch.inputs)
    each = nn.functional.cross_entropy(scores, batch.targets[1], reduction="none") / len(predicted)
    by_class = each.new_zeros(classes).scatter_add(0, batch.targets[1], each)
    return torch.cat([nn.functional.l1_loss(predicted, batch.targets[0])[None], by_class])


weights = HeldOutClassWeights(lambda call: nn.functional.l1_loss(call(held_x)[0], held_y), rate=0.01)
fit(model, labelled(loader), losses, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), epochs=20, weighting=weights)
# ruff: noqa: F821
