from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import pytest
from doubles import AUTHOR, ByteTokenizer, ExactIndex, HashEmbedder, ScriptedEngine, seal

from llm_twin.config import Config
from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Piece, Sampling
from llm_twin.contracts.records import Message, Post
from llm_twin.contracts.versions import FeatureVersion
from llm_twin.errors import ConfigError, MismatchError, TwinError, VersionNotFound
from llm_twin.inference.retrieve import Retriever
from llm_twin.inference.writer import Writer

ANSWERED = "How did you mend the spout of the brass kettle?"
NONSENSE = "Which zebra governs the quantum opera of Saturn?"


def test_an_answer_names_everything_it_came_from(
    writer: Writer, engine: ScriptedEngine, features: FeatureVersion
) -> None:
    reply = writer.ask(ANSWERED)
    pieces = list(reply)
    answer = reply.answer
    assert "".join(pieces) == answer.text == "I read the board by hand. It says 1.82 m."
    assert (answer.model, answer.features, answer.refused) == ("v3", "F0001", False)
    assert answer.citations[0].title == "The brass kettle"
    for c in answer.citations:
        assert features.posts[c.post_id].markdown[c.start : c.end] == c.text
        assert c.url == features.posts[c.post_id].url
    assert list(answer.timings_ms) == ["embed", "retrieve", "first_token", "total"]
    values = list(answer.timings_ms.values())
    assert values == sorted(values), "each is counted from the start of the request"
    assert answer.tokens == len(engine.text.split(" "))
    assert engine.requests[0][1] == "v3"


def test_the_prompt_holds_the_passages_under_the_numbers_of_the_citations(
    writer: Writer, engine: ScriptedEngine
) -> None:
    answer = writer.ask(ANSWERED).finish()
    prompt = ByteTokenizer().decode(engine.requests[0][0])
    for c in answer.citations:
        assert f"[{c.number}] {c.title}" in prompt
        assert c.text in prompt
    assert AUTHOR in prompt


def test_a_rewritten_text_may_repeat_words_but_not_go_round_in_circles(
    writer: Writer, engine: ScriptedEngine
) -> None:
    writer.ask(ANSWERED).finish()
    writer.write("The brass kettle").finish()
    writer.rewrite("The kettle leaks.").finish()
    used = [sampling for _, _, sampling in engine.requests]
    assert [(s.repeat_penalty, s.longest_repeat) for s in used] == [(1.1, 0), (1.1, 0), (1.0, 5)]


def test_the_base_which_never_learnt_to_keep_to_them_may_less(make_writer: Callable[..., Writer]) -> None:
    sampling = make_writer("base").rewriting
    assert (sampling.repeat_penalty, sampling.longest_repeat) == (1.1, 5)


def test_nonsense_is_refused_without_asking_a_model(writer: Writer, engine: ScriptedEngine) -> None:
    answer = writer.ask(NONSENSE).finish()
    assert answer.refused
    assert answer.citations == ()
    assert engine.requests == []
    assert answer.tokens == 0
    assert any(title in answer.text for title in ("kettle", "herons", "ladder", "diesel")), answer.text
    assert "I" in answer.text.split() or "I've" in answer.text


def test_refusals_differ_between_questions_and_not_between_runs(writer: Writer) -> None:
    asked = [f"{NONSENSE} Number {n} of the xylophones?" for n in range(12)]
    first = [writer.ask(q).finish().text for q in asked]
    assert first == [writer.ask(q).finish().text for q in asked]
    assert len(set(first)) > 3


def test_a_follow_up_finds_what_the_question_before_it_was_about(writer: Writer) -> None:
    history = (Message(role="user", content=ANSWERED), Message(role="assistant", content="With solder."))
    assert writer.ask("And why?").finish().refused
    answer = writer.ask("And why?", history).finish()
    assert not answer.refused
    assert answer.citations[0].title == "The brass kettle"


def test_history_is_before_the_model(writer: Writer, engine: ScriptedEngine) -> None:
    history = (
        Message(role="user", content="Do you like tin?"),
        Message(role="assistant", content="Tolerably."),
    )
    writer.ask(ANSWERED, history).finish()
    shown = ByteTokenizer().decode(engine.requests[0][0])
    assert shown.index("Do you like tin?") < shown.index("Tolerably.") < shown.index("mend the spout")


def test_closing_a_reply_stops_the_engine_and_keeps_what_was_said(
    writer: Writer, engine: ScriptedEngine
) -> None:
    with writer.ask(ANSWERED) as reply:
        said = next(reply) + next(reply)
    assert engine.stopped == 1
    assert reply.answer.text == said
    assert reply.answer.tokens >= 2
    assert list(reply) == []


