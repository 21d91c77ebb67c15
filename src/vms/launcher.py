"""The main process of a system: small, so that it does not fail; it starts the supervisor, and starts it again.

``python -m vms.launcher [--stop-limit SECONDS] [--json-logs] -- COMMAND …`` runs COMMAND, the supervisor, and
  - starts it again in less than a second when it dies or hangs, while everything that it started goes on;
  - keeps its file descriptors (listening sockets, the lock of the data directory) and gives them to the next one;
  - passes SIGTERM, SIGINT and SIGHUP on to it, and waits until all is closed;
  - reaps what has lost its parent, as process 1 of a container must;
  - holds the lifeline: a pipe whose reading end every process has. Its end of file means that the launcher is gone.

Exit status: the supervisor's, when that ended in order or refused its first start; 128 + the signal's number when it
was killed while it stopped.

Belongs here: the standard library alone, and little of it: what fails here takes the system down. Does not: workers
(vms.supervisor), configuration (vms.app).
"""

import json
import os
import select
import signal
import socket
import sys
import time
from collections.abc import Sequence

# What the supervisor finds in its environment (vms.supervisor.launcher_link)
LIFELINE_VARIABLE = "VMS_LIFELINE_FD"
LINK_VARIABLE = "VMS_LAUNCHER_FD"
STORE_VARIABLE = "VMS_FD_STORE"
RESTARTS_VARIABLE = "VMS_SUPERVISOR_RESTARTS"

# What it says over the link, one datagram each; the words are those of sd_notify(3)
READY = b"READY=1"
ALIVE = b"WATCHDOG=1"
STORE = b"FDSTORE=1\nFDNAME="
FORGET = b"FDSTOREREMOVE=1\nFDNAME="

STOP_LIMIT_S = 60.0  # above the sum of the supervisor's own limits
STRAYS_S = 5.0  # for what a supervisor left behind that ended in order
HUNG_S = 10.0
FIRST_DELAY_S = 0.1
LONGEST_DELAY_S = 5.0
STEADY_S = 10.0  # a supervisor that lived this long did not die of its start
TICK_S = 1.0
KILL_TICK_S = 0.1  # a killed process hands its children to us: again until none is left
MOST_STORED = 128

_PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_STOPPING_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def command(supervisor: Sequence[str], *, json_logs: bool = False) -> list[str]:
    """The argv to exec into, so that `supervisor` (an argv) runs under a launcher. No site-packages: less memory."""
    options = ["--json-logs"] if json_logs else []
    return [sys.executable, "-I", "-S", __file__, *options, "--", *supervisor]


