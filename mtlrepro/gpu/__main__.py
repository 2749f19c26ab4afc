"""``python -m mtlrepro.gpu --prepare`` where the whole package is installed, ``--minutes 10`` on the machine with the GPU.

The first writes the list of runs, with their keys, and the images that they read; the second computes as many of them as it can.
``--speed`` measures the trainer there.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
from pathlib import Path

import torch

from mtlrepro.gpu import stand_ins


def main() -> int:
    """The command; its exit code."""
    parser = argparse.ArgumentParser(prog="python -m mtlrepro.gpu", description="Runs for a machine with a GPU.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--prepare", action="store_true", help="write the list of runs and their images")
    what.add_argument("--minutes", type=float, help="compute runs of the list for so long")
    what.add_argument("--speed", action="store_true", help="measure the trainer on a GPU")
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu"), help="of the list and the images (default: %(default)s)")
    parser.add_argument("--at-once", type=int, default=1, help="on a GPU, so many runs in threads (default: %(default)s)")
    given = parser.parse_args()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS reads it once, and deterministic kernels need it
    if not given.prepare:
        os.environ.setdefault("MTLREPRO_CACHE", str(given.folder))
        stand_ins.install()
    from mtlrepro.errors import BadValue, exit_code  # with the stand-ins in place, where they are needed

    def work() -> int:
        if given.prepare:
            from mtlrepro.gpu import preparing

            preparing.prepare(given.folder)
            return 0
        if given.speed:
            from mtlrepro.gpu import speed

            speed.record(given.folder / "speed.csv")
            return 0
        from mtlrepro.gpu import computing

        if not 0 < given.minutes < math.inf:
            raise BadValue(f"--minutes must be above 0 and an end, not {given.minutes:g}.")
        if given.at_once < 1:
            raise BadValue(f"--at-once must be at least 1, not {given.at_once}.")
        print("device:", torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU: the processor computes")
        left = computing.compute(given.folder, computing.Limit(given.minutes), given.at_once)
        print(f"{left} runs of the list are left: the same command goes on." if left else "all runs of the list are finished.")
        return 0

    return exit_code(work)


if __name__ == "__main__":
    sys.exit(main())
