from mtlrepro.methods.hydalearn import HydaLearn
from mtlrepro.training import fit, labelled, task_losses
from mtlrepro.training.metrics import auroc, measured_on

metric = measured_on(validation_loader, auroc)  # of the first task, on all validation data
losses = task_losses(nn.functional.binary_cross_entropy_with_logits, nn.functional.mse_loss)
sgd = torch.optim.SGD(model.parameters(), lr=0.1)
hydalearn = HydaLearn(metric, beta=3.0)
fit(model, labelled(training_loader), losses, optimizer=sgd, epochs=15, weighting=hydalearn, validate=lambda m: metric(m)[None])
# ruff: noqa: F821
