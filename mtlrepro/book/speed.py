"""The page on speed: what the benchmarks measured, each ratio beside its reach, with hardware and date.

``python -m mtlrepro.book.speed BENCHMARKS.json``, of pytest-benchmark, is the end of `make bench`. A line stays until its
benchmark is run again. Whether a line meets its reach is said of the number as the page shows it.
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


COLUMNS = ["What", "Measured", "Reach", "Met", "Hardware", "Date"]


def met(measured: float, reach: str) -> str:
    """ "yes" or "no"; "" without a reach, which is such as "at most 6.0" or "at least 2.2"."""
    if not reach:
        return ""
    kind, bound = reach.rsplit(" ", 1)
    return "yes" if (measured <= float(bound) if kind == "at most" else measured >= float(bound)) else "no"


def record(benchmarks: dict[str, Any]) -> pd.DataFrame:
    """Put the ratios of a run of pytest-benchmark (its JSON) into `table`, in place of those of the same name.

    Those with a reach come first, then by name.
    """
    machine, found = benchmarks["machine_info"], []
    cpu = machine["cpu"]
    short = " with avx512_bf16" if "avx512_bf16" in cpu.get("flags", ()) else ""
    hardware, day = f"{cpu.get('brand_raw', machine['machine'])}{short}, one thread", benchmarks["datetime"][:10]
    for line in (line for each in benchmarks["benchmarks"] for line in each["extra_info"].get("ratios", [])):
        shown = float(f"{line['ratio']:.3g}")
        measured = f"{shown:,.0f}" if abs(shown) >= 1_000 else f"{shown:g}"
        reached = line["reach"], met(shown, line["reach"])
        found.append((line["what"], f"{measured} {line['unit']}".strip(), *reached, hardware, day))
    new = pd.DataFrame(found, columns=COLUMNS)
    kept = pd.read_csv(table(), dtype=str, keep_default_na=False) if table().exists() else new.iloc[:0]
    lines = pd.concat([kept[~kept["What"].isin(new["What"])], new])
    lines = lines.sort_values(["Reach", "What"], key=lambda each: each.str.lower() if each.name == "What" else each.eq(""))
    write_text(table(), lines.to_csv(index=False))
    return new


def main(file: str) -> int:
    print(record(json.loads(Path(file).read_text(encoding="utf-8"))).to_string(index=False))
    return 0


if __name__ == "__main__":
    raise SystemExit(exit_code(lambda: main(sys.argv[1])))
