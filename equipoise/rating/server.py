"""The page to rate on, served to this machine alone, by Starlette and uvicorn.

Nothing else may ask: a client from elsewhere, a name that is not this machine's (which a page of
another site could have made lead here), and an origin that is not the page's own are refused.
"""

import errno
import ipaddress
import json
import socket
import sys
from collections.abc import Callable
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

from equipoise.errors import EquipoiseError, RecipeError
from equipoise.rating.page_state import keep_answer, state_of
from equipoise.rating.questions import QUESTIONS
from equipoise.rating.store import ConflictError, RatingStore, check_rater

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Receive, Scope, Send

HOST: Final = "127.0.0.1"
_NAMES: Final = ("127.0.0.1", "localhost", "[::1]")
_MOST_BYTES: Final = 10_000  # of what the page sends
_HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
        "img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
#: Files of the page: their room, place and type.
_FILES: Final = {
    "/": ("equipoise.rating", "page/rate.html", "text/html"),
    "/rate.js": ("equipoise.rating", "page/rate.js", "text/javascript"),
    "/rate.css": ("equipoise.rating", "page/rate.css", "text/css"),
    "/report.css": ("equipoise.report", "templates/page.css", "text/css"),
}


def serve(
    store: RatingStore, *, port: int, rater: str = "", announce: Callable[[str], None]
) -> None:
    """Serve the page until the process is stopped; `announce` is given its address.

    Port 0 takes any that is free. Raises `RecipeError` for a port that is in use, and where
    Starlette or uvicorn is not installed.
    """
    try:
        import starlette  # noqa: F401
        import uvicorn
    except ImportError as error:
        raise RecipeError(
            f"rating needs Starlette and uvicorn, got {error}; pip install 'equipoise[rating]'"
        ) from None
    listening = _listen(port)
    try:
        port = listening.getsockname()[1]
        config = uvicorn.Config(
            create_app(store, port=port, rater=rater),
            log_level="warning",
            access_log=False,
            server_header=False,
            # a header must not make a client from elsewhere one of this machine
            proxy_headers=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=2,
        )
        announce(f"http://{HOST}:{port}/")
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        listening.close()


def create_app(store: RatingStore, *, port: int, rater: str = "") -> "Starlette":
    """The application: the page, `/state` and, by POST, `/answer` and `/undo`. Bound to a port."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    def file(request: "Request") -> "Response":
        room, place, kind = _FILES[request.url.path]
        content = resources.files(room).joinpath(place).read_bytes()
        return Response(content, media_type=f"{kind}; charset=utf-8")

    def start(_: "Request") -> "Response":
        """What the page shows before a rater begins."""
        asked = [question.text for question in QUESTIONS[store.head.mode]]
        return JSONResponse({"rater": rater, "mode": store.head.mode, "questions": asked})

    async def change(request: "Request") -> "Response":
        body = await _read_body(request)
        if body is None:
            return JSONResponse({"error": "what is sent must be a small JSON object"}, 400)
        content, status = await run_in_threadpool(_change, store, request.url.path, body)
        return JSONResponse(content, status)

    routes = [Route(path, file) for path in _FILES]
    routes.append(Route("/start", start))
    routes += [Route(path, change, methods=["POST"]) for path in ("/state", "/answer", "/undo")]
    return Starlette(routes=routes, middleware=[Middleware(_OnlyThisMachine, port=port)])


def _change(store: RatingStore, path: str, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What the page asked for, done; the state after it, and the status."""
    try:
        rater = check_rater(str(body.get("rater", "")))
        problem, status = "", 200
        try:
            if path == "/answer":
                keep_answer(
                    store, rater, *(body.get(k) for k in ("position", "question", "answer"))
                )
            elif path == "/undo" and isinstance(body.get("number"), int):
                store.undo(rater, body["number"])
        except ConflictError as error:
            problem, status = str(error), 409
        state = state_of(store, rater)
        return ({**state, "error": problem} if problem else state), status
    except RecipeError as error:
        return {"error": str(error)}, 400
    except EquipoiseError as error:  # a full disk, a file that was taken away
        return {"error": str(error)}, 500


async def _read_body(request: "Request") -> dict[str, Any] | None:
    """The JSON object that was sent; None for anything else."""
    # another site's page can send no such type without asking first, which is not answered
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return None
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > _MOST_BYTES:
            return None
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        # Windows would let two servers listen; elsewhere a restart need not wait for a minute
        if sys.platform != "win32":
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((HOST, port))
        listening.listen()
    except OSError as error:
        listening.close()
        why = "in use" if error.errno == errno.EADDRINUSE else str(error)
        raise RecipeError(
            f"port {port} must be free, it is: {why}; name another with --port, or 0 for any"
        ) from None
    return listening


class _OnlyThisMachine:
    """Refuses who is not this machine's own page, and adds the headers of `_HEADERS`."""

    def __init__(self, app: "ASGIApp", port: int) -> None:
        self._app = app
        self._hosts = {f"{name}:{port}" for name in _NAMES}
        if port == 80:
            self._hosts |= {*_NAMES}

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        from starlette.datastructures import Headers, MutableHeaders
        from starlette.responses import PlainTextResponse

        async def send_guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(_HEADERS)
            await send(message)

        reason = self._refusal(scope, Headers(scope=scope)) if scope["type"] == "http" else "type"
        app = PlainTextResponse(f"refused: {reason}\n", 403) if reason else self._app
        await app(scope, receive, send_guarded)

    def _refusal(self, scope: "Scope", headers: Any) -> str:
        """Why a request is refused; "" if it is not."""
        client = scope.get("client")
        if not client or not _is_loopback(client[0]):
            return "a client from elsewhere"
        host = headers.get("host", "").lower()
        if host not in self._hosts or len(headers.getlist("host")) != 1:
            return "another host's name"
        if any(origin.lower() != f"http://{host}" for origin in headers.getlist("origin")):
            return "another site's page"
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return "another site's page"
        return ""


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
