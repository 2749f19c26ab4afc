"""Each entry of the errata that changes a conclusion, derived a second time: from the paper's definitions, by algebra.

Nothing here imports the code that the pages compute with. A test is named after its entry's anchor.
"""

from __future__ import annotations

import sympy as sp


def test_errata_eq7_differences():
    """One parameter, quadratic losses, two classes. After a plain step the main loss has the derivative
    -eta <grad L_m, grad l_c> / L_a(0) in w_c. At rate 0 that is 0, while the ratio of differences between two batches is that
    of the batches' own losses.
    """
    theta, eta, start, w1, w2, x = sp.symbols("theta eta start w1 w2 x", real=True)
    main, batch_shift = (theta - x) ** 2, sp.Symbol("shift", real=True)
    classes = [(theta - 1) ** 2, (theta + 2) ** 2]
    auxiliary = sum((w * loss for w, loss in zip((w1, w2), classes, strict=True)), sp.Integer(0)) / start
    moved = theta - eta * sp.diff(auxiliary, theta)
    after = main.subs(theta, moved)
    slope = sp.diff(main, theta).subs(theta, moved)
    for w, loss in zip((w1, w2), classes, strict=True):
        derivative = sp.diff(after, w)
        assert sp.simplify(derivative + eta * slope * sp.diff(loss, theta) / start) == 0
        assert derivative.subs(eta, 0) == 0
    # Two batches, no update between them: other images, other targets.
    change = main.subs(x, x + batch_shift) - main
    auxiliary_change = (theta - 1 - batch_shift) ** 2 - (theta - 1) ** 2
    ratio = sp.simplify(change / auxiliary_change)
    assert ratio.subs({theta: 0, x: 3, batch_shift: 1}) == sp.Rational(7, 3)
