"""What is private is found, what only looks like it stays, and masking changes nothing else.

Keys are put together from parts, so that no scanner takes this file for a leak. People are invented, and
numbers are the examples of libphonenumber or of documentation.
"""

from __future__ import annotations

import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llm_twin import sample
from llm_twin.contracts.private import KINDS, Private, find, in_words, mask, tally
from llm_twin.contracts.prose import blocks

# Random letters and digits, cut to what each issuer's keys need.
BODY = "k7Qz2mXv9Lr4Tn8Wb1Yc6Hd3Jf5Pg0RsAuEiOxNwKtVqZyMhBjDlGpCfSa2e7U9i4oQ1w8"
HEX = "9f3b07c1d8e24a5690bb73fce1d2480a6c5f97e31b0d4482ae76c3f90518db2e"
BASE64 = "MIIEowIBAAKCAQEAq1Wc7ZkV3nJx0pLr8yTb5Gd2HfUe9SmKoQa4CiXwRtNzYvB6"
JWT = f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiI{BODY[:20]}.{BODY[:43]}"


def pem(label: str, body: str = f"{BASE64}\n{BASE64[::-1]}\n", prefix: str = "") -> str:
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----".replace("\n", f"\n{prefix}")


def one(kind: str, text: str, expected: str) -> None:
    """`text` holds exactly one find, of this kind, and masks to `expected`."""
    assert [found.kind for found in find(text)] == [kind], text
    assert mask(text) == expected
    assert mask(expected) == expected


# --- e-mail addresses ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Write to ida.weir@lockmail.org, please.", "Write to [e-mail address], please."),
        ("Write to ida+blog@post.lockmail.co.uk.", "Write to [e-mail address]."),
        ("Mail <ida@lockmail.org>!", "Mail [e-mail address]!"),
        ("*ida@lockmail.org* and no other", "*[e-mail address]* and no other"),
        ("_ida@lockmail.org_ and no other", "_[e-mail address]_ and no other"),
        ("Mine is 'ida@lockmail.org'.", "Mine is '[e-mail address]'."),
        ("E-mail:ida@lockmail.org", "E-mail:[e-mail address]"),
        ("user=ida@lockmail.org host=here", "user=[e-mail address] host=here"),
        ("邮箱ida@lockmail.cn谢谢", "邮箱[e-mail address]谢谢"),
        ("jörg@müller-schleuse.de schrieb", "[e-mail address] schrieb"),
        ("old@163.com still works", "[e-mail address] still works"),
        ("[Write to me](mailto:ida@lockmail.org)", "[Write to me](mailto:e-mail-address)"),
        ("[mail](mailto:ida@lockmail.org?subject=hi) me", "[mail](mailto:e-mail-address?subject=hi) me"),
        ("[ida@lockmail.org](mailto:ida@lockmail.org)", "[e-mail address]"),
        ("<mailto:ida@lockmail.org>", "[e-mail address]"),
        ('<a href="mailto:ida@lockmail.org">me</a>', '<a href="mailto:e-mail-address">me</a>'),
        ("[ida@lockmail.org](https://lock.example/)", "[[e-mail address]](https://lock.example/)"),
        # These would be a link, or the definition of one, and vanish when rendered.
        ("ida@lockmail.org: that's me", "(e-mail address): that's me"),
        ("ida@lockmail.org(at home)", "(e-mail address)(at home)"),
        ('git config user.email "ida@lockmail.org"', 'git config user.email "[e-mail address]"'),
        (
            "I use ssh a lot. My address is ida@lockmail.org",
            "I use ssh a lot. My address is [e-mail address]",
        ),
        ("ida [at] lockmail [dot] org", "[e-mail address]"),
        ("Mail ida (at) lockmail.org today", "Mail [e-mail address] today"),
        ("Mail ida.weir{at}post{dot}lockmail{dot}org.", "Mail [e-mail address]."),
        ("Mail ida&#64;lockmail.org.", "Mail [e-mail address]."),
        ("It's ida at lockmail dot org.", "It's [e-mail address]."),
        ("It's ida DOT weir AT lockmail DOT org.", "It's [e-mail address]."),
    ],
)
def test_an_email_address_is_masked(text: str, expected: str) -> None:
    one("e-mail address", text, expected)


