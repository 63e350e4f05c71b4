"""One-line messages for errors of Hydra, OmegaConf, submitit and the file system."""

import errno
import re

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from src.cli.flags import options_called
from src.cli.help import options, source_options
from src.config import Config
from src.config.addresses import redacted
from src.config.names import option_names
from src.config.overrides import shell_word
from src.errors import UserError, did_you_mean

# errno values that mean an output path is not writable
UNWRITABLE_ERRNOS = {
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EFBIG, errno.EIO, errno.ENOLCK, errno.ENOSYS),
}
HELP_HINT = "python -m src.run --help lists the options"
RERUN_HINT = "finished work is kept: the leaderboard's command for this run resumes it"


def user_message(error: Exception) -> str | None:
    """Return the problem and its fix as one line, or None for an error that is a bug.

    Hydra's own messages span several lines and suggest +name=value, which this program rejects.
    """
    text = _message(error)
    return None if text is None else redacted(text)


def _message(error: Exception) -> str | None:
    if isinstance(error, UserError):
        return str(error)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return _about_files(error) if isinstance(error, OSError) else _about_slurm(error)
    if isinstance(error, OverrideParseException) or "Ambiguous value" in str(error):
        ambiguous = re.search(
            r"Ambiguous value for argument '(.*)'\n1\. To use", str(error), re.DOTALL
        )
        return _about_quotes(ambiguous[1] if ambiguous else getattr(error, "override", None) or "")
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    text = " ".join(
        re.split(r"\n\s+full_key|\nSee https|Config search path", str(cause))[0].split()
    )
    if named := re.search(r"Could not override '([^']+)'|full_key: (\S+)", f"{error}\n{cause}"):
        return _about_option(named[1] or named[2], text)
    if choice := re.search(
        r"Could not find '([^']+)/([^']+)' Available options in '.*': (.*)", text
    ):
        return _about_choice(choice[1], choice[2], choice[3].split())
    return text


def _about_choice(group: str, choice: str, choices: list[str]) -> str:
    """Return the message for a file that a group does not have, with what may have been meant."""
    if group.split("/")[0] == "data":  # Hydra took the folders of a path for groups
        path = f"{group}/{choice}".removeprefix("data/")
        return (
            f"data={path}: choose one of {', '.join(choices)}; for a folder of images write"
            f" data=folder data.images={path}"
        )
    text = f"{group}={choice}: choose one of {', '.join(choices)}"
    named = f", or backbone.name={choice} for any other model of torchvision"
    return text + named * (group == "backbone")


def _about_quotes(override: str) -> str:
    """Return the message for a word that Hydra's grammar does not take, with one that it takes."""
    name, equals, value = override.partition("=")
    if re.search(r"[\x00-\x1f\x7f]", override):  # a message has one line
        return f"cannot read {override!r}: write a value with line breaks in double quotes"
    if not equals:
        return f"cannot read {override}: write name=value"
    kinds = {o.name: o.values for o in (*options(Config), *source_options())}
    is_list = kinds.get(name, "").startswith("list")
    word = shell_word(name, value, is_list)
    return f"cannot read {override}: write name=value, quoted like this: {word}"


def _about_files(error: OSError) -> str | None:
    """Return the message for an error of the file system that users can fix, else None."""
    # numpy reports a full disk as "240 requested and 76 written"
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or " requested and " in str(error):
        return f"the disk is full ({error}): free some space and run the same command again"
    if error.errno in UNWRITABLE_ERRNOS:
        name = error.filename or "a file"  # write() does not tell which
        return f"cannot write {name} ({error.strerror}): choose another outputs=<folder>"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error.strerror}: raise the limit with ulimit -n, or lower download.workers"
    return None


def _about_slurm(error: Exception) -> str | None:
    """Return the message for an error of submitit, which submits a sweep to Slurm, else None."""
    text = str(error)
    if 'Could not detect "srun"' in text:
        return (
            "hydra/launcher=slurm: srun is not on this machine: start the sweep on a machine of the"
            " cluster, or choose another hydra/launcher"
        )
    if type(error).__module__ != "submitit.core.utils":  # submitit is an extra
        return None
    if text.startswith("sbatch: "):
        reasons = "; ".join(dict.fromkeys(re.findall(r"^sbatch: error: (.*)$", text, re.MULTILINE)))
        return (
            f"Slurm refuses the jobs ({reasons}): change what they ask for with hydra.launcher.*;"
            " without GPUs, set hydra.launcher.gpus_per_node=null"
        )
    if died := re.search(r"Job (\S+) .* with path (\S+)_result.pkl\s.*\(state: (\w+)\)", text):
        return (
            f"job {died[1]} of Slurm ended before its run was complete ({died[3]}), see"
            f" {died[2]}_log.err; {RERUN_HINT}"
        )
    if "timed-out" in text and "not requeued" in text:
        return (
            "the job's time is up, and Slurm has started it again as often as it may: raise"
            f" hydra.launcher.timeout_min or max_num_timeout; {RERUN_HINT}"
        )
    return None


def _about_option(name: str, text: str) -> str:
    """Return the message for the option `name` that Hydra or OmegaConf rejected with `text`."""
    if re.search(r"Key '.*' (is )?not in|No match in the defaults list", text):
        sources = [option.source for option in source_options() if option.name == name]
        if sources:
            listed = " or ".join(f"data={source}" for source in sources)
            choice = "one of them" if len(sources) > 1 else listed
            return f"{name} is an option of {listed}: add {choice}"
        called = options_called(name)
        suggestion = f"; write {' or '.join(called)}=...;" if called else ""
        suggestion = suggestion or did_you_mean(name, option_names()) or ";"
        return f"there is no option {name}{suggestion} {HELP_HINT}"
    if variable := re.search(r"variable '(SLURM_\w+)' not found", text):
        return (
            "trainer=slurm needs processes launched by srun with --nodes and --ntasks-per-node:"
            f" {variable[1]} is not set"
        )
    if "missing mandatory value" in text:
        return f"{name} is required: add {name}=<value>; {HELP_HINT}"
    if "is not a ListConfig" in text:
        return f"{name} takes a list: {name}=[a,b]"
    return f"{name}: {text}"
