"""Words of a command line that look like the flags of other programs."""

from src.config.names import option_names
from src.errors import UserError

# Those of Hydra, which take a value or none
HYDRA_FLAGS = {
    *("--help", "--hydra-help", "--version", "--cfg", "--resolve", "--package", "--run"),
    *("--multirun", "--shell-completion", "--config-path", "--config-name", "--config-dir"),
    *("--experimental-rerun", "--info"),
}


def refuse_flags(words: list[str]) -> None:
    """Raise UserError for a flag such as --top_k 5 that is to be written similarity.top_k=5."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        flag, equals, value = word.partition("=")
        if not flag.startswith("--") or any(known.startswith(flag) for known in HYDRA_FLAGS):
            continue
        name = flag[2:].replace("-", "_")
        value = value if equals or following.startswith("-") else following
        names = options_called(name)
        advice = " or ".join(f"{option}={value or '<value>'}" for option in names)
        raise UserError(
            f"{flag}: options have no dashes; write {advice or 'name=value'}"
            + ("" if advice else ", python -m src.run --help lists the options")
        )


def options_called(name: str) -> list[str]:
    """Return the options whose name, or whose last part, is `name`, such as similarity.top_k.

    >>> options_called("top_k")
    ['similarity.top_k']
    """
    return sorted(o for o in option_names() if name in (o, o.rpartition(".")[2]))
