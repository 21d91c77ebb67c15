"""Basic and Digest authentication for both sides (RFC 7617, RFC 7616, RFC 2617).

Belongs here: challenges, answers and their check. Does not: users, and where passwords are kept.
"""

import hashlib
import hmac
import os
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum, StrEnum
from time import monotonic

_HASHES: dict[str, Callable[[bytes], "hashlib._Hash"]] = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_MAX_HEADER_SIZE = 4096


class Scheme(StrEnum):
    BASIC = "Basic"
    DIGEST_MD5 = "Digest MD5"
    DIGEST_SHA256 = "Digest SHA-256"


@dataclass(frozen=True, slots=True)
class Challenge:
    """One challenge of a ``WWW-Authenticate`` header: ``basic`` or ``digest``, and its parameters."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(values: Iterable[str]) -> list[Challenge]:
    """The challenges of all ``WWW-Authenticate`` values; one value may hold several."""
    challenges: list[Challenge] = []
    for value in values:
        for scheme, parameter, text in _tokens(value[:_MAX_HEADER_SIZE]):
            if scheme:
                challenges.append(Challenge(scheme.lower(), {}))
            elif challenges:
                challenges[-1].parameters.setdefault(parameter.lower(), text)
    return challenges


class ClientAuthenticator:
    """Answers a server's challenges with one user's credentials.

    `learn` takes what a 401 says; `authorization` makes the header for each request after it. The
    strongest challenge that can be answered wins: SHA-256, then MD5, then Basic.
    """

    def __init__(self, username: str, password: str) -> None:
        self._username = username
        self._password = password
        self._challenge: Challenge | None = None
        self._algorithm = "MD5"
        self._nonce_count = 0

    def learn(self, values: Iterable[str]) -> bool:
        """Take the ``WWW-Authenticate`` values of a 401; whether asking again can help.

        It cannot when no scheme is known, or when the answer to this very nonce was just refused.
        """
        candidates = [(rank, c) for c in parse_challenges(values) if (rank := _rank(c)) is not None]
        if not candidates:
            return False
        challenge = max(candidates, key=lambda item: item[0])[1]
        before = self._challenge
        self._challenge = challenge
        if before is not None and before.scheme == challenge.scheme:
            if challenge.scheme == "basic":
                return False
            stale = challenge.parameters.get("stale", "").lower() == "true"
            if not stale and before.parameters.get("nonce") == challenge.parameters.get("nonce"):
                return False
        self._algorithm = _algorithm(challenge) or "MD5"
        self._nonce_count = 0
        return True

    def authorization(self, method: str, uri: str) -> str | None:
        """The ``Authorization`` value for a request, or None before any challenge."""
        if self._challenge is None:
            return None
        if self._challenge.scheme == "basic":
            return "Basic " + b64encode(f"{self._username}:{self._password}".encode()).decode()
        return self._digest(self._challenge.parameters, method, uri)

    def _digest(self, challenge: dict[str, str], method: str, uri: str) -> str:
        realm, nonce = challenge.get("realm", ""), challenge.get("nonce", "")
        secret = _hash(self._algorithm, f"{self._username}:{realm}:{self._password}")
        fields = {"username": self._username, "realm": realm, "nonce": nonce, "uri": uri}
        extra = ""
        if "auth" in (part.strip().lower() for part in challenge.get("qop", "").split(",")):
            self._nonce_count += 1
            count, client_nonce = f"{self._nonce_count:08x}", os.urandom(8).hex()
            response = _response(self._algorithm, secret, nonce, f"{method}:{uri}", (count, client_nonce))
            extra = f', qop=auth, nc={count}, cnonce="{client_nonce}"'
        else:
            response = _response(self._algorithm, secret, nonce, f"{method}:{uri}", None)
        fields["response"] = response
        if "opaque" in challenge:
            fields["opaque"] = challenge["opaque"]
        text = ", ".join(f'{name}="{_quoted(value)}"' for name, value in fields.items())
        # A server that named no algorithm may know none (RFC 2069), so it is told only what it said.
        algorithm = f", algorithm={self._algorithm}" if "algorithm" in challenge else ""
        return f"Digest {text}{algorithm}{extra}"


class Verdict(Enum):
    """What a server makes of a request's credentials."""

    ACCEPTED = "accepted"
    STALE = "stale"  # right, but for a nonce that has expired: challenge again with stale=true
    REFUSED = "refused"