@pytest.mark.parametrize(
    "text",
    [
        "git clone git@github.com:ida/locks.git",
        "ssh git@git.lockmail.org",
        "ssh -p 2222 -i key ida@gate.lockmail.org uptime",
        "scp notes.txt ida@gate.lockmail.org:~/notes/",
        "scp ida@gate.lockmail.org:/var/log/messages .",
        "git remote add origin ida@gate.lockmail.org:locks/gates",
        "ssh://ida@gate.lockmail.org/locks",
        "https://lists.lockmail.org/archive/2019.0412.ida@lockmail.org/",
        "I'm @ida@social.lockmail.org there.",
        "npm install left-pad@1.3.0 @types/node@18.2.1",
        "go install lockmail.org/cmd/gates@latest",
        "uses: actions/checkout@v4.1",
        "@app.route and @property.setter are decorators",
        "systemctl start getty@tty1.service",
        "logo@2x.png",
        "model@data.frame",
        "sig=sig@entry=6",
        "${user}@lockmail.org",
        "a mode of 1920x1080@60Hz.",
        "Message-ID: <20190412.12@lockmail.org>",
        "someone@example.com, ida@mail.example.org, a@b.test, a@b.invalid, root@localhost, me@host.local",
        "From: noreply@lockmail.org, no-reply@lockmail.org, 12+ida@users.noreply.github.com",
        "you@yourdomain.com or user@domain.com",
        "Find me at lockmail dot org.",
        "Meet me (at) noon. Then row.",
        "Look at this dot com bubble.",
        "name [at] example [dot] org",
        "@", "@@", "a@", "@b.org", "a@b", "a@b.", f"{'x' * 65}@lockmail.org",
    ],
)  # fmt: skip
def test_what_is_no_email_address_of_anyone_stays(text: str) -> None:
    assert find(text) == ()
    assert mask(text) == text


# --- phone numbers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Ring +49 30 123456 before noon.", "Ring [phone number] before noon."),
        ("Ring +1 (415) 555-2671 (2019).", "Ring [phone number] (2019)."),
        ("Ring +14155552671.", "Ring [phone number]."),
        ("Ring +44 (0)121 234 5678!", "Ring [phone number]!"),
        ("Ring +33.1.23.45.67.89!", "Ring [phone number]!"),
        ("Ring (415) 555-2671.", "Ring [phone number]."),
        ("Ring 415-555-2671, or 1 call.", "Ring [phone number], or 1 call."),
        ("Ring 1-415-555-2671.", "Ring [phone number]."),
        ("Ring 0121 234 5678 or come.", "Ring [phone number] or come."),
        ("> Ring 07400 123456\n\nshe said", "> Ring [phone number]\n\nshe said"),
        ("- gate: (415) 555-2671\n- hut: none", "- gate: [phone number]\n- hut: none"),
        ("[ring](tel:+14155552671)", "[ring](tel:phone-number)"),
    ],
)
def test_a_phone_number_is_masked(text: str, expected: str) -> None:
    one("phone number", text, expected)


@pytest.mark.parametrize(
    "text",
    [
        "Ring 555-0123, (415) 555-0123 or +1 212 555 0199: they are of films.",
        "Ring 020 7946 0958, 07700 900123 or +44 131 496 0123: they are of films.",
        "Ring (555) 123-4567: no such area.",
        "On 2019-04-16 at 10:20:30, 1555432671 seconds in, release 415.555.26 came.",
        "The hosts are 192.168.100.100 and 10.0.0.1:8080.",
        "ISBN 978-0-13-110362-7, ISBN 0-13-110362-8, RFC 2606, CVE-2014-0160",
        "commit 4155552671abcdef, 0x4155552671, #4155552671, $415-555-2671",
        "https://lock.example/415-555-2671/+14155552671?n=415-555-2671",
        "sums: 2+14155552671, 12.415-555-2671, 415-555-2671-99, 415-555-26711",
        "`+1 415-555-2671` and ``(415) 555-2671 ` ``",
        "```\n+1 415-555-2671\n```",
        "    (415) 555-2671",
        "- in a list:\n\n  ```\n  (415) 555-2671\n  ```\n",
        "> ~~~\n> (415) 555-2671\n> ~~~",
        "| n |\n|---|\n| 415-555-2671 |\n",
        "<div>\n(415) 555-2671\n</div>",
        "vn 0.00 +1.00 0.00 +1.00 -1.00 +1.00",
        "10 000 000, 020 1234 and 0123 4567",
    ],
)
def test_other_digits_stay(text: str) -> None:
    assert find(text) == ()


def test_a_number_after_code_is_found() -> None:
    text = "`a`\n\n```\n(415) 555-2671\n```\n\nAn odd ` here.\n\nRing (415) 555-2671 or `b` (415) 555-2671.\n"
    assert [text[p.start : p.end] for p in find(text)] == ["(415) 555-2671"] * 2
    assert mask(text).count("[phone number]") == 2
    assert "```\n(415) 555-2671\n```" in mask(text)


