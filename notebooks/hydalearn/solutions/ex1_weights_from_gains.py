# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercise 1: from two gains to two weights
#
# About 10 minutes. You need nothing but arithmetic.
#
# A fake step on the main loss changes the main metric by $\delta_m$, one on the auxiliary loss by $\delta_a$. HydaLearn's weights
# sum to $W$:
#
# - both gains positive: $w_m / w_a = (\delta_m / \delta_a)^\beta$;
# - one positive, one negative: all of $W$ goes to the task with the positive gain (our reading; the paper leaves it open);
# - both negative: the ratio is that of the absolute values, and the sum is scaled down to $W / (1 + e^{-w_a / w_m})$.
#
# Write the rule. Then look at the last case: which task gets the larger weight, the one that hurts less or the one that hurts more?

# %%
import math

from mtlrepro.methods.hydalearn import hydalearn_weights


# %%
def weights(gain_main: float, gain_aux: float, total: float = 1.0, beta: float = 1.0) -> tuple[float, float]:
    """(w_m, w_a) from two gains that are not 0. total: W."""
    ### BEGIN SOLUTION
    if gain_main * gain_aux < 0:
        return (total, 0.0) if gain_main > 0 else (0.0, total)
    ratio = (gain_main / gain_aux) ** beta
    if gain_main < 0:
        total = total / (1 + math.exp(-1 / ratio))
    return total * ratio / (1 + ratio), total / (1 + ratio)
    ### END SOLUTION


# %% tags=["test"]
def check(rule):
    def compare(given, wanted, words: str) -> None:
        close = all(abs(a - b) < 1e-9 for a, b in zip(given, wanted, strict=True))
        assert close, f"{words}: {wanted[0]:.3f} and {wanted[1]:.3f}, yours {given[0]:.3f} and {given[1]:.3f}"

    compare(rule(3.0, 1.0), (0.75, 0.25), "gains of 3 and 1 give the weights 3/4 and 1/4")
    compare(rule(3.0, 1.0, beta=2.0), (0.9, 0.1), "with beta = 2 the ratio of 3 becomes 9")
    compare(rule(2.0, -1.0), (1.0, 0.0), "a negative auxiliary gain leaves all weight with the main task")
    compare(rule(-2.0, 1.0), (0.0, 1.0), "a negative main gain leaves all weight with the auxiliary task")
    given = rule(-2.0, -1.0)
    assert sum(given) < 1, f"two negative gains scale the sum down; yours is {sum(given):.2f}"
    for main in (-3.0, -1.0, -0.1, 0.1, 1.0, 3.0):
        for aux in (-2.0, -0.5, 0.5, 2.0):
            for beta in (0.5, 1.0, 3.0):
                wanted = [float(weight) for weight in hydalearn_weights(main, aux, 2.0, beta)]
                compare(rule(main, aux, 2.0, beta), wanted, f"gains {main} and {aux}, W = 2, beta = {beta}")


check(weights)
print("Right: your rule is the package's.")


### BEGIN HIDDEN TESTS
def without_scaling(gain_main: float, gain_aux: float, total: float = 1.0, beta: float = 1.0) -> tuple[float, float]:
    main, aux = hydalearn_weights(gain_main, gain_aux, total, beta, downscale=False)
    return float(main), float(aux)


try:
    check(without_scaling)
except AssertionError as said:
    print(f"Without equation 4, the check says: {said}")
else:
    raise RuntimeError("the check lets a rule without equation 4 pass")
### END HIDDEN TESTS

# %% [markdown]
# ## Look

# %%
for main, aux in ((-3.0, -1.0), (-1.0, -3.0)):
    w_main, w_aux = weights(main, aux)
    print(f"the main step costs {-main}, the auxiliary step costs {-aux}: weights {w_main:.2f} and {w_aux:.2f}")

# %% [markdown]
# Is that the stated aim, to give weight by gain? The errata, under equation 3, say what follows from it.
