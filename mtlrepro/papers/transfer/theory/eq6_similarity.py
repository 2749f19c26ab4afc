"""The covariance similarity score (transfer paper, eq. 6): its range, its invariances, and what it depends on besides alignment.

With S_i = X_iᵀ X_i:  score² = tr(S1 S2) / (tr S1 · tr S2).
Range:      0 (orthogonal inputs) to 1 (both along one line); of a task with itself |Λ|_F / tr Λ, between 1/sqrt(d) and 1.
Unchanged:  (X1, X2) -> (L1 X1 M, L2 X2 M') for all X1, X2 exactly if L_i have orthonormal columns up to a factor and
            M = a Q, M' = b Q with one orthogonal Q.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtlrepro.methods.alignment import covariance_similarity
from mtlrepro.parameters import Params

# Scores are computed to about 1e-15.
TOLERANCE = 1e-9
ENERGY = 0.99

Pair = tuple[Tensor, Tensor]


def _normal(rng: torch.Generator, *size: int) -> Tensor:
    return torch.randn(*size, generator=rng, dtype=torch.float64)


def _integer(rng: torch.Generator, low: int, high: int) -> int:
    return int(torch.randint(low, high + 1, (), generator=rng))


def orthogonal(rng: torch.Generator, rows: int, columns: int) -> Tensor:
    """A random matrix with orthonormal columns, (rows, columns), rows >= columns."""
    q: Tensor = torch.linalg.qr(_normal(rng, rows, columns)).Q
    return q


def draw_pair(rng: torch.Generator) -> Pair:
    """Inputs of two tasks: d in 2..8, 1 to 3d samples each, spectra from flat to steep in random orientations."""
    d = _integer(rng, 2, 8)
    pair = []
    for _ in range(2):
        steep = float(torch.rand((), generator=rng, dtype=torch.float64)) * 3
        spectrum = torch.arange(1, d + 1, dtype=torch.float64) ** -steep
        pair.append(_normal(rng, _integer(rng, 1, 3 * d), d) * spectrum @ orthogonal(rng, d, d))
    return pair[0], pair[1]


def closed_form(s1: Tensor, s2: Tensor) -> Tensor:
    """sqrt(tr(S1 S2) / (tr S1 · tr S2)) for covariances (d, d): equation 6 without the cut."""
    return ((s1 * s2).sum() / (s1.trace() * s2.trace())).sqrt()


def normalised_similarity(x1: Tensor, x2: Tensor, energy: float = 0.99) -> Tensor:
    """tr(S1 S2) / (|S1|_F |S2|_F), the cosine of the two covariances: in [0, 1], and 1 exactly where they are proportional.

    It is score(1, 2)² / (score(1, 1) score(2, 2)), with the same cut; arguments as `covariance_similarity`.
    """
    own = covariance_similarity(x1, x1, energy) * covariance_similarity(x2, x2, energy)
    return covariance_similarity(x1, x2, energy).square() / own


# --- Transformations


def _rows_each(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    return orthogonal(rng, len(x1), len(x1)) @ x1, orthogonal(rng, len(x2), len(x2)) @ x2


def _scales(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    return math.exp(_integer(rng, -9, 9)) * x1, -math.exp(_integer(rng, -9, 9)) * x2


def _common(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    q = orthogonal(rng, x1.shape[1], x1.shape[1])
    return x1 @ q, x2 @ q


def _separate(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    d = x1.shape[1]
    return x1 @ orthogonal(rng, d, d), x2 @ orthogonal(rng, d, d)


def _one(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    return x1 @ orthogonal(rng, x1.shape[1], x1.shape[1]), x2


def _repeated(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    return x1.repeat(_integer(rng, 2, 4), 1), x2[torch.randperm(len(x2), generator=rng)]


def _isometry(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    return orthogonal(rng, len(x1) + 3, len(x1)) @ x1, x2


def _stretched(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    stretch = torch.exp(_normal(rng, x1.shape[1]))
    return x1 * stretch, x2 * stretch


def _shifted(x1: Tensor, x2: Tensor, rng: torch.Generator) -> Pair:
    shift = _normal(rng, x1.shape[1])
    return x1 + shift, x2 + shift


TRANSFORMATIONS: dict[str, tuple[Callable[[Tensor, Tensor, torch.Generator], Pair], bool]] = {
    "each column of X1 and of X2 rotated as a vector of samples": (_rows_each, True),
    "X1 and X2 each times its own number": (_scales, True),
    "samples repeated or reordered": (_repeated, True),
    "samples embedded by any isometry": (_isometry, True),
    "inputs of both tasks rotated alike": (_common, True),
    "inputs of each task rotated on its own": (_separate, False),
    "inputs of one task rotated": (_one, False),
    "inputs of both tasks stretched alike along the axes": (_stretched, False),
    "one vector added to every sample of both": (_shifted, False),
}
"""Name -> (transformation, whether the score is claimed to stay the same)."""


def try_transformation(name: str, count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """Apply one of TRANSFORMATIONS to `count` random pairs.

    Returns n; worst: the largest change of the score; changed: pairs with a change above `tolerance`. Pairs with a share
    of the spectrum within 1e-9 of the cut are drawn again: there rounding alone may move the cut.
    """
    rng = torch.Generator().manual_seed(seed)
    function, _ = TRANSFORMATIONS[name]
    changes: list[float] = []
    while len(changes) < count:
        pair = draw_pair(rng)
        moved = function(*pair, rng)
        if min(cut_distance(x, ENERGY) for x in (*pair, *moved)) < 1e-9:
            continue
        changes.append(abs(float(covariance_similarity(*moved) - covariance_similarity(*pair))))
    return {"n": count, "worst": max(changes), "changed": sum(change > tolerance for change in changes)}


def cut_distance(x: Tensor, energy: float) -> float:
    """How near a partial sum of the shares of the spectrum of XᵀX comes to `energy`."""
    values = torch.linalg.svdvals(x).square()
    return float(((values / values.sum()).cumsum(0) - energy).abs().min())


def column_maps_change(m1: Tensor, m2: Tensor) -> float:
    """The largest change of the score under (X1, X2) -> (X1 M1, X2 M2) over a finite set of one-sample inputs; m1, m2: (d, d).

    The inputs are e_i and e_i ± e_j. No change on these already forces M1 M2ᵀ and M1 M1ᵀ to be multiples of the identity
    (see the page), so this is 0 exactly for M1 = a Q, M2 = b Q.
    """
    d = len(m1)
    eye = torch.eye(d, dtype=m1.dtype)
    i, j = torch.triu_indices(d, d, 1)
    units = torch.cat([eye, eye[i] + eye[j], eye[i] - eye[j]])
    units = units / torch.linalg.vector_norm(units, dim=1, keepdim=True)
    left, right = units @ m1, units @ m2
    sizes = torch.linalg.vector_norm(left, dim=1)[:, None] * torch.linalg.vector_norm(right, dim=1)
    return float(((left @ right.T).abs() / sizes - (units @ units.T).abs()).abs().max())


def try_maps(inside: bool, count: int, seed: int) -> dict[str, Any]:
    """`column_maps_change` for `count` random pairs of maps, d in 2..6, inside or outside the group.

    Outside: a group element changed by a random matrix of size 1e-6 to 1. Returns n, least and largest change, and least
    ratio of the change to the size of the disturbance.
    """
    rng = torch.Generator().manual_seed(seed)
    changes, ratios = [], []
    for _ in range(count):
        d = _integer(rng, 2, 6)
        q = orthogonal(rng, d, d)
        a, b = torch.exp(_normal(rng, 2))
        m1, m2 = a * q, -b * q
        size = float(10 ** (-6 * torch.rand((), generator=rng, dtype=torch.float64)))
        if not inside:
            step = _normal(rng, d, d)
            step = step - (step * q).sum() / d * q  # not along the group's own scale
            m1 = a * (q + size * step / torch.linalg.matrix_norm(step))
        changes.append(column_maps_change(m1, m2))
        ratios.append(changes[-1] / size)
    return {"n": count, "least": min(changes), "largest": max(changes), "least_ratio": min(ratios)}


# --- Range


def try_range(count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """Without the cut, on `count` random pairs: closed form, bounds for the given spectra, and the score with itself.

    Returns n and violations of: the closed form; 0 <= score <= 1; the bounds for fixed spectra λ, μ (in the same order at
    most, in opposite order at least: sqrt(Σ λ_j μ_j) over the sums); self-score = |Λ|_F / tr Λ >= 1/sqrt(d); normalised form
    in [0, 1] and 1 with itself. worst: the largest error. below_itself: pairs in which a task scores higher with the other
    task than with itself.
    """
    rng = torch.Generator().manual_seed(seed)
    errors, less = [], 0
    for _ in range(count):
        x1, x2 = draw_pair(rng)
        s1, s2 = x1.T @ x1, x2.T @ x2
        score, own1, own2 = (float(covariance_similarity(a, b, 1.0)) for a, b in ((x1, x2), (x1, x1), (x2, x2)))
        first, second = (torch.linalg.eigvalsh(s).clamp_min(0) / s.trace() for s in (s1, s2))
        most, least = float((first * second).sum().sqrt()), float((first * second.flip(0)).sum().sqrt())
        normalised = float(normalised_similarity(x1, x2, 1.0))
        errors.append(
            max(
                abs(score - float(closed_form(s1, s2))), -score, score - 1, score - most, least - score,
                abs(own1 - float(torch.linalg.vector_norm(first))), 1 / math.sqrt(len(s1)) - own1,
                normalised - 1, abs(float(normalised_similarity(x1, 3 * x1, 1.0)) - 1),
            )
        )  # fmt: skip
        less += score > min(own1, own2) + tolerance
    return {"n": count, "worst": max(errors), "violations": sum(e > tolerance for e in errors), "below_itself": less}


def spectrum_scores(steep: float, d: int, count: int, seed: int) -> list[dict[str, Any]]:
    """Tasks with eigenvalues j^-steep in unrelated random orientations: score, self-score and normalised score of each pair."""
    rng = torch.Generator().manual_seed(seed)
    roots = torch.arange(1, d + 1, dtype=torch.float64) ** (-steep / 2)
    rows = []
    for _ in range(count):
        x1, x2 = (roots[:, None] * orthogonal(rng, d, d).T for _ in range(2))
        rows.append(
            {
                "score": float(covariance_similarity(x1, x2)),
                "itself": float(covariance_similarity(x1, x1)),
                "normalised": float(normalised_similarity(x1, x2)),
            }
        )
    return rows


def offset_scores(offset: float, d: int, samples: int, count: int, seed: int) -> list[dict[str, Any]]:
    """As `spectrum_scores`, for Gaussian samples of two unrelated tasks to which one vector of length `offset` (in units of
    the root mean square length of the samples) is added; centred: the score after subtracting each task's mean."""
    rng = torch.Generator().manual_seed(seed)
    roots = torch.arange(1, d + 1, dtype=torch.float64) ** -0.5
    rows = []
    for _ in range(count):
        shift = torch.nn.functional.normalize(_normal(rng, d), dim=0) * offset * torch.linalg.vector_norm(roots)
        x1, x2 = (_normal(rng, samples, d) * roots @ orthogonal(rng, d, d) + shift for _ in range(2))
        rows.append(
            {
                "score": float(covariance_similarity(x1, x2)),
                "normalised": float(normalised_similarity(x1, x2)),
                "centred": float(covariance_similarity(x1 - x1.mean(0), x2 - x2.mean(0))),
            }
        )
    return rows


