from __future__ import annotations

import base64
import quopri
import time
import zipfile
from email import policy
from email.message import EmailMessage
from pathlib import Path

import pytest

from llm_twin.collect.exports import mailbox
from llm_twin.collect.exports.archive import Archive
from llm_twin.collect.item import Export, Item, Rejected
from llm_twin.contracts.records import Post

FROM_LINE = b"From ann@letter.example Mon Jan  1 10:00:00 2024\n"
LONG = (
    "It's a fine day — isn’t it? So I walked to the harbour, and I counted boats until I had no numbers left."
)


def letter(
    number: int,
    plain: str | None = f"{LONG}\n\nAnn\n",
    html: str | None = None,
    sender: str = "Ann Author <ann@letter.example>",
    listed: bool = True,
    **headers: str,
) -> bytes:
    message = EmailMessage()
    fields = {
        "From": sender,
        "To": "reader@mail.example",
        "Subject": f"Letter {number}",
        "Date": f"Mon, {number:02} Jan 2024 10:00:00 +0000",
        "Message-ID": f"<letter-{number}@letter.example>",
    }
    if listed:
        fields["List-Unsubscribe"] = "<https://letter.example/u>"
    for name, value in (fields | {k.replace("_", "-"): v for k, v in headers.items()}).items():
        message[name] = value
    if plain is not None:
        message.set_content(plain)
    if html is not None and plain is not None:
        message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")
    return message.as_bytes(policy=policy.default.clone(max_line_length=0))


def mbox(path: Path, *letters: bytes) -> Path:
    path.write_bytes(b"\n".join(FROM_LINE + body.replace(b"\nFrom ", b"\n>From ") for body in letters))
    return path


def read(path: Path, author: str | None = None) -> tuple[Export, list[Item]]:
    with Archive(path) as archive:
        export = mailbox.read(archive, author)
        assert export
        return export, list(export.items)


def only(tmp_path: Path, body: bytes) -> Post:
    (tmp_path / "one.eml").write_bytes(body)
    _, (post,) = read(tmp_path / "one.eml")
    assert isinstance(post, Post), post
    return post


def reasons(items: list[Item]) -> list[str]:
    return [i.reason if isinstance(i, Rejected) else i.title for i in items]


def test_a_newsletter_in_a_mailbox(tmp_path: Path) -> None:
    export, items = read(mbox(tmp_path / "news.mbox", letter(1), letter(2)))
    assert (export.source, export.complete) == ("mailbox:ann@letter.example", False)
    first = items[0]
    assert isinstance(first, Post)
    assert (first.title, first.author, first.published_at) == (
        "Letter 1",
        "Ann Author",
        "2024-01-01T10:00:00+00:00",
    )
    assert (first.url, first.markdown) == ("mid:letter-1@letter.example", f"{LONG}\n\nAnn")
    assert reasons(items) == ["Letter 1", "Letter 2"]


def test_only_what_the_author_sent_to_all_is_taken(tmp_path: Path) -> None:
    friend = "Bob <bob@mail.example>"
    path = mbox(
        tmp_path / "all",  # mail programs give mailboxes no suffix
        letter(1),
        letter(2),
        letter(3, sender=friend, listed=False),
        letter(4, sender=friend, listed=False),
        letter(5, sender=friend, listed=False),
        letter(6, listed=False),
        letter(7, In_Reply_To="<x@mail.example>"),
        letter(8, References="<x@mail.example>"),
        letter(9, Subject="RE: your letter"),
        letter(10, sender="Shop <shop@shop.example>"),
        letter(11, X_Gmail_Labels="Drafts"),
        letter(12, sender=""),
    )
    assert reasons(read(path)[1]) == [
        "Letter 1",
        "Letter 2",
        *["from someone else"] * 3,
        *["private message"] * 4,
        "from someone else",
        "draft",
        "broken message",
    ]


def whole_mailbox(tmp_path: Path) -> Path:
    """What lies in an account: others' lists, the author's newsletter from two addresses, and her groups."""
    shop, old = "Shop <news@shop.example>", "ann author <ann@old.example>"
    group = {"sender": "Ann Author <ann@home.example>", "List_Post": "<mailto:friends@groups.example>"}
    return mbox(
        tmp_path / "all.mbox",
        *(letter(n, sender=shop) for n in range(1, 6)),
        letter(6),
        letter(7),
        letter(8, sender=old),
        letter(9, **group),
        letter(10, sender="Ann Author <ann@home.example>", listed=False),
        # A platform that sends in the names of many, hers too.
        *(letter(n, sender=f"{who} <notices@hub.example>") for n, who in ((11, "Bob"), (12, "Bob"))),
        letter(13, sender="Ann Author <notices@hub.example>"),
    )


