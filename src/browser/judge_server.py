"""The answer to a press on yes or no, with Starlette."""

import errno
import logging

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from src.browser.judging import Outdated, judge
from src.browser.site import NotThere, Site
from src.errors import UserError

log = logging.getLogger(__name__)


async def judged(request: Request) -> Response:
    """Keep the judgement in the address of a request.

    The answer is JSON: text, how many pairs are judged, else error, a sentence.
    """
    site: Site = request.app.state.site
    parameters = dict(request.query_params)
    try:
        run = site.run(request.path_params["run"])
        text = await run_in_threadpool(judge, site, run, parameters)
    except NotThere as error:
        return _error(error, 404)
    except Outdated as error:
        return _error(error, 409)
    except UserError as error:
        log.warning("a judgement could not be kept: %s", error)
        return _error(error, 500)
    except OSError as error:
        log.warning("a judgement could not be kept: %s", error)
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "free some space" if is_full else "start the browser with another --outputs"
        return _error(f"the judgement could not be kept: {error.strerror}; {way_out}", 507)
    return JSONResponse({"text": text})


def _error(text: object, status: int) -> Response:
    return JSONResponse({"error": str(text)}, status)
