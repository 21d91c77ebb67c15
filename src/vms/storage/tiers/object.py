"""A tier that is a bucket of an S3 server: Amazon's, or one that speaks its protocol.

Every request is signed over the SHA-256 of what it carries, so the server takes no part that was changed on its way.
After it, the entity tag that the server worked out tells whether it put the parts together right; where the tag is of another
kind (server-side encryption with keys of one's own), the object is read back.

Belongs here: requests, and what their errors mean. Does not: which ranges are read (object_body), which files go (mover).
"""

import errno
import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID

import obstore
from obstore.exceptions import (
    BaseError,
    NotFoundError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)
from obstore.store import S3Store

from vms.common.clock import NS
from vms.config import TierConfig
from vms.storage.body import Body
from vms.storage.layout import is_recording_name
from vms.storage.tiers.blocks import SHARED, BlockCache
from vms.storage.tiers.errors import CopyDiffers, TierUnavailable
from vms.storage.tiers.object_body import ObjectBody, Range
from vms.storage.tiers.secret import read_secret
from vms.storage.tiers.store import CHUNK_BYTES, Pace, Source, StoredFile

if TYPE_CHECKING:
    from obstore import GetOptions
    from obstore.store import BackoffConfig, ClientConfig, RetryConfig

PART_BYTES = 8 << 20
_PARALLEL_PARTS = 2
_CONNECT_TIMEOUT = timedelta(seconds=3)
_READ_TIMEOUT = timedelta(seconds=9)  # of one range of at most 8 MiB, trying again included
_WRITE_TIMEOUT = timedelta(seconds=120)  # of one part: 0.6 Mbit/s
_MD5_TAG = re.compile(r'^"?([0-9a-f]{32}(?:-\d+)?)"?$')
_CODE = re.compile(r"<Code>(\w{1,64})</Code>")
_STATUS = re.compile(r"status code: (\d{3})")
_DELETED_AT_ONCE = 500
_CHECK_NAME = "vms-check"


class ObjectTier:
    """Implements TierStore in a bucket. Counters: requests, read_bytes (of ranges that were asked for)."""

    kind = "s3"

    def __init__(self, config: TierConfig, volume_id: UUID, cache: BlockCache = SHARED) -> None:
        """Reads secrets and asks nobody before it is used."""
        assert config.url is not None
        self.name = config.name
        self.after_ns = round(config.after * NS)
        self.quota_bytes = config.quota
        self.requests = 0
        self.read_bytes = 0
        self._config = config
        self._folder = str(volume_id)
        self._cache = cache
        self._key = f"{config.endpoint}/{config.url}/{volume_id}"

    @cached_property
    def _reading(self) -> S3Store:
        return _client(self._config, self._folder, _READ_TIMEOUT, retries=1)

    @cached_property
    def _writing(self) -> S3Store:
        return _client(self._config, self._folder, _WRITE_TIMEOUT, retries=3)

    def put_file(self, name: str, body: Body, pace: Pace | None = None) -> int:
        """See TierStore. Files of more than one part are sent in parts, which a failure removes again."""
        source = Source(body, pace)
        parts = _Parts(source)
        self._cache.forget(self._address(name))
        with self._in_bucket():
            self._send(name, source.size_bytes, parts)
            written = obstore.head(self._writing, name)
        tag = _MD5_TAG.match(written["e_tag"] or "")
        same_tag = tag is not None and tag.group(1) == parts.e_tag
        if written["size"] != source.size_bytes or not (same_tag or self._reads_back(name, source)):
            self.delete([name])
            raise CopyDiffers(self.name, "an object is not what was sent; check the S3 server")
        return source.size_bytes

    def open(self, name: str) -> ObjectBody:
        """See TierStore. Reads of its body raise FileNotFoundError when the object was deleted meanwhile."""

        def fetch(start: int, end: int, e_tag: str | None) -> Range:
            with self._typed():
                options: GetOptions = {"range": (start, end)}
                if e_tag:
                    options["if_match"] = e_tag
                result = obstore.get(self._reading, name, options=options)
                found = Range(bytes(result.bytes()), result.meta["size"], result.meta["e_tag"] or "")
            self.requests += 1
            self.read_bytes += len(found.data)
            if len(found.data) != min(end, found.size_bytes) - start:
                raise TierUnavailable(
                    self.name, "the S3 server gave another range than was asked for; check it"
                )
            return found

        return ObjectBody(self._address(name), fetch, self._cache)

    def delete(self, names: Sequence[str]) -> None:
        """See TierStore."""
        for name in names:
            self._cache.forget(self._address(name))
        with self._in_bucket():
            for first in range(0, len(names), _DELETED_AT_ONCE):
                obstore.delete(self._writing, list(names[first : first + _DELETED_AT_ONCE]))

    def list(self, prefix: str = "") -> Iterator[StoredFile]:
        """See TierStore."""
        folder, _, _ = prefix.rpartition("/")  # the library lists whole folders
        with self._in_bucket():
            for batch in obstore.list(self._reading, prefix=folder or None, chunk_size=1000):
                for each in batch:
                    name = str(each["path"])
                    if is_recording_name(name) and name.startswith(prefix):
                        yield StoredFile(name, int(each["size"]))

    def check(self) -> None:
        """See TierStore: asks for an object that is not there."""
        try:
            with self._typed():
                obstore.get(self._reading, _CHECK_NAME)
        except FileNotFoundError as error:
            if error.strerror == "NoSuchBucket":
                raise self._no_bucket(error) from None

    def close(self) -> None:
        """See TierStore; connections end with their last use."""

    # -- private ----------------------------------------------------------------------------------------

    def _address(self, name: str) -> str:
        return f"{self._key}/{name}"

    def _send(self, name: str, size_bytes: int, parts: "_Parts") -> None:
        if size_bytes <= PART_BYTES:
            obstore.put(self._writing, name, b"".join(parts), use_multipart=False)
        else:
            obstore.put(self._writing, name, parts, chunk_size=PART_BYTES, max_concurrency=_PARALLEL_PARTS)
        self.requests += 2 + size_bytes // PART_BYTES

    def _no_bucket(self, error: FileNotFoundError) -> TierUnavailable:
        return TierUnavailable(
            self.name, f"the S3 server has no such bucket ({error.strerror}); make it, or correct url"
        )

    def _reads_back(self, name: str, source: Source) -> bool:
        """Whether an object is what was sent, byte for byte."""
        written = hashlib.sha256()
        with self._in_bucket():
            for piece in obstore.get(self._writing, name).stream(CHUNK_BYTES):
                written.update(piece)
        return written.digest() == source.digest

    @contextmanager
    def _in_bucket(self) -> Iterator[None]:
        """As `_typed`, of requests that find what they ask for unless there is no such bucket."""
        try:
            with self._typed():
                yield
        except FileNotFoundError as error:
            raise self._no_bucket(error) from None

    @contextmanager
    def _typed(self) -> Iterator[None]:
        # `from None`: the body of a server's answer may name the access key.
        try:
            yield
        except (PermissionDeniedError, UnauthenticatedError) as error:
            raise TierUnavailable(
                self.name,
                f"the S3 server refuses this system ({_told(error)}); check access_key and secret_key",
            ) from None
        except (FileNotFoundError, NotFoundError) as error:
            raise FileNotFoundError(errno.ENOENT, _told(error)) from None
        except PreconditionError:
            raise FileNotFoundError(errno.ENOENT, "it was replaced") from None
        except BaseError as error:
            raise TierUnavailable(
                self.name, f"the S3 server cannot be asked ({_told(error)}); check it and the network"
            ) from None