# --- keys and tokens ----------------------------------------------------------------------------------------

SHAPES = {
    "AWS id": "AKIA" + "Q3EGRIJ5MBXV7LTK",
    "AWS temporary id": "ASIA" + "Q3EGRIJ5MBXV7LTK",
    "GitHub classic": "ghp_" + BODY[:36],
    "GitHub app": "ghs_" + BODY[:40],
    "GitHub fine-grained": "github_pat_" + BODY[:22] + "_" + BODY[:59],
    "GitLab": "glpat-" + BODY[:20],
    "Slack bot": "xoxb-" + "781236542736-2364535789652-" + BODY[:24],
    "Slack user": "xoxp-" + "41684372915-1320496754-45609968301-" + HEX[:32],
    "Slack app": "xapp-" + "1-A052FGTS2DL-5171572773297-" + HEX,
    "Stripe secret": "sk_live_" + BODY[:24],
    "Stripe restricted": "rk_live_" + BODY[:24],
    "Google": "AIza" + BODY[:35],
    "Google client secret": "GOCSPX-" + BODY[:28],
    "OpenAI": "sk-" + BODY[:20] + "T3BlbkFJ" + BODY[20:40],
    "OpenAI project": "sk-proj-" + BODY[:40] + "-_" + BODY[:40],
    "Anthropic": "sk-ant-api03-" + BODY + "-" + BODY[:20] + "AA",
    "Hugging Face": "hf_" + "aBcDxYzQwErTyUiOpLkJhGfDsAzXcVbNmQ",
    "npm": "npm_" + BODY[:36],
    "PyPI": "pypi-" + "AgEIcHlwaS5vcmc" + BODY,
    "Telegram": "1234567890:AA" + BODY[:33],
    "SendGrid": "SG." + BODY[:22] + "." + BODY[:43],
    "DigitalOcean": "dop_v1_" + HEX,
    "JWT": JWT,
    "age": "AGE-SECRET-KEY-1" + "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L" + "QPZRY9X8GF2TVDW0S3JN54KHCE",
    "PEM": pem("RSA PRIVATE KEY"),
    "PKCS 8": pem("PRIVATE KEY"),
    "encrypted": pem("RSA PRIVATE KEY", f"Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,{HEX}\n\n{BASE64}\n"),
    "OpenSSH": pem("OPENSSH PRIVATE KEY"),
    "PGP": pem("PGP PRIVATE KEY BLOCK", f"\n{BASE64}\n{BASE64}\n=bBGR\n"),
    "in JSON": pem("PRIVATE KEY").replace("\n", "\\n"),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_key_is_masked_in_prose_and_in_code(shape: str) -> None:
    key = SHAPES[shape]
    one("key or token", f"It was {key}, once.", "It was [key or token], once.")
    one("key or token", f"```sh\nrun {key}\n```\n", "```sh\nrun [key or token]\n```\n")
    one("key or token", f'T="{key}"', 'T="[key or token]"')


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"password = '{BODY[:16]}'", "password = '[key or token]'"),
        ('"password": "Gat3-keeper!"', '"password": "[key or token]"'),
        (f"DB_PASSWORD={BODY[:20]}\n", "DB_PASSWORD=[key or token]\n"),
        (f"api_key: {HEX[:32]}", "api_key: [key or token]"),
        (f'const secret: &str = "{BODY[:24]}";', 'const secret: &str = "[key or token]";'),
        (f"SECRET_KEY => '{BODY[:40]}'", "SECRET_KEY => '[key or token]'"),
        (f"token := `{BODY[:32]}`", "token := `[key or token]`"),
        (f"curl -H 'Authorization: Bearer {BODY[:40]}'", "curl -H 'Authorization: Bearer [key or token]'"),
        (f"aws_secret_access_key = {BODY[:40]}", "aws_secret_access_key = [key or token]"),
        (
            f"git clone https://ida:{BODY[:12]}@git.lockmail.org/x",
            "git clone https://key-or-token@git.lockmail.org/x",
        ),
        (f"redis://:{BODY[:12]}@cache.lockmail.org:6379", "redis://key-or-token@cache.lockmail.org:6379"),
        (
            f"https://hooks.slack.com/services/T024BE7LD/B024BE7LH/{BODY[:24]}",
            "https://hooks.slack.com/services/key-or-token",
        ),
        (
            f"https://discord.com/api/webhooks/{'123456789012345678'}/{BODY[:68]}",
            "https://discord.com/api/webhooks/key-or-token",
        ),
        (
            f"[map](https://maps.lock.example/?key={SHAPES['Google']}&z=3)",
            "[map](https://maps.lock.example/?key=key-or-token&z=3)",
        ),
        ("> " + pem("RSA PRIVATE KEY", prefix="> ") + "\n", "> [key or token]\n"),
        ("    " + pem("RSA PRIVATE KEY", prefix="    ") + "\n", "    [key or token]\n"),
        (
            f"-----BEGIN RSA PRIVATE KEY-----\n{BASE64}\n{BASE64}\n\nand so on",
            "[key or token]\n\nand so on",
        ),
    ],
)
def test_a_secret_is_masked_and_what_is_around_it_stays(text: str, expected: str) -> None:
    one("key or token", text, expected)


