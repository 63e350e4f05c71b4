"""Rows of the table of metrics: of the pairs in data.judgements. Imports no torch."""

from src.evaluation.list_measures import DEPTHS
from src.evaluation.metric import SHARE, Metric

JUDGEMENTS = "data.judgements"  # the setting on which these metrics depend

JUDGED_METRICS = (
    Metric(
        "judged/agreement",
        SHARE,
        "higher",
        "share of the pairs of a good and a bad neighbor of one query in which the good one is"
        " nearer; the metric to sort settings by",
        (JUDGEMENTS,),
    ),
    Metric(
        "judged/map",
        SHARE,
        "higher",
        "mean average precision of each query's judged images, ranked alone",
        (JUDGEMENTS,),
    ),
    *(
        Metric(
            f"judged/precision_at_{depth}",
            SHARE,
            "higher",
            f"share of good ones among the judged neighbors at ranks up to {depth}",
            (JUDGEMENTS,),
        )
        for depth in DEPTHS
    ),
    *(
        Metric(
            f"judged/judged_at_{depth}",
            SHARE,
            "",
            f"share of the neighbors at ranks up to {depth} that are judged, of judged queries",
            (JUDGEMENTS,),
        )
        for depth in DEPTHS
    ),
    Metric("judged/pairs", "pairs", "", "pairs of images that are judged"),
    Metric("judged/queries", "images", "", "images with judged neighbors"),
    Metric("judged/disputed", "pairs", "", "pairs with as many yes as no; left out"),
    Metric("judged/judges", "judges", "", "people who have judged"),
    Metric(
        "judged/judge_agreement",
        SHARE,
        "",
        "share of the verdicts of two judges on a pair that are the same",
    ),
    Metric(
        "judged/judge_alpha",
        "alpha (at most 1)",
        "",
        "Krippendorff's alpha of the judges: 1 if they agree, 0 as by chance",
    ),
)