def test_the_author_who_is_named_is_taken_from_every_address_with_a_newsletter(tmp_path: Path) -> None:
    export, items = read(whole_mailbox(tmp_path), "Ann Author")
    assert [i.title for i in items if isinstance(i, Post)] == ["Letter 6", "Letter 7", "Letter 8"]
    assert {i.reason for i in items if isinstance(i, Rejected)} == {"from someone else"}
    assert (export.source, export.note) == ("mailbox:ann@letter.example", "")


@pytest.mark.parametrize("author", [None, "Nobody"])
def test_whose_letters_were_taken_is_told_where_several_have_lists(
    tmp_path: Path, author: str | None
) -> None:
    export, items = read(whole_mailbox(tmp_path), author)
    assert [i.title for i in items if isinstance(i, Post)] == [f"Letter {n}" for n in range(1, 6)]
    assert export.note == (
        "The letters are of Shop <news@shop.example> (5); others are of Bob <notices@hub.example> (3), "
        "Ann Author <ann@letter.example> (2), ann author <ann@old.example> (1). Take one: --author NAME"
    )


def test_letters_of_the_author_who_is_named_to_a_group_are_private(tmp_path: Path) -> None:
    """Whatever else lies in the mailbox, and from whatever address they were sent."""
    shop = [letter(n, sender="Shop <news@shop.example>") for n in range(1, 6)]
    group = letter(6, List_Post="<mailto:family@groups.example>")
    assert reasons(read(mbox(tmp_path / "a.mbox", *shop, group))[1])[5] == "from someone else"
    for others in (shop, [letter(7)], []):
        export, items = read(mbox(tmp_path / "b.mbox", *others, group), "Ann Author")
        assert (reasons(items)[-1], export.note) == ("private message", "")


@pytest.mark.parametrize("author", [None, "Ann Author"])
def test_letters_to_a_group_are_private_beside_a_newsletter_of_their_author_s(
    tmp_path: Path, author: str | None
) -> None:
    group = letter(2, List_Post="<mailto:family@groups.example>")
    _, items = read(mbox(tmp_path / "all.mbox", letter(1), group), author)
    assert reasons(items) == ["Letter 1", "private message"]


def test_a_mailbox_of_one_open_list_is_taken(tmp_path: Path) -> None:
    """Where nothing else says what is public: an author may keep their own letters to a discussion list."""
    path = mbox(tmp_path / "all.mbox", letter(1, List_Post="<mailto:talk@lists.example>"))
    assert reasons(read(path)[1]) == ["Letter 1"]


def test_who_sent_to_groups_only_is_neither_taken_before_a_newsletter_nor_told_of(tmp_path: Path) -> None:
    group = {"sender": "Bob <bob@home.example>", "List_Post": "<mailto:family@groups.example>"}
    export, items = read(mbox(tmp_path / "all.mbox", letter(1, **group), letter(2, **group), letter(3)))
    assert (reasons(items), export.note) == ([*["from someone else"] * 2, "Letter 3"], "")


def test_an_author_without_a_newsletter_has_no_public_letters_among_those_of_others(tmp_path: Path) -> None:
    path = mbox(
        tmp_path / "all.mbox",
        letter(1, sender="Shop <news@shop.example>"),
        letter(2, listed=False),
        letter(3, listed=False, To="undisclosed-recipients:;"),
    )
    assert reasons(read(path, "Ann Author")[1]) == ["from someone else", *["private message"] * 2]


def test_without_list_headers_only_letters_with_hidden_receivers_are_taken(tmp_path: Path) -> None:
    path = mbox(
        tmp_path / "sent.mbox",
        letter(1, listed=False, To="undisclosed-recipients:;"),
        letter(
            2, listed=False, To="Ann <ann@letter.example>", Bcc="bob@mail.example, Eve <eve@mail.example>"
        ),
        letter(3, listed=False),
        letter(4, listed=False, To="ann@letter.example, bob@mail.example"),
    )
    assert reasons(read(path)[1]) == ["Letter 1", "Letter 2", "private message", "private message"]


@pytest.mark.parametrize(
    "receivers",
    [
        b"Cc: bob@mail.example",
        b"To: ann@letter.example\nCc: bob@mail.example",
        b"To: undisclosed-recipients:;\nCc: Bob <Bob@mail.example>",
        b"To: ann@letter.example\nTo: bob@mail.example\nBcc: eve@mail.example, dan@mail.example",
        b'To: "bob@mail.example\nBcc: eve@mail.example, dan@mail.example',
        b"To: ann@letter.example",
        b"Bcc: ann@letter.example",
        b"To: ann@letter.example\nBcc: bob@mail.example",
        b"To: undisclosed-recipients:;\nBcc: bob@mail.example",
        b"X-Mailer: one that writes no receivers",
    ],
)
def test_letters_to_some_and_notes_to_oneself_are_private(tmp_path: Path, receivers: bytes) -> None:
    path = mbox(
        tmp_path / "sent.mbox",
        letter(1, listed=False, To="undisclosed-recipients:;"),
        letter(2, listed=False).replace(b"To: reader@mail.example", receivers),
    )
    assert reasons(read(path)[1]) == ["Letter 1", "private message"]