def test_the_secret_beside_an_aws_id_is_found() -> None:
    text = f"aws configure\nid {SHAPES['AWS id']}\nkey {BODY[:39]}/\ncommit {HEX[:40]}\n"
    assert mask(text) == f"aws configure\nid [key or token]\nkey [key or token]\ncommit {HEX[:40]}\n"


@pytest.mark.parametrize(
    "text",
    [
        "AKIAIOSFODNN7EXAMPLE and wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "ASIAPACIFICECONOMICCOOPERATION, ASIANAMERICANHISTORYS",
        f"commit {HEX[:40]}, sha256:{HEX}, md5 {HEX[:32]}",
        f"integrity=sha384-{BODY}",
        "id 123e4567-e89b-12d3-a456-426614174000, token: 123e4567-e89b-12d3-a456-426614174000",
        f"![gate](data:image/png;base64,{BASE64}{BASE64})",
        f"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{BODY[:43]} ida",
        f"SHA256:{BODY[:43]}",
        pem("PUBLIC KEY"), pem("CERTIFICATE"), pem("PGP PUBLIC KEY BLOCK"), pem("PGP SIGNATURE"),
        pem("RSA PRIVATE KEY", "...\n"),
        "PEM begins with -----BEGIN RSA PRIVATE KEY----- and the key follows.",
        f'publicKeyToken="{HEX[:16]}" public_key = "{HEX}"',
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, ghp_short, npm_config_registry",
        f"pk_live_{BODY[:24]}, sk_test_{BODY[:24]}",
        "sk-some-long-name-of-a-style-class-that-goes-on", "xoxo-hugs-and-kisses-to-you-all",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIiwibmFtZSI6IkpvaG4gRG9lIiwiaWF0IjoxNTE2MjM5MDIyfQ."
        "SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5c",
        "https://user:password@host.lockmail.org/, postgres://postgres:postgres@db:5432/x",
        f"https://$USER:$PASS@lockmail.org, https://{{user}}:{{pass}}@lockmail.org, http://a:{BODY[:9]}@localhost",
        "https://lockmail.org:8080/@ida and http://[::1]:80/a@b",
        'password = "hunter2"; password: str; "password": payload.password',
        "password = os.environ['DB_PASSWORD_2024_PRODUCTION_1']", "token = next_token2(source3, state4)",
        "secret = config.get_secret_v2_from_store3()", "token = lexer2.next3.token4[0]",
        'api_key = "YOUR_API_KEY_1a2b3c4d5e6f"', 'api_key = "${API_KEY_1a2b3c4d5e6f}"',
        "private_key: /etc/ssl/private/host2a3b4c.key", "token = 0x1f2e3d4c5b6a7988",
        "token: some-long-identifier-of-a-thing-v2", "The secret: practise 30 minutes a day.",
        "passwd::getgroup(POWER_GROUP_1a2b3c4d)", "Password: (nothing is shown)", "tokens = []",
        "Authorization: Bearer <token>", "Authorization: Basic",
    ],
)  # fmt: skip
def test_what_opens_nothing_stays(text: str) -> None:
    assert find(text) == ()


# --- the whole ----------------------------------------------------------------------------------------------


def test_finds_are_in_order_apart_and_counted() -> None:
    text = f"Ring (415) 555-2671 or mail a@lockmail.org, b@lockmail.org; T={SHAPES['npm']}"
    found = find(text)
    assert found[0] == Private("phone number", 5, 19)
    assert [p.kind for p in found] == ["phone number", "e-mail address", "e-mail address", "key or token"]
    assert tally(found) == {"e-mail address": 2, "phone number": 1, "key or token": 1}
    assert in_words(tally(found)) == "2 e-mail addresses, 1 phone number and 1 key or token"
    assert mask(text, found) == mask(text)


def test_counts_in_words() -> None:
    assert in_words({}) == "nothing private"
    assert in_words({"key or token": 2}) == "2 keys or tokens"
    assert in_words({"phone number": 1, "key or token": 0, "e-mail address": 1}) == (
        "1 e-mail address and 1 phone number"
    )


