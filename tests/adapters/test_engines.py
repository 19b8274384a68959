"""Both engines behind the one port: like behaviour, like distributions for one prompt and adapter."""

from __future__ import annotations

import math
import signal
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from llm_twin.adapters.base_model import PACKAGED, BaseModel, HFChatTokenizer, load_model, resolve_base
from llm_twin.adapters.gguf_adapter import convert
from llm_twin.adapters.llama_cpp import LlamaCppEngine
from llm_twin.adapters.transformers_engine import TransformersEngine, choose, longer_runs, visible
from llm_twin.contracts import prompts
from llm_twin.contracts.ports import Engine, Sampling
from llm_twin.errors import EngineError, VersionNotFound
from tests.compose.tiny import make_base

# peft asks transformers for a property that was renamed in 5.x.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

GREEDY = Sampling(max_tokens=8, temperature=0, repeat_penalty=1.0)
TWIN = "v1"
TEXTS = (
    "The river came up four inches in the night, and nobody at the hut was surprised by it.",
    "I've kept the ledger since 2014; it doesn't lie, and it doesn't flatter. You read the gauge at seven.",
    "There are three ways to write a parser — and two of them are wrong before you have begun to type.",
    "A hash table is a simple thing: an array, a hash function, and a rule for two keys that meet.",
    "My neighbour says that bread needs salt, time and patience, in this order; she is right about salt.",
    "In 1987 the mill closed. The wheel stayed, the race silted up, and the swans took the lower pond.",
)


@pytest.fixture(scope="module")
def base() -> BaseModel:
    return resolve_base(PACKAGED)


@pytest.fixture(scope="module")
def tokenizer(base: BaseModel) -> HFChatTokenizer:
    return HFChatTokenizer(base.folder)


