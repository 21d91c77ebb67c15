"""The answer to a request, on every carrier: a Reply holds the result or the error.

Belongs here: from handler to Reply, from Reply to result. Does not: carrying it (local, memory, nats_bus).
"""

from collections.abc import Awaitable, Callable

from google.protobuf.message import DecodeError

from vms.bus.errors import RemoteError, pack_error, raise_error
from vms.common.errors import InvalidInput
from vms.proto import bus_pb2

Handler = Callable[[bytes], Awaitable[bytes]]


async def answer(handler: Handler, argument: bytes) -> bus_pb2.Reply:
    """What `handler` makes of `argument`; whatever it raises becomes the error of the reply."""
    try:
        return bus_pb2.Reply(result=await handler(argument))
    except Exception as error:  # noqa: BLE001 - the request ends here; pack_error logs the unexpected
        return bus_pb2.Reply(error=pack_error(error))


def result_of(reply: bus_pb2.Reply) -> bytes:
    """The result; raises the peer's error (see vms.bus.errors) instead when there is one."""
    outcome = reply.WhichOneof("outcome")
    if outcome == "error":
        raise_error(reply.error)
    if outcome is None:
        raise RemoteError("the peer's reply holds neither a result nor an error; are both of one version?")
    return reply.result


def parse_result(data: bytes) -> bytes:
    """The result in a serialised Reply; raises the peer's error, or RemoteError for what is no Reply."""
    try:
        reply = bus_pb2.Reply.FromString(data)
    except DecodeError as error:
        raise RemoteError("the peer's reply cannot be read; are both of one version?") from error
    return result_of(reply)


async def answer_bytes(handler: Handler, argument: bytes, limit_bytes: int) -> bytes:
    """`answer` serialised; a result that is too large for the carrier becomes an error."""
    data = (await answer(handler, argument)).SerializeToString()
    if len(data) <= limit_bytes:
        return data
    too_large = InvalidInput(f"an answer of {len(data)} bytes; up to {limit_bytes} can be carried")
    return bus_pb2.Reply(error=pack_error(too_large)).SerializeToString()
