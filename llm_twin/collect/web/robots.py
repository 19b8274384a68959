"""robots.txt (RFC 9309), with the crawl-delay that many sites add: read once for each origin of a crawl."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from llm_twin.collect.web.pace import LONGEST_WAIT_S

if TYPE_CHECKING:
    from protego import Protego

MAX_BYTES = 512 * 1024  # RFC 9309, 2.5: at least 500 KiB must be read


class Robots:
    """The rules of the origins that a crawl meets; threads may share it.

    Args:
        agent: the product token that rules name the crawler by.
        read: the file at an address, empty where a site has none; what it raises is raised for every
            address of that origin, and the file is not asked for again.
    """

    def __init__(self, agent: str, read: Callable[[str], bytes]) -> None:
        self._agent = agent
        self._read = read
        self._known: dict[str, Protego | Exception] = {}
        self._lock = threading.Lock()

    def allows(self, url: str) -> bool:
        """Whether an address may be asked for."""
        return bool(self._rules(url).can_fetch(url, self._agent))

    def sitemaps(self, url: str) -> list[str]:
        """The sitemaps that the rules of an address's origin name."""
        return list(self._rules(url).sitemaps)

    def delay_s(self, url: str) -> float:
        """The pause that an origin asks for, as far as its rules have been read; at most the longest wait."""
        known = self._known.get(_origin(url))
        if known is None or isinstance(known, Exception):
            return 0.0
        asked = float(known.crawl_delay(self._agent) or 0)
        return min(asked, LONGEST_WAIT_S) if asked > 0 else 0.0  # "nan" is no pause

    def _rules(self, url: str) -> Protego:
        from protego import Protego

        origin = _origin(url)
        if origin not in self._known:
            with self._lock:
                if origin not in self._known:
                    try:
                        text = self._read(f"{origin}/robots.txt").decode("utf-8-sig", "replace")
                        self._known[origin] = Protego.parse(text)
                    except Exception as error:
                        self._known[origin] = error
        found = self._known[origin]
        if isinstance(found, Exception):
            raise found.with_traceback(None)
        return found


def _origin(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"
