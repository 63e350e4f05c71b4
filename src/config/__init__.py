"""Every option: its type, default, bounds and help text, as dataclasses.

Imports only errors, OmegaConf and the standard library. Imported by everything above.
"""

from src.config.backbone import Backbone
from src.config.evaluation import Evaluation
from src.config.schema import Config, Similarity, Tracking, Trainer

__all__ = ["Backbone", "Config", "Evaluation", "Similarity", "Tracking", "Trainer"]