# --- The cut at 99%


def try_cut(count: int, seed: int, energy: float) -> dict[str, Any]:
    """How much the cut moves the score on `count` random pairs.

    Returns n; largest and median |with - without|; bound: sqrt(2τ - τ²) with τ = 1 - energy, which the score cannot lose
    more than; violations of it, and of score_cut <= score / energy.
    """
    rng = torch.Generator().manual_seed(seed)
    bound = math.sqrt((1 - energy) * (1 + energy))
    moves, violations = [], 0
    for _ in range(count):
        pair = draw_pair(rng)
        cut, full = float(covariance_similarity(*pair, energy)), float(covariance_similarity(*pair, 1.0))
        moves.append(abs(cut - full))
        violations += full - cut > bound + 1e-12 or cut > full / energy + 1e-12
    changes = torch.tensor(moves, dtype=torch.float64)
    return {
        "n": count, "largest": float(changes.max()), "median": float(changes.median()), "bound": bound, "violations": violations,
    }  # fmt: skip


def cut_ranks(x: Tensor, share: float) -> dict[str, int]:
    """The rank r_1 under four readings of "contain 99% of the singular values", for inputs x: (m, d)."""
    singular = torch.linalg.svdvals(x)
    singular = torch.cat([singular, singular.new_zeros(x.shape[1] - len(singular))])

    def reaching(values: Tensor) -> int:
        return int((values.cumsum(0) < share * values.sum() * (1 - 1e-12)).sum()) + 1

    return {
        "sum of the eigenvalues of XᵀX (ours)": reaching(singular**2),
        "sum of the singular values of X": reaching(singular),
        "sum of the squared eigenvalues of XᵀX": reaching(singular**4),
        "99% of their number": math.ceil(share * len(singular) - 1e-9),
    }


