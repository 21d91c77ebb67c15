"""What is rendered is the least urgent work of the system."""

import os
import threading
from contextlib import suppress

NICENESS = 10


def be_nice() -> None:
    """Let everything else go before this thread, and before threads that it begins (Linux keeps niceness a thread)."""
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