class ServerAuthenticator:
    """Challenges clients and checks their answers for one user; with `username` None any name will do.

    Nonces are made by HMAC over their time, so that none has to be kept; `nonce_lifetime_s` bounds them.
    """

    def __init__(
        self,
        username: str | None,
        password: str,
        *,
        realm: str = "vms",
        schemes: tuple[Scheme, ...] = (Scheme.DIGEST_SHA256, Scheme.DIGEST_MD5),
        nonce_lifetime_s: float = 300.0,
        monotonic_s: Callable[[], float] = monotonic,
    ) -> None:
        self._username = username
        self._password = password
        self._realm = realm
        self._schemes = schemes
        self._lifetime_s = nonce_lifetime_s
        self._monotonic_s = monotonic_s
        self._key = os.urandom(32)

    def challenges(self, *, stale: bool = False) -> list[str]:
        """The ``WWW-Authenticate`` values of a 401, the strongest first."""
        values = []
        for scheme in self._schemes:
            if scheme is Scheme.BASIC:
                values.append(f'Basic realm="{_quoted(self._realm)}"')
                continue
            algorithm = "SHA-256" if scheme is Scheme.DIGEST_SHA256 else "MD5"
            values.append(
                f'Digest realm="{_quoted(self._realm)}", nonce="{self._nonce()}", '
                f'qop="auth", algorithm={algorithm}' + (", stale=true" if stale else "")
            )
        return values

    def check(self, method: str, authorization: str | None) -> Verdict:
        """Whether an ``Authorization`` value answers one of the challenges for a request with `method`."""
        if not authorization:
            return Verdict.REFUSED
        found = parse_challenges([authorization])
        if authorization[:6].lower() == "basic ":
            return self._check_basic(authorization[6:].strip())
        if found and found[0].scheme == "digest":
            return self._check_digest(method, found[0].parameters)
        return Verdict.REFUSED

    def _check_basic(self, encoded: str) -> Verdict:
        if Scheme.BASIC not in self._schemes:
            return Verdict.REFUSED
        try:
            given = b64decode(encoded, validate=True)
        except ValueError:
            return Verdict.REFUSED
        username, _, password = given.partition(b":")
        right = hmac.compare_digest(password, self._password.encode()) & self._is_user(username)
        return Verdict.ACCEPTED if right else Verdict.REFUSED

    def _check_digest(self, method: str, fields: dict[str, str]) -> Verdict:
        algorithm = fields.get("algorithm", "MD5").upper()
        scheme = Scheme.DIGEST_SHA256 if algorithm == "SHA-256" else Scheme.DIGEST_MD5
        if algorithm not in _HASHES or scheme not in self._schemes:
            return Verdict.REFUSED
        nonce, uri = fields.get("nonce", ""), fields.get("uri", "")
        username = fields.get("username", "")
        secret = _hash(algorithm, f"{username}:{self._realm}:{self._password}")
        counted = (fields.get("nc", ""), fields.get("cnonce", "")) if "qop" in fields else None
        expected = _response(algorithm, secret, nonce, f"{method}:{uri}", counted)
        right = hmac.compare_digest(expected.encode(), fields.get("response", "").lower().encode())
        right &= self._is_user(username.encode())
        if not right:
            return Verdict.REFUSED
        age_s = self._nonce_age_s(nonce)
        if age_s is None or age_s > self._lifetime_s:
            return Verdict.STALE
        return Verdict.ACCEPTED

    def _is_user(self, username: bytes) -> bool:
        return self._username is None or hmac.compare_digest(username, self._username.encode())

    def _nonce(self) -> str:
        made = int(self._monotonic_s() * 1000).to_bytes(8)
        return (made + hmac.digest(self._key, made, "sha256")[:16]).hex()

    def _nonce_age_s(self, nonce: str) -> float | None:
        try:
            raw = bytes.fromhex(nonce)
        except ValueError:
            return None
        if not hmac.compare_digest(hmac.digest(self._key, raw[:8], "sha256")[:16], raw[8:]):
            return None
        return self._monotonic_s() - int.from_bytes(raw[:8]) / 1000


def _response(algorithm: str, secret: str, nonce: str, request: str, counted: tuple[str, str] | None) -> str:
    """The digest of `request`, "METHOD:uri" (RFC 7616 §3.4.1); `counted` is (nc, cnonce) with qop=auth."""
    hashed = _hash(algorithm, request)
    if counted is None:
        return _hash(algorithm, f"{secret}:{nonce}:{hashed}")
    return _hash(algorithm, f"{secret}:{nonce}:{counted[0]}:{counted[1]}:auth:{hashed}")


def _hash(algorithm: str, text: str) -> str:
    return _HASHES[algorithm](text.encode()).hexdigest()


def _algorithm(challenge: Challenge) -> str | None:
    name = challenge.parameters.get("algorithm", "MD5").upper()
    return name if name in _HASHES else None


def _rank(challenge: Challenge) -> int | None:
    if challenge.scheme == "basic":
        return 0
    if challenge.scheme != "digest" or "nonce" not in challenge.parameters:
        return None
    qop = challenge.parameters.get("qop", "")
    if qop and "auth" not in (part.strip().lower() for part in qop.split(",")):
        return None  # auth-int alone
    algorithm = _algorithm(challenge)
    return None if algorithm is None else 1 if algorithm == "MD5" else 2


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def _tokens(value: str) -> Iterable[tuple[str, str, str]]:
    """Pieces of an authentication header: ("Digest", "", "") or ("", parameter, its value)."""
    position = 0
    while position < len(value):
        if value[position] in " \t,":
            position += 1
            continue
        begin = position
        while position < len(value) and value[position] not in " \t,=":
            position += 1
        word = value[begin:position]
        while position < len(value) and value[position] in " \t":
            position += 1
        if position >= len(value) or value[position] != "=":
            if word:
                yield word, "", ""
            continue
        text, position = _parameter_value(value, position + 1)
        yield "", word, text


def _parameter_value(value: str, position: int) -> tuple[str, int]:
    while position < len(value) and value[position] in " \t":
        position += 1
    if position < len(value) and value[position] == '"':
        position += 1
        text = []
        while position < len(value) and value[position] != '"':
            if value[position] == "\\" and position + 1 < len(value):
                position += 1
            text.append(value[position])
            position += 1
        return "".join(text), position + 1
    begin = position
    while position < len(value) and value[position] not in " \t,":
        position += 1
    return value[begin:position], position
