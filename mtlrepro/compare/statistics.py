"""Statistics of methods over problems: ranks and their tests, a Bayesian test that can say "practically the same", spreads."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from mtlrepro.errors import BadValue
from mtlrepro.results.outcomes import holm_levels

ALPHA = 0.05


def mean_ranks(scores: pd.DataFrame) -> pd.Series[float]:
    """Mean over problems of each method's rank, 1 for the best, ties sharing theirs. scores: (problems, methods), larger is
    better."""
    return scores.rank(axis=1, ascending=False).mean()


def friedman(scores: pd.DataFrame) -> tuple[float, float]:
    """Friedman's chi-squared and p that all methods are alike. Raises BadValue below three methods or two problems."""
    if scores.shape[1] < 3 or len(scores) < 2:
        raise BadValue("Friedman's test needs three methods and two problems.")
    if bool((scores.nunique(axis=1) == 1).all()):
        return 0.0, 1.0
    found = stats.friedmanchisquare(*(scores[method] for method in scores))
    return float(found.statistic), float(found.pvalue)


def against(scores: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Each other method against the reference after Friedman's test (Demsar 2006, section 3.2.2), with Holm's procedure at 5%.

    z = (R_i - R_0) / sqrt(k (k + 1) / (6 N)) of the mean ranks, k methods and N problems, is standard normal where the two are
    alike. Returns, by method: z, below 0 where it ranks better, p of both sides, and `clear`, whether Holm's procedure rejects.
    """
    ranks, k = mean_ranks(scores), scores.shape[1]
    z = (ranks - ranks[reference]).drop(reference) / math.sqrt(k * (k + 1) / (6 * len(scores)))
    p = 2 * stats.norm.sf(z.abs().to_numpy())
    levels = holm_levels(lambda i, level: bool(p[i] <= 1 - level), list(-p)) if len(p) else []
    return pd.DataFrame({"z": z, "p": p, "clear": [bool(a <= 1 - level) for a, level in zip(p, levels, strict=True)]}, z.index)


def critical_difference(methods: int, problems: int, alpha: float = ALPHA) -> float:
    """Nemenyi's: mean ranks further apart than this differ. q sqrt(k (k + 1) / (6 N)), q of the studentized range over sqrt 2."""
    q = float(stats.studentized_range.ppf(1 - alpha, methods, np.inf)) / math.sqrt(2)
    return q * math.sqrt(methods * (methods + 1) / (6 * problems))


class SignedRank(NamedTuple):
    """Posterior probabilities that, on a further problem, the method is worse, practically the same, or better."""

    worse: float
    same: float
    better: float


def bayesian_signed_rank(effects: ArrayLike, rope: float, strength: float = 0.5, draws: int = 20_000) -> SignedRank:
    """The Bayesian signed-rank test (Benavoli, Corani, Demsar, Zaffalon 2017, section 4.2.1), seeded.

    effects: (problems,) of a method against another. rope: half the width of what is practically no difference. A pseudo-effect
    of 0 has prior weight `strength`, the effects weight 1 each; with weights w drawn from that Dirichlet distribution, the share
    of pairs whose mean is in a region, sum_ij w_i w_j 1[(z_i + z_j) / 2 in it], is largest in one of the three regions, and the
    probabilities are how often in which. Raises BadValue for effects that are not finite, or none, or a negative rope.
    """
    z = np.append(0.0, np.asarray(effects, float))
    if len(z) < 2 or not np.isfinite(z).all() or rope < 0:
        raise BadValue("the signed-rank test needs finite effects, and a region of no difference that is not negative.")
    weights = np.random.default_rng(0).dirichlet([strength, *[1.0] * (len(z) - 1)], draws)
    means = (z[:, None] + z) / 2
    regions = [means < -rope, np.abs(means) <= rope, means > rope]
    shares = np.stack([np.einsum("di,ij,dj->d", weights, region.astype(float), weights, optimize=True) for region in regions])
    largest = shares >= shares.max(0) - 1e-12
    return SignedRank(*(float(share) for share in (largest / largest.sum(0)).mean(1)))


def leave_one_out(scores: pd.DataFrame) -> pd.DataFrame:
    """By the problem left out: the best method by mean rank, and Kendall's tau of that ranking with the one of all problems."""
    whole = mean_ranks(scores)
    lines = {}
    for problem in scores.index:
        ranks = mean_ranks(scores.drop(index=problem))
        lines[problem] = {"best": ranks.idxmin(), "tau": float(stats.kendalltau(ranks, whole).statistic)}
    return pd.DataFrame.from_dict(lines, orient="index")


class Components(NamedTuple):
    """Variances: of what a seed does to all methods alike, and of what is left when method and seed are taken out."""

    seed: float
    rest: float


def variance_components(values: ArrayLike) -> Components:
    """Two-way random-effects analysis of variance without repetition. values: (seeds, methods), two of each at least.

    E[mean square of seeds] = rest + methods * seed; a negative estimate of `seed` is 0. Pairing by seed removes `seed`.
    """
    x: NDArray[np.float64] = np.asarray(values, float)
    seeds, methods = x.shape
    residual = x - x.mean(0) - x.mean(1, keepdims=True) + x.mean()
    rest = float((residual**2).sum() / ((seeds - 1) * (methods - 1)))
    between = float(methods * x.mean(1).var(ddof=1))
    return Components(max(0.0, (between - rest) / methods), rest)


def alike(ranks: pd.Series[float], difference: float) -> list[tuple[float, float]]:
    """The bars of a critical-difference diagram: each widest run of ranks that lie no further apart than `difference`."""
    ordered: Sequence[float] = sorted(ranks)
    bars: list[tuple[float, float]] = []
    for low in ordered:
        high = max(rank for rank in ordered if rank <= low + difference)
        if high > low and not any(a <= low and high <= b for a, b in bars):
            bars.append((low, high))
    return bars
