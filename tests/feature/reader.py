"""A reader in a process of its own: opens a version as serving does, and searches until it is told to stop.

    python -m tests.feature.reader WORKSPACE VERSION

Says "open" when it has the version, then reads standard input to its end; what it reads of the version first
after that, the samples, it reads from files that another process may have wanted to delete. Prints the number
of searches.
"""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from llm_twin import compose
from llm_twin.feature.index import open_index


def main() -> None:
    space = compose.open_workspace(Path(sys.argv[1]))
    version = compose.feature_version(space, sys.argv[2])
    index = open_index(version, compose.vector_store(space), space.workspace)
    told = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), told.set()), daemon=True).start()
    searches = 0
    print("open", flush=True)
    while not told.is_set():
        assert compose.feature_version(space, sys.argv[2]).manifest == version.manifest
        assert {
            hit.chunk_id for hit in index.hybrid(version.vectors[0], "walnuts", 5)
        } <= version.chunks.keys()
        assert compose.list_features(space)
        searches += 1
    assert len(version.samples) == version.manifest.counts["samples"]
    assert len(version.posts) == version.manifest.counts["posts"]
    index.close()
    print(searches)


if __name__ == "__main__":
    main()
