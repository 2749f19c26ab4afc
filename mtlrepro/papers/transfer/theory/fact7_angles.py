"""Fact 7 of the transfer paper: how much a linear map of condition number κ can shrink the sine of an angle.

Printed:  |sin(Xa, Xb)| >= sin(a, b) / κ²            for X of full column rank
Sharp:    |sin(Xa, Xb)| >= sin(a, b) / κ             the infimum, approached as a and b close in on the top direction
At an angle φ = angle(a, b) in (0, π/2] the least angle ψ = angle(Xa, Xb) is exactly tan(ψ/2) = tan(φ/2) / κ.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mtlrepro.papers.transfer.theory.proof_lines import Line, Relation, line_rows
from mtlrepro.parameters import Params

# Sines are computed to about 1e-16; a broken bound shows far above this.
TOLERANCE = 1e-13
CASES = ("Gaussian", "chosen spectrum", "nearly parallel", "orthogonal", "parallel", "worst directions")


def sine(u: Tensor, v: Tensor) -> Tensor:
    """Sine of the angle between `u` and `v`, in [0, 1] as in the paper, exact to rounding at every angle.

    u, v: (..., d), not zero. Returns (...). Kahan's form: sqrt(1 - cos²) would lose all digits below an angle of 1e-8.
    """
    u = u / torch.linalg.vector_norm(u, dim=-1, keepdim=True)
    v = v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    p: Tensor = torch.linalg.vector_norm(u - v, dim=-1)
    q: Tensor = torch.linalg.vector_norm(u + v, dim=-1)
    return 2 * p * q / (p**2 + q**2)


def condition(x: Tensor) -> Tensor:
    """Largest over smallest singular value. x: (..., m, d) with m >= d. Returns (...)."""
    singular: Tensor = torch.linalg.svdvals(x)
    return singular[..., 0] / singular[..., -1]


def image_sine(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """sin(Xa, Xb). x: (..., m, d); a, b: (..., d). Returns (...)."""
    return sine((x @ a.unsqueeze(-1)).squeeze(-1), (x @ b.unsqueeze(-1)).squeeze(-1))


def least_sine(sin_ab: Tensor, kappa: Tensor | float) -> Tensor:
    """The least sin(Xa, Xb) over every X of condition number `kappa` and every a, b with that sine.

    sin_ab: (...) in [0, 1]. Returns (...). At sin_ab = 1 it is Wielandt's inequality, 2κ / (κ² + 1).
    """
    half = sin_ab / (1 + torch.sqrt((1 - sin_ab**2).clamp(min=0))) / kappa
    return 2 * half / (1 + half**2)


def matrix(rows: int, columns: int, kappa: float, rng: torch.Generator) -> Tensor:
    """A random (rows, columns) matrix, rows >= columns >= 2, of condition number `kappa` up to rounding, float64."""
    left: Tensor = torch.linalg.qr(torch.randn(rows, columns, generator=rng, dtype=torch.float64)).Q
    right: Tensor = torch.linalg.qr(torch.randn(columns, columns, generator=rng, dtype=torch.float64)).Q
    between = torch.rand(columns - 2, generator=rng, dtype=torch.float64)
    spectrum = torch.cat([torch.tensor([1.0, 0.0], dtype=torch.float64), between]) * math.log(kappa)
    return left @ torch.diag(spectrum.exp()) @ right.T


def instance(case: str, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """One random X (m, d) with unit vectors a, b (d,) of the given case (one of CASES); d in 2..10, m in d..2d."""
    d = int(torch.randint(2, 11, (), generator=rng))
    m = int(torch.randint(d, 2 * d + 1, (), generator=rng))
    uniform = torch.rand(3, generator=rng, dtype=torch.float64)
    directions = torch.randn(2, d, generator=rng, dtype=torch.float64)
    a, b = directions / torch.linalg.vector_norm(directions, dim=1, keepdim=True)
    if case == "Gaussian":
        return torch.randn(m, d, generator=rng, dtype=torch.float64), a, b
    x = matrix(m, d, float(10 ** (4 * uniform[0])), rng)
    step = 10 ** (-6 * uniform[1])
    if case == "nearly parallel":
        b = a + step * b
    elif case == "orthogonal":
        b = b - (a @ b) * a
    elif case == "parallel":
        b = a if uniform[2] < 0.5 else -a
    elif case == "worst directions":
        v = torch.linalg.svd(x).Vh
        a, b = torch.cos(step / 2) * v[0] + torch.sin(step / 2) * v[-1], torch.cos(step / 2) * v[0] - torch.sin(step / 2) * v[-1]
    elif case != "chosen spectrum":
        raise ValueError(f"unknown case {case!r}; known: {', '.join(CASES)}")
    return x, a, b / torch.linalg.vector_norm(b)


def try_bound(case: str, count: int, seed: int, tolerance: float) -> dict[str, Any]:
    """Try Fact 7 on `count` random instances of `case`.

    Returns n; violations and worst (least margin) of the printed bound; the same for the bounds with 1/κ and with the
    exact least sine; closest: the least ratio sin(Xa, Xb) κ / sin(a, b) seen (1 would be on the sharp bound).
    """
    rng = torch.Generator().manual_seed(seed)
    printed, sharp, exact, ratio = [], [], [], [math.inf]
    for _ in range(count):
        x, a, b = instance(case, rng)
        kappa, before, after = condition(x), sine(a, b), image_sine(x, a, b)
        printed.append(float(after - before / kappa**2))
        sharp.append(float(after - before / kappa))
        exact.append(float(after - least_sine(before, kappa)))
        if before > 1e-9:
            ratio.append(float(after * kappa / before))
    row: dict[str, Any] = {"n": count, "closest": min(ratio) if len(ratio) > 1 else float("nan")}
    for name, margins in {"printed": printed, "sharp": sharp, "exact": exact}.items():
        row |= {f"{name}_worst": min(margins), f"{name}_violations": sum(value < -tolerance for value in margins)}
    return row


def proof_lines(x: Tensor, a: Tensor, b: Tensor) -> list[Line]:
    """Every displayed line of the proof of Fact 7 (App. A.2.2), as printed and, where that fails, as corrected.

    x: (m, d) of full column rank; a, b: (d,) unit vectors, not parallel. Sums are taken literally, term by term.
    """
    u, spectrum, vh = torch.linalg.svd(x, full_matrices=False)
    p, q = vh @ a, vh @ b
    squares = spectrum**2
    wedge = (torch.outer(p, q) - torch.outer(q, p)) ** 2  # (a'_i b'_j - a'_j b'_i)², every pair twice
    weighted = torch.outer(squares, squares) * wedge
    denominator = (squares * p**2).sum() * (squares * q**2).sum()
    once = torch.triu(torch.ones_like(wedge), diagonal=1)  # i < j
    image = sine(spectrum * p, spectrum * q) ** 2
    first = 1 - (squares * p * q).sum() ** 2 / denominator
    floor = (spectrum[-1] / spectrum[0]) ** 4
    plain = (p**2).sum() * (q**2).sum() - (p * q).sum() ** 2
    half = "sum over i < j"

    def line(text: str, relation: Relation, left: Tensor, right: Tensor, correction: str = "") -> Line:
        return Line(text, relation, float(left), float(right), correction)

    def identity(gram: Tensor) -> Tensor:
        """1 where `gram` is the identity, else larger by its distance from it."""
        return 1 + (gram - torch.eye(len(gram), dtype=gram.dtype)).abs().max()

    unit = torch.ones((), dtype=x.dtype)
    return [
        line("XᵀX = Id", "=", identity(x.T @ x), unit, "UᵀU = Id"),
        line("XXᵀ = Id", "=", identity(x @ x.T), unit, "VVᵀ = Id"),
        line("(corrected) UᵀU = Id and VVᵀ = Id", "=", torch.maximum(identity(u.T @ u), identity(vh.T @ vh)), unit),
        line("sin(Xa, Xb) = sin(DVᵀa, DVᵀb)", "=", image_sine(x, a, b), sine(spectrum * p, spectrum * q)),
        line("a', b' are unit vectors", "=", identity(torch.stack([p, q]).square().sum(1).diag()), unit),
        line("sin(a', b') = sin(a, b)", "=", sine(p, q), sine(a, b)),
        line("display, 1st =: sin²(Da', Db') from the cosine", "=", image, first),
        line("display, 2nd =: sum over all i, j", "=", first, weighted.sum() / denominator, half),
        line("(corrected) 2nd =: sum over i < j", "=", first, (once * weighted).sum() / denominator),
        line("display, ≥: λmin⁴/λmax⁴ taken out", "≥", weighted.sum() / denominator, floor * wedge.sum()),
        line("display, 3rd =: back to products", "=", floor * wedge.sum(), plain * floor, half),
        line("(corrected) 3rd =: sum over i < j", "=", floor * (once * wedge).sum(), plain * floor),
        line("display, 4th =: sin²(a', b') / κ⁴", "=", plain * floor, sine(p, q) ** 2 / condition(x) ** 4),
        line("(sharp) restricted to span(a, b): σ₁σ₂ sin(a, b) = |Xa||Xb| sin(Xa, Xb)", "=", *_area(x, a, b)),
        line("(sharp) σ₁σ₂ ≥ |Xa||Xb| / κ", "≥", *_restricted(x, a, b)),
    ]


def _area(x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Area of the image of the parallelogram of a and b: by singular values of the restriction, and directly."""
    singular = _span_singular(x, a, b)
    size = torch.linalg.vector_norm
    return singular.prod() * sine(a, b), size(x @ a) * size(x @ b) * image_sine(x, a, b)


