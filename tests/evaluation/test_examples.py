import doctest

import pytest

from src.evaluation import cosine_statistics, hubness, retrieval


@pytest.mark.parametrize("module", [cosine_statistics, hubness, retrieval])
def test_the_examples_in_docstrings_run(module) -> None:
    failed, tried = doctest.testmod(module)
    assert tried and not failed