def test_a_find_within_another_is_one() -> None:
    text = f"mail {SHAPES['npm']}@lockmail.org and `password='{SHAPES['GitHub classic']}'`"
    assert [p.kind for p in find(text)] == ["e-mail address", "key or token"]


def test_a_find_says_where_and_never_what() -> None:
    assert "ida" not in repr(find("ida@lockmail.org"))


PIECES = [
    "ida@lockmail.org", "ida [at] lockmail [dot] org", "ida at lockmail dot org",
    "+49 30 123456", "(415) 555-2671", "0121 234 5678",
    *(SHAPES[k] for k in ("AWS id", "GitHub classic", "GitLab", "JWT", "PEM", "Telegram", "OpenAI")),
    BODY[:40], BASE64, f"password='{BODY[:16]}'", f"token: {BODY[:16]}", "-----BEGIN PRIVATE KEY-----",
    f"https://ida:{BODY[:9]}@lockmail.org/", "mailto:", "tel:", "https://", "ssh ", "Message-ID: ",
    "[e-mail address]", "key-or-token", "```\n", "\n", "\n\n", "\r", "\r\n", "    ", "| a |\n|---|\n",
    "<", ">", "[", "](", ")", "(", "`", "@", ":", "/", "-", ".", "_", "*", "+", "=", '"', "'",
    "1", "a", "é", "字", " ", " ",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES) | st.text(max_size=3), max_size=14).map("".join)


@settings(max_examples=600)
@given(TEXTS)
def test_masking_changes_the_finds_alone_and_does_so_once(text: str) -> None:
    found = find(text)
    assert all(0 <= p.start < p.end <= len(text) and p.kind in KINDS for p in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    masked, at = mask(text), 0
    edges = [0, *(edge for p in found for edge in (p.start, p.end)), len(text)]
    for start, end in zip(edges[::2], edges[1::2], strict=True):  # what lies between the finds, in order
        at = masked.index(text[start:end], at) + end - start
    assert masked.startswith(text[: edges[1]])
    assert masked.endswith(text[edges[-2] :])
    assert mask(masked) == masked


@given(st.text(max_size=200))
def test_any_text_can_be_searched(text: str) -> None:
    assert mask(mask(text)) == mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "# Mail a@b.co\n\n- ring (415) 555-2671\n- or not\n\n> ida@lockmail.org: she\n\n```\na@b.co\n```\n",
        "ida@lockmail.org: https://lock.example/\n\n[ida@lockmail.org][1]\n\n[1]: https://lock.example/\n",
        f"1. {SHAPES['npm']}\n2. two\n\n| a | b |\n|---|---|\n| ida@lockmail.org | {SHAPES['npm']} |\n",
    ],
)
def test_blocks_stay_what_they_are(text: str) -> None:
    masked = mask(text)
    assert masked != text
    assert [(b.kind, b.level) for b in blocks(masked)] == [(b.kind, b.level) for b in blocks(text)]


@pytest.mark.parametrize(
    "unit",
    [
        "a", "a@", "x" * 64 + "@", "a@" + "b." * 9, "[ at ] ", " at a dot 1 ", "+1", "1-", "`", "``a`b ",
        "eyJ", "-eyJa", "eyJaaaaaaaaaa.", "sk-", "://a:", "://a:bcd", "password=", 'password="aaaaaaaa', "-",
        "-----BEGIN RSA PRIVATE KEY-----\n", "Authorization: Bearer ", "> ", "AKIA", "ssh -a u@h.org ",
    ],
)  # fmt: skip
def test_a_megabyte_of_near_misses_ends(unit: str) -> None:
    """Where the work at one place were not bounded, these would take hours."""
    text = (unit * (1_000_000 // len(unit) + 1))[:1_000_000]
    assert mask(text) == text


def test_the_sample_author_reveals_nothing() -> None:
    assert [p.slug for p in sample.posts() if find(p.title) or find(p.markdown)] == []


def test_technical_posts_are_left_as_they_are(test_data: Path) -> None:
    """461 posts full of code: all that is found are the two PGP keys that the author made to be shown."""
    lines = (test_data / "authors/skeeto/posts.jsonl").read_text(encoding="utf-8").splitlines()
    found = [tally(find(json.loads(line)["text"])) for line in lines]
    assert [counts for counts in found if counts] == [{"key or token": 2}]


def test_the_numbering_plans_are_loaded_only_for_a_candidate() -> None:
    code = (
        "import sys; from llm_twin.contracts.private import find; find('ida@lockmail.org, 12 May 2019');"
        "print('phonenumbers' in sys.modules, 'markdown_it' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
