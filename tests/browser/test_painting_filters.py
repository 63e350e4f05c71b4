"""Neighbors by a filter: equal to a brute force, from the run's list wherever that suffices."""

import pytest

from src.browser import filters, static_lists
from src.browser.filters import Found, Wanted, find, possible_only, read_wanted, selects
from src.browser.opened import OpenRun, open_runs
from src.browser.run_search import others, run_search
from tests.support.ranked_run import works_of, write_ranked_run

SIMILARITIES = [
    {},
    {"postprocess": "whiten"},
    {"ranking": "csls", "postprocess": "center"},
    {"ranking": "csls", "exclude": "same_object"},
    {"augment": 5, "postprocess": "whiten"},
]
similarities = pytest.mark.parametrize("run", SIMILARITIES, ids=str, indirect=True)
CHOICES = [
    {"only": "other-artist"},
    {"only": "other-object", "k": "20"},
    {"f.style": "Baroque"},
    {"f.style": "Rococo", "f.artist": "artist 1", "k": "50"},
    {"only": "other-artist", "f.style": "Baroque", "k": "100"},
]


@pytest.fixture
def run(request, tmp_path) -> OpenRun:
    return open_runs([write_ranked_run(tmp_path, **getattr(request, "param", {}))])[0]


def expected(run: OpenRun, row: int, wanted: Wanted) -> list[tuple[int, float]]:
    """Return the neighbors among all images by the run's search, filtered one by one."""
    index, score = run_search(run).nearest_to_rows([row], len(run), others(run, row))
    works, kept = run.gallery.works, []
    for other, value in zip(index[0].tolist(), score[0].tolist(), strict=True):
        mine, its = works.iloc[row], works.iloc[other]
        if wanted.only == "other-artist" and mine.artist and mine.artist == its.artist:
            continue
        if wanted.only == "other-object" and mine.object_id == its.object_id:
            continue
        if all(its[column] == text for column, text in wanted.labels):
            kept.append((other, value))
    return kept[: wanted.k]


@similarities
@pytest.mark.parametrize("parameters", CHOICES, ids=str)
def test_a_filter_leaves_the_nearest_that_fit(run, parameters):
    wanted = read_wanted(run, parameters)
    for row in range(0, len(run), 7):
        assert find(run, row, wanted).neighbors == expected(run, row, wanted)


def test_an_address_names_labels_that_the_run_has(run):
    asked = {"f.style": "Baroque", "f.artist": "", "f.nothing": "x", "k": "20", "only": "nobody"}
    assert read_wanted(run, asked) == Wanted(20, "", (("style", "Baroque"),))


def test_the_stored_list_is_used_where_it_suffices(run, monkeypatch):
    monkeypatch.setattr(filters, "run_search", None)
    found = find(run, 5, read_wanted(run, {}))
    assert [row for row, _ in found.neighbors] == run.index[5].tolist()
    assert found.is_stored
    assert found.among == len(run) - 1
    third = next(row for row in run.index[5, 2:].tolist() if run.value(row, "style"))
    one = Wanted(1, labels=(("style", run.value(third, "style")),))
    assert len(find(run, 5, one).neighbors) == 1


def test_few_images_that_fit_are_all_shown(run):
    found = find(run, 4, Wanted(20, labels=(("style", "Baroque"), ("artist", "artist 0"))))
    assert 0 < found.among < 20
    assert len(found.neighbors) == found.among


def test_without_features_the_stored_list_is_filtered_and_the_reason_told(run):
    next(run.files.path.parents[2].glob("embeddings/**/features.npy")).unlink()
    found = find(run, 1, Wanted(10, "other-artist"))
    assert 0 < len(found.neighbors) < 10
    assert "features are gone" in found.problem


def test_a_value_that_no_image_has_leaves_none(run):
    assert find(run, 5, Wanted(10, labels=(("style", "Gothic"),))) == Found([], 0)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"k": "7"}, {"k": "-1"}, {"k": "1" * 99}, {"only": "same"}, {"f.weight": "3"}]
    + [{"f.style": ""}, {"only": "<script>", "k": "²"}],
    ids=str,
)
def test_what_a_run_does_not_have_is_left_out_of_an_address(run, parameters):
    assert read_wanted(run, parameters) == Wanted(10)


def test_only_is_offered_where_images_share_it(run, tmp_path):
    assert list(possible_only(run)) == ["other-artist", "other-object"]
    apart = works_of(artist=[f"artist {i}" for i in range(60)])
    lone = open_runs([write_ranked_run(tmp_path / "lone", apart, exclude="same_object")])[0]
    assert list(possible_only(lone)) == []


def test_columns_that_divide_alike_are_told_once(tmp_path):
    works = works_of()
    works = works.assign(folder=works["artist"].str.upper(), theme=works["style"].str[:3])
    run = open_runs([write_ranked_run(tmp_path, works)])[0]
    assert filters.distinct_labels(run) == ["artist", "style"]
    assert [select.column for select in selects(run, 0, Wanted(10))] == ["artist", "style"]


def test_a_rare_value_of_the_address_is_among_the_choices(run, monkeypatch):
    monkeypatch.setattr(filters, "MAX_VALUES", 1)
    filters._frequent.cache_clear()
    select = selects(run, 0, Wanted(10, labels=(("artist", "artist 2"),)))[0]
    assert (select.own, select.chosen) == ("artist 0", "artist 2")
    assert "artist 2" in select.others


@similarities
@pytest.mark.parametrize("share", [0, 10**9], ids=["one by one", "among all"])
def test_lists_of_an_export_are_those_of_the_server(run, share, monkeypatch):
    monkeypatch.setattr(static_lists, "SHARE", share)
    for row in range(len(run)):
        entries = static_lists.listed(run, row)
        for only in ("", *possible_only(run)):
            shown = [(e.row, e.score) for e in entries if only in e.lists]
            assert shown == find(run, row, Wanted(10, only)).neighbors


def test_an_export_of_a_run_without_features_has_its_own_lists(run):
    next(run.files.path.parents[2].glob("embeddings/**/features.npy")).unlink()
    entries = static_lists.listed(run, 5)
    assert [entry.row for entry in entries] == run.index[5].tolist()


def test_a_list_of_csls_keeps_its_order_where_no_other_can_be_searched(tmp_path):
    run = open_runs([write_ranked_run(tmp_path, ranking="csls")])[0]
    (run.files.path / "penalty.npy").unlink()
    for row in range(len(run)):
        entries = static_lists.listed(run, row)
        assert [entry.row for entry in entries] == run.index[row].tolist()
