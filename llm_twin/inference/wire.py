"""The OpenAI chat-completions protocol: what is accepted, what is sent back, how errors look.

Follows the published API reference (Chat, Create chat completion) as far as one author's twin goes: one
choice, text parts only. The twin adds one key of its own to an answer, "llm_twin".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
)

from llm_twin.contracts.ports import Sampling
from llm_twin.contracts.records import Message
from llm_twin.errors import TwinError
from llm_twin.inference.reply import Reply

DONE = "data: [DONE]\n\n"
_MAX_STOPS = 4  # the API's own bound


class RequestError(TwinError):
    """A request that cannot be answered; `status` is the HTTP status, `param` the field at fault."""

    def __init__(
        self,
        what: str,
        fix: str = "",
        status: int = 400,
        param: str | None = None,
        code: str | None = None,
    ) -> None:
        super().__init__(what, fix)
        self.status = status
        self.param = param
        self.code = code


class _Lenient(BaseModel):
    # Clients send many fields that mean nothing here (user, metadata, tools left empty ...): they are
    # ignored.
    model_config = ConfigDict(extra="ignore", frozen=True)

    @field_validator("*")
    @classmethod
    def _of_text(cls, value: Any) -> Any:
        # JSON can name half of a surrogate pair, which is no text; a UnicodeEncodeError is a ValueError.
        for text in value if isinstance(value, list) else (value,):
            if isinstance(text, str):
                text.encode()
        return value


class TextPart(_Lenient):
    """A part of a message; only text parts are understood."""

    type: Literal["text"]
    text: str


class ChatMessage(_Lenient):
    """One message; system and developer messages are left out, the twin's own is always sent."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None  # an assistant that called tools said nothing

    @field_validator("content", mode="wrap")
    @classmethod
    def _text_only(cls, value: Any, check: ValidatorFunctionWrapHandler) -> Any:
        try:
            return check(value)
        except ValidationError as error:  # one for each of the types, none of which a client knows by name
            if any(found["type"] in ("value_error", "string_unicode") for found in error.errors()):
                raise ValueError("the text holds half a character (a lone surrogate)") from None
            raise ValueError('only text is understood: a string, or parts of the type "text"') from None

    @property
    def text(self) -> str:
        """The content as one text."""
        if isinstance(self.content, str):
            return self.content
        return "\n".join(part.text for part in self.content or ())


class StreamOptions(_Lenient):
    """Options of a streamed answer."""

    include_usage: bool = False


