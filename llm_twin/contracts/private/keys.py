"""Keys, tokens and passwords: by the shapes that their issuers document, and by the names they are given.

Public keys, certificates, hashes, UUIDs, commit ids and embedded images are none. A value that only its name
makes a secret (`api_key = "..."`) must look random, so that code such as `token = next_token(source)` stays.
What is made up for documentation stays too: AKIAIOSFODNN7EXAMPLE, xxxxxxxx, <your-token>, user:password@host.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from llm_twin.contracts.records import Span


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an issuer's keys look like.

    A pattern may not start within a run of what it repeats, so that no stretch of the text is read twice.

    Attributes:
        needles: one of them must be in the text for the pattern to be tried.
        pattern: its group, or all of it where it has none, is the secret.
        must_look_random: other texts have this shape too.
    """

    needles: tuple[str, ...]
    pattern: re.Pattern[str]
    must_look_random: bool = False


def _shape(needles: str, pattern: str, must_look_random: bool = False) -> _Shape:
    return _Shape(tuple(needles.split()), re.compile(pattern, re.ASCII), must_look_random)


_SHAPES = (
    # AWS IAM User Guide, "Understanding unique ID prefixes": long-term and temporary access key ids.
    _shape("AKIA ASIA", r"(?<![A-Za-z0-9+/])A[KS]IA(?=[A-Z]*\d)[A-Z0-9]{16}(?![A-Za-z0-9])"),
    # GitHub blog, 2021-04-05, "Behind GitHub's new authentication token formats": up to 255 characters.
    _shape("ghp_ gho_ ghu_ ghs_ ghr_", r"(?<![A-Za-z0-9])gh[pousr]_[A-Za-z0-9]{36,255}(?!\w)"),
    _shape("github_pat_", r"(?<![A-Za-z0-9])github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}(?!\w)"),
    # GitLab documentation, "Token overview", token prefixes.
    _shape(
        "glpat- gldt- glrt- glptt- glcbt- glsoat- gloas-",
        r"(?<![\w-])gl(?:pat|dt|rt|ptt|cbt|soat|oas)-[\w-]{20,300}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7,9})?(?![\w-])",
        must_look_random=True,
    ),
    # Slack developer documentation, "Token types" and "Incoming webhooks".
    _shape("xox xapp-", r"(?<![\w-])(?:xox[abeoprsc](?:\.xox[bp])?-|xapp-)\d[A-Za-z0-9-]{15,300}(?![\w-])"),
    _shape("hooks.slack.com/", r"hooks\.slack\.com/(?:services|workflows|triggers)/(T\w{6,16}/[\w/]{16,80})"),
    # Discord developer documentation, "Webhook resource".
    _shape("/api/webhooks/", r"discord(?:app)?\.com/api/webhooks/(\d{17,20}/[\w-]{60,80})(?![\w-])"),
    # Stripe documentation, "API keys": secret and restricted; publishable and test keys open nothing.
    _shape("k_live_", r"(?<![A-Za-z0-9])[sr]k_live_[A-Za-z0-9]{16,250}(?!\w)"),
    # Google Cloud documentation, "API keys" and "OAuth 2.0": keys, client secrets, access tokens.
    _shape("AIza", r"(?<![\w-])AIza[\w-]{35}(?![\w-])"),
    _shape("GOCSPX-", r"(?<![\w-])GOCSPX-[\w-]{28}(?![\w-])"),
    _shape("ya29.", r"(?<![\w-])ya29\.[\w-]{30,1000}(?![\w-])"),
    # OpenAI API reference, "Authentication"; Anthropic API documentation, "Authentication"; others alike.
    _shape("sk-", r"(?<![\w-])sk-[\w-]{32,250}(?![\w-])", must_look_random=True),
    # Hugging Face documentation, "User access tokens".
    _shape("hf_", r"(?<![A-Za-z0-9])hf_[A-Za-z]{34}(?!\w)"),
    # npm documentation, "About access tokens"; GitHub blog, 2021-09-23, "npm's new access token format".
    _shape("npm_", r"(?<![A-Za-z0-9])npm_[A-Za-z0-9]{36}(?!\w)"),
    # PyPI documentation, "API tokens": a macaroon, whose first bytes are always the same.
    _shape("pypi-AgE", r"(?<![\w-])pypi-AgE[\w-]{50,1000}(?![\w-])"),
    # Telegram, "Bots: an introduction", "Obtain your bot token": the bot's id, ":", 35 characters.
    _shape(":AA", r"(?<![\w-])\d{8,10}:AA[\w-]{33}(?![\w-])"),
    # Twilio SendGrid documentation, "API keys": "SG." and two parts, 69 characters in all.
    _shape("SG.", r"(?<![\w-])SG\.[\w-]{22}\.[\w-]{43}(?![\w-])"),
    # DigitalOcean API reference, "Authentication": personal, OAuth and refresh tokens.
    _shape("_v1_", r"(?<![A-Za-z0-9])do[opr]_v1_[a-f0-9]{64}(?!\w)"),
    # RFC 7519, section 3: a JSON object's `{"` is `eyJ` in base64url; a signed token has three parts.
    _shape("eyJ", r"(?<![\w-])eyJ[\w-]{10,8000}\.eyJ[\w-]{10,8000}\.[\w-]{16,2000}"),
    # age, "The age file encryption format": Bech32 of 32 bytes.
    _shape("AGE-SECRET-KEY-1", r"AGE-SECRET-KEY-1[AC-HJ-NP-Z02-9]{58}"),
    # RFC 9110, section 11.6.2, with the schemes of RFC 7617 (Basic) and RFC 6750 (Bearer).
    _shape(
        "uthorization UTHORIZATION",
        r"(?i:authorization)[\"']?[ \t]{0,3}[:=][ \t]{0,3}[\"']?(?i:basic|bearer|token) {1,2}"
        r"([\w+/.~=-]{16,4000})",
        must_look_random=True,
    ),
)
# RFC 3986, section 3.2.1; only the credentials, the address stays.
_USERINFO = re.compile(
    r"://(?P<userinfo>(?P<user>[^\s/:@?#\"'<>`]{0,64}):(?P<password>[^\s/:@?#\"'<>`\[\]]{3,256}))"
    r"@(?P<host>[^\s/:@?#\"'<>`]{1,253})"
)
# RFC 7468 and, for PGP, RFC 9580, section 6.2.
_ARMOUR = re.compile(r"-----(BEGIN|END) ([A-Z0-9 ]{0,40})-----")
_BODY = re.compile(r"[A-Za-z0-9+/=]{38}")
_BODY_LINES = re.compile(r"(?:\n[ \t>]*[A-Za-z0-9+/=]{16,80}[ \t]*(?=\n|\Z))+")

