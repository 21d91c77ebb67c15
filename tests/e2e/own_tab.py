"""A tab of Chromium that another one can hide.

Playwright keeps every page that it knows in the foreground (Emulation.setFocusEmulationEnabled), so none is ever hidden
to itself. A tab of a browser context that it does not know is left alone, and spoken to here by the protocol of the
developer tools, through Playwright's own connection.
"""

import itertools
import json
from typing import Any

from playwright.sync_api import Browser, CDPSession
from tests.e2e.system import wait_for

FOREGROUND = [
    "--disable-background-timer-throttling",
    "--disable-backgrounding-occluded-windows",
    "--disable-renderer-backgrounding",
]
"""What Playwright starts Chromium with, so that hidden tabs are treated like any other: not for tests of hidden ones."""


class OwnTab:
    """One tab, and an empty one that hides it. Closed with its context."""

    def __init__(self, browser: Browser, before_page: str = "") -> None:
        """before_page: a script for every page, before its own."""
        self._protocol: CDPSession = browser.new_browser_cdp_session()
        self._protocol.on("Target.receivedMessageFromTarget", self._take)
        self._context: str = self._protocol.send("Target.createBrowserContext")["browserContextId"]
        self._other, self._tab = self._new_tab(), self._new_tab()
        attach = {"targetId": self._tab, "flatten": False}
        self._session: str = self._protocol.send("Target.attachToTarget", attach)["sessionId"]
        self._numbers = itertools.count(1)
        self._answers: dict[int, dict[str, Any]] = {}
        self._call("Page.enable")
        self._call("Page.addScriptToEvaluateOnNewDocument", source=before_page)

    def goto(self, url: str) -> None:
        self._call("Page.navigate", url=url)
        wait_for(f"{url} loaded", lambda: self.evaluate("document.readyState") == "complete")

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, or what its promise brings."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def hide(self) -> None:
        self._protocol.send("Target.activateTarget", {"targetId": self._other})
        wait_for("the tab hidden", lambda: self.evaluate("document.visibilityState") == "hidden")

    def show(self) -> None:
        self._protocol.send("Target.activateTarget", {"targetId": self._tab})
        wait_for("the tab shown", lambda: self.evaluate("document.visibilityState") == "visible")

    def freeze(self) -> None:
        """As browsers do with a hidden tab to save memory or a battery: nothing of the page runs, media is paused."""
        self._call("Page.setWebLifecycleState", state="frozen")

    def thaw(self) -> None:
        self._call("Page.setWebLifecycleState", state="active")

    def close(self) -> None:
        self._protocol.send("Target.disposeBrowserContext", {"browserContextId": self._context})
        self._protocol.detach()

    def _new_tab(self) -> str:
        place = {"url": "about:blank", "browserContextId": self._context}
        return str(self._protocol.send("Target.createTarget", place)["targetId"])

    def _call(self, method: str, **params: Any) -> dict[str, Any]:
        number = next(self._numbers)
        message = json.dumps({"id": number, "method": method, "params": params})
        self._protocol.send("Target.sendMessageToTarget", {"sessionId": self._session, "message": message})
        wait_for(f"the answer to {method}", lambda: self._has_come(number))
        answer = self._answers.pop(number)
        assert "error" not in answer, f"{method}: {answer['error']}"
        return dict(answer["result"])

    def _has_come(self, number: int) -> bool:
        """Playwright takes events while it talks to the browser."""
        if number not in self._answers:
            self._protocol.send("Browser.getVersion")
        return number in self._answers

    def _take(self, event: dict[str, str]) -> None:
        message = json.loads(event["message"])
        if "id" in message:
            self._answers[message["id"]] = message
