"""One-line messages for errors of Hydra, OmegaConf and the file system."""

import errno
import re

from hydra.errors import HydraException, OverrideParseException
from omegaconf.errors import OmegaConfBaseException

from src.cli.help import option_names, source_options
from src.errors import UserError, did_you_mean

# What a file system says of places that cannot be written
UNWRITABLE_ERRNOS = {
    *(errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.EISDIR),
    *(errno.ELOOP, errno.ENAMETOOLONG, errno.EFBIG, errno.EIO, errno.ENOLCK, errno.ENOSYS),
}
HELP_HINT = "python -m src.run --help lists the options"


def user_message(error: Exception) -> str | None:
    """What is wrong and the way out, or None for an error that is a bug.

    Hydra's own messages span lines and advise what is refused here (+name=value).
    """
    if isinstance(error, UserError):
        return str(error)
    if not isinstance(error, HydraException | OmegaConfBaseException):
        return _about_files(error) if isinstance(error, OSError) else None
    if isinstance(error, OverrideParseException) or "Ambiguous value" in str(error):
        override = getattr(error, "override", None) or str(error).split("'")[1]
        name, _, value = override.partition("=")
        return f"cannot read {override}: write name=value, quoted like this: '{name}=\"{value}\"'"
    cause = error.__cause__ if isinstance(error.__cause__, OmegaConfBaseException) else error
    text = " ".join(
        re.split(r"\n\s+full_key|\nSee https|Config search path", str(cause))[0].split()
    )
    if named := re.search(r"Could not override '([^']+)'|full_key: (\S+)", f"{error}\n{cause}"):
        return _about_option(named[1] or named[2], text)
    if choice := re.search(
        r"Could not find '([^']+)/([^']+)' Available options in '.*': (.*)", text
    ):
        return f"{choice[1]}={choice[2]}: choose one of {', '.join(choice[3].split())}"
    return text


def _about_files(error: OSError) -> str | None:
    # numpy says "240 requested and 76 written" where the disk is full
    if error.errno in (errno.ENOSPC, errno.EDQUOT) or " requested and " in str(error):
        return f"the disk is full ({error}): free some space and start again"
    if error.errno in UNWRITABLE_ERRNOS:
        return f"cannot write {error.filename} ({error.strerror}): choose another outputs=<folder>"
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{error.strerror}: raise it with ulimit -n, or lower download.workers"
    return None


def _about_option(name: str, text: str) -> str:
    if re.search(r"Key '.*' (is )?not in|No match in the defaults list", text):
        owners = [source for source, option, *_ in source_options() if option == name]
        if owners:
            return f"{name} is an option of data={owners[0]}: add data={owners[0]}"
        similar = did_you_mean(name, option_names()) or ";"
        return f"there is no option {name}{similar} {HELP_HINT}"
    if variable := re.search(r"variable '(SLURM_\w+)' not found", text):
        return (
            f"trainer=slurm is for processes that srun starts, with --nodes and --ntasks-per-node:"
            f" {variable[1]} is not set"
        )
    if "missing mandatory value" in text:
        return f"{name} is required: add {name}=<value>; {HELP_HINT}"
    if "is not a ListConfig" in text:
        return f"{name} takes a list: {name}=[a,b]"
    return f"{name}: {text}"
