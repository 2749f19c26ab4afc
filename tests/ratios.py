"""What benchmarks report: ratios within one run, each beside its reach. `make bench` puts them on the book's page on speed."""

from __future__ import annotations

from typing import Any


def report(benchmark: Any, what: str, ratio: float, reach: str = "", unit: str = "") -> None:
    """Keep a measured ratio (or growth exponent; unit: what stands behind it) for `mtlrepro.book.speed`, and print it.

    reach: such as "at most 6.0". Nothing is asserted: a busy machine fails no benchmark.
    """
    benchmark.extra_info.setdefault("ratios", []).append({"what": what, "ratio": float(ratio), "reach": reach, "unit": unit})
    print(f"\n{what}: {ratio:.3g}{unit and ' ' + unit} (reach: {reach or 'none set'})", end="")
