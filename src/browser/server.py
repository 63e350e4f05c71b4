"""The pages served on this machine, with Starlette."""

from collections.abc import Callable
from pathlib import Path

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from src.browser.data import data_chunk
from src.browser.pictures import large_picture, small_picture
from src.browser.site import NotThere, Page, Site
from src.browser.views import VIEWS

STATIC = Path(__file__).parent / "static"
IMMUTABLE = {"Cache-Control": "max-age=3600"}


def application(site: Site) -> Starlette:
    """Return the application that serves a site."""
    routes = [
        Route("/", lambda request: RedirectResponse("0/gallery.html")),
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/{run:int}/{name}.html", page),
        Route("/{run:int}/data/{name}/{number:int}.js", data),
        Route("/{kind}/{images:int}/{part}/{row:int}.jpg", picture),
    ]
    app = Starlette(routes=routes)
    app.state.site = site
    return app


async def page(request: Request) -> Response:
    """Answer with a page of a run."""
    return await run_in_threadpool(_page, request)


def _page(request: Request) -> Response:
    site: Site = request.app.state.site
    name = request.path_params["name"]
    if name not in VIEWS:
        raise HTTPException(404)
    run = site.run(request.path_params["run"])
    try:
        shown = VIEWS[name].view(site, run, request.query_params)
    except NotThere as error:
        context = {"heading": "Not found", "text": str(error)}
        return HTMLResponse(
            site.render(run, name, Page("Not found", "message.jinja", context)), 404
        )
    return HTMLResponse(site.render(run, name, shown))


async def data(request: Request) -> Response:
    """Answer with a chunk of data."""
    return await run_in_threadpool(_data, request)


def _data(request: Request) -> Response:
    site: Site = request.app.state.site
    run = site.run(request.path_params["run"])
    text = data_chunk(site, run, request.path_params["name"], request.path_params["number"])
    return Response(text, media_type="text/javascript", headers=IMMUTABLE)


async def picture(request: Request) -> Response:
    """Answer with the small or the large picture of a row."""
    return await run_in_threadpool(_picture, request)


def _picture(request: Request) -> Response:
    site: Site = request.app.state.site
    images, row = request.path_params["images"], request.path_params["row"]
    runs = [run for run in site.runs if run.images == images]
    if not runs or row >= len(runs[0]):
        raise HTTPException(404)
    makers: dict[str, Callable[[], bytes]] = {
        "thumbnails": lambda: small_picture(runs[0], row, site.outputs),
        "pictures": lambda: large_picture(runs[0], row),
    }
    if request.path_params["kind"] not in makers:
        raise HTTPException(404)
    content = makers[request.path_params["kind"]]()
    return Response(content, media_type="image/jpeg", headers=IMMUTABLE)