class Launcher:
    """Runs one supervisor at a time until it ends in order. `run` is to be called once, in the main thread."""

    def __init__(
        self, argv: Sequence[str], *, stop_limit_s: float = STOP_LIMIT_S, json_logs: bool = False
    ) -> None:
        self._argv = list(argv)
        self._stop_limit_s = stop_limit_s
        self._json_logs = json_logs
        self._poll = select.poll()
        self._lifeline, self._lifeline_end = os.pipe()  # (every process reads, we alone could write)
        self._stored: dict[str, int] = {}
        self._link: socket.socket | None = None
        self._pid: int | None = None
        self._started_at = 0.0
        self._start_at: float | None = None  # when the next supervisor is due
        self._delay_s = FIRST_DELAY_S
        self._lives = 0
        self._ready = False  # this supervisor said so
        self._was_ready = False  # any did
        self._reload = False  # SIGHUP came before there was anyone to take it
        self._silent_s: float | None = None  # None: it has not begun to say that it is alive
        self._stopping = False
        self._passed: int | None = None  # the signal that stops the supervisor, once it was sent
        self._kill_at: float | None = None
        self._killing = False
        self._status: int | None = None  # ours, once nothing is left to do but wait for the rest

    def run(self) -> int:
        """Returns the exit status when no process is left."""
        _become_subreaper()
        _close_on_exec()
        # One that was told not to mind (nohup) does not
        had_terminal = _has_terminal() and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
        wakeup = _signals_as_bytes()
        self._poll.register(wakeup, select.POLLIN)
        self._start()
        ticked_at = time.monotonic()
        while True:
            self._poll.poll(1000 * max(0.0, self._wait_s()))
            for number in _read(wakeup):
                self._signalled(number, hung_up=had_terminal and not _has_terminal())
            self._listen()
            left = self._reap()
            if self._status is not None and not left:
                return self._status
            now = time.monotonic()
            self._tick(now, now - ticked_at)
            ticked_at = now

    def _wait_s(self) -> float:
        dues = [at for at in (self._start_at, self._kill_at) if at is not None]
        return min([TICK_S, *(at - time.monotonic() for at in dues)])

    def _tick(self, now: float, passed_s: float) -> None:
        if self._start_at is not None and now >= self._start_at:
            self._start()
        if self._kill_at is not None and now >= self._kill_at:
            if not self._killing:
                self._say("killing what has not stopped", limit_s=self._stop_limit_s)
            self._killing = True
            self._kill_at = now + KILL_TICK_S
            _kill_children()
        if self._pid is not None and self._silent_s is not None and not self._stopping:
            # A machine that stood still is no silence of the supervisor's: it counts for two ticks at most
            self._silent_s += min(passed_s, 2 * TICK_S)
            if self._silent_s > HUNG_S:
                self._say("the supervisor hangs; killing it", silent_s=round(self._silent_s, 1))
                self._silent_s = None
                os.kill(self._pid, signal.SIGKILL)

    def _start(self) -> None:
        self._start_at = None
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        passed = [self._lifeline, theirs.fileno(), *self._stored.values()]
        environment = dict(os.environ) | {
            LIFELINE_VARIABLE: str(self._lifeline),
            LINK_VARIABLE: str(theirs.fileno()),
            STORE_VARIABLE: ",".join(f"{name}={number}" for name, number in self._stored.items()),
            RESTARTS_VARIABLE: str(self._lives),
        }
        self._started_at = time.monotonic()
        self._ready, self._silent_s = False, None
        self._lives += 1
        try:
            self._pid = os.posix_spawnp(
                self._argv[0],
                self._argv,
                environment,
                # A descriptor copied onto itself is one that survives exec
                file_actions=[(os.POSIX_SPAWN_DUP2, number, number) for number in passed],
                setsid=True,  # Ctrl+C reaches the launcher alone, which passes it on
                setsigmask=[],
                setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, *_STOPPING_SIGNALS, signal.SIGHUP],
            )
        except OSError as error:
            ours.close()
            self._say("the supervisor cannot be started", command=self._argv[0], reason=error.strerror)
            self._ended(127)
            return
        finally:
            theirs.close()
        self._link = ours
        self._poll.register(ours, select.POLLIN)

    def _signalled(self, number: int, *, hung_up: bool) -> None:
        if number == signal.SIGHUP and not hung_up:
            self._reload = True
            self._pass_reload()
        elif number in (*_STOPPING_SIGNALS, signal.SIGHUP) and not self._stopping:
            # Passed on once: one that comes while the supervisor takes its handlers down would kill it
            self._stopping = True
            self._kill_at = time.monotonic() + self._stop_limit_s
            if self._pid is not None:
                self._passed = signal.SIGTERM if number == signal.SIGHUP else number
                os.kill(self._pid, self._passed)
            elif self._status is None:
                self._leave(0)

    def _pass_reload(self) -> None:
        if self._reload and self._ready and self._pid is not None:
            self._reload = False
            os.kill(self._pid, signal.SIGHUP)

    def _listen(self) -> None:
        """Take what the supervisor says; what a dead one said last counts too."""
        while self._link is not None:
            try:
                said, received, _, _ = socket.recv_fds(self._link, 512, 1)
            except BlockingIOError:
                return
            except OSError:
                said, received = b"", []
            if not said:
                self._poll.unregister(self._link)
                self._link.close()
                self._link = None
            self._heard(said, received)

    def _heard(self, said: bytes, received: list[int]) -> None:
        name = said.rpartition(b"=")[2].decode("ascii", "replace")
        if said == READY:
            self._ready = self._was_ready = True
            self._pass_reload()
        elif said == ALIVE:
            self._silent_s = 0.0
        elif said.startswith(STORE) and received and len(self._stored) < MOST_STORED:
            os.set_inheritable(received[0], False)
            self._forget(name)
            self._stored[name] = received.pop()
        elif said.startswith(FORGET):
            self._forget(name)
        for number in received:
            os.close(number)

    def _forget(self, name: str) -> None:
        number = self._stored.pop(name, None)
        if number is not None:
            os.close(number)

    def _reap(self) -> bool:
        """Take the exit status of every child that ended. Returns whether any lives."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self._pid:
                self._pid = None
                self._listen()
                self._ended(os.waitstatus_to_exitcode(status))

    def _ended(self, code: int) -> None:
        if code < 0 and -code == self._passed:
            code = 0  # it had no handlers yet, and nothing to put in order
        refused = code > 0 and not self._was_ready
        if code == 0 or refused or self._stopping:
            self._leave(128 - code if code < 0 else code)
            return
        lived_s = time.monotonic() - self._started_at
        self._delay_s = FIRST_DELAY_S if lived_s > STEADY_S else self._delay_s
        self._say("the supervisor died; starting it again", status=code, after_s=self._delay_s)
        self._start_at = time.monotonic() + self._delay_s
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)

    def _leave(self, status: int) -> None:
        """Exit with `status` once every process has gone: by the lifeline, or killed at the limit."""
        self._status = status
        self._start_at = None
        self._stopping = True
        os.close(self._lifeline_end)
        for name in list(self._stored):
            self._forget(name)
        now = time.monotonic()
        rest_s = STRAYS_S if status == 0 else self._stop_limit_s
        self._kill_at = min(self._kill_at or now + self._stop_limit_s, now + rest_s)

    def _say(self, event: str, **facts: object) -> None:
        if self._json_logs:
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
            line = json.dumps(
                {"event": event, "level": "error", "logger": "vms.launcher", "timestamp": stamp} | facts
            )
        else:
            line = " ".join([f"launcher: {event}", *(f"{name}={value}" for name, value in facts.items())])
        try:
            sys.stderr.write(line + "\n")
            sys.stderr.flush()
        except OSError:
            pass  # a terminal that was closed must not end the system


def _become_subreaper() -> None:
    import ctypes

    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_CHILD_SUBREAPER)")


def _close_on_exec() -> None:
    """Hand on nothing that whoever started us left open, standard streams apart."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208 - pathlib is not worth its memory here
        number = int(name)
        if number > 2 and os.path.exists(f"/proc/self/fd/{number}"):  # noqa: PTH110
            os.set_inheritable(number, False)


