"""Collects an author's posts into the library.

with Library(workspace.library) as library:
    report = run(["https://example.org/"], config.collect, library, progress)
"""

from llm_twin.collect.item import Rejected
from llm_twin.collect.library import Counts, Library, Revision
from llm_twin.collect.report import CollectReport
from llm_twin.collect.run import ACCEPTED, run

__all__ = ["ACCEPTED", "CollectReport", "Counts", "Library", "Rejected", "Revision", "run"]
