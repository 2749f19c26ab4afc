"""Each entry of the errata that changes a conclusion, derived a second time: from the paper's definitions, by algebra.

Nothing here imports the code that the pages compute with. A test is named after its entry's anchor.
"""

from __future__ import annotations

import itertools

import sympy as sp

t, eta, sigma, phi, K = sp.symbols("t eta sigma phi K", positive=True)


def test_errata_prop1_no_transfer():
    """r = k = 2, one sample of task 1 in the plane: every B = (theta_1 + t theta_2, theta_2) with heads e_1, e_2 is an optimum
    with the same predictions. Of full column rank only t = 0 is."""
    theta1, theta2 = sp.Matrix([1, 0]), sp.Matrix([0, 1])

    def loss(x1):
        heads = [sp.Matrix([1, 0]), sp.Matrix([0, 1])]
        shared = sp.Matrix.hstack(theta1 + t * theta2, theta2)
        both = [(x1, theta1, heads[0]), (sp.eye(2), theta2, heads[1])]
        return sp.expand(sum(((x * shared * a - x * theta).norm() ** 2 for x, theta, a in both), sp.Integer(0)))

    assert loss(sp.Matrix([[1, 0]])) == 0
    assert loss(sp.eye(2)) == t**2


def test_errata_prop1_relu():
    """Two samples of one input, x = 1 and -1, both with label 1. One unit a ReLU(w x) is 0 on one of them: loss 1. The shared
    module {ReLU(x), ReLU(-x)} of both tasks' single units fits both: loss 0, so its head does not pick its own unit."""
    x, a = (sp.Integer(1), sp.Integer(-1)), sp.Symbol("a", real=True)
    for w in (1, -1):  # the scale of w goes into a
        single = sum((a * sp.Max(w * value, 0) - 1) ** 2 for value in x)
        assert sp.minimum(sp.expand(single), a, sp.S.Reals) == 1
    assert sum((sp.Max(value, 0) + sp.Max(-value, 0) - 1) ** 2 for value in x) == 0


def test_errata_prop6_sign():
    """Two unit models at an angle phi, X_i = I, r = 1. sum_i theta_i theta_i^T has the eigenvalues 1 +- cos phi; the best shared
    direction's loss is the smaller one, above OPT = 0 and not below it."""
    models = [sp.Matrix([1, 0]), sp.Matrix([sp.cos(phi), sp.sin(phi)])]
    gram = sum((theta * theta.T for theta in models), sp.zeros(2))
    eigenvalues = {sp.simplify(value) for value in gram.eigenvals()}
    assert {sp.simplify(value - 1) ** 2 for value in eigenvalues} == {sp.cos(phi) ** 2}
    angle = sp.Symbol("angle", real=True)
    direction = sp.Matrix([sp.cos(angle), sp.sin(angle)])
    loss = sum((1 - (theta.T * direction)[0] ** 2 for theta in models), sp.Integer(0))
    assert sp.simplify(loss.subs(angle, phi / 2) - (1 - sp.cos(phi))) == 0
    assert sp.simplify(loss - (1 - sp.cos(phi) * sp.cos(2 * angle - phi))) == 0  # so phi / 2 is the best direction


def _expected_square_of_the_error(x: sp.Matrix) -> sp.Expr:
    """E |X^+ eps|^2 for independent noise of variance sigma^2: sigma^2 trace((X^T X)^-1)."""
    pseudo = (x.T * x).inv() * x.T
    return sp.simplify(sigma**2 * (pseudo * pseudo.T).trace())


def test_errata_lemma8_dimension():
    """Orthogonal columns of squared length m_1: least squares on the source alone errs by sigma^2 d / m_1 in square, whatever the
    tasks. At m_1 = C sigma^2 log(1/delta) / c^4, the printed term, that exceeds c^2 once d > C log(1/delta) / c^2."""
    for d in (1, 2, 4):
        hadamard = sp.Matrix([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]])[:, :d]
        assert _expected_square_of_the_error(hadamard) == sigma**2 * sp.Rational(d, 4)
    C, c, d, log = sp.symbols("C c d log", positive=True)
    error = sigma**2 * d / (C * sigma**2 * log / c**4)
    assert sp.solve(sp.Eq(error, c**2), d) == [C * log / c**2]
    assert sp.diff(error, d).is_positive


def test_errata_thm2_dimension():
    """X_2 = I, no target noise, identical tasks: with the source far larger the shared direction is least squares' of the source,
    theta + e, and the target's error is |e_perp|, which no head removes: (d - 1) / d of the error of the entry on Lemma 8."""
    e1, e2, e3 = sp.symbols("e1:4", real=True)
    theta, shared = sp.Matrix([1, 0, 0]), sp.Matrix([1 + t * e1, t * e2, t * e3])
    head = (shared.T * theta)[0] / (shared.T * shared)[0]
    error = sp.simplify((head * shared - theta).dot(head * shared - theta))
    assert sp.simplify(sp.series(error, t, 0, 3).removeO() - t**2 * (e2**2 + e3**2)) == 0


