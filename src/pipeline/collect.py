"""First stage: the gallery of the images that the options select."""

import logging
from dataclasses import replace
from pathlib import Path

from src.config import Config
from src.config.data import Folder
from src.config.features import Features
from src.gallery import Gallery

log = logging.getLogger(__name__)


def collect(cfg: Config) -> Gallery:
    """Return the gallery of a folder, a museum or one's own vectors; download a museum's images.

    Raises UserError as folder_gallery, museum_gallery and features_gallery do, and for options that
    can be checked only against the gallery (top_k, label columns, judgements).
    """
    if isinstance(cfg.data, Folder):
        from src.gallery.folder import folder_gallery

        labels = Path(cfg.data.labels) if cfg.data.labels else None
        images, outputs = Path(cfg.data.images), Path(cfg.outputs)
        log.info("gallery: listing the images in %s", images)
        gallery = folder_gallery(
            images, labels, cfg.data.limit, cfg.seed, outputs, cfg.escape_formulas
        )
    elif isinstance(cfg.data, Features):
        from src.gallery.features import features_gallery

        gallery = features_gallery(cfg.data, cfg.seed, Path(cfg.outputs), cfg.escape_formulas)
    else:
        from src.gallery.museum import museum_gallery

        gallery = museum_gallery(cfg)
    gallery.exclusion_groups(cfg.similarity)
    for column in cfg.evaluation.labels or []:
        gallery.labels(column)
    return with_verdicts(gallery, cfg)


def with_verdicts(gallery: Gallery, cfg: Config) -> Gallery:
    """Return the gallery with what data.judgements says. Raises UserError as gallery_verdicts."""
    if cfg.data.judgements is None:
        return gallery
    from src.gallery.judgements import gallery_verdicts

    path = Path(cfg.data.judgements)
    verdicts = gallery_verdicts(path, gallery.works, gallery.root, cfg.escape_formulas)
    return replace(gallery, verdicts=verdicts)
