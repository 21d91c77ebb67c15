"""How the viewers of the fan-out bench and a server come to their descriptions.

Belongs here: the seam, and offers over a pipe to a server in a process of ours. Does not: Janus (_janus).
"""

from multiprocessing.connection import Connection
from typing import Protocol

from bench._viewer import SinkViewer


class Signalling(Protocol):
    """Made in the bench, opened in the viewers' process."""

    def open(self) -> None: ...
    def fileno(self) -> int:
        """Readable when `readable` has something to do."""

    def ask(self, viewer: SinkViewer) -> None:
        """Ask the server for its stream; the viewer's `accept` is called when the descriptions are there."""

    def readable(self) -> None:
        """Do what the server's next message asks for. Raises ConnectionError when the server refuses."""


class OfferPipe:
    """WHEP's exchange without HTTP: (number, offer) one way, (number, answer) back."""

    def __init__(self, pipe: Connection) -> None:
        self._pipe = pipe
        self._viewers: list[SinkViewer] = []

    def open(self) -> None:
        """It is."""

    def fileno(self) -> int:
        return self._pipe.fileno()

    def ask(self, viewer: SinkViewer) -> None:
        self._pipe.send((len(self._viewers), viewer.offer()))
        self._viewers.append(viewer)

    def readable(self) -> None:
        while self._pipe.poll():
            number, answer = self._pipe.recv()
            self._viewers[number].accept(answer)
