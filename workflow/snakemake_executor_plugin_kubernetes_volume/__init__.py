"""Snakemake's executor for Kubernetes, for a checkout on a volume that every job mounts: `--executor kubernetes-volume`.

The executor that it changes takes it that machines share no folder, and moves each file through a store of objects. Runs that
several jobs share need a folder with file locks, so here all of them see the checkout, at one path.
"""

from dataclasses import replace

from snakemake_executor_plugin_kubernetes import Executor, ExecutorSettings
from snakemake_executor_plugin_kubernetes import common_settings as without_volume

__all__ = ["Executor", "ExecutorSettings", "common_settings"]

common_settings = replace(without_volume, implies_no_shared_fs=False, job_deploy_sources=False)
