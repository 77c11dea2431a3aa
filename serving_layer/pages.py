"""Pages for people: what this is, and a curl line for each view. Plain HTML; nothing comes from elsewhere."""

import json
import re
from html import escape
from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.responses import HTMLResponse

from core.views import CompiledView
from serving_layer.problems import KINDS
from serving_layer.services import Services

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
_PLACES = (
    "/v1/views",
    "/v1/status",
    "/v1/versions",
    "/docs",
    "/openapi.json",
    "/metrics",
    "/readyz",
    "/problems",
)
_HINTS = {
    "from": "from: 2015-09-12", "to": "to: 2015-09-13", "last": "or last: 24h",
    "every": "every: hour", "zone": "zone: Europe/Berlin", "as_of_cut": "as_of_cut: 12",
}  # fmt: skip
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "pre{background:#f3f3f3;padding:.6rem;overflow:auto}td,th{text-align:left;padding:.2rem 1rem .2rem 0;"
    "vertical-align:top}code{background:#f3f3f3}h2{margin-top:2rem}"
    "input,button{font:inherit;padding:.2rem .4rem;margin:0 .4rem .4rem 0;width:9rem}button{width:auto}"
)


@router.get("/")
async def home(request: Request) -> HTMLResponse:
    services: Services = request.app.state.services
    base = str(request.base_url).rstrip("/")
    views = [
        _view(base, view) for bound in services.application.sources.values() for view in bound.views.values()
    ]
    return _page(
        "Lambda platform",
        "<p>Views are defined once, recomputed by Spark, kept fresh in Redis, and merged here. An answer "
        "shows what each layer contributed, the boundary between them, <code>as_of</code>, and whether it is "
        f"<code>complete</code>.</p><p>{' · '.join(map(_link, _PLACES))}</p>{''.join(views)}",
    )  # fmt: skip


@router.get("/docs")
async def docs(request: Request) -> HTMLResponse:
    """Every route of the OpenAPI document. (Swagger's page is blank where its CDN cannot be reached.)"""
    app: FastAPI = request.app
    routes = [
        _route(path, method, entry)
        for path, methods in app.openapi()["paths"].items()
        for method, entry in methods.items()
    ]
    return _page("API", f"<p>As {_link('/openapi.json')}, for any OpenAPI tool.</p>" + "".join(routes))


@router.get("/problems")
async def problems(request: Request) -> HTMLResponse:
    rows = [
        f"<tr id='{kind}'><td><code>{kind}</code></td><td>{status}</td><td>{escape(title)}</td>"
        f"<td>{escape(way)}</td></tr>"
        for kind, (status, title, way) in KINDS.items()
    ]
    head = "<tr><th>type</th><th>status</th><th>title</th><th>way out</th></tr>"
    return _page("Problems", f"<table>{head}{''.join(rows)}</table>")


def _page(title: str, body: str) -> HTMLResponse:
    return HTMLResponse(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><title>{title}</title><style>{_STYLE}</style>"
        f"<h1>{title}</h1>{body}</html>"
    )


def _view(base: str, view: CompiledView) -> str:
    query = urlencode({name: "..." for name in view.key})
    url = f"{base}/v1/views/{view.name}" + (f"?{query}" if query else "")
    measures = ", ".join(f"<code>{name}</code>" for name in view.measures)
    return (
        f"<h2>{view.name}</h2><p>{escape(view.description)}</p><p>Measures: {measures}</p>"
        f"{_form(view)}<pre>curl '{escape(url)}'</pre>"
    )


def _form(view: CompiledView) -> str:
    """A question to fill in. What is left empty is not asked for: an empty time would be a bad one."""
    keys = [f"<input name='{name}' placeholder='{name}' required>" for name in view.key]
    others = [f"<input name='{name}' placeholder='{hint}'>" for name, hint in _HINTS.items()]
    leave_out = "for(const e of elements)e.disabled=!e.value&&e.name"
    return (
        f"<form action='/v1/views/{view.name}' onsubmit='{leave_out}'>"
        f"{''.join(keys + others)}<button>ask</button>"
        f"<button formaction='/v1/views/{view.name}/explain'>explain</button></form>"
    )


def _route(path: str, method: str, entry: dict[str, Any]) -> str:
    parameters = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{_text(each.get('description', ''))}</td></tr>"
        for each in entry.get("parameters", [])
    )
    answers = "".join(
        f"<p>{status}: {_text(answer.get('description', ''))}</p>{_example(answer)}"
        for status, answer in entry["responses"].items()
    )
    return (
        f"<h2>{method.upper()} {escape(path)}</h2><p>{_text(entry.get('description', ''))}</p>"
        f"<table>{parameters}</table>{answers}"
    )


def _example(answer: dict[str, Any]) -> str:
    for content in answer.get("content", {}).values():
        for example in content.get("examples", {}).values():
            return f"<pre>{escape(json.dumps(example['value'], indent=1))}</pre>"
    return ""


def _text(words: str) -> str:
    """Words with `code` in them, as HTML."""
    return re.sub("`([^`]+)`", r"<code>\1</code>", escape(words))


def _link(path: str) -> str:
    return f"<a href='{path}'>{path}</a>"
