"""Laws of the tables that pages show: numbers as a reader wants them, nothing lost."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from mtlrepro.results.tables import html_table, unsigned_zeros


def cells(column: list[object]) -> list[str]:
    return re.findall(r"<td[^>]*>(.*?)</td>", html_table(pd.DataFrame({"a": column})))


@pytest.mark.parametrize(
    ("column", "shown"),
    [
        ([31.0, 10.0, 1023.0], ["31", "10", "1023"]),  # counts, means of equal counts
        ([0.01, 0.3, 6.0], ["0.01", "0.3", "6"]),  # settings, with as few digits as lose nothing of any
        ([0.5, 0.25], ["0.50", "0.25"]),
        ([0.5, 0.2512], ["0.500", "0.251"]),
        ([57195.5, 987023.0], ["57,200", "987,023"]),
        ([4.0, math.nan, None], ["4", "–", "–"]),
        ([1.234e-16, 0.5], ["1.23 × 10⁻¹⁶", "0.500"]),
        (["-0.003 to -0.000", "+0% of 5"], ["-0.003 to 0.000", "0% of 5"]),
        (
            ["D^(-1/2) Q_r", "Σ_{j>r} 2^n", "y_iy_iᵀ", "per_run"],
            ["D<sup>−1/2</sup> Q<sub>r</sub>", "Σ<sub>j&gt;r</sub> 2<sup>n</sup>", "y<sub>i</sub>y<sub>i</sub>ᵀ", "per_run"],
        ),
        (
            ["+0.1 [-0.20, +1,000.5]", "[a, b]", "f(0, 1]"],
            ['+0.1 <span class="interval">[-0.20, +1,000.5]</span>', "[a, b]", "f(0, 1]"],
        ),
        (["A_2^* X", "2 * 3"], ["A<sub>2</sub><sup>*</sup> X", "2 * 3"]),
        ([], []),
    ],
)
def test_a_column_has_the_digits_that_it_needs(column: list[object], shown: list[str]) -> None:
    assert cells(column) == shown


@pytest.mark.parametrize("text", ["-0.001", "x-0", "1e-05", "2-0", "+0.10", "10^-0", "10-05-2026"])
def test_only_the_sign_of_a_zero_is_taken(text: str) -> None:
    assert unsigned_zeros(text) == text