class ChatRequest(_Lenient):
    """Body of POST /v1/chat/completions. What is not given comes from the twin's configuration."""

    model: str = Field("twin", min_length=1, max_length=100)
    messages: list[ChatMessage] = Field(min_length=1, max_length=1000)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    max_tokens: int | None = Field(None, ge=1)
    max_completion_tokens: int | None = Field(None, ge=1)
    seed: int | None = Field(None, ge=-(2**63), lt=2**63)
    stop: str | list[str] | None = None
    n: Literal[1] | None = None

    @property
    def question(self) -> str:
        """The last message. Raises RequestError where it is not the user's."""
        last = self.messages[-1]
        if last.role != "user" or not last.text.strip():
            raise RequestError(
                "The last message must be the user's, and hold text",
                "Put the question last",
                param="messages",
            )
        return last.text

    @property
    def history(self) -> tuple[Message, ...]:
        """What the user and the assistant said before the question."""
        return tuple(
            Message(role=m.role, content=m.text)
            for m in self.messages[:-1]
            if m.role in ("user", "assistant") and m.text
        )

    def sampling(self, default: Sampling, context: int) -> Sampling:
        """The configured sampling with what the request gives; an answer takes at most half of the context.

        Raises RequestError for stop strings beyond the API's bounds.
        """
        stops = (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())
        if len(stops) > _MAX_STOPS or not all(0 < len(s) <= 200 for s in stops):
            raise RequestError(
                f"stop holds {len(stops)} strings, or one that is empty or over 200 characters",
                f"Give at most {_MAX_STOPS} short ones",
                param="stop",
            )
        wanted = self.max_completion_tokens or self.max_tokens or default.max_tokens
        given = {"temperature": self.temperature, "top_p": self.top_p}
        if self.seed is not None:
            given["seed"] = self.seed % 2**32  # engines take 32 bits
        known: dict[str, Any] = {k: v for k, v in given.items() if v is not None}
        return replace(default, **known, max_tokens=min(wanted, context // 2), stop=stops or default.stop)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What all parts of one answer carry: its id, when it was made (Unix seconds), the model asked for."""

    id: str
    created: int
    model: str

    def completion(self, reply: Reply) -> dict[str, Any]:
        """The whole answer, as it is sent without streaming."""
        message = {"role": "assistant", "content": reply.answer.text, "refusal": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
        return self._object("chat.completion", [choice]) | {"usage": usage(reply), "llm_twin": extra(reply)}

    def role(self) -> str:
        """The first event."""
        return self._event({"role": "assistant", "content": ""})

    def delta(self, text: str) -> str:
        """The event of one piece of text."""
        return self._event({"content": text})

    def end(self, reply: Reply, usage_apart: bool) -> str:
        """The last events: why it ended, what it came from, and usage (as an event of its own if asked)."""
        tail: dict[str, Any] = {"llm_twin": extra(reply)}
        if not usage_apart:
            return self._event({}, _finish(reply), tail | {"usage": usage(reply)}) + DONE
        last = self._object("chat.completion.chunk", []) | {"usage": usage(reply)}
        return self._event({}, _finish(reply), tail) + _data(last) + DONE

    def _event(
        self, delta: dict[str, Any], finish: str | None = None, more: dict[str, Any] | None = None
    ) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return _data(self._object("chat.completion.chunk", [choice]) | (more or {}))

    def _object(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        head = {"id": self.id, "object": kind, "created": self.created, "model": self.model}
        return head | {"choices": choices}


def usage(reply: Reply) -> dict[str, int]:
    """Tokens read and generated."""
    read, made = reply.tally.prompt_tokens, reply.tally.tokens
    return {"prompt_tokens": read, "completion_tokens": made, "total_tokens": read + made}


def extra(reply: Reply) -> dict[str, Any]:
    """What the answer came from."""
    return reply.answer.model_dump(
        mode="json", include={"citations", "model", "features", "refused", "timings_ms", "tokens_per_s"}
    )


def models(names: Sequence[str], created: int) -> dict[str, Any]:
    """Answer of GET /v1/models."""
    return {"object": "list", "data": [model(name, created) for name in names]}


def model(name: str, created: int) -> dict[str, Any]:
    """Answer of GET /v1/models/NAME."""
    return {"id": name, "object": "model", "created": created, "owned_by": "llm-twin"}


def no_model(name: str, names: Sequence[str]) -> RequestError:
    """What is said where a model is asked for that is none of the names."""
    known = ", ".join(names)
    return RequestError(
        f"There is no model {name!r} here", f"Ask for one of: {known}", 404, "model", "model_not_found"
    )


def invalid(problem: Mapping[str, Any], content_type: str) -> RequestError:
    """What to say of a body that is no ChatRequest; `problem` is the first of those that were found."""
    where, said = ".".join(str(part) for part in problem["loc"][1:]), problem["msg"]
    if problem["type"] == "json_invalid":
        reason, place = problem["ctx"]["error"], problem["loc"][1] + 1
        return RequestError(f"The body is not JSON: {reason} at character {place}")
    if not where and "json" not in content_type:
        # Such bodies are not read: a page of any origin may send one without asking first.
        return RequestError("The body is not sent as JSON", "Send Content-Type: application/json")
    if not where:
        return RequestError("The body is no JSON object", 'Send {"messages": [...]}')
    return RequestError(f"{where}: {said.removeprefix('Value error, ')}", param=where, code="invalid_value")


def error(message: str, status: int, code: str | None = None, param: str | None = None) -> dict[str, Any]:
    """An error in the API's form."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def failure(message: str) -> str:
    """The event that ends a stream which could not go on."""
    return _data(error(message, 500))


def _finish(reply: Reply) -> str:
    return "length" if reply.tally.cut else "stop"


def _data(value: dict[str, Any]) -> str:
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"
