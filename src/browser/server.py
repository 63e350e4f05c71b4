"""The pages served on this machine, with Starlette."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from src.browser.addresses import picture_path
from src.browser.data import data_chunk
from src.browser.errors import error_handlers, refusal_page
from src.browser.judge_server import judged
from src.browser.manifest import read_manifest_wanted, served_manifest
from src.browser.pictures import LARGE, SMALL, large_picture, picture_tag, small_picture
from src.browser.security import guarded
from src.browser.site import NotThere, Page, Site, row_of
from src.browser.uploads import sent, upload
from src.browser.views import VIEWS
from src.reporting.iiif_manifest import MEDIA_TYPE, manifest_text

STATIC = Path(__file__).parent / "static"


def application(site: Site, host: str = "127.0.0.1") -> ASGIApp:
    """Return the application that serves a site at the address host."""
    routes = [
        Route("/", lambda request: RedirectResponse("0/gallery.html")),
        Mount("/static", StaticFiles(directory=STATIC)),
        Route("/{run:int}/{name}.html", page),
        Route("/{run:int}/manifest/{row:int}.json", manifest),
        Route("/{run:int}/data/{name}/{number:int}.js", data),
        Route("/{kind}/{images:int}/{part}/{row:int}.jpg", picture),
        Route("/{run:int}/query", upload, methods=["POST"]),
        Route("/{run:int}/judge", judged, methods=["POST"]),
        Route("/queries/{checksum}.jpg", sent),
    ]
    app = Starlette(routes=routes, exception_handlers=error_handlers(site))
    app.router.redirect_slashes = False  # of two addresses for a page one is a mistake
    app.state.site = site
    return guarded(app, lambda refusal: refusal_page(site, refusal), host)


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
        shown = VIEWS[name].view(site, run, parameters(request))
    except NotThere as error:
        context = {"heading": "Not found", "text": str(error)}
        return HTMLResponse(
            site.render(run, name, Page("Not found", "message.jinja", context)), 404
        )
    return HTMLResponse(site.render(run, name, shown))


def parameters(request: Request) -> dict[str, str]:
    """Return the parameters of an address; bytes that are not UTF-8 as in names of files."""
    query = request.scope["query_string"].decode("ascii", "surrogateescape")
    return dict(parse_qsl(query, keep_blank_values=True, errors="surrogateescape"))


async def data(request: Request) -> Response:
    """Answer with a chunk of data."""
    return await run_in_threadpool(_data, request)


def _data(request: Request) -> Response:
    site: Site = request.app.state.site
    run = site.run(request.path_params["run"])
    text = data_chunk(site, run, request.path_params["name"], request.path_params["number"])
    return _revalidated(request, _tag(text), text.encode, "text/javascript")


def _tag(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:32]


async def manifest(request: Request) -> Response:
    """Answer with the IIIF manifest of a painting and its neighbors."""
    return await run_in_threadpool(_manifest, request)


def _manifest(request: Request) -> Response:
    site: Site = request.app.state.site
    run, row = site.run(request.path_params["run"]), str(request.path_params["row"])
    wanted = read_manifest_wanted(run, parameters(request))
    base = f"http://{request.headers['host']}/"  # one of ours: see security.py
    text = manifest_text(served_manifest(run, row_of(run, {"row": row}), wanted, base))
    return _revalidated(request, _tag(text), text.encode, MEDIA_TYPE)


async def picture(request: Request) -> Response:
    """Answer with the small or the large picture of a row."""
    return await run_in_threadpool(_picture, request)


def _picture(request: Request) -> Response:
    site: Site = request.app.state.site
    images, row = request.path_params["images"], request.path_params["row"]
    runs = [run for run in site.runs if run.images == images]
    kind = request.path_params["kind"]
    path = picture_path(kind, images, row)
    if not runs or row >= len(runs[0]) or request.scope["path"] != f"/{path}":
        raise HTTPException(404)
    makers: dict[str, tuple[int, Callable[[], bytes]]] = {
        "thumbnails": (SMALL, lambda: small_picture(runs[0], row, site.outputs)),
        "pictures": (LARGE, lambda: large_picture(runs[0], row)),
    }
    if kind not in makers:
        raise HTTPException(404)
    size, make = makers[kind]
    return _revalidated(request, picture_tag(runs[0].file(row), kind, size), make, "image/jpeg")


def _revalidated(
    request: Request, tag: str, make: Callable[[], bytes], media_type: str
) -> Response:
    """Return what make returns, or 304 for a browser that has it; without a tag, none has it."""
    headers = {"ETag": f'"{tag}"'} if tag else {}
    if tag and headers["ETag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(make(), media_type=media_type, headers=headers)
