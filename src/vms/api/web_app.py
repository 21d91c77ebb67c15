"""The operator's web app: the files that `web/` builds into this package, served at /.

Paths without an extension are the app's own routes and get its page. Files under assets/ carry a hash in
their name and never change; the page itself is asked for anew each time.
"""

import mimetypes
from pathlib import Path, PurePosixPath

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response

from vms.api.guard import is_web_app

WEB_ROOT = Path(__file__).parent / "web"
_NOT_BUILT = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>VMS Enterprise</title></head>
<body><h1>The web app is not built</h1>
<p>The system is running, and its <a href="/api/v1/cameras">API</a> answers.
To build the web app, run <code>scripts/setup-dev.sh</code> in the project's folder, then reload this page.</p>
</body></html>
"""
# The system's own table may lack these or have them wrong; a module of another type does not run.
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2"}


class WebApp:
    """Serves the built app from `root`; a page that says how to build it while there is none."""

    def __init__(self, root: Path = WEB_ROOT) -> None:
        self._root = root.resolve()

    async def serve(self, request: Request) -> Response:
        """The file, the app's page, or 404."""
        path = request.url.path
        if not is_web_app(path):
            raise HTTPException(404)
        # Nobody needs a part of these files, and the framework's errors about ranges are no problem details.
        headers = request.scope["headers"]
        request.scope["headers"] = [(name, value) for name, value in headers if name != b"range"]
        relative = PurePosixPath(path.lstrip("/"))
        file = self._file(relative)
        if file is not None and relative.name != "index.html":
            hashed = relative.parts[0] == "assets"
            lifetime = "public, max-age=31536000, immutable" if hashed else "public, max-age=3600"
            return _send(file, lifetime)
        if relative.suffix not in ("", ".html"):
            raise HTTPException(404)
        page = self._file(PurePosixPath("index.html"))
        if page is None:
            return HTMLResponse(_NOT_BUILT, 503, {"Cache-Control": "no-store"})
        return _send(page, "no-cache")

    def _file(self, relative: PurePosixPath) -> Path | None:
        if not relative.name or "\0" in str(relative):
            return None
        file = (self._root / relative).resolve()
        try:
            return file if file.is_relative_to(self._root) and file.is_file() else None
        except OSError:  # a name longer than the file system takes
            return None


def _send(file: Path, lifetime: str) -> Response:
    media_type = _TYPES.get(file.suffix) or mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    return FileResponse(file, media_type=media_type, headers={"Cache-Control": lifetime})
