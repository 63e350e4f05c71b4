"""Runs with similarity.augment: what is compared, written and kept for later runs."""

import logging
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist

from src.config import Config
from src.config.enums import Exclude, Postprocess, RankedBy, Storage
from src.embedding.cache import Embeddings
from src.errors import UserError
from src.gallery.folder import folder_gallery
from src.io.arrays import write_npz
from src.pipeline.embed import embed
from src.pipeline.prepare import augmented, postprocess
from src.pipeline.rank import Ranking, matrix_path, rank
from src.reporting.run_folder import RunFolder
from src.runtime.processes import ProcessGroup
from src.similarity import NeighborSearch, SearchOptions
from src.similarity.augment import augment
from src.similarity.csls import csls_penalty
from tests.support.brute_force import assert_same, brute_force
from tests.support.options import changed


@pytest.fixture
def embeddings(embedded: Config) -> Embeddings:
    """Return the embeddings of small paintings, with two views of each object."""
    images, outputs = Path(embedded.data.images), Path(embedded.outputs)
    found = embed(folder_gallery(images, None, None, 0, outputs), embedded)
    found.gallery.works["object_id"] = [str(row // 2) for row in range(len(found.gallery))]
    return found


def ranked(embeddings: Embeddings, cfg: Config, folder: Path, **options: Any) -> Ranking:
    return rank(embeddings, changed(cfg, "similarity", **options), folder)


def expected(features: torch.Tensor, k: int, groups: Any = None) -> torch.Tensor:
    found = brute_force(features, k, groups)
    return augment(features, found.index, found.score).rows


@pytest.mark.parametrize("kind", Postprocess)
@pytest.mark.parametrize("exclude", [Exclude.none, Exclude.same_object])
def test_rows_are_augmented_after_post_processing(embeddings, embedded, tmp_path, kind, exclude):
    options = {"postprocess": kind, "exclude": exclude}
    found = ranked(embeddings, embedded, tmp_path, augment=4, **options)
    given = postprocess(embeddings, changed(embedded, "similarity", **options).similarity, tmp_path)
    groups = None if exclude is Exclude.none else np.arange(len(given)) // 2
    assert torch.equal(found.features, expected(given, 4, groups))
    assert_same(found.saved, brute_force(found.features, 3, groups))


def test_csls_acts_on_augmented_rows(embeddings, embedded, tmp_path):
    found = ranked(embeddings, embedded, tmp_path, augment=4, ranking=RankedBy.csls)
    penalty = csls_penalty(brute_force(found.features, 10).score)
    assert_same(found.saved, brute_force(found.features, 3, penalty=penalty.numpy()))
    np.testing.assert_array_equal(RunFolder(tmp_path).penalty(), penalty)


def test_the_matrix_is_of_augmented_rows_and_its_name_says_so(embeddings, embedded, tmp_path):
    plain = ranked(embeddings, embedded, tmp_path / "plain", storage=Storage.full)
    found = ranked(embeddings, embedded, tmp_path / "run", augment=2, storage=Storage.full)
    assert found.matrix.name == "similarity_scores-augment-2.npy"
    unit = found.features.double()
    np.testing.assert_allclose(np.load(found.matrix), unit @ unit.T, atol=1e-6)
    assert not np.allclose(np.load(plain.matrix), np.load(found.matrix))


def test_the_name_of_the_matrix_tells_which_groups_were_left_out(embeddings, embedded):
    options = {"augment": 5, "storage": Storage.full, "postprocess": Postprocess.center}
    names = list[str]()
    for exclude in (Exclude.none, Exclude.same_object, Exclude.same_object):
        cfg = changed(embedded, "similarity", exclude=exclude, **options)
        names.append(matrix_path(embeddings, cfg.similarity).name)
        embeddings.gallery.works["object_id"] = "" if len(names) == 2 else ["1", "2", "3", "4"] * 3
    start = "similarity_scores-center-augment-5"
    assert names[0] == f"{start}.npy"
    for name in names[1:]:
        assert re.fullmatch(rf"{start}-same_object-[0-9a-f]{{16}}\.npy", name)
    assert names[1] != names[2]  # other objects, other rows


def test_the_lists_serve_later_runs_with_any_number_of_neighbors(
    embeddings, embedded, tmp_path, caplog
):
    with caplog.at_level(logging.INFO):
        for k in (3, 1, 11):
            found = ranked(embeddings, embedded, tmp_path, augment=k)
            features = torch.from_numpy(embeddings.features)
            assert torch.equal(found.features, expected(features, k))
    assert caplog.text.count("the neighbors are known from") == 2  # before augmentation


def test_what_queries_need_is_in_the_run(embeddings, embedded, tmp_path):
    ranked(embeddings, embedded, tmp_path, augment=4)
    index, score, length = RunFolder(tmp_path).augmentation()
    found = brute_force(embeddings.features, 4)
    np.testing.assert_array_equal(index, found.index)
    np.testing.assert_array_equal(score, found.score)
    unit = embeddings.features / np.linalg.norm(embeddings.features, axis=1, keepdims=True)
    sums = unit + (score[:, :, None].astype("f8") ** 3 * unit[index]).sum(1)
    np.testing.assert_allclose(length, np.linalg.norm(sums, axis=1), rtol=1e-6)


def test_a_number_beyond_the_possible_neighbors_is_refused(embeddings, embedded, tmp_path):
    few = embeddings.gallery.subset(np.arange(5))
    options = changed(embedded, "similarity", augment=4).similarity
    few.exclusion_groups(options)
    options = changed(embedded, "similarity", augment=5).similarity
    with pytest.raises(UserError, match=r"augment must be between 0 and 4 for 5 images, got 5"):
        few.exclusion_groups(options)


def augment_together(folder: Path, rank: int) -> None:
    """Augment the rows in folder as one of two processes."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    options = SearchOptions(block_size=16, lists=folder / "cache")
    search = NeighborSearch(np.load(folder / "rows.npy"), None, options, ProcessGroup(rank, 2))
    for k in (4, 7):  # the second finds the lists of the first
        rows = augmented(search, k, folder)
        np.save(folder / f"rows-{k}-{rank}.npy", rows.numpy())
    dist.barrier()
    dist.destroy_process_group()


def test_two_processes_have_the_rows_of_one(fork, tmp_path):
    rows = np.random.default_rng(0).random((200, 30), dtype="f4")
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "cache").mkdir()
    write_npz(tmp_path / "neighbors.npz", {"index": np.zeros((200, 1), "i4"), "score": rows[:, :1]})
    for process in [fork(augment_together, tmp_path, number) for number in (0, 1)]:
        process.wait_for_success()
    for k in (4, 7):
        alone = expected(torch.from_numpy(rows), k).numpy()
        for number in (0, 1):
            np.testing.assert_array_equal(np.load(tmp_path / f"rows-{k}-{number}.npy"), alone)
    assert RunFolder(tmp_path).augmentation()[0].shape == (200, 7)


@pytest.mark.parametrize(
    "arrays, message",
    [
        ({"length": np.ones(11)}, "it is not of 12 images"),
        ({"length": np.full(12, np.nan)}, "numbers that are not finite"),
        ({"score": np.full((12, 4), np.inf, "f4")}, "numbers that are not finite"),
        ({"index": np.zeros((12, 3), "i4")}, "index and score do not fit"),
    ],
)
def test_a_damaged_file_is_refused(embeddings, embedded, tmp_path, arrays, message):
    ranked(embeddings, embedded, tmp_path, augment=4)
    path = tmp_path / "augment.npz"
    with np.load(path) as file:
        np.savez(path, **(dict(file) | arrays))
    with pytest.raises(UserError, match=f"augment.npz.*{message}"):
        RunFolder(tmp_path).augmentation()