def _client(config: TierConfig, folder: str, timeout: timedelta, retries: int) -> S3Store:
    """A client of a volume's folder in the bucket; makes no request. Raises TierUnavailable without the secret."""
    assert config.url is not None
    bucket, _, prefix = config.url.removeprefix("s3://").partition("/")
    options: dict[str, Any] = {}
    if config.endpoint is not None:
        options["endpoint"] = config.endpoint
        options["virtual_hosted_style_request"] = False
    if config.access_key is not None:
        options["access_key_id"] = config.access_key.get_secret_value()
        options["secret_access_key"] = read_secret(config)
    client: ClientConfig = {
        "allow_http": True,  # for servers of one's own; the endpoint says which
        "timeout": timeout,
        "connect_timeout": _CONNECT_TIMEOUT,
    }
    backoff: BackoffConfig = {
        "init_backoff": timedelta(milliseconds=100),
        "max_backoff": timedelta(seconds=2),
        "base": 2,
    }
    retry: RetryConfig = {"max_retries": retries, "retry_timeout": timeout, "backoff": backoff}
    prefix = f"{prefix}/{folder}".strip("/")
    return S3Store(
        bucket, prefix=prefix, region=config.region, client_options=client, retry_config=retry, **options
    )


class _Parts:
    """The pieces of a source, and the entity tag that S3 gives to an object put together of them.

    That is the MD5 of a single part, or of the MD5s of all parts with their number. It guards against accidents; what
    guards against intent are the signatures of requests and of recordings.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._whole: list[bytes] = []
        self._part = hashlib.md5(usedforsecurity=False)
        self._part_bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._source.chunks():
            if self._part_bytes == PART_BYTES:
                self._end_part()
            self._part.update(chunk)
            self._part_bytes += len(chunk)
            yield chunk

    @property
    def e_tag(self) -> str:
        if self._source.size_bytes <= PART_BYTES:
            return self._part.hexdigest()
        digests = [*self._whole, self._part.digest()]
        return f"{hashlib.md5(b''.join(digests), usedforsecurity=False).hexdigest()}-{len(digests)}"

    def _end_part(self) -> None:
        self._whole.append(self._part.digest())
        self._part = hashlib.md5(usedforsecurity=False)
        self._part_bytes = 0


assert PART_BYTES % CHUNK_BYTES == 0, "parts end where pieces end"


def _told(error: Exception) -> str:
    """What went wrong in a word or two: the code of S3, the status of HTTP, or that nobody answered."""
    text = str(error)
    code, status = _CODE.search(text), _STATUS.search(text)
    if code is not None:
        return code.group(1)
    if status is not None:
        return f"HTTP {status.group(1)}"
    return "timeout" if "timed out" in text.lower() or "Timeout" in text else "no connection"
