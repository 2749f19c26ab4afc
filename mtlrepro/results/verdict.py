"""The verdict on an exhibit from one recorded run, as text, as a page shows it, and as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from mtlrepro.results.claims import Part, Status, combine, describe


@dataclass(frozen=True)
class Verdict:
    """The verdict on one exhibit from one recorded run."""

    exhibit: str
    profile: str
    tier: str
    status: Status
    parts: tuple[Part, ...]
    reason: str = ""

    def __str__(self) -> str:
        if not self.parts:
            return f"{self.exhibit} [{self.profile}, {self.tier}]: {self.status}{': ' + self.reason if self.reason else ''}"
        first = self.parts[0]
        held = sum(part.outcome == "holds" for part in self.parts)
        return (
            f"{self.exhibit} [{self.profile}, {self.tier}]: {self.status} ({held} of {len(self.parts)} parts hold; "
            f"{first.name}: {describe(first)})"
        )

    def _repr_html_(self) -> str:
        return verdict_html(self)

    def by_setting(self) -> dict[str, Status]:
        """Setting -> the verdict its own parts would give."""
        settings = dict.fromkeys(part.setting for part in self.parts)
        return {name: combine([part for part in self.parts if part.setting == name]) for name in settings}


_MARK = {"holds": "✓ holds", "fails": "✗ fails", "unclear": "? unclear"}
# With more claims than this a page shows how often each holds, and the claims themselves folded.
_FOLDED = 16


def parts_table(verdict: Verdict) -> pd.DataFrame:
    """One line a claim: outcome (first, so that a narrow screen shows it), setting, claim, effect with interval."""
    lines = [
        {"outcome": _MARK[part.outcome], "setting": part.setting, "claim": part.name, "measured": describe(part)}
        for part in verdict.parts
    ]
    return pd.DataFrame(lines)


def counts_table(verdict: Verdict) -> pd.DataFrame:
    """One line a claim, whatever its setting: in how many settings it holds, is unclear, fails."""
    table = parts_table(verdict)
    counts = pd.crosstab(table["claim"], table["outcome"]).reindex(table["claim"].unique())
    return counts.reindex(columns=list(_MARK.values()), fill_value=0).rename_axis(columns=None).reset_index()


def verdict_html(verdict: Verdict) -> str:
    """The box that a page shows for a verdict: the word, tier and profile, then every claim with its interval."""
    style = verdict.status.replace(" ", "-")
    tier = f'<span class="tier">{verdict.tier}, profile {verdict.profile}</span>'
    head = f'<p><span class="verdict {style}">{verdict.status}</span> {tier}</p>'
    reason = f"<p>{verdict.reason}</p>" if verdict.reason else ""
    table = parts_table(verdict)
    if not table.empty and not table["setting"].any():
        table = table.drop(columns="setting")
    body = _scrolled(table) if verdict.parts else ""
    if len(verdict.parts) > _FOLDED:
        fold = f"<details><summary>All {len(verdict.parts)} claims, by setting</summary>{body}</details>"
        body = _scrolled(counts_table(verdict)) + fold
    return f'<div class="verdict-box {style}">{head}{reason}{body}</div>'


def _scrolled(table: pd.DataFrame) -> str:
    return f'<div class="table-scroll">{table.to_html(index=False, border=0, classes="claims")}</div>'


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """A verdict as plain data, for ``mtlrepro verdicts --json``; a bound that one seed cannot give is None."""

    def finite(value: float) -> float | None:
        return value if np.isfinite(value) else None

    parts = [
        {
            "claim": part.name, "setting": part.setting, "kind": part.kind, "outcome": part.outcome,
            "effect": finite(part.effect), "low": finite(part.low), "high": finite(part.high), "n": part.n, "unit": part.unit,
        }
        for part in verdict.parts
    ]  # fmt: skip
    return {
        "exhibit": verdict.exhibit, "profile": verdict.profile, "tier": verdict.tier, "status": verdict.status,
        "reason": verdict.reason, "by_setting": verdict.by_setting(), "parts": parts,
    }  # fmt: skip