def test_a_folder_of_letters_a_zip_and_a_mailbox_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "letters" / "2024"
    folder.mkdir(parents=True)
    for number in (1, 2):
        (folder / f"{number}.eml").write_bytes(letter(number))
    with zipfile.ZipFile(tmp_path / "letters.zip", "w") as packed:
        for file in sorted(folder.iterdir()):
            packed.write(file, file.name)
    _, items = read(tmp_path / "letters")
    assert reasons(items) == ["Letter 1", "Letter 2"]
    assert read(tmp_path / "letters.zip")[1] == items
    assert read(mbox(tmp_path / "x.bin", letter(1), letter(2)))[1] == items


def test_a_paragraph_that_begins_with_from_is_no_new_message(tmp_path: Path) -> None:
    path = tmp_path / "x.mbox"
    body = letter(1, "One.\n\nFrom here on it rains.\n\n>From there too.\n")
    path.write_bytes(FROM_LINE + body.replace(b"\n>From", b"\n>>From") + b"\n" + FROM_LINE + letter(2))
    _, (first, _) = read(path)
    assert isinstance(first, Post)
    assert first.markdown.startswith("One.\n\nFrom here on it rains.")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Archived_At": "<https://letter.example/archive/1>"}, "https://letter.example/archive/1"),
        ({"List_Post": "<https://ann.substack.com/p/tea>"}, "https://ann.substack.com/p/tea"),
        (
            {"List_Post": "<https://groups.example/group/x/post>, <mailto:x@y.example>"},
            "mid:letter-1@letter.example",
        ),
        ({"Message_ID": "<a%b/c@letter.example>"}, "mid:a%25b%2Fc@letter.example"),
        ({"Message_ID": ""}, "mail:"),
    ],
)
def test_addresses(tmp_path: Path, headers: dict[str, str], expected: str) -> None:
    assert only(tmp_path, letter(1, **headers)).url.startswith(expected)


HTML = f"""<html><head><title>Letter 1</title><style>p {{ color: red }}</style></head><body>
<div style="display:none;max-height:0">Why I count boats, a hidden beginning</div>
<table role="presentation" width="600"><tr><td style="font-size:0px"><table><tr><td>
<p><a href="https://letter.example/web?u=1">View this email in your browser</a></p>
<p>Forwarded this email? <a href="https://letter.example/s">Subscribe here</a> for more</p><p>READ IN APP</p>
<h1>Letter 1</h1><p>{LONG}</p><p>Second.<br><br>Third, <em>really</em>.</p>
<blockquote><p>A quotation.</p></blockquote>
<table><tr><th>Boat</th><th>Mast</th></tr><tr><td>Ida</td><td>2</td></tr></table>
<img src="https://track.example/open?u=1" width="1" height="1">
<div class="gmail_quote">On Monday Bob wrote: their words</div>
</td></tr></table></td></tr>
<tr><td><p>You are receiving this email because you signed up. <a href="https://x.list-manage.com/unsubscribe?u=1">
Unsubscribe</a></p><p>© 2024 Ann, 1 Harbour Street</p></td></tr></table></body></html>"""


def test_the_service_s_parts_of_a_page_go(tmp_path: Path) -> None:
    assert only(tmp_path, letter(1, plain="See the web version.", html=HTML)).markdown == (
        f"{LONG}\n\nSecond.\n\nThird, *really*.\n\n> A quotation.\n\n"
        "| Boat | Mast |\n| --- | --- |\n| Ida | 2 |"
    )


def test_tracked_links_of_the_author_stay(tmp_path: Path) -> None:
    link = '<a href="https://x.us1.list-manage.com/track/click?u=1">a harbour</a>'
    end = "I never unsubscribe from the sea, which is what a sailor does."
    html = f"<p>{LONG}</p><p>Look at {link}.</p><p>{end}</p>"
    assert only(tmp_path, letter(1, None, html)).markdown == f"{LONG}\n\nLook at a harbour.\n\n{end}"


def test_the_service_s_parts_of_a_plain_letter_go(tmp_path: Path) -> None:
    plain = (
        "View this post on the web at https://letter.example/p/1\n\n"
        f"{LONG} [https://letter.example/r/1]\n\nI said (https://a.example/x) so.\n\n"
        "On Mon, Jan 1, 2024 at 10:00 Bob <bob@mail.example> wrote:\n> his words\n> more\n\n"
        "Bye\n\nUnsubscribe https://letter.example/u\n\n-- \nAnn Author, phone 123\n"
    )
    assert only(tmp_path, letter(1, plain)).markdown == f"{LONG}\n\nI said so.\n\nBye"


