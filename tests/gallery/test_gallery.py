"""A gallery's labels, subsets and groups of images of the same object."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from src.config import Similarity
from src.config.enums import Exclude
from src.errors import UserError
from src.gallery import Gallery
from src.gallery.exclusion import SHARED_COLUMN, max_neighbors
from tests.support.galleries import listed


def gallery_of(**columns: list[str]) -> Gallery:
    """Return a gallery of these columns, without files."""
    return Gallery("test", Path(), pd.DataFrame(columns, dtype=object))


def test_labels_are_numbers_and_empty_ones_minus_one() -> None:
    labels = gallery_of(artist=["b", "", "a", "b", "NA"]).labels("artist")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, -1, 1, 0, 2]


def test_an_unknown_column_suggests_similar_ones(paintings: Path) -> None:
    message = "evaluation.labels: .* no column foldr; label columns are folder;"
    message += " did you mean folder"
    with pytest.raises(UserError, match=message):
        listed(paintings).labels("foldr")


def test_label_columns_have_several_values_and_repeat_some() -> None:
    gallery = gallery_of(
        file=["1", "1", "2"],
        title=["a", "a", "b"],
        assistive_text=["a", "a", "b"],
        good=["a", "a", "b"],
        constant=["a", "a", "a"],
        distinct=["a", "b", "c"],
        empty=["", "", "a"],
    )
    assert gallery.label_columns() == ["good"]


def test_a_subset_has_the_given_rows_in_their_order() -> None:
    gallery = gallery_of(file=["a", "b", "c"]).subset(np.array([2, 0]))
    assert gallery.files == ["c", "a"]
    assert list(gallery.works.index) == [0, 1]


def test_views_of_an_object_are_one_group() -> None:
    gallery = gallery_of(object_id=["7", "", "7", "", "8"])
    assert gallery.exclusion_groups(Similarity(top_k=4)).tolist() == [0, 1, 2, 3, 4]
    groups = gallery.exclusion_groups(Similarity(top_k=3, exclude=Exclude.same_object))
    same = groups[:, None] == groups
    assert np.argwhere(np.triu(same, 1)).tolist() == [[0, 2]]
    assert max_neighbors(groups) == 3


def test_copies_are_one_group_and_unknown_files_are_not() -> None:
    gallery = gallery_of(sha256=["a", "", "b", "a", "", "a"], object_id=["1"] * 6)
    groups = gallery.exclusion_groups(Similarity(top_k=3, exclude=Exclude.same_image))
    same = np.triu(groups[:, None] == groups, 1)
    assert np.argwhere(same).tolist() == [[0, 3], [0, 5], [3, 5]]
    message = "top_k must be between 1 and 3 for 6 images with similarity.exclude=same_image, got 4"
    with pytest.raises(UserError, match=message):
        gallery.exclusion_groups(Similarity(top_k=4, exclude=Exclude.same_image))


def test_images_that_are_all_one_group_are_refused() -> None:
    message = "no image has a possible neighbor with .*same_image: all 3 images are one group"
    with pytest.raises(UserError, match=message):
        gallery_of(sha256=["a"] * 3).exclusion_groups(Similarity(exclude=Exclude.same_image))


def test_each_way_to_exclude_has_a_column() -> None:
    assert set(SHARED_COLUMN) == {kind.name for kind in Exclude} - {"none"}


@pytest.mark.parametrize(
    ("exclude", "top", "cause"),
    [(Exclude.none, 4, ""), (Exclude.same_object, 3, " with similarity.exclude=same_object")],
)
def test_more_neighbors_than_there_are_images_are_refused(
    exclude: Exclude, top: int, cause: str
) -> None:
    options = Similarity(top_k=top + 1, exclude=exclude)
    message = f"top_k must be between 1 and {top} for 5 images{cause}, got {top + 1}"
    with pytest.raises(UserError, match=message):
        gallery_of(object_id=["7", "", "7", "", "8"]).exclusion_groups(options)


def test_excluding_the_same_object_needs_a_column_object_id(paintings: Path) -> None:
    options = Similarity(exclude=Exclude.same_object)
    with pytest.raises(UserError, match="similarity.exclude=same_object: .* no column object_id"):
        listed(paintings).exclusion_groups(options)
