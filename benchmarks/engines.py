"""Collection and extraction on blogs of other engines and themes than the sample's, beside public extractors.

Every blog is built from the same texts, served on loopback, and collected from its front page alone. `f1`
is the mean token F1 of the posts that were found, `paragraphs` the share of their blocks that came through
whole. `without_feed` is the same blog with its feeds away: nothing then shows what the author's text is.
Peers read single pages and are told which of them are posts. `ratios` count every post: one that the
collector did not find, or whose page a peer cannot read, has an F1 of 0.

--quick leaves out the real engines, which have to be installed: blogs of templates (blogs/handmade) and of
themes drawn at random (blogs/themes) need nothing. `--seeds 101 102` draws themes that nobody has seen yet.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from blogs import (
    drawn,
    handmade,
    hosted,
    node_engines,
    python_engines,
    score,
    system_engines,
    themes,
    wordpress,
)
from blogs.peers import read_by_peers
from blogs.real import CannotBuild
from blogs.serving import serving
from blogs.texts import Text, texts
from machine import Measured, run

CACHE = Path.home() / ".cache" / "llm-twin-bench"
REAL = (*python_engines.ENGINES, *node_engines.ENGINES, *system_engines.ENGINES, *wordpress.ENGINES)
SEEDS = range(1, 13)
HOST = "gauge.example"  # the host that the blogs are built for


def main() -> None:
    run("engines", __doc__, measure, arguments)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--only", nargs="*", help="names of blogs; parts of names will do")
    parser.add_argument("--seeds", nargs="*", type=int, help="themes to draw at random")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where engines are installed")
    parser.add_argument("--keep", type=Path, help="a folder that the built blogs are left in")
    parser.add_argument("--no-peers", action="store_true", help="measure the collector alone")


def measure(options: argparse.Namespace) -> Measured:
    figures: dict[str, Any] = {}
    peers: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for name, folder, addresses in blogs(options, options.keep or Path(scratch)):
            figures[name], found = on_blog(folder, addresses, not options.no_peers)
            for peer, value in found.items():
                peers.setdefault(peer, {})[name] = value
            print(f"{name}: {summary(figures[name])}", file=sys.stderr, flush=True)
    mean = overall(figures)
    return Measured({"mean": mean, **figures}, peers, ratios(mean["f1_of_all"], peers))


def blogs(options: argparse.Namespace, out: Path) -> Iterator[tuple[str, Path, Mapping[str, Text]]]:
    """Build the blogs that were asked for: name, folder, posts by path key."""
    listed = texts()

    def wanted(name: str) -> bool:
        return not options.only or any(part in name for part in options.only)

    for engine in hosted.ENGINES:
        if wanted(engine.name):
            addresses = handmade.build(engine, listed, out / engine.name)
            yield engine.name, out / engine.name, {score.path_key(p): t for p, t in addresses.items()}
    for seed in options.seeds if options.seeds is not None else SEEDS:
        if wanted(name := f"drawn-{seed}"):
            addresses = drawn.build(themes.draw(seed), listed, emptied(out / name))
            yield name, out / name, {score.path_key(p): t for p, t in addresses.items()}
    for real in () if options.quick else REAL:
        if wanted(real.name):
            try:
                folder = real.build(listed, emptied(out / real.name), options.cache)
            except CannotBuild as why:
                print(f"{real.name}: skipped: {why}", file=sys.stderr, flush=True)
                continue
            yield real.name, folder, {score.path_key(real.address(t)): t for t in listed}


def emptied(folder: Path) -> Path:
    """A folder with nothing in it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def on_blog(
    folder: Path, addresses: Mapping[str, Text], with_peers: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Figures of the collector with and without feeds, and of its peers, on one blog."""
    with serving(folder, HOST) as base:
        figures = score.collected(base, addresses)
        pages = {path: page for path in addresses if (page := fetched(base + path))} if with_peers else {}
    with serving(folder, HOST, feeds=False) as base:
        figures["without_feed"] = score.collected(base, addresses)
    return figures, read_by_peers(pages, addresses) if with_peers else {}


def fetched(url: str) -> str:
    """A page as text, "" where the server has none."""
    from llm_twin.collect.pages.page import decode

    for address in (url, f"{url}.html", f"{url}.htm"):
        try:
            with urllib.request.urlopen(address, timeout=10) as answer:
                return decode(answer.read(), answer.headers.get("Content-Type", ""))
        except OSError:
            continue
    return ""


def summary(figures: Mapping[str, Any]) -> str:
    """One line for people."""

    def short(found: Mapping[str, Any]) -> str:
        keys = ("f1", "paragraphs", "titles", "dates")
        listed = " ".join(f"{k} {found.get(k, '-')}" for k in keys)
        return f"{found['found']}/{found['posts']} {listed} extra {len(found.get('not_posts', ()))}"

    return f"{short(figures)} | without feed: {short(figures['without_feed'])}"


def overall(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Means over the blogs, each counting the same; a post that was not found is 0 in `f1_of_all`."""
    found: dict[str, Any] = {"blogs": len(figures)}
    without = [f["without_feed"] for f in figures.values()]
    for label, each in (("", list(figures.values())), ("_without_feed", without)):
        found[f"found{label}"] = score.mean([f["found"] / f["posts"] for f in each])
        found[f"f1{label}"] = score.mean([f.get("f1", 0.0) for f in each])
        found[f"f1_of_all{label}"] = score.mean([f.get("f1", 0.0) * f["found"] / f["posts"] for f in each])
        for key in ("paragraphs", "titles", "dates"):
            found[f"{key}{label}"] = score.mean([f.get(key, 0.0) for f in each])
        found[f"not_posts{label}"] = sum(len(f.get("not_posts", ())) for f in each)
    return found


def ratios(own_f1: float, peers: Mapping[str, Any]) -> dict[str, float]:
    """Errors (1 - F1) of every peer over the collector's, of all posts: above 1 the collector errs less."""
    own, found = 1 - own_f1, {}
    for name, each in peers.items():
        values = [v["f1"] for v in each.values() if isinstance(v, dict)]
        if values and own > 0:
            found[f"{name}_error"] = round((1 - score.mean(values)) / own, 2)
    return found


if __name__ == "__main__":
    main()
