"""The page on speed: what the benchmarks measured, each ratio beside its reach, with hardware and date.

``python -m mtlrepro.book.speed BENCHMARKS.json``, of pytest-benchmark, is the end of `make bench`. A line stays until its
benchmark is run again.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from mtlrepro import paths
from mtlrepro.errors import exit_code
from mtlrepro.files import write_text


def table() -> Path:
    """The recorded lines, which ``book/speed.md`` shows."""
    return paths.book() / "speed.csv"


def record(benchmarks: dict[str, Any]) -> pd.DataFrame:
    """Put the ratios of a run of pytest-benchmark (its JSON) into `table`, in place of those of the same name."""
    machine = benchmarks["machine_info"]
    hardware = f"{machine['cpu'].get('brand_raw', machine['machine'])}, one thread"
    found = [
        {
            "What": line["what"],
            "Measured": f"{line['ratio']:.3g} {line['unit']}".strip(),
            "Reach": line["reach"],
            "Hardware": hardware,
            "Date": benchmarks["datetime"][:10],
        }
        for each in benchmarks["benchmarks"]
        for line in each["extra_info"].get("ratios", [])
    ]
    new = pd.DataFrame(found, columns=["What", "Measured", "Reach", "Hardware", "Date"])
    kept = pd.read_csv(table(), dtype=str, keep_default_na=False) if table().exists() else new.iloc[:0]
    lines = pd.concat([kept[~kept["What"].isin(new["What"])], new]).sort_values("What", kind="stable")
    write_text(table(), lines.to_csv(index=False))
    return new


def main(file: str) -> int:
    print(record(json.loads(Path(file).read_text(encoding="utf-8"))).to_string(index=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(lambda: main(sys.argv[1])))