def test_errata_thm2_positive():
    """X_2 = I, no noise at all, an endless source: B = theta_1. Single-task learning is exact, multi-task errs by sin(theta_1,
    theta_2), whatever its head."""
    source, target = sp.Matrix([1, 0]), sp.Matrix([sp.cos(phi), sp.sin(phi)])
    a = sp.Symbol("a", real=True)
    error = sp.expand((a * source - target).dot(a * source - target))
    best = sp.solve(sp.diff(error, a), a)[0]
    assert sp.simplify(error.subs(a, best) - sp.sin(phi) ** 2) == 0
    alone = sp.Matrix(sp.symbols("w1:3", real=True))
    solution = sp.solve(list(alone - target), list(alone))
    assert alone.subs(solution) == target


def test_errata_thm9_missing():
    """Labels of almost nothing but noise: on the inputs +-e_1, +-e_2 the fit of every pattern of signs is found by trying all
    quarter turns of each sign; a quarter turn maps patterns onto patterns, so the directions are spread evenly and most lie more
    than 45 degrees from any true model, at a number of samples that does not grow with sigma_1."""
    inputs = [sp.Matrix(v) for v in ([1, 0], [0, 1], [-1, 0], [0, -1])]
    # Directions where the set of active inputs changes, and those between.
    directions = [sp.Matrix([sp.cos(k * sp.pi / 4), sp.sin(k * sp.pi / 4)]) for k in range(8)]
    count = {k: sp.Integer(0) for k in range(8)}
    for labels in itertools.product((1, -1), repeat=4):
        explained = []
        for direction in directions:
            units = [sp.Max((x.T * direction)[0], 0) for x in inputs]
            product = sum((y * u for y, u in zip(labels, units, strict=True)), sp.Integer(0))
            explained.append(sp.simplify(product**2 / sum((u**2 for u in units), sp.Integer(0))))
        largest = max(explained)
        best = [k for k, value in enumerate(explained) if value == largest]
        for k in best:
            count[k] += sp.Rational(1, len(best))
    assert count[0] == count[2] == count[4] == count[6]
    assert count[1] == count[3] == count[5] == count[7]
    far = sum(count[k] for k in (2, 3, 4, 5, 6)) / 16  # a true model along e_1: 90 degrees and more, scale free in sigma_1
    assert far >= sp.Rational(1, 2)


def _head(x2: sp.Matrix, theta: sp.Matrix, shared: sp.Matrix) -> sp.Expr:
    """Least squares' head of a ReLU unit on the target ReLU(X_2 theta); which samples are on is the same for all K > 1."""
    unit, labels = (sp.Matrix([value if value.subs(K, 10) > 0 else 0 for value in x2 * w]) for w in (shared, theta))
    return (unit.T * labels)[0] / (unit.T * unit)[0]


def test_errata_thm9_head():
    """Three families with a_2 = 1 and B = theta_1: the claimed bound goes to 0 as K grows, the error of the head does not."""
    theta, small = sp.Matrix([1, 0]), 1 / K
    turned = sp.Matrix([sp.sqrt(1 - small**2), small])
    condition = _head(sp.diag(1, K), theta, turned)  # c = sin / kappa = 1 / K^2
    assert sp.limit(condition.subs(K, 1 / t), t, 0) == sp.Rational(1, 2)
    rare = _head(sp.Matrix([[1 / K, 0], [-1, 0], [0, 1]]), theta, turned)  # c = kappa sin, about 1 / K
    assert sp.limit(rare.subs(K, 1 / t), t, 0) == sp.Rational(1, 2)
    # One input, samples 1 and -K, noise of size 1 on the first: the unit is on there alone and its head takes the noise whole,
    # while noise over ||X_2 theta_2|| = sqrt(1 + K^2) goes to 0.
    labels, unit = sp.Matrix([1 + 1, 0]), sp.Matrix([1, 0])
    assert (unit.T * labels)[0] / (unit.T * unit)[0] - 1 == 1
    assert sp.limit(1 / sp.sqrt(1 + K**2), K, sp.oo) == 0


def test_errata_alg2_noise():
    """Orthogonal columns of squared length n, d of them. Additive noise of variance sigma^2 adds sigma^2 n d to the mean square
    of X^T y; labels replaced by noise of the same variance leave d / n of it."""
    n, d, length = sp.symbols("n d length", positive=True)
    signal = n**2 * length**2  # |X^T X theta|^2, |theta| = length
    trace = n * d  # of X^T X
    additive = signal + sigma**2 * trace
    assert sp.simplify(additive - signal).is_positive
    variance = n * length**2 / n  # of the labels X theta, |X theta|^2 / n
    replaced = variance * trace
    assert sp.simplify(replaced / signal - d / n) == 0
    x = sp.Matrix([[1, 1], [1, -1], [1, 1], [1, -1]])
    noise = sp.Matrix(sp.symbols("e1:5", real=True))
    square = sp.expand((x.T * noise).dot(x.T * noise))
    expected = sum((square.coeff(e, 2) for e in noise), sp.Integer(0))
    assert expected == 4 * 2  # n d, the trace above
