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
# # Exercise 3: a fair budget, and a fair verdict
#
# About 45 minutes, and open at the end. You need means and intervals.
#
# A method that adds auxiliary tasks may get more training steps than what it is compared with. First make the budgets equal. Then
# write the verdict *before* you look at results: from the interval of the differences over seeds, and the smallest difference
# that would matter to you.

# %%
import numpy as np

from mtlrepro.results.intervals import interval


# %%
def steps_of_a_task(total: int, tasks: int, auxiliary: int) -> int:
    """Steps that each task gets, main or auxiliary, where `total` steps are shared equally by all of them; a remainder is lost."""
    ### BEGIN SOLUTION
    return total // (tasks + auxiliary)
    ### END SOLUTION


# %%
def verdict(differences, smallest: float) -> str:
    """What the differences over seeds say of the claim "the method is better".

    "holds": the whole interval is above 0. "contrary": all of it is below 0. "absent": it includes 0, and all of it lies within
    +-smallest. "cannot tell": anything else.
    """
    ### BEGIN SOLUTION
    _, low, high = interval(differences)
    if low > 0:
        return "holds"
    if high < 0:
        return "contrary"
    return "absent" if -smallest <= low and high <= smallest else "cannot tell"
    ### END SOLUTION


# %% tags=["test"]
def check(steps, judge):
    assert steps(1000, 20, 0) == 50, "20 tasks share 1000 steps: 50 each"
    assert steps(1000, 20, 20) == 25, "with 20 auxiliary tasks beside them each task gets half as many"
    assert isinstance(steps(1000, 20, 10), int), "steps are whole"
    noise = np.linspace(-1, 1, 20)
    for mean, spread, smallest, wanted in (
        (1.0, 0.5, 0.1, "holds"), (-1.0, 0.5, 0.1, "contrary"), (0.0, 0.01, 0.1, "absent"), (0.05, 2.0, 0.1, "cannot tell"),
    ):  # fmt: skip
        said = judge(mean + spread * noise, smallest)
        assert said == wanted, f"mean {mean}, spread {spread}, smallest {smallest}: {wanted!r}, not {said!r}"


check(steps_of_a_task, verdict)
print("Right.")
### BEGIN HIDDEN TESTS
try:
    # No evidence of a difference is taken for evidence of no difference.
    check(steps_of_a_task, lambda d, smallest: "holds" if interval(d)[1] > 0 else "contrary" if interval(d)[2] < 0 else "absent")
except AssertionError as said:
    print(f"Where every interval around 0 is called absent, the check says: {said}")
else:
    raise RuntimeError("the check lets no evidence pass for absence")
### END HIDDEN TESTS

# %% [markdown]
# ## Look
#
# A toy in place of a training: a task's error falls as $1 / \sqrt{\text{steps}}$, whoever it is trained with. The "method" does
# nothing but add ten auxiliary tasks to twenty. Under one rule each *main* task keeps its steps, so that more is trained in all.


# %%
def differences(method_steps: float, baseline_steps: float, seeds: int, first_seed: int = 0) -> np.ndarray:
    """Error of the baseline minus error of the method, one number per seed: above 0 the method is better."""
    noise = np.random.default_rng(first_seed).normal(0, 0.01, (2, seeds))
    return (1 / np.sqrt(baseline_steps) + noise[0]) - (1 / np.sqrt(method_steps) + noise[1])


total, tasks, auxiliary = 1000, 20, 10
plain = steps_of_a_task(total, tasks, 0)
equal = steps_of_a_task(total, tasks, auxiliary)
# The shared layers see every step: count the steps on auxiliary tasks for half.
for rule, method in (("equal steps in all", equal * 1.25), ("each main task keeps its steps", plain * 1.25)):
    print(f"{rule}: {verdict(differences(method, plain, seeds=20), smallest=0.01)}")

# %% [markdown]
# ## Go on
#
# - The same method, two rules, two verdicts. Which rule does the paper use for its tables? Which would you defend?
# - With how few seeds does your verdict become *cannot tell*? Change `first_seed`: does the class agree?
# - Find the two budgets in the recorded runs of Tables 3 to 7 of the book, and compare.