@pytest.fixture(scope="module")
def adapter(base: BaseModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PEFT adapter whose random weights change what the base says, with its GGUF beside it."""
    import torch
    from peft import LoraConfig, get_peft_model

    folder = tmp_path_factory.mktemp("adapter")
    config = LoraConfig(r=16, lora_alpha=32, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(load_model(base), config)
    draw = torch.Generator().manual_seed(5)
    for name, weight in model.named_parameters():
        if "lora_A" in name:
            weight.data = torch.randn(weight.shape, generator=draw) / weight.shape[1] ** 0.5
        elif "lora_B" in name:
            weight.data = torch.randn(weight.shape, generator=draw) * 0.04
    model.save_pretrained(folder)
    convert(folder, base.folder, folder / "adapter.gguf")
    return folder


@pytest.fixture(scope="module")
def llama(base: BaseModel, adapter: Path) -> Iterator[LlamaCppEngine]:
    assert base.gguf
    engine = LlamaCppEngine(base.gguf, {TWIN: adapter / "adapter.gguf"}, context=512)
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def torch_engine(base: BaseModel, adapter: Path, tokenizer: HFChatTokenizer) -> Iterator[TransformersEngine]:
    engine = TransformersEngine(base, {TWIN: adapter}, tokenizer, context=512)
    yield engine
    engine.close()


@pytest.fixture(params=["llama", "torch_engine"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


@pytest.fixture(scope="module")
def prompt(tokenizer: HFChatTokenizer) -> list[int]:
    return tokenizer.encode_chat(prompts.write("Ada", "Reading a gauge"))


def said(engine: Engine, prompt: list[int], sampling: Sampling, model: str = "base") -> str:
    return "".join(piece.text for piece in engine.stream(prompt, model, sampling))


# --- parity -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["base", TWIN])
def test_next_token_distributions_agree(
    llama: LlamaCppEngine, torch_engine: TransformersEngine, tokenizer: HFChatTokenizer, model: str
) -> None:
    """llama.cpp rounds activations to 8 bits. Measured: 0.004 (base and adapter), top token 96-99 %."""
    divergences, same = [], 0
    for text in TEXTS:
        ids = tokenizer.encode(text)
        for end in range(3, 20):
            ours = torch_engine.next_token_logprobs(ids[:end], model, 1000)
            theirs = llama.next_token_logprobs(ids[:end], model, 1000)
            divergences.append(divergence(ours, theirs))
            same += next(iter(ours)) == next(iter(theirs))
    assert len(divergences) >= 100
    assert sum(divergences) / len(divergences) <= 0.01
    assert same / len(divergences) >= 0.9


def test_the_adapter_of_the_parity_test_is_not_trivial(
    torch_engine: TransformersEngine, tokenizer: HFChatTokenizer
) -> None:
    """Were it not applied by one engine, the agreement above would have to fail by far."""
    found = []
    for text in TEXTS:
        ids = tokenizer.encode(text)[:12]
        twin, base = (torch_engine.next_token_logprobs(ids, m, 1000) for m in (TWIN, "base"))
        found.append(divergence(twin, base))
    assert sum(found) / len(found) > 0.1


def divergence(p: dict[int, float], q: dict[int, float]) -> float:
    """KL(p || q) in nats over the tokens that both list, all others taken together as one."""
    shared = p.keys() & q.keys()
    rest_p, rest_q = (max(1 - sum(math.exp(d[i]) for i in shared), 1e-9) for d in (p, q))
    return sum(math.exp(p[i]) * (p[i] - q[i]) for i in shared) + rest_p * math.log(rest_p / rest_q)


# --- behind the port ----------------------------------------------------------------------------------------


def test_logprobs_are_of_the_distribution_before_any_rule(engine: Engine, prompt: list[int]) -> None:
    found = engine.next_token_logprobs(prompt, "base", 20)
    values = list(found.values())
    assert len(found) == 20
    assert values == sorted(values, reverse=True)
    assert 0.5 < sum(math.exp(v) for v in values) < 1


def test_greedy_text_is_the_most_likely_continuation(
    engine: Engine, prompt: list[int], tokenizer: HFChatTokenizer
) -> None:
    pieces = list(engine.stream(prompt, TWIN, Sampling(max_tokens=3, temperature=0, repeat_penalty=1.0)))
    ids = list(prompt)
    for _ in range(3):
        ids.append(next(iter(engine.next_token_logprobs(ids, TWIN, 1))))
    assert "".join(p.text for p in pieces) == tokenizer.decode(ids[len(prompt) :])
    assert [p.tokens for p in pieces] == sorted({p.tokens for p in pieces})
    assert pieces[-1].tokens == 3


def test_models_answer_side_by_side(engine: Engine, prompt: list[int]) -> None:
    alone = {model: said(engine, prompt, GREEDY, model) for model in engine.models}
    assert alone["base"] != alone[TWIN]
    streams = {model: engine.stream(prompt, model, GREEDY) for model in engine.models}
    together = dict.fromkeys(engine.models, "")
    for _ in range(GREEDY.max_tokens):
        for model, stream in streams.items():
            together[model] += "".join(piece.text for piece in [next(stream, None)] if piece)
    assert together == alone


def test_an_unknown_model_never_answers(engine: Engine, prompt: list[int]) -> None:
    with pytest.raises(VersionNotFound, match="'v7'"):
        engine.stream(prompt, "v7", GREEDY)
    with pytest.raises(VersionNotFound, match="'v7'"):
        engine.next_token_logprobs(prompt, "v7", 1)


def test_the_context_bounds_prompt_and_answer(engine: Engine, prompt: list[int]) -> None:
    with pytest.raises(EngineError, match="512 tokens, and the context holds 512"):
        engine.stream([prompt[0]] * 512, "base", GREEDY)
    with pytest.raises(EngineError, match="empty"):
        engine.stream([], "base", GREEDY)
    long = (prompt * 20)[:509]
    assert [p.tokens for p in engine.stream(long, "base", GREEDY)][-1] <= 3


def test_a_stop_string_ends_the_text_before_it(engine: Engine, prompt: list[int]) -> None:
    whole = said(engine, prompt, GREEDY)
    words = whole.split(" ")
    stop = f"{words[2][-1:]} {words[3][:2]}"  # from the middle of a word to the middle of the next
    cut = said(
        engine, prompt, Sampling(max_tokens=8, temperature=0, repeat_penalty=1.0, stop=("never", stop))
    )
    assert cut == whole[: whole.index(stop)]


def test_the_end_token_ends_the_text_and_is_not_in_it(engine: Engine, tokenizer: HFChatTokenizer) -> None:
    ids = tokenizer.encode_chat(prompts.answer("Ada", "What is the capital of France? One word.", ()))
    # The answer is begun, so that the end is near.
    ids += tokenizer.encode("The capital of France is")
    pieces = list(engine.stream(ids, "base", Sampling(max_tokens=40, temperature=0, repeat_penalty=1.0)))
    text = "".join(p.text for p in pieces)
    assert pieces[-1].tokens < 40
    assert "Paris" in text
    assert "<|" not in text


def test_characters_arrive_whole(engine: Engine, tokenizer: HFChatTokenizer) -> None:
    ids = tokenizer.encode_chat(prompts.answer("Ada", "Go on: 🦊🐻🐼🦊🐻🐼🦊🐻🐼", ()))
    ids += tokenizer.encode("🦊🐻🐼🦊🐻🐼🦊🐻🐼🦊")
    pieces = [p.text for p in engine.stream(ids, "base", GREEDY)]  # 8 tokens: the last of 3 characters is cut
    assert pieces
    assert all(text in ("🦊", "🐻", "🐼") for text in pieces)


def test_a_seed_repeats_the_text_and_another_changes_it(engine: Engine, prompt: list[int]) -> None:
    first, again, other = (
        said(engine, prompt, Sampling(max_tokens=8, temperature=1.5, seed=seed)) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_closing_the_iterator_stops_the_generation(engine: Engine, prompt: list[int]) -> None:
    stream = engine.stream(prompt, TWIN, Sampling(max_tokens=400, temperature=0))
    assert next(stream).tokens == 1
    assert isinstance(stream, Iterator)
    stream.close()  # type: ignore[attr-defined]
    assert said(engine, prompt, GREEDY)


# --- llama.cpp ----------------------------------------------------------------------------------------------


def test_llama_cpp_leaves_no_worker_behind_and_refuses_after_close(
    base: BaseModel, prompt: list[int]
) -> None:
    assert base.gguf
    engine = LlamaCppEngine(base.gguf, {}, context=256, threads=1)
    stream = engine.stream(prompt, "base", Sampling(max_tokens=200, temperature=0))
    next(stream)
    engine.close()
    assert not engine._workers
    assert len(list(stream)) < 199
    with pytest.raises(EngineError, match="closed"):
        engine.stream(prompt, "base", GREEDY)


def test_llama_cpp_refuses_a_stream_that_is_begun_after_close(base: BaseModel, prompt: list[int]) -> None:
    assert base.gguf
    engine = LlamaCppEngine(base.gguf, {}, context=256, threads=1)
    stream = engine.stream(prompt, "base", GREEDY)
    engine.close()
    with pytest.raises(EngineError, match="engine was closed"):
        next(stream)


def test_llama_cpp_keeps_its_port_to_itself(llama: LlamaCppEngine) -> None:
    address = llama._server.listening_address
    assert address.startswith("http://127.0.0.1:")
    request = urllib.request.Request(f"{address}/completion", data=b'{"prompt": "x"}')
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 401
    refused.value.close()


def test_llama_cpp_leaves_ctrl_c_to_python(llama: LlamaCppEngine) -> None:
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_llama_cpp_names_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"no file .*missing\.gguf"):
        LlamaCppEngine(tmp_path / "missing.gguf", {})


def test_llama_cpp_refuses_a_file_that_is_no_adapter(base: BaseModel, tmp_path: Path, capfd: Any) -> None:
    assert base.gguf
    (tmp_path / "v1.gguf").write_bytes(b"GGUF" + bytes(64))
    with pytest.raises(EngineError, match=r"could not load .*v1\.gguf"):
        LlamaCppEngine(base.gguf, {"v1": tmp_path / "v1.gguf"})
    assert capfd.readouterr() == ("", "")


def test_llama_cpp_tells_of_what_is_raised_half_way(
    llama: LlamaCppEngine, prompt: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        def handle_completions(self, request: Any, receive: Any) -> None:
            receive({"choices": [{"text": "Half"}], "timings": {"predicted_n": 1}})
            raise RuntimeError("out of memory")

    monkeypatch.setattr(llama, "_server", Failing())
    stream = llama.stream(prompt, "base", GREEDY)
    assert next(stream).text == "Half"
    with pytest.raises(EngineError, match="out of memory"):
        next(stream)


def test_llama_cpp_reports_what_the_server_says(llama: LlamaCppEngine) -> None:
    with pytest.raises(EngineError, match="invalid tokens"):
        next(llama.stream([10**6], "base", GREEDY))


# --- transformers -------------------------------------------------------------------------------------------


def test_transformers_refuses_after_close(
    base: BaseModel, tokenizer: HFChatTokenizer, tmp_path: Path
) -> None:
    tiny = BaseModel("tiny", "tiny", make_base(tmp_path), None)
    engine = TransformersEngine(tiny, {}, tokenizer)
    stream = engine.stream([1], "base", Sampling(max_tokens=1000, repeat_penalty=1.0))
    next(stream)
    engine.close()
    for ask in (lambda: list(stream), lambda: said(engine, [1], GREEDY)):
        with pytest.raises(EngineError, match="closed"):
            ask()


# --- transformers: the rules that llama.cpp has built in ----------------------------------------------------


def logits(*chances: float) -> Any:
    import torch

    return torch.tensor(chances).log()


def drawn(found: Any, sampling: Sampling, recent: tuple[int, ...] = ()) -> Counter[int]:
    import torch

    draw = torch.Generator().manual_seed(0)
    return Counter(choose(found, recent, sampling, draw) for _ in range(400))


def test_top_p_keeps_the_token_that_crosses_it() -> None:
    plain = Sampling(temperature=1, top_p=0.6, min_p=0, repeat_penalty=1)
    assert set(drawn(logits(0.1, 0.5, 0.3, 0.1), plain)) == {1, 2}


def test_min_p_is_a_share_of_the_best() -> None:
    plain = Sampling(temperature=1, top_p=1, min_p=0.3, repeat_penalty=1)
    assert set(drawn(logits(0.5, 0.2, 0.14, 0.16), plain)) == {0, 1, 3}


def test_top_p_is_a_share_of_what_min_p_leaves() -> None:
    """0.4 is more than 0.55 of the 0.7 that are left, and less than 0.55 of everything."""
    both = Sampling(temperature=1, top_p=0.55, min_p=0.5, repeat_penalty=1)
    assert set(drawn(logits(0.4, 0.3, 0.15, 0.15), both)) == {0}
    assert set(drawn(logits(0.4, 0.3, 0.15, 0.15), replace(both, min_p=0))) == {0, 1}


def test_temperature_comes_after_the_cuts() -> None:
    hot = Sampling(temperature=100, top_p=0.6, min_p=0, repeat_penalty=1)
    found = drawn(logits(0.1, 0.5, 0.3, 0.1), hot)
    assert set(found) == {1, 2}
    assert abs(found[1] - found[2]) < 80


def test_sampled_shares_follow_the_chances() -> None:
    plain = Sampling(temperature=1, top_p=1, min_p=0, repeat_penalty=1)
    found = drawn(logits(0.75, 0.25), plain)
    assert 0.68 < found[0] / found.total() < 0.82


def test_the_penalty_lowers_positive_and_negative_logits() -> None:
    import torch

    greedy = Sampling(temperature=0, repeat_penalty=2)
    draw = torch.Generator()
    assert choose(torch.tensor([3.0, 2.0]), (0,), greedy, draw) == 1
    assert choose(torch.tensor([-1.0, -1.5]), (0,), greedy, draw) == 1
    assert choose(torch.tensor([3.0, 2.0]), (), greedy, draw) == 0


def test_the_penalty_means_the_same_in_llama_cpp(
    llama: LlamaCppEngine, torch_engine: TransformersEngine, tokenizer: HFChatTokenizer
) -> None:
    """A list that greedy decoding would go on with; the penalty on its words leads both engines elsewhere."""
    ids = tokenizer.encode("red green blue red green blue red green blue red green")
    plain, hard = (Sampling(max_tokens=1, temperature=0, repeat_penalty=p) for p in (1.0, 1.8))
    for engine in (llama, torch_engine):
        assert said(engine, ids, plain) == " blue"
    assert said(llama, ids, hard) == said(torch_engine, ids, hard) != " blue"


def test_a_run_is_said_once_more_up_to_its_longest() -> None:
    import torch

    said = (1, 2, 3, 4, 1, 2, 3, 5, 1, 2, 3)
    assert longer_runs(said, 3) == [4, 5]
    assert longer_runs(said, 4) == longer_runs((1, 2), 3) == longer_runs((), 3) == []
    found, draw = torch.tensor([0.0, 0.0, 0.0, 2.0, 5.0, 4.0]), torch.Generator()
    for longest, token in ((0, 4), (3, 3), (4, 4)):
        assert (
            choose(found, said, Sampling(temperature=0, repeat_penalty=1, longest_repeat=longest), draw)
            == token
        )


def test_the_longest_repeat_means_the_same_in_llama_cpp(
    llama: LlamaCppEngine, torch_engine: TransformersEngine, tokenizer: HFChatTokenizer
) -> None:
    ids = tokenizer.encode("red green blue red green blue red green blue red green")
    for engine in (llama, torch_engine):
        found = [
            said(engine, ids, Sampling(max_tokens=1, temperature=0, repeat_penalty=1, longest_repeat=n))
            for n in (0, 3, 7, 8, 60)
        ]
        assert [word == " blue" for word in found] == [True, False, False, True, True], engine.name


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("plain", (), (5, False)),
        ("a STOP b", ("STOP",), (2, True)),
        ("a ST", ("STOP",), (2, False)),
        ("a STO, no", ("STOP",), (9, False)),
        ("one two", ("two", "one"), (0, True)),
        ("caf\ufffd", (), (3, False)),
        ("x", ("", "yz"), (1, False)),
    ],
)
def test_what_may_be_shown(text: str, stops: tuple[str, ...], expected: tuple[int, bool]) -> None:
    assert visible(text, stops) == expected


def test_an_engine_may_be_closed_before_its_first_request(base: BaseModel) -> None:
    """llama.cpp's server, freed before its loop had begun, used to wait for ever."""
    assert base.gguf
    for _ in range(3):
        LlamaCppEngine(base.gguf, {}, context=512).close()
