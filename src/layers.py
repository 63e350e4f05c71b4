"""List the layers of a network that backbone.layer takes:  python -m src.layers [backbone=...]

Takes the options of src.run, of which those of backbone count. Downloads no weights.
"""

import shlex
import sys
from collections.abc import Sequence

from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from src.cli import app
from src.cli.messages import user_message
from src.config import Backbone
from src.config.backbone import COLOR, VECTORS
from src.config.enums import DEPTHS
from src.config.layer_terms import parse_terms
from src.config.names import CONFIGS
from src.embedding.layer_patterns import is_pattern, matches
from src.errors import UserError
from src.runtime.streams import print_error, run_command

USAGE = """\
Usage:  python -m src.layers [backbone=choice] [backbone.name=model]

  python -m src.layers                                          the default, a ResNet50
  python -m src.layers backbone=swin_t                          a choice of configs/backbone/
  python -m src.layers backbone.name=densenet121                any model of torchvision
  python -m src.layers backbone.name=timm/vit_base_patch16_224       any model of timm

Lists the layers that backbone.layer takes, with their outputs. No weights are downloaded."""
HEADS = ("layer", "depth", "output", "backbone.layer=")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; return the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    if {"-h", "--help"} & set(words):
        print(USAGE)
        return 0
    try:
        backbone = compose_backbone(words)
        lines = layer_table(backbone)
    except Exception as error:
        text = user_message(error)
        if text is None:
            raise
        print_error(text)
        return 2
    has_depths = any(depth in line.split() for line in lines for depth in DEPTHS)
    print("\n".join([*lines, "", *examples(words, has_depths)]))
    return 0


def compose_backbone(words: list[str]) -> Backbone:
    """Return the options of backbone that the words of a command line give."""
    app.register()
    is_weights = any(word.startswith("backbone.weights=") for word in words)
    with initialize_config_dir(str(CONFIGS), version_base="1.3"):
        composed = compose("run", app.flags_first(words))
    if composed.backbone.name == VECTORS:
        raise UserError("data=features and backbone=vectors have no network, and so no layers")
    if not is_weights and composed.backbone.name != COLOR:
        composed.backbone.weights = "random"  # those of a group may not fit
    backbone = OmegaConf.to_object(composed.backbone)
    assert isinstance(backbone, Backbone)
    return backbone


def layer_table(backbone: Backbone) -> list[str]:
    """Return the lines of the table: the layers in order, each with its output for an image."""
    from src.embedding.models import empty_network, preset_of  # import torch, which takes seconds
    from src.embedding.nodes import choose_stages, listed_name, trunk

    preset = preset_of(backbone)
    nodes = trunk(empty_network(backbone, preset.size), preset.size)
    ends = choose_stages(nodes, preset.size)
    depths = dict(zip(ends, DEPTHS, strict=False))
    chosen = {term.layer for term in parse_terms(backbone.layer)}
    patterns = sorted(filter(is_pattern, chosen))
    rows = [HEADS]
    for node in nodes:
        if node.is_move and not chosen & {*node.names}:
            continue
        uses = [depths[node]] if node in depths else []
        uses += sorted(chosen & {*node.names} - {*uses})
        uses += [pattern for pattern in patterns if any(matches(pattern, n) for n in node.names)]
        name = listed_name(node, ends)
        rows.append((name, f"{node.weights}/{nodes[-1].weights}", node.output, ", ".join(uses)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    title = f"{backbone.name}, images of {preset.size} x {preset.size} pixels"
    return [title, "", *lines]


def examples(words: list[str], has_depths: bool = True) -> list[str]:
    """Return lines on how to use the table of a network that the words of a command line chose.

    A network without four stages has no depths to name.
    """
    run = shlex.join(["python", "-m", "src.run", *words])
    return [
        "depth: matrices and kernels up to the end of the layer. output: channels x rows x",
        "columns, or channels x tokens, of which backbone.pooling makes a row of a number per",
        "channel, meanstd of two. 25% to 100% end the last four stages of resolution, or the",
        "quarters of a network with fewer.",
        *(["", f"{run} backbone.layer=75%", f"{run} experiment=layers"] if has_depths else []),
    ]


if __name__ == "__main__":
    sys.exit(run_command(main))