def test_ctrl_c_inside_the_engine_stops_it_and_leaves_an_answer(make_writer: Callable[..., Writer]) -> None:
    def interrupt(n: int) -> None:
        if n == 4:
            raise KeyboardInterrupt

    engine = ScriptedEngine(before=interrupt)
    reply = make_writer(engine=engine).ask(ANSWERED)
    said: list[str] = []
    with pytest.raises(KeyboardInterrupt):
        said.extend(iter(reply))
    assert engine.stopped == 1
    assert reply.ended
    assert reply.answer.text
    assert reply.answer.tokens == 3


def test_a_reply_closed_before_its_first_piece_never_starts_the_engine(
    writer: Writer, engine: ScriptedEngine
) -> None:
    reply = writer.ask(ANSWERED)
    with pytest.raises(ValueError, match="has not ended"):
        _ = reply.answer
    reply.close()
    assert reply.answer.text == ""
    assert engine.requests == []


def test_an_answer_that_reaches_max_tokens_says_so(make_writer: Callable[..., Writer]) -> None:
    reply = make_writer(generation={"max_tokens": 3}).ask(ANSWERED)
    assert reply.finish().tokens == 3
    assert reply.tally.cut


def test_write_uses_the_prompt_that_training_used(writer: Writer, engine: ScriptedEngine) -> None:
    answer = writer.write("Frost on the beam").finish()
    assert engine.requests[0][0] == tuple(
        ByteTokenizer().encode_chat(prompts.write(AUTHOR, "Frost on the beam"))
    )
    assert answer.citations == ()
    assert answer.text


def test_writing_by_an_outline_uses_the_prompt_that_training_used(
    writer: Writer, engine: ScriptedEngine
) -> None:
    outline = "# Before\n\n- the beam\n  * a nested *point*\n2. 3.11 m\n-5 degrees\n- \nplain"
    writer.write("Frost", outline=outline).finish()
    points = ["Before", "the beam", "a nested *point*", "3.11 m", "-5 degrees", "plain"]
    assert engine.requests[0][0] == tuple(
        ByteTokenizer().encode_chat(prompts.outlined(AUTHOR, "Frost", points))
    )


def test_continuing_uses_the_prompt_that_training_used_and_says_what_follows(
    writer: Writer, engine: ScriptedEngine
) -> None:
    text = "I read the board.\n\n```sh\ndate\n```\n\nThen I shut\nthe gate."
    answer = writer.write("Frost", so_far=text).finish()
    assert answer.text == "I read the board by hand. It says 1.82 m."
    shown = "I read the board.\n\nThen I shut the gate."
    expected = prompts.continued(AUTHOR, "Frost", shown)
    assert engine.requests[0][0] == tuple(ByteTokenizer().encode_chat(expected))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        ({"outline": " \n- \n"}, "outline is empty"),
        ({"so_far": "```\nx = 1\n```"}, "holds no prose"),
        ({"outline": "a", "so_far": "b"}, "Both an outline and a text"),
        ({"so_far": "word " * 4000}, "The last paragraph of the text is too long"),
        ({"outline": "- point\n" * 4000}, "The outline is too long"),
    ],
)
def test_an_outline_or_text_that_cannot_be_used_is_a_clear_error(
    writer: Writer, given: dict[str, str], what: str
) -> None:
    with pytest.raises(TwinError, match=what):
        writer.write("Frost", **given)  # type: ignore[arg-type]


def test_rewrite_goes_by_paragraph_and_leaves_code_and_headings(
    writer: Writer, engine: ScriptedEngine
) -> None:
    text = "# Tank\n\nDiesel waxes\nin the cold.\n\n```sh\ndate >> tank.txt\n```\n\nI add paraffin."
    answer = writer.rewrite(text).finish()
    said = "I read the board by hand. It says 1.82 m."
    assert answer.text == f"# Tank\n\n{said}\n\n```sh\ndate >> tank.txt\n```\n\n{said}"
    expected = [prompts.rewrite(AUTHOR, notes) for notes in ("Diesel waxes in the cold.", "I add paraffin.")]
    assert [r[0] for r in engine.requests] == [tuple(ByteTokenizer().encode_chat(m)) for m in expected]


def test_a_paragraph_beyond_the_context_is_cut_between_sentences(make_writer: Callable[..., Writer]) -> None:
    engine = ScriptedEngine("Done.")
    writer = make_writer(engine=engine, generation={"context": 512, "max_tokens": 64})
    paragraph = " ".join(f"Sentence number {n} says a little." for n in range(40))
    answer = writer.rewrite(paragraph).finish()
    assert len(engine.requests) > 1
    assert answer.text == "\n\n".join(["Done."] * len(engine.requests))
    assert all(len(prompt) <= 512 - 64 for prompt, _, _ in engine.requests)
    shown = "".join(ByteTokenizer().decode(prompt) for prompt, _, _ in engine.requests)
    assert all(f"number {n} says" in shown for n in range(40))