def _restricted(x: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    size = torch.linalg.vector_norm
    return _span_singular(x, a, b).prod(), size(x @ a) * size(x @ b) / condition(x)


def _span_singular(x: Tensor, a: Tensor, b: Tensor) -> Tensor:
    """The two singular values of X restricted to the plane of a and b."""
    plane = torch.linalg.qr(torch.stack([a, b], dim=1)).Q
    singular: Tensor = torch.linalg.svdvals(x @ plane)
    return singular


def try_lines(count: int, seed: int) -> list[dict[str, Any]]:
    """`proof_lines` on `count` random instances."""
    rng = torch.Generator().manual_seed(seed)
    return line_rows([proof_lines(*instance("Gaussian", rng)) for _ in range(count)])


def search_minimum(kappa: float, degrees: float, dimension: int, seed: int, starts: int) -> dict[str, Any]:
    """Search for the pair a, b at an angle of `degrees` that a map of condition number `kappa` brings closest together.

    Gradient search over orthonormal pairs (q1, q2), with a, b = cos(angle/2) q1 ± sin(angle/2) q2, from `starts` random
    starts; it knows nothing of the closed form. Returns found: the least sin(Xa, Xb) / sin(a, b), and the closed form.
    """
    angle = math.radians(degrees)
    rng = torch.Generator().manual_seed(seed)
    x = matrix(dimension + 2, dimension, kappa, rng)
    free = torch.randn(starts, dimension, 2, generator=rng, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [free], max_iter=300, tolerance_grad=1e-12, tolerance_change=1e-15, line_search_fn="strong_wolfe"
    )

    def ratios() -> Tensor:
        q1, q2 = torch.linalg.qr(free).Q.unbind(-1)
        a, b = math.cos(angle / 2) * q1 + math.sin(angle / 2) * q2, math.cos(angle / 2) * q1 - math.sin(angle / 2) * q2
        return image_sine(x, a, b) / sine(a, b)

    def closure() -> Tensor:
        optimiser.zero_grad()
        total = ratios().log().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimiser.step(closure)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        least = float(ratios().min())
    sin_ab = torch.tensor(math.sin(angle), dtype=torch.float64)
    return {"found": least, "exact": float(least_sine(sin_ab, kappa) / sin_ab), "sharp": 1 / kappa, "printed": 1 / kappa**2}


def random_minimum(kappa: float, pairs: int, dimension: int, seed: int) -> dict[str, Any]:
    """The least sin(Xa, Xb) / sin(a, b) over `pairs` random pairs: what a check on random pairs alone would see."""
    rng = torch.Generator().manual_seed(seed)
    x = matrix(dimension + 2, dimension, kappa, rng)
    a, b = torch.randn(2, pairs, dimension, generator=rng, dtype=torch.float64)
    return {"found": float((image_sine(x, a, b) / sine(a, b)).min())}


MEASURES: dict[str, Callable[..., Any]] = {
    "bound": try_bound, "search": search_minimum, "sample": random_minimum, "proof": try_lines,
}  # fmt: skip


def measure(kind: str, **setting: Any) -> dict[str, Any] | list[dict[str, Any]]:
    """The rows of one of `settings`."""
    rows: dict[str, Any] | list[dict[str, Any]] = MEASURES[kind](**setting)
    return rows


def settings(p: Params) -> list[dict[str, Any]]:
    """What the page runs: random instances of each case, searches for the worst pair, random pairs, and the proof."""
    chunk = min(500, p.instances)
    bounds = [
        {"kind": "bound", "case": case, "count": chunk, "seed": 1000 * place + part, "tolerance": TOLERANCE}
        for place, case in enumerate(CASES)
        for part in range(-(-p.instances // chunk))
    ]
    kappas = [2.0, 5.0, 20.0, 50.0, 100.0]
    searches = [
        {"kind": "search", "kappa": kappa, "degrees": degrees, "dimension": 4, "seed": 7, "starts": p.starts}
        for kappa in kappas
        for degrees in ([0.1, 15.0, 45.0, 75.0, 90.0] if kappa <= 20 else [0.1])
    ]
    samples = [{"kind": "sample", "kappa": kappa, "dimension": 4, "pairs": 10000, "seed": 7} for kappa in kappas]
    return [*bounds, *searches, *samples, {"kind": "proof", "count": p.proofs, "seed": 11}]
