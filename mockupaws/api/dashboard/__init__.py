"""The page a browser meets first: plain HTML and one style sheet, no script, nothing from elsewhere."""

from __future__ import annotations

from importlib import resources

from starlette.responses import Response

from mockupaws.api.routing import Call

_PAGES = resources.files(__name__)
_FRONT_PAGE = _PAGES.joinpath("front_page.html").read_bytes()
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'"
)
"""What a page may load: our own files. Nothing inline, nothing from elsewhere."""
_STYLE = _PAGES.joinpath("style.css").read_bytes()


async def front_page(call: Call) -> Response:
    return Response(_FRONT_PAGE, media_type="text/html", headers={"Content-Security-Policy": _POLICY})


async def style(call: Call) -> Response:
    return Response(_STYLE, media_type="text/css", headers={"Cache-Control": "public, max-age=3600"})
