"""The requests of one RTSP session: authenticated, redirected, refused.

Belongs here: what is the same for every request. Does not: their order (client), the connection's bytes.
"""

from pathlib import Path
from urllib.parse import urlsplit

from vms import __version__
from vms.common.clock import Clock
from vms.common.source_url import SourceUrl
from vms.wire.errors import AuthenticationFailed, ProtocolError, RequestRefused
from vms.wire.rtsp.auth import ClientAuthenticator
from vms.wire.rtsp.connection import RtspConnection
from vms.wire.rtsp.message import REASONS, Headers, Response

MAX_REDIRECTS = 5
_MAX_CHALLENGES = 3  # one, one for a nonce that changed meanwhile, one for luck
_REDIRECTS = (301, 302, 303, 305)


class Requester:
    """Sends requests over one connection at a time, with the credentials of one source.

    url: the presentation, after redirects, without user information. `session_id` goes with every request
    once it is set. unix_path: where to connect, whatever host the URL names; there are no redirects then.
    Credentials go to the source's own host alone: a redirect must not carry them away.
    """

    def __init__(
        self, source: SourceUrl, clock: Clock, timeout_s: float, unix_path: Path | None = None
    ) -> None:
        self.url = source.without_userinfo()
        self.session_id: str | None = None
        self.timeout_s = timeout_s
        self.connection: RtspConnection | None = None
        self._source = source
        self._clock = clock
        self._unix_path = unix_path
        self._authenticator: ClientAuthenticator | None = None
        self._set_credentials(source)

    async def connect(self) -> None:
        """Connect to the host of `url`, or the Unix socket. Raises PeerUnreachable."""
        if self._unix_path is not None:
            self.connection = await RtspConnection.connect_unix(self._unix_path, self._clock)
            return
        target = SourceUrl(self.url)
        self.connection = await RtspConnection.connect(target.host, target.port, self._clock)

    async def send(
        self,
        method: str,
        url: str | None = None,
        headers: Headers | None = None,
        timeout_s: float | None = None,
    ) -> Response:
        """The answer of status 2xx to a request; the URL is the presentation's when not given.

        Raises AuthenticationFailed, RequestRefused, and what RtspConnection.request raises.
        """
        response = await self._send(method, url or self.url, headers, timeout_s or self.timeout_s)
        if response.status >= 300:
            raise self._refused(method, response)
        return response

    async def send_following(self, method: str, headers: Headers | None = None) -> Response:
        """Like `send` to the presentation's URL; redirects are followed, at most MAX_REDIRECTS."""
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._send(method, self.url, headers, self.timeout_s)
            if response.status not in _REDIRECTS or self._unix_path is not None:
                if response.status >= 300:
                    raise self._refused(method, response)
                return response
            await self._follow(response.headers.get("Location") or "")
        raise ProtocolError(self._text(method, f"redirects more than {MAX_REDIRECTS} times"))

    def close(self) -> None:
        if self.connection is not None:
            self.connection.abort()

    async def _send(self, method: str, url: str, headers: Headers | None, timeout_s: float) -> Response:
        """The answer to a request once it is authenticated, whatever else its status is."""
        assert self.connection is not None
        for _ in range(_MAX_CHALLENGES):
            sent = self._headers(method, url, headers)
            response = await self.connection.request(method, url, sent, timeout_s)
            if response.status != 401:
                return response
            if self._authenticator is None:
                raise AuthenticationFailed(self._text(method, "asks for a user name and a password"))
            if not self._authenticator.learn(response.headers.all("WWW-Authenticate")):
                break
        raise AuthenticationFailed(self._text(method, "refuses the user name or the password"))

    async def _follow(self, location: str) -> None:
        try:
            target = SourceUrl(location)
        except ValueError as error:
            raise ProtocolError(f"{self._source.host}: redirects to what is no RTSP URL") from error
        before = SourceUrl(self.url)
        self.url = target.without_userinfo()
        if target.username is not None:
            self._set_credentials(target)
        elif target.host != self._source.host:
            self._authenticator = None
        if (target.host, target.port) != (before.host, before.port):
            self.close()
            await self.connect()

    def _set_credentials(self, source: SourceUrl) -> None:
        if source.username is not None:
            self._authenticator = ClientAuthenticator(source.username, source.password or "")

    def _headers(self, method: str, url: str, headers: Headers | None) -> Headers:
        sent = Headers([("User-Agent", f"vms/{__version__}"), *(headers or ())])
        if self.session_id is not None:
            sent.add("Session", self.session_id)
        authorization = self._authenticator.authorization(method, url) if self._authenticator else None
        if authorization is not None:
            sent.add("Authorization", authorization)
        return sent

    def _refused(self, method: str, response: Response) -> RequestRefused:
        reason = response.reason[:200] or REASONS.get(response.status, "")
        text = self._text(method, f"answers {response.status} {reason[:80]}")
        return RequestRefused(text, response.status, reason)

    def _text(self, method: str, what: str) -> str:
        parts = urlsplit(self.url)
        return f"{parts.hostname}:{parts.port or 554} {what} ({method})"
