from mtlrepro.methods.class_weights import ClassWeights, class_sums
from mtlrepro.training import fit, labelled


def losses(call, batch):  # the loader gives inputs, targets of the main task, class labels of the auxiliary task
    found, scores = call(batch.inputs)
    main = nn.functional.l1_loss(found, batch.targets[0], reduction="none") / len(found)  # one loss a sample or a pixel
    auxiliary = nn.functional.cross_entropy(scores, batch.targets[1], reduction="none") / len(found)
    return torch.cat([class_sums(each, batch.targets[1], classes) for each in (main, auxiliary)])


weights = ClassWeights(rate=0.002, freeze=20)  # or ClassWeights("exact", ...)
fit(model, labelled(loader), losses, optimizer=torch.optim.Adam(model.parameters(), lr=0.01), epochs=10, weighting=weights)
# ruff: noqa: F821
