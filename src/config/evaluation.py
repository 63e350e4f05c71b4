"""The options of group evaluation: what the metrics are computed from, and how."""

from dataclasses import dataclass

from src.config.enums import AllPairs, Resample, UnknownArtists
from src.config.validation import check_bounds, option
from src.errors import UserError


@dataclass
class Evaluation:
    """Inputs and parameters of the metrics."""

    labels: list[str] | None = option(
        None, "columns of works.csv to use as labels; null = all columns with repeated values"
    )
    depth: int = option(
        100, "neighbors per image for the label metrics, independent of similarity.top_k", low=1
    )
    pairs: int = option(50_000, "random pairs of images for the AUC metrics", low=1)
    resamples: int = option(1000, "bootstrap resamples for the 95% confidence intervals", low=1)
    resample: Resample = option(
        Resample["class"],
        "what a resample draws for the label metrics: class = all queries of a label's value"
        " together, since paintings of one artist are not independent; query = single queries (a"
        " mean over classes always draws classes)",
    )
    halves: bool = option(
        False,
        "a sweep's leaderboard also chooses the best run on one half of a label's classes, and"
        " shows it on the other half; does not change results",
    )
    all_pairs: AllPairs = option(
        AllPairs.auto,
        "whether to rank all images for each query, for map, r_precision and label_auc; auto = for"
        " up to 30,000 images (200,000 on a GPU): one to two matrix products of all pairs;"
        " otherwise label_auc_sampled is estimated instead",
    )
    unknown_artists: UnknownArtists = option(
        UnknownArtists.strangers,
        "images of unknown artist, in the metrics without the query's artist: strangers = each"
        " counts as by an artist of its own; left_out = neither queries nor neighbors",
    )
    multilabel: str | None = option(
        None,
        "separator of several values of a label, such as ';': an image has all of them, and a hit"
        " shares one; the museum's lists of artists, styles, ... are then used; null = the whole"
        " text is one value",
    )
    near_duplicate: float = option(
        0.98, "minimum cosine for a pair to be listed as near-duplicates", low=-1, high=1
    )

    def __post_init__(self) -> None:
        check_bounds(self, "evaluation")
        if self.multilabel is not None and not self.multilabel.strip():
            raise UserError(
                "evaluation.multilabel must be a separator such as ';', or null for none, got"
                f" {self.multilabel!r}"
            )
