"""The files that a run has skipped, with the reasons, and those that have gone since."""

from src.browser.opened import OpenRun
from src.browser.site import Page, Parameters, Site
from src.browser.skipped import damaged_images, files_gone, skipped_files
from src.errors import UserError
from src.reporting.skipped_files import by_reason

MAX_FILES = 500  # of a reason that are listed


def skipped_view(site: Site, run: OpenRun, parameters: Parameters) -> Page:
    """Return the skipped files of one `reason`, else of all; with `check` also those gone since."""
    try:
        reasons, missing = by_reason(skipped_files(run)), ""
    except (UserError, OSError) as error:
        reasons, missing = [], str(error)
    chosen = [reason for reason in reasons if reason.text == parameters.get("reason")]
    checks = "check" in parameters and not site.is_static and run.gallery.has_pictures
    damaged, damages = damaged_images(run)
    not_downloaded = run.metrics.get("missing", 0)
    context = {
        "total": sum(len(reason.files) for reason in reasons),
        "reasons": reasons,
        "shown": chosen or reasons,
        "chosen": chosen[0].text if chosen else "",
        "most": MAX_FILES,
        "missing": missing,
        "damaged": damaged,
        "damages": damages,
        "not_downloaded": not_downloaded if isinstance(not_downloaded, int) else 0,
        "checks": checks,
        "gone": files_gone(run) if checks else [],
        "scripts": ["lists.js"],
    }
    return Page("Skipped files", "skipped.jinja", context)
