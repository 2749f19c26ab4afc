"""The names that mtlrepro.methods offers."""

import pytest

from mtlrepro import methods


@pytest.mark.parametrize("name", methods.__all__)
def test_every_offered_name_is_there_and_is_the_method_s_own(name):
    actual = getattr(methods, name)
    assert actual.__name__ == name
    assert actual.__module__.startswith("mtlrepro.methods.")
    assert actual.__doc__


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'svd_weight'"):
        methods.svd_weight  # noqa: B018
