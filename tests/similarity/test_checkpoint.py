"""A search that is interrupted resumes from its checkpoint."""

import contextlib
import shutil
from unittest import mock

import pytest

from src.similarity import checkpoint
from tests.support.brute_force import BASE, FEATURES, WIDE, assert_same, brute_force, nearest

kinds = pytest.mark.parametrize("kind", FEATURES)


@kinds
@pytest.mark.parametrize("stop", [1, 4, 14, 20])
def test_an_interrupted_search_computes_only_the_remaining_tiles(kind, stop, tmp_path, monkeypatch):
    def stopping(tiles):
        for count, tile in enumerate(tiles):
            if count == stop:
                raise KeyboardInterrupt
            yield tile

    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    k, size = min(4, len(FEATURES[kind]) - 1), 7 if len(FEATURES[kind]) > 3 else 1
    with contextlib.suppress(KeyboardInterrupt):
        nearest(FEATURES[kind], k, block_size=size, checkpoints=tmp_path, watch=stopping)
    begun, remaining = any(tmp_path.iterdir()), []
    watch = lambda tiles: remaining.extend(tiles) or tiles  # noqa: E731
    neighbors = nearest(FEATURES[kind], k, block_size=9, checkpoints=tmp_path, watch=watch)
    assert_same(neighbors, brute_force(FEATURES[kind], k))
    if begun and len(FEATURES[kind]) == 40:
        assert remaining == list(range(stop, 21))
    assert not list(tmp_path.iterdir())


def test_candidates_saved_with_another_record_are_ignored(tmp_path, monkeypatch):
    def stopping(tiles):
        yield from tiles[:5]
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    for folder, size in (("a", 7), ("b", 9)):
        with pytest.raises(KeyboardInterrupt):
            nearest(BASE, 4, block_size=size, checkpoints=tmp_path / folder, watch=stopping)
    (ours,), (theirs,) = (tmp_path.glob(f"{name}/*/candidates-0.npz") for name in "ab")
    shutil.copy(theirs, ours)
    remaining = []
    watch = lambda tiles: remaining.extend(tiles) or tiles  # noqa: E731
    assert_same(nearest(BASE, 4, checkpoints=tmp_path / "a", watch=watch), brute_force(BASE, 4))
    assert remaining == list(range(21))


def test_a_checkpoint_of_other_features_is_ignored(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        nearest(BASE, 4, checkpoints=tmp_path, watch=mock.Mock(side_effect=KeyboardInterrupt))
    assert_same(nearest(WIDE, 4, checkpoints=tmp_path), brute_force(WIDE, 4))


def test_searches_of_the_same_rows_at_the_same_time_do_not_disturb_each_other(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoint, "SAVE_SECONDS", -1)
    monkeypatch.setattr(checkpoint, "SAVE_COST_RATIO", 0)
    write, others = checkpoint.atomic_write, []

    @contextlib.contextmanager
    def write_while_another_searches(path):
        with write(path) as part:
            yield part
            if not others:  # the first save lasts as long as another whole search
                others.append(None)
                others.append(nearest(BASE, 4, block_size=7, checkpoints=tmp_path))

    monkeypatch.setattr(checkpoint, "atomic_write", write_while_another_searches)
    neighbors = nearest(BASE, 4, block_size=7, checkpoints=tmp_path)
    assert_same(neighbors, brute_force(BASE, 4))
    assert_same(others[1], brute_force(BASE, 4))
    assert not list(tmp_path.iterdir())