def reading_ranks(seed: int, samples: int, d: int) -> list[dict[str, Any]]:
    """`cut_ranks` for Gaussian samples with eigenvalues near 1 / j."""
    x = torch.randn(samples, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    x = x * torch.arange(1, d + 1, dtype=torch.float64) ** -0.5
    return [{"reading": reading, "rank": rank} for reading, rank in cut_ranks(x, ENERGY).items()]


# --- Small cases


def smallest() -> dict[str, float]:
    """Score of one sample (1, 0) with itself, and after the second is turned by a right angle."""
    first, second = torch.eye(2, dtype=torch.float64)[:, None]
    return {"before": float(covariance_similarity(first, first)), "after": float(covariance_similarity(first, second))}


def higher_than_itself() -> list[dict[str, Any]]:
    """diag(2, 1) against itself and against one sample along its first axis: score and normalised score."""
    first, line = torch.diag(torch.tensor([2.0, 1.0], dtype=torch.float64)), torch.tensor([[1.0, 0.0]], dtype=torch.float64)
    return [
        {
            "against": name,
            "score": float(covariance_similarity(first, other)),
            "normalised": float(normalised_similarity(first, other)),
        }
        for name, other in (("itself", first), ("one sample along its first axis", line))
    ]


def worst_cut() -> dict[str, float]:
    """Eigenvalues (0.99, 0.01) against (0.01, 0.99): the score with the cut, without it, and the most it can lose."""
    first = torch.diag(torch.tensor([0.99, 0.01], dtype=torch.float64).sqrt())
    return {
        "with the cut": float(covariance_similarity(first, first.flip(1))),
        "without": float(covariance_similarity(first, first.flip(1), 1.0)),
        "most it can lose": math.sqrt(1 - ENERGY**2),
    }


def tied_scores() -> dict[str, float]:
    """Eigenvalues 98, 1, 1: two of them hold 99%, but which of the two equal ones is kept? Score against a task along e2."""
    root = torch.tensor([98.0, 1.0, 1.0], dtype=torch.float64).sqrt()
    other = torch.tensor([[0.0, 1.0, 0.0]], dtype=torch.float64)
    kept2, kept3 = (torch.diag(root * torch.tensor(mask, dtype=torch.float64)) for mask in ((1, 1, 0), (1, 0, 1)))
    return {
        "e2 kept": float(covariance_similarity(kept2, other, 1.0)),
        "e3 kept": float(covariance_similarity(kept3, other, 1.0)),
        "both kept (ours)": float(covariance_similarity(torch.diag(root), other)),
    }


MEASURES: dict[str, Callable[..., Any]] = {
    "transformation": try_transformation, "smallest": smallest, "map": try_maps, "range": try_range, "itself": higher_than_itself,
    "spectrum": spectrum_scores, "offset": offset_scores, "cut": try_cut, "edge": worst_cut, "tie": tied_scores,
    "reading": reading_ranks,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page runs: transformations, maps, the range, what else moves the score, the cut, and small cases."""
    draws = min(50, p.pairs)
    return [
        *(
            {"kind": "transformation", "name": name, "count": p.pairs, "seed": 10 + place, "tolerance": TOLERANCE}
            for place, name in enumerate(TRANSFORMATIONS)
        ),
        {"kind": "smallest"},
        *({"kind": "map", "inside": inside, "count": p.pairs, "seed": 30} for inside in (True, False)),
        {"kind": "range", "count": p.pairs, "seed": 40, "tolerance": TOLERANCE},
        {"kind": "itself"},
        *(
            {"kind": "spectrum", "steep": steep, "d": 20, "count": draws, "seed": 50}
            for steep in (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
        ),
        *(
            {"kind": "offset", "offset": offset, "d": 20, "samples": 200, "count": draws, "seed": 60}
            for offset in (0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
        ),
        *({"kind": "cut", "count": p.pairs, "seed": 70, "energy": energy} for energy in (0.9, 0.99, 0.999)),
        {"kind": "edge"},
        {"kind": "tie"},
        {"kind": "reading", "seed": 80, "samples": 500, "d": 100},
    ]
