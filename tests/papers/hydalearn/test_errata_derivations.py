"""Each entry of the errata that changes a conclusion, derived a second time: from the paper's definitions, by algebra.

Nothing here imports the code that the pages compute with. A test is named after its entry's anchor.
"""

from __future__ import annotations

import sympy as sp

eta, w_m, w_a = sp.symbols("eta w_m w_a", positive=True)


def test_errata_thm1_circular():
    """A metric of any second order, two loss gradients of any direction. Gains of fake steps with the weights w have the ratio
    w_m / (w_a q) to first order, so q times it, eq. 9, is the ratio put in; with equal weights and q = 1 both gains are equal."""
    g, u, v = (sp.Matrix(sp.symbols(f"{name}1:3", real=True)) for name in "guv")  # gradients of the metric and of both losses
    h11, h12, h22 = sp.symbols("h11 h12 h22", real=True)
    hessian = sp.Matrix([[h11, h12], [h12, h22]])

    def gain(step):
        return -(g.dot(step) + (step.T * hessian * step)[0] / 2)

    gains = gain(-eta * w_m * u), gain(-eta * w_a * v)
    ratio = sp.limit(sp.simplify(gains[0] / gains[1]), eta, 0)
    q = g.dot(v) / g.dot(u)
    assert sp.simplify(ratio - w_m / (w_a * q)) == 0
    assert sp.simplify(q * ratio - w_m / w_a) == 0
    assert sp.simplify(ratio.subs({w_m: 1, w_a: 1}) * q) == 1


def test_errata_thm1_assumption():
    """The metric's gradient g, the main loss's along it, an auxiliary one v of independent direction: q = <g, v> / |g|^2 has mean
    0 and, for v uniform on the sphere of g's length, mean square 1 / n, exactly. Scaling v scales q and leaves its sign."""
    for n in (2, 3):
        angle = sp.Symbol("angle", real=True)
        # Density of the angle between a fixed and a uniform direction: sin^(n - 2).
        density = sp.sin(angle) ** (n - 2)
        mass = sp.integrate(density, (angle, 0, sp.pi))
        mean = sp.integrate(sp.cos(angle) * density, (angle, 0, sp.pi)) / mass
        square = sp.integrate(sp.cos(angle) ** 2 * density, (angle, 0, sp.pi)) / mass
        assert (mean, sp.simplify(square)) == (0, sp.Rational(1, n))
    n = sp.Symbol("n", positive=True, integer=True)
    # In general: the n coordinates' squares have equal means and sum to 1.
    assert sp.limit(1 / n, n, sp.oo) == 0
    scale, q = sp.Symbol("scale", positive=True), sp.Symbol("q", real=True)
    assert sp.simplify(sp.sign(scale * q) - sp.sign(q)) == 0
