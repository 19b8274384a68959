"""How the demo's story is told on the terminal."""

from __future__ import annotations

import shlex
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from llm_twin.cli import show
from llm_twin.cli.talk import sources

if TYPE_CHECKING:
    from llm_twin.compose import Story
    from llm_twin.contracts.records import Answer


def tell(story: Story, folder: Path, as_json: bool) -> None:
    """Print what happened, base next to twin, and what to type next."""
    collected, built, trained = story.collected, story.built, story.trained
    test = trained.evaluation.bits_per_byte
    if as_json:
        show.result(_as_json(story), True)
        return
    posts = collected.posts_new + collected.posts_changed + collected.posts_unchanged
    took = sum(story.seconds.values())
    show.say(
        f"\nCollected {posts} posts over HTTP "
        f"with {collected.requests} requests; {sum(collected.refused.values())} pages were not posts."
    )
    show.say(f"Built {built.version}: {built.chunks} passages in Qdrant, {built.samples} training samples.")
    show.say(
        f"Trained {trained.version} on it: {trained.run.tokens} tokens, "
        f"{trained.run.tokens_per_s:.0f} a second."
    )
    show.say(
        f"Bits per byte on posts it never saw: base {test['base'].value:.3f}, "
        f"twin {test['adapter'].value:.3f} "
        f"({1 - test['adapter'].value / test['base'].value:.1%} fewer). {trained.verdict.reason}"
    )
    for exchange in story.exchanges:
        show.say(f"\n{'=' * 100}\n> {exchange.request}")
        for who, answer in (("base", exchange.base), ("twin", exchange.twin)):
            show.say(f"\n--- {who}\n{_wrapped(answer)}")
        show.say(sources(exchange.twin))
    stages = ", ".join(f"{stage} {seconds:.0f} s" for stage, seconds in story.seconds.items())
    show.say(f"\n{'=' * 100}\nDone in {took:.0f} s ({stages}). Now talk to the twin yourself:\n")
    show.say(f"    {chat_in(folder)}\n")


def _wrapped(answer: Answer) -> str:
    return "\n".join(textwrap.fill(line, 100) for line in answer.text.splitlines())


def chat_in(folder: Path) -> str:
    """The command that opens a chat, as the user can type it: by its path where it is not on PATH."""
    import shutil
    import sys

    own = Path(sys.argv[0])
    if shutil.which("llm-twin") or not own.exists():
        own = Path("llm-twin")
    elif own.is_relative_to(Path.cwd()):
        own = own.relative_to(Path.cwd())
    return shlex.join([str(own), "chat", "--workspace", str(folder)])


def _as_json(story: Story) -> dict[str, object]:
    test = story.trained.evaluation.bits_per_byte
    return {
        "collect": asdict(story.collected),
        "features": asdict(story.built),
        "version": story.trained.version,
        "tokens_per_s": story.trained.run.tokens_per_s,
        "bits_per_byte": {name: score.value for name, score in test.items()},
        "live": story.trained.live,
        "exchanges": [
            {
                "request": e.request,
                "base": e.base.model_dump(mode="json"),
                "twin": e.twin.model_dump(mode="json"),
            }
            for e in story.exchanges
        ],
        "seconds": story.seconds,
    }