_NAMED = re.compile(
    r"(?=[pstae])"  # how the names begin: cheaper to see than what stands before, of which this saves half
    r"(?<!public)(?<!public[_-])(?<!publickey)(?<!public_key_)(?<!key[ -]or[ -])"  # nor a masked one
    r"(?P<name>pass(?:word|wd|phrase)|pwd|secret(?:[_-]?key)?|token|(?:api|access|auth|private|signing|encryption)[_-]?key)"
    r"[\"'`]?\]?[ \t]{0,3}(?::[ \t]?&?\w{1,20}[ \t]?(?==))?(?::=|=>|==?|:)[ \t]{0,3}"
    r"(?:(?P<mark>[\"'`])(?P<quoted>[^\s\"'`]{8,512})(?P=mark)|(?P<bare>[\w+/~.-]{16,512}+={0,2}+)(?![\w(\[{]))",
    re.IGNORECASE | re.ASCII,
)
_AWS_SECRET = re.compile(r"(?<![A-Za-z0-9/+=])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
_NEAR = 300  # characters within which the secret of an access key id is looked for
_MIN_RANDOM = 16  # characters
# Specimens: of documentation, of instructions, and "John Doe" in base64url, the bearer of jwt.io's tokens.
_MADE_UP = re.compile(
    r"example|your|redacted|placeholder|changeme|dummy|ikpvag4grg9li|(.)\1{6}", re.IGNORECASE
)
_TEMPLATE = re.compile(r"[{}<>*\u2026]|\$[A-Za-z_(]|%[sd]\b|\.\.\.")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
# How a path, an option, a number, a digest and a web address begin.
_NO_SECRET = re.compile(r"[./~-]|0x|sha\d|https?:", re.IGNORECASE)
# Bits a character: 16 random characters of base64 have 3.7 on average, of hex 3.2.
_MIN_ENTROPY = 3.0
_MIN_TURNS = 3  # from letter to digit or back: 32 random hex digits have 15, a name with a number has 1
# Passwords that every reader knows.
_STAND_INS = frozenset(
    str.split(
        "pass password passwd passphrase pw pwd secret token key apikey api_key x-oauth-basic letmein "
        "hunter2 foo bar baz admin root guest test postgres mysql user username"
    )
)
# A host without a dot is a container's, or one's own; the rest is RFC 6761.
_OWN_HOST = re.compile(
    r"127\.|0\.0\.0\.0|\[|[\w-]+\Z|(?:.*\.)?example\b|.*\.(?:test|invalid|local)\Z", re.IGNORECASE
)


def find(text: str) -> Iterator[Span]:
    """Spans of keys, tokens and passwords; of a key in armour the whole block."""
    for shape in _SHAPES:
        if any(needle in text for needle in shape.needles):
            yield from _shaped(text, shape)
    if "://" in text:
        yield from (m.span("userinfo") for m in _USERINFO.finditer(text) if _opens_something(m))
    if "PRIVATE KEY" in text:
        yield from _armoured(text)
    yield from (m.span(m.lastgroup or 0) for m in _NAMED.finditer(text) if _is_secret(m))


def _shaped(text: str, shape: _Shape) -> Iterator[Span]:
    for match in shape.pattern.finditer(text):
        value = match[match.lastindex or 0]
        if _MADE_UP.search(value) or (shape.must_look_random and not _looks_random(value)):
            continue
        yield match.span(match.lastindex or 0)
        if value.startswith(("AKIA", "ASIA")):
            near = _AWS_SECRET.finditer(text, match.end(), match.end() + _NEAR)
            yield from (m.span() for m in near if _looks_random(m[0]) and not m[0].islower())


def _opens_something(found: re.Match[str]) -> bool:
    user, password = found["user"].lower(), found["password"].lower()
    stands_in = (
        password in _STAND_INS or password == user or _TEMPLATE.search(password) or _MADE_UP.search(password)
    )
    return not stands_in and not _OWN_HOST.match(found["host"])


def _armoured(text: str) -> Iterator[Span]:
    opened: re.Match[str] | None = None
    for mark in _ARMOUR.finditer(text):
        if mark[1] == "BEGIN":
            opened = mark if "PRIVATE KEY" in mark[2] else None
            if opened and (lines := _BODY_LINES.match(text, opened.end())):
                yield opened.start(), lines.end()  # all there is where the end is cut off
        elif opened:
            if _BODY.search(text, opened.end(), mark.start()):
                yield opened.start(), mark.end()
            opened = None


def _is_secret(found: re.Match[str]) -> bool:
    """Whether a value that is named a secret is one: random, or in quotes a strong password."""
    value = found["quoted"] or found["bare"]
    if _TEMPLATE.search(value) or _MADE_UP.search(value) or _NO_SECRET.match(value) or _UUID.fullmatch(value):
        return False
    strong = found["quoted"] and found["name"].lower().startswith(("pass", "pwd")) and _is_strong(value)
    return bool(strong) or (len(value) >= _MIN_RANDOM and _looks_random(value))


def _looks_random(value: str) -> bool:
    turns = sum(a.isdigit() != b.isdigit() for a, b in pairwise(value) if a.isalnum() and b.isalnum())
    counts = Counter(value).values()
    entropy = -sum(n / len(value) * math.log2(n / len(value)) for n in counts)
    return turns >= _MIN_TURNS and entropy >= _MIN_ENTROPY


def _is_strong(password: str) -> bool:
    kinds = {"a" if c.islower() else "A" if c.isupper() else "1" if c.isdigit() else "!" for c in password}
    return len(kinds) == 4 and "(" not in password
