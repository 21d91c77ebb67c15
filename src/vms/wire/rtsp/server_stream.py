"""One stream of the server and the clients that receive it: send to all, wait for none.

A run of packets is framed once and written to every client.

Belongs here: fan-out, sender reports. Does not: RTSP (server_connection), media (server_feed), one client's
packets (server_receiver).
"""

from collections.abc import Callable, Iterable, Sequence

from vms.common.clock import Clock
from vms.wire import rtcp
from vms.wire.rtsp import server_description
from vms.wire.rtsp.server_feed import Feed, FeedLine, RtpRun, StartPoint
from vms.wire.rtsp.server_receiver import Receiver
from vms.wire.sdp import Attribute

REPORT_INTERVAL_S = 5.0
CNAME = "vms"


class Stream:
    """What one URL of the server leads to: a feed and its receivers.

    catch_up: what a client that joins now gets before the runs that are pushed to all: packets from the
        newest key picture on, up to those that were pushed last, so that numbers go on without a hole.
        Without it, or when it gives none, a client waits for the next key picture.
    want_key: called when a client asks for a key picture, or has to wait for one, as often as it does; whoever makes them keeps measure.
    attributes: what the session description says of a line beyond what any receiver needs.
    sessions: how many clients have set it up, playing or not; kept by server_session.
    """

    def __init__(
        self,
        feed: Feed,
        clock: Clock,
        *,
        catch_up: Callable[[], Sequence[RtpRun]] = tuple,
        attributes: Callable[[FeedLine], Iterable[Attribute]] = lambda line: (),
        want_key: Callable[[], None] = lambda: None,
    ) -> None:
        self.want_key = want_key
        self.sessions = 0
        self._feed = feed
        self._clock = clock
        self._receivers: list[Receiver] = []
        self._counts = [[0, 0] for _ in feed.lines]  # packets and payload octets sent, a line
        self._report_due_ns = 0
        self._catch_up = catch_up
        self._attributes = attributes

    @property
    def lines(self) -> Sequence[FeedLine]:
        return self._feed.lines

    def describe(self) -> str:
        """The session description as it stands now."""
        return server_description.describe(self.lines, extra=self._attributes)

    @property
    def receiver_count(self) -> int:
        return len(self._receivers)

    def join(self, *, catch_up: bool = False) -> tuple[Sequence[StartPoint], Sequence[RtpRun]]:
        """Make ready for one more receiver; `add` follows, without waiting.

        catch_up: the receiver can take a group of pictures at once.
        Returns where it will begin, a point a line, and what to give it first.
        """
        if not self._receivers:
            self._feed.start(self)
            self._report_due_ns = self._clock.monotonic_ns() + round(REPORT_INTERVAL_S * 1e9)
        points = list(self._feed.join())
        runs = self._catch_up() if catch_up else ()
        if not runs:
            self.want_key()  # it would wait for the next one that comes by itself
        for run in reversed([run for run in runs if run.packet_count]):
            points[run.line] = StartPoint(run.sequence_number, run.timestamp)
        return points, runs

    def add(self, receiver: Receiver, missed: Sequence[RtpRun] = ()) -> None:
        """Send to `receiver` from now on; at once, where the wall clock stands (RFC 3550 §6.4.1).

        missed: what `join` gave for it.
        """
        for line in range(len(self.lines)):
            receiver.report(line, self._sender_report(line))
        receiver.catch_up(missed)
        self._receivers.append(receiver)

    def remove(self, receiver: Receiver) -> None:
        """Send nothing more to `receiver`; the feed rests when it was the last."""
        if receiver in self._receivers:
            self._receivers.remove(receiver)
            if not self._receivers:
                self._feed.stop()

    def send(self, run: RtpRun) -> None:
        count = self._counts[run.line]
        count[0] += run.packet_count
        count[1] += run.payload_bytes
        for receiver in self._receivers:
            receiver.send(run)

    def tell(self, line: int, packet: bytes) -> None:
        for receiver in self._receivers:
            receiver.report(line, packet)

    def end(self) -> None:
        """The stream is over: end the session of every client that plays."""
        for receiver in list(self._receivers):
            receiver.end()

    def report_when_due(self) -> None:
        """Send sender reports when the last ones are REPORT_INTERVAL_S old."""
        now_ns = self._clock.monotonic_ns()
        if not self._receivers or now_ns < self._report_due_ns:
            return
        self._report_due_ns = now_ns + round(REPORT_INTERVAL_S * 1e9)
        for line in range(len(self.lines)):
            self.tell(line, self._sender_report(line))

    def farewell(self, line: int) -> bytes:
        """The RTCP packet that ends a line (RFC 3550 §6.6)."""
        ssrc = self.lines[line].ssrc
        return rtcp.pack([rtcp.ReceiverReport(ssrc), rtcp.Bye((ssrc,))])

    def _sender_report(self, line: int) -> bytes:
        ssrc = self.lines[line].ssrc
        packets, octets = self._counts[line]
        ntp = rtcp.unix_ns_to_ntp(self._clock.wall_ns())
        timestamp = self._feed.rtp_timestamp(line, self._clock.monotonic_ns())
        return rtcp.pack(
            [
                rtcp.SenderReport(ssrc, ntp, timestamp, packets, octets),
                rtcp.SourceDescription(ssrc, CNAME),
            ]
        )
