"""Examples in docstrings print what they say."""

import doctest
from importlib import import_module

import pytest

from tests.support.commands import ROOT

MODULES = [
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in sorted((ROOT / "src").rglob("*.py"))
    if ">>> " in path.read_text()
]
PUBLIC = {
    *("src.similarity.shortcuts.top_k", "src.similarity.shortcuts.write_matrix"),
    *("src.similarity.search.NeighborSearch", "src.similarity.csls.csls_penalty"),
    *("src.similarity.postprocess.fit_center", "src.similarity.postprocess.fit_whiten"),
    *("src.evaluation.retrieval.retrieval", "src.evaluation.cosine_statistics.intra_inter"),
    *("src.evaluation.hubness.neighborhood_metrics", "src.evaluation.hubness.near_duplicates"),
}


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name: str) -> None:
    failed, attempted = doctest.testmod(import_module(name))
    assert attempted and not failed


def test_what_notebooks_call_has_an_example() -> None:
    tests = doctest.DocTestFinder(exclude_empty=True)
    found = {
        test.name
        for name in MODULES
        for test in tests.find(import_module(name), name)
        if test.examples
    }
    assert found >= PUBLIC