@pytest.mark.parametrize(("call", "what"), [("ask", "question"), ("write", "topic"), ("rewrite", "text")])
def test_nothing_to_do_is_a_clear_error(writer: Writer, call: str, what: str) -> None:
    with pytest.raises(TwinError, match=f"The {what} is empty"):
        getattr(writer, call)("  \n ")
    with pytest.raises(TwinError, match=f"The {what} is no text: None"):
        getattr(writer, call)(None)


@pytest.mark.parametrize(
    ("call", "what"), [("ask", "question"), ("write", "topic"), ("rewrite", "text"), ("search", "query")]
)
def test_half_a_character_is_a_clear_error(writer: Writer, call: str, what: str) -> None:
    asked = getattr(writer.retriever if call == "search" else writer, call)
    more = (3,) if call == "search" else ()
    with pytest.raises(
        TwinError, match=rf"The {what} is no valid Unicode: '\\udce9' at character 4\. .*UTF-8"
    ):
        asked("caf\udce9 lock?", *more)
    with pytest.raises(TwinError, match="The conversation is no valid Unicode"):
        writer.ask(ANSWERED, [Message(role="user", content="caf\udce9")])


class EndsAtOnce(ScriptedEngine):
    """Ends its first answer before the first word."""

    def _pieces(self, sampling: Sampling) -> Iterator[Piece]:
        return iter((Piece("\n", 1),)) if len(self.requests) == 1 else super()._pieces(sampling)

    def next_token_logprobs(self, prompt: Sequence[int], model: str, top: int) -> dict[int, float]:
        words = ByteTokenizer().encode("\nIA")
        return {0: -0.1, **{token: -float(n) for n, token in enumerate(words, start=1)}}


def test_an_answer_that_would_end_before_its_first_word_begins_with_the_likeliest(
    make_writer: Callable[..., Writer],
) -> None:
    engine = EndsAtOnce(" read the board.")
    answer = make_writer(engine=engine).ask(ANSWERED).finish()
    assert answer.text == "I read the board."
    (first, _, whole), (second, _, rest) = engine.requests
    assert (*first, *ByteTokenizer().encode("I")) == second
    assert rest.max_tokens == whole.max_tokens - 1 - 1
    assert answer.tokens == 1 + 1 + len(engine.text.split(" "))


def test_a_paragraph_that_would_stay_empty_is_helped_after_one_that_was_cut(
    make_writer: Callable[..., Writer],
) -> None:
    class EndsSecond(EndsAtOnce):
        def _pieces(self, sampling: Sampling) -> Iterator[Piece]:
            return iter((Piece(*[("One two.", 3), ("\n", 1), (" read.", 1)][len(self.requests) - 1]),))

    writer = make_writer(engine=EndsSecond())
    answer = writer.rewrite("A note.\n\nAnother.", replace(writer.sampling, max_tokens=3)).finish()
    assert answer.text == "One two.\n\nI read."


def test_what_a_stop_string_empties_stays_empty(make_writer: Callable[..., Writer]) -> None:
    engine = EndsAtOnce()
    writer = make_writer(engine=engine)
    assert writer.ask(ANSWERED, sampling=replace(writer.sampling, stop=("I",))).finish().text == ""
    assert len(engine.requests) == 1


def test_the_engines_context_bounds_the_prompt_too(make_writer: Callable[..., Writer]) -> None:
    engine = ScriptedEngine(context=700)
    make_writer(engine=engine).ask(ANSWERED).finish()
    assert len(engine.requests[0][0]) <= 700 - 320
    with pytest.raises(ConfigError, match="max_tokens = 320 leaves no room"):
        make_writer(engine=ScriptedEngine(context=300)).ask(ANSWERED)


def test_an_unknown_model_never_answers_as_the_base(make_writer: Callable[..., Writer]) -> None:
    with pytest.raises(VersionNotFound, match="v9"):
        make_writer(model="v9")


def test_features_of_another_prompt_version_are_refused(
    tmp_path: object, posts: list[Post], embedder: HashEmbedder, engine: ScriptedEngine
) -> None:
    features = seal(tmp_path / "F0007", posts, embedder, prompt_version="0", name="F0007")  # type: ignore[operator]
    index = ExactIndex(list(features.chunks.values()), features.vectors)
    retriever = Retriever(features, index, embedder, Config().retrieval)
    with pytest.raises(MismatchError, match=r"F0007 .*version 0.*llm-twin features build"):
        Writer(features, retriever, ByteTokenizer(), engine, "v3", Config())
