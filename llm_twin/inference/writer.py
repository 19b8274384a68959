"""The twin's core: one feature version, one model version, and the three things it does with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain

from llm_twin.config import Config, Generation
from llm_twin.contracts import prompts
from llm_twin.contracts.ports import LONGEST_REPEAT, ChatTokenizer, Engine, Sampling
from llm_twin.contracts.prose import PROSE, blocks, join, prose
from llm_twin.contracts.records import Message
from llm_twin.contracts.versions import BASE, FeatureVersion
from llm_twin.errors import ConfigError, MismatchError, TwinError, VersionNotFound
from llm_twin.inference.context import Prompt, answering, fitted, search_text
from llm_twin.inference.refusal import refusal
from llm_twin.inference.reply import Clock, Reply, Tally, generate
from llm_twin.inference.retrieve import Retriever
from llm_twin.inference.words import checked, points, sentences


class Writer:
    """Answers, writes and rewrites in the author's voice.

    Raises MismatchError where the feature version was made with another prompt version, VersionNotFound where
    the engine does not serve `model`.
    """

    def __init__(
        self,
        features: FeatureVersion,
        retriever: Retriever,
        tokenizer: ChatTokenizer,
        engine: Engine,
        model: str,
        config: Config,
    ) -> None:
        made = features.manifest.prompt.version
        if made != prompts.PROMPT_VERSION:
            raise MismatchError(
                f"{features.name} was made with prompt version {made}, this program has "
                f"{prompts.PROMPT_VERSION}",
                "Build it again: llm-twin features build",
            )
        if model not in engine.models:
            raise VersionNotFound(
                f"The engine does not serve {model} (it has {', '.join(engine.models)})",
                "Choose one of llm-twin models list",
            )
        self.features = features
        self.retriever = retriever
        self.tokenizer = tokenizer
        self.engine = engine
        self.model = model
        self.config = config
        self.author = features.manifest.prompt.author

    @property
    def sampling(self) -> Sampling:
        """How text is made unless a call says otherwise: the configuration's values."""
        return _sampling(self.config.generation)

    @property
    def rewriting(self) -> Sampling:
        """How texts are rewritten: by a twin as `rewriting` says, by the base with the penalty on repeating.

        The base has not learnt to keep to the words it is given, and goes round in circles without.
        """
        given = self.config.generation
        written = rewriting(given)
        return replace(written, repeat_penalty=given.repeat_penalty) if self.model == BASE else written

    @property
    def context(self) -> int:
        """Tokens that prompt and answer may take together."""
        return min(self.config.generation.context, self.engine.context)

    def ask(self, question: str, history: Sequence[Message] = (), sampling: Sampling | None = None) -> Reply:
        """Answer from the posts, or say that they do not answer it.

        Retrieval is done before this returns, so its errors come here and the citations are known; text is
        made as the reply is iterated. Raises TwinError for an empty question, one that cannot fit, and text
        that is no valid Unicode.
        """
        if not checked(question, "question").strip():
            raise TwinError("The question is empty", "Ask something")
        for message in history:
            checked(message.content, "conversation")
        clock, tally, sampling = Clock(), Tally(), sampling or self.sampling
        query = search_text(question, history)
        self.retriever.vector(query)
        clock.mark("embed")
        hits = self.retriever.search(query, self.config.retrieval.k, by="chunk")
        confidence = self.retriever.confidence(query, hits)
        clock.mark("retrieve")
        if confidence < self.config.retrieval.refuse_below:
            text = refusal(question, hits[0] if hits else None)
            return Reply(iter((text,)), self.model, self.features.name, clock, tally, refused=True)
        prompt = answering(question, hits, history, self.author, self.tokenizer, self._budget(sampling))
        return self._reply((prompt,), clock, tally, sampling)

    def write(
        self,
        topic: str,
        sampling: Sampling | None = None,
        outline: str | None = None,
        so_far: str | None = None,
    ) -> Reply:
        """A post on a topic; one that follows an outline, a point a line; or what follows in a post.

        Of `so_far`, the Markdown of a post that was begun, the model sees the last blocks of prose, as in
        training (see `prompts.continued`), and only what follows is said. Raises TwinError for an empty
        topic, outline or text, for both of them together, for what cannot fit, and for what is no valid
        Unicode.
        """
        checked(so_far or "", "text to continue")
        if not checked(topic, "topic").strip():
            raise TwinError("The topic is empty", "Name one")
        clock, sampling = Clock(), sampling or self.sampling
        messages, what = self._writing(topic.strip(), outline, so_far)
        prompt = fitted(messages, self.tokenizer, self._budget(sampling), what)
        return self._reply((prompt,), clock, Tally(), sampling)

    def _writing(
        self, topic: str, outline: str | None, so_far: str | None
    ) -> tuple[tuple[Message, ...], str]:
        """The prompt, and what to call the text in it that may be too long."""
        if outline is not None and so_far is not None:
            raise TwinError("Both an outline and a text to continue were given", "Give one of them")
        if so_far is not None:
            if not prose(so_far).strip():
                raise TwinError("The text to continue holds no prose", "Give it a paragraph at least")
            return prompts.continued(self.author, topic, so_far), "The last paragraph of the text"
        if outline is not None:
            found = points(checked(outline, "outline"))
            if not found:
                raise TwinError("The outline is empty", "Give it a point a line")
            return prompts.outlined(self.author, topic, found), "The outline"
        return prompts.write(self.author, topic), "The topic"

    def rewrite(self, text: str, sampling: Sampling | None = None) -> Reply:
        """A plain text in the author's voice, paragraph by paragraph; headings, code and quotations stay.

        Raises TwinError for an empty text, for one sentence that cannot fit, and for no valid Unicode.
        """
        if not checked(text, "text").strip():
            raise TwinError("The text is empty", "Give it something to rewrite")
        clock, tally, sampling = Clock(), Tally(), sampling or self.rewriting
        budget = self._budget(sampling)
        parts: list[str | Prompt] = []
        for block in blocks(text):
            raw = text[block.start : block.end]
            if block.kind == "heading" or block.kind not in PROSE:
                parts.append(raw)
            else:
                parts += self._prompts_of(join(text, [(block.start, block.end)]), budget)
        return self._reply(parts, clock, tally, sampling)

    def _prompts_of(self, paragraph: str, budget: int) -> list[Prompt]:
        whole = prompts.rewrite(self.author, paragraph)
        spans = sentences(paragraph)
        if len(self.tokenizer.encode_chat(whole)) <= budget or len(spans) < 2:
            return [fitted(whole, self.tokenizer, budget, "A sentence of the text")]
        middle = spans[len(spans) // 2][0]
        halves = paragraph[:middle].rstrip(), paragraph[middle:]
        return [p for half in halves for p in self._prompts_of(half, budget)]

    def _budget(self, sampling: Sampling) -> int:
        budget = self.context - sampling.max_tokens
        if budget <= 0:
            raise ConfigError(
                [f"max_tokens = {sampling.max_tokens} leaves no room for a prompt in {self.context} tokens"],
                "generation",
            )
        return budget

    def _reply(self, parts: Sequence[str | Prompt], clock: Clock, tally: Tally, sampling: Sampling) -> Reply:
        citations = next((p.citations for p in parts if isinstance(p, Prompt)), ())
        pieces = self._pieces(parts, sampling, tally)
        return Reply(pieces, self.model, self.features.name, clock, tally, citations)

    def _pieces(self, parts: Sequence[str | Prompt], sampling: Sampling, tally: Tally) -> Iterator[str]:
        for n, part in enumerate(parts):
            gap = ("\n\n",) if n else ()
            if isinstance(part, str):
                yield from chain(gap, (part,))
            else:
                yield from chain(
                    gap, generate(self.engine, self.tokenizer, part, self.model, sampling, tally)
                )


def rewriting(given: Generation) -> Sampling:
    """How a twin rewrites: as it makes text, but single words may be said again, and long runs may not.

    Its words are those of the prompt. With a penalty on these, a rewritten text kept a quarter of its names
    and numbers instead of half and invented more (docs/log.md).
    """
    return replace(_sampling(given), repeat_penalty=1.0, longest_repeat=LONGEST_REPEAT)


def _sampling(given: Generation) -> Sampling:
    return Sampling(
        max_tokens=given.max_tokens,
        temperature=given.temperature,
        top_p=given.top_p,
        min_p=given.min_p,
        repeat_penalty=given.repeat_penalty,
        seed=given.seed,
    )
