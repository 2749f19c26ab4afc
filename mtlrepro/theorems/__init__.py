"""Statements of the papers as functions that can be checked: one module a statement, named after it.

`mtlrepro.theory` holds the closed forms that experiments use; here each statement is tried on random and on adversarial
instances, in float64, and each displayed line of its printed proof is evaluated as it stands.
"""
