"""Methods of the five papers, one file each. The names below are the ones to start with; each is imported at its first use."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtlrepro.methods.alignment import covariance_similarity
    from mtlrepro.methods.class_weights import class_weight_step
    from mtlrepro.methods.cotask import combine_labels, combine_tasks
    from mtlrepro.methods.data_maps import DataMap
    from mtlrepro.methods.hydalearn import HydaLearn, hydalearn_weights
    from mtlrepro.methods.svd_reweighting import svd_weights
    from mtlrepro.methods.task_aware_sampler import TaskAwareSampler, task_aware_weights
    from mtlrepro.methods.task_grouping import fuzzy_memberships

__all__ = [
    "DataMap", "HydaLearn", "TaskAwareSampler", "class_weight_step", "combine_labels", "combine_tasks", "covariance_similarity",
    "fuzzy_memberships", "hydalearn_weights", "svd_weights", "task_aware_weights",
]  # fmt: skip

# Importing all of them takes seconds, most of it in libraries that one method needs.
_MODULE = {
    "DataMap": "data_maps", "HydaLearn": "hydalearn", "TaskAwareSampler": "task_aware_sampler",
    "class_weight_step": "class_weights", "combine_labels": "cotask", "combine_tasks": "cotask",
    "covariance_similarity": "alignment", "fuzzy_memberships": "task_grouping", "hydalearn_weights": "hydalearn",
    "svd_weights": "svd_reweighting", "task_aware_weights": "task_aware_sampler",
}  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _MODULE:
        raise AttributeError(f"module 'mtlrepro.methods' has no attribute {name!r}")
    return getattr(import_module(f"mtlrepro.methods.{_MODULE[name]}"), name)