def _signals_as_bytes() -> int:
    """A pipe that each signal puts its number into; SIGCHLD too."""
    read, write = os.pipe()
    os.set_blocking(read, False)
    os.set_blocking(write, False)
    signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    for number in (*_STOPPING_SIGNALS, signal.SIGHUP, signal.SIGCHLD):
        signal.signal(number, lambda *_: None)
    return read


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 4096)
    except BlockingIOError:
        return b""


def _has_terminal() -> bool:
    """Whether there is a controlling terminal: SIGHUP means "reload", but the end when that was closed."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _kill_children() -> None:
    ours = str(os.getpid())
    for name in os.listdir("/proc"):  # noqa: PTH208
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:  # noqa: PTH123
                parent = stat.read().rpartition(b")")[2].split()[1].decode()
        except OSError:
            continue  # it ended meanwhile
        if parent == ours:
            os.kill(int(name), signal.SIGKILL)


def main(arguments: Sequence[str]) -> int:
    """Run the command behind ``--``; see the module's description."""
    options, found, argv = _split(arguments)
    stop_limit_s = STOP_LIMIT_S
    json_logs = False
    while options:
        option = options.pop(0)
        if option == "--stop-limit" and options:
            stop_limit_s = float(options.pop(0))
        elif option == "--json-logs":
            json_logs = True
        else:
            found = False
    if not found or not argv:
        sys.stderr.write("usage: python -m vms.launcher [--stop-limit SECONDS] [--json-logs] -- COMMAND …\n")
        return 2
    return Launcher(argv, stop_limit_s=stop_limit_s, json_logs=json_logs).run()


def _split(arguments: Sequence[str]) -> tuple[list[str], bool, list[str]]:
    words = list(arguments)
    if "--" not in words:
        return words, False, []
    at = words.index("--")
    return words[:at], True, words[at + 1 :]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