def test_the_richer_part_counts(tmp_path: Path) -> None:
    picture = "<p>Read it on my site</p>"
    assert only(tmp_path, letter(1, f"{LONG}\n", picture)).markdown == LONG
    assert only(tmp_path, letter(1, f"{LONG}\n", f"<p>{LONG} <b>Yes.</b></p>")).markdown == f"{LONG} **Yes.**"


def test_flowed_lines_are_one_paragraph(tmp_path: Path) -> None:
    body = letter(1).split(b"\n\n")[0].replace(b'charset="utf-8"', b'charset="utf-8"; format=flowed')
    text = b"\n\nOne long \nline of \nwords.\nNext\n-- \nsignature\n"
    head = body.replace(b"Content-Transfer-Encoding: 8bit", b"Content-Transfer-Encoding: 7bit")
    assert only(tmp_path, head + text).markdown == "One long line of words.\nNext"


def raw(charset: str, content: bytes, encoding: str = "8bit", subject: bytes = b"Hi") -> bytes:
    head = (
        "MIME-Version: 1.0\nFrom: Ann <a@letter.example>\nDate: Mon, 1 Jan 2024 10:00:00\nList-Id: <x>\n"
        f"Content-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: {encoding}\n"
    )
    return head.encode() + b"Subject: " + subject + b"\n\n" + content + b"\n"


TEXT = "naïve — “so”"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (raw("utf-8", TEXT.encode()), TEXT),
        (raw("utf-8", quopri.encodestring(TEXT.encode()), "quoted-printable"), TEXT),
        (raw("utf-8", base64.encodebytes(TEXT.encode()), "base64"), TEXT),
        (raw("iso-8859-1", TEXT.encode()), TEXT),  # labelled wrongly
        (raw("utf-8", TEXT.encode("cp1252")), TEXT),
        (raw("us-ascii", TEXT.encode("cp1252")), TEXT),
        (raw("unknown-8bit", TEXT.encode()), TEXT),
        (raw("no-such-charset", TEXT.encode("cp1252")), TEXT),
        (raw("base64", TEXT.encode("cp1252")), TEXT),
        (raw("koi8-r", "Привет".encode("koi8-r")), "Привет"),
        (raw("iso-2022-jp", "日本".encode("iso-2022-jp"), "7bit"), "日本"),
        (raw("utf-8", b"not base64 at all!", "base64"), None),
    ],
)
def test_encodings_and_wrong_labels(tmp_path: Path, body: bytes, expected: str | None) -> None:
    (tmp_path / "x.eml").write_bytes(body)
    _, (found,) = read(tmp_path / "x.eml")
    if expected is not None:
        assert isinstance(found, Post)
        assert found.markdown == expected


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        (b"=?utf-8?q?na=C3=AFve_?=\n =?utf-8?b?4oCU?= so", "naïve — so"),
        ("naïve".encode(), "naïve"),
        (b"=?no-such?q?x?= =?utf-8?b?###?=", None),
    ],
)
def test_subjects(tmp_path: Path, subject: bytes, expected: str | None) -> None:
    post = only(tmp_path, raw("utf-8", b"Text.", subject=subject))
    assert expected is None or post.title == expected


def test_broken_mail_costs_only_itself(tmp_path: Path) -> None:
    nested = b"From: Ann <ann@letter.example>\nDate: x\nList-Id: <x>\n" + b"".join(
        b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (n, n) for n in range(3000)
    )
    path = mbox(
        tmp_path / "x.mbox",
        letter(1),
        b"no headers at all\n",
        nested,
        b"From: Ann <ann@letter.example>\nList-Id: <x>\nContent-Type: multipart/mixed; boundary=\n\nx\n",
        letter(2)[:-20],
        letter(3, ""),
        letter(4),
    )
    started = time.perf_counter()
    found = reasons(read(path)[1])
    assert time.perf_counter() - started < 20
    assert (found[0], found[1], found[-2:]) == ("Letter 1", "broken message", ["no text", "Letter 4"])
    assert len(found) == 7


@pytest.mark.parametrize(
    "content", ["", "Some notes.\n", "Title: x\nFrom: me\n\nText.", "From here on it rains\n"]
)
def test_other_text_is_no_mail(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.txt").write_text(content)
    with Archive(tmp_path / "x.txt") as archive:
        assert mailbox.read(archive) is None


def test_every_mailbox_of_a_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "mail").mkdir()
    for n in range(1, 26):
        mbox(tmp_path / "mail" / f"{n:02}.mbox", letter(n))
    assert reasons(read(tmp_path / "mail")[1]) == [f"Letter {n}" for n in range(1, 26)]
