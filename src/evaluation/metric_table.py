"""The table of metrics: what each name in metrics.json means. Imports no torch.

A metric belongs in METRICS, or in judged_table.py, under its name or, if parts of the name vary,
under a pattern: <label> is a label column with or without a filter (artist,
style-no_same_artist), <stage> a stage of a run (collect, embed, rank, evaluate).
"""

from src.evaluation.judged_table import JUDGED_METRICS
from src.evaluation.metric import DEPTH, SHARE, TOP_K, Metric

SUFFIXES = {  # of a metric's name: further figures about the same metric
    "_low": "lower end of the 95% bootstrap interval",
    "_high": "upper end of the 95% bootstrap interval",
    "_chance": "expected value of the metric if neighbors came in random order",
    "_macro": "mean over the label's classes instead of over the queries",
    "_macro_low": "lower end of the 95% bootstrap interval of the mean over the classes",
    "_macro_high": "upper end of the 95% bootstrap interval of the mean over the classes",
    "_macro_chance": "expected value of that mean if neighbors came in random order",
    "_queries": "queries that have a value, over which a metric of judgements is the mean",
}

METRICS = (
    # metrics of a label column: the only ones that can rank settings
    Metric(
        "<label>/map_at_10",
        SHARE,
        "higher",
        "mean average precision of the first 10 neighbors; the metric to sort settings by",
    ),
    Metric(
        "<label>/precision_at_1",
        SHARE,
        "higher",
        "share of queries whose first neighbor has the query's label",
    ),
    Metric(
        "<label>/precision_at_5",
        SHARE,
        "higher",
        "share of the first 5 neighbors that have the query's label",
    ),
    Metric(
        "<label>/precision_at_10",
        SHARE,
        "higher",
        "share of the first 10 neighbors that have the query's label",
    ),
    Metric(
        "<label>/recall_at_10",
        SHARE,
        "higher",
        "share of the label's other images that are among the first 10 neighbors",
    ),
    Metric(
        "<label>/map",
        SHARE,
        "higher",
        "mean average precision of the ranking of all images",
    ),
    Metric(
        "<label>/recall_at_10_bound",
        SHARE,
        "",
        "highest possible recall_at_10, because 10 places do not hold more than 10 images",
    ),
    Metric(
        "<label>/hit_at_10",
        SHARE,
        "higher",
        "share of queries with the query's label among the first 10 neighbors; metric learning"
        " calls it Recall@10",
    ),
    Metric(
        "<label>/r_precision",
        SHARE,
        "higher",
        "precision at R, the number of other images with the query's label",
    ),
    Metric(
        "<label>/label_auc",
        SHARE,
        "higher",
        "probability that an image with the query's label ranks before one without",
    ),
    Metric(
        "<label>/label_auc_sampled",
        SHARE,
        "higher",
        "probability that a random pair of one label scores above a random pair of two labels;"
        " estimated if evaluation.all_pairs leaves out label_auc",
    ),
    Metric(
        "<label>/fewer_than_10",
        SHARE,
        "lower",
        "share of queries that a filter leaves with fewer than 10 neighbors",
        DEPTH,
    ),
    Metric("<label>/queries", "images", "", "images that serve as queries"),
    Metric("<label>/classes", "classes", "", "different values of the label among the queries"),
    Metric(
        "<label>/singletons",
        "images",
        "",
        "images whose label occurs in no possible neighbor; not used as queries",
    ),
    Metric("<label>/empty", "images", "", "images without the label; not used as queries"),
    Metric(
        "<label>/left_out",
        "images",
        "",
        "images of unknown artist; neither queries nor possible neighbors",
    ),
    Metric(
        "<label>/strangers",
        "images",
        "",
        "images of unknown artist; each counts as by an artist of its own",
    ),
    *JUDGED_METRICS,
    # other views of the same object
    Metric("object/queries", "images", "", "images whose object has other images"),
    Metric("object/classes", "objects", "", "different objects among the queries"),
    Metric(
        "object/recall_at_1",
        SHARE,
        "higher",
        "share of an object's other images found at the first neighbor",
    ),
    Metric(
        "object/recall_at_k",
        SHARE,
        "higher",
        "share of an object's other images among the first similarity.top_k neighbors",
        TOP_K,
    ),
    # these describe one embedding, and do not say which of two is better
    Metric("intra", "cosine", "higher", "mean score of all stored neighbors", TOP_K),
    Metric("intra_at_1", "cosine", "higher", "mean score of the first neighbor"),
    Metric("intra_at_5", "cosine", "higher", "mean score of the first 5 neighbors"),
    Metric("inter", "cosine", "lower", "exact mean cosine of all pairs of different images"),
    Metric("inter_std", "cosine", "", "standard deviation of the cosine of all pairs"),
    Metric("gap", "cosine", "higher", "intra minus inter", TOP_K),
    Metric("separation", "standard deviations", "higher", "gap divided by inter_std", TOP_K),
    Metric("auc", SHARE, "higher", "probability that a neighbor scores above a random pair", TOP_K),
    Metric(
        "inter_stored_only",
        "cosine",
        "",
        "the first version's figure for inter, which is an estimate of intra",
        TOP_K,
    ),
    Metric(
        "hubness",
        "skewness",
        "lower",
        "skewness of the number of neighbor lists that an image is in",
        TOP_K,
    ),
    Metric("orphans", SHARE, "lower", "share of images that are in no neighbor list", TOP_K),
    Metric(
        "reciprocity",
        SHARE,
        "higher",
        "share of neighbors that also have the image as a neighbor",
        TOP_K,
    ),
    Metric(
        "near_duplicates",
        "pairs",
        "lower",
        "pairs of neighbors that score at least evaluation.near_duplicate",
        (*TOP_K, "evaluation.near_duplicate"),
    ),
    Metric("copies", "images", "", "images whose file is also that of another image, by checksum"),
    # what was compared, and how
    Metric("images", "images", "", "images that were compared"),
    Metric("skipped", "images", "lower", "images left out because they cannot be read"),
    Metric("missing", "images", "lower", "images left out because they could not be downloaded"),
    Metric(
        "unproven_rows",
        SHARE,
        "lower",
        "share of rows searched again because the fast pass did not prove their neighbors; the"
        " result is exact either way",
    ),
    Metric("matrix_mb", "MB", "lower", "size of the stored similarity matrix, 0 without one"),
    Metric("weights", "text", "", "weights of the network"),
    Metric("whiten_from", "text", "", "hash of the post-processing that another run has fitted"),
    Metric("judgements", "text", "", "hash of the pairs that are judged, and how"),
    Metric("precision", "text", "", "trainer.precision of the network"),
    Metric("comparison_device", "text", "", "device that compared the images: cpu or cuda"),
    # cost
    Metric("seconds/<stage>", "s", "lower", "time of a stage of the run"),
    Metric("processes", "processes", "", "processes that shared the work"),
    Metric("peak_memory_gb", "GB", "lower", "highest memory use of the first process"),
    Metric("peak_gpu_memory_gb", "GB", "lower", "highest memory use of its GPU"),
    Metric("reused_embeddings", "true, false", "", "whether all rows were cached"),
    Metric("resumed_rows", "rows", "", "rows that an interrupted run had embedded"),
    Metric("copied_rows", "rows", "", "rows copied from the embeddings of other galleries"),
    Metric("embedded_rows", "rows", "", "rows embedded by this run"),
    Metric("embed_seconds", "s", "lower", "time of the forward passes, without compiling"),
    Metric("images_per_second", "images/s", "higher", "speed of embedding"),
    Metric("waiting_for_data", SHARE, "lower", "share of time spent waiting for images"),
    Metric("device", "text", "", "device that embedded the images"),
    Metric("idle_gpu", "true, false", "", "whether a GPU of the machine was not used"),
    Metric("compiler", "text", "", "compiler of the network, null if it was not compiled"),
    Metric("compile_seconds", "s", "lower", "time of compiling the network"),
)
