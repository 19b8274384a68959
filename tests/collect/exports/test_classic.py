from __future__ import annotations

import time

import pytest

from llm_twin.collect.exports.bodies import to_markdown
from llm_twin.collect.exports.classic import to_html


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("One line.\n\nAnother\nin two.", "One line.\n\nAnother  \nin two."),
        ("Windows\r\n\r\nlines", "Windows\n\nlines"),
        ("An <em>odd</em> one.\n\n\n\nTwo", "An *odd* one.\n\nTwo"),
        ("<em>One\ntwo</em>", "*One two*"),
        (
            "Before\n<blockquote>Quoted\n\nTwice</blockquote>\nAfter",
            "Before\n\n> Quoted\n>\n> Twice\n\nAfter",
        ),
        (
            "<h2>Head</h2>\nText\n<ul>\n<li>a</li>\n<li>b</li>\n</ul>\nEnd",
            "## Head\n\nText\n\n- a\n- b\n\nEnd",
        ),
        ("<p style='text-align:center'>One</p>\nTwo\n\nThree", "One\n\nTwo\n\nThree"),
        ("a<br />\nb", "a  \nb"),
        ("One\n\n<!--more-->\n\nTwo", "One\n\nTwo"),
        ("One\n\n&nbsp;\n\nTwo", "One\n\nTwo"),
        ("Code:\n<pre>a\n\n\nb</pre>\nEnd", "Code:\n\n```\na\n\n\nb\n```\n\nEnd"),
        ("<!-- wp:paragraph -->\n<p>One\nline</p>\n<!-- /wp:paragraph -->", "One line"),
        ("", ""),
    ],
)
def test_paragraphs_are_where_wordpress_shows_them(content: str, expected: str) -> None:
    assert to_markdown(to_html(content)) == expected


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('One\n\n[caption id="a" width="9"]<img src="x" /> A picture[/caption]\n\nTwo', "One\n\nTwo"),
        ('[gallery ids="1,2"]\n\nText', "Text"),
        ("Look [embed]https://youtu.be/x[/embed] there", "Look there"),
        ('[vc_row][vc_column width="1/2"]My text[/vc_column][/vc_row]', "My text"),
        ("He wrote [sic], [1], a[i] and [not a code].", "He wrote [sic], [1], a[i] and [not a code]."),
        ("Type [[gallery]] for [[first last]]", "Type [gallery] for [[first last]]"),
        ('[code language="python"]\nif a < b:\n    pass\n\nx[0]\n[/code]',
         "```python\nif a < b:\n    pass\n\nx[0]\n```"),
        ("[php]echo 1 &lt; 2;[/php]", "```php\necho 1 < 2;\n```"),
        ("<pre>[x for y in f(z, key=1)]</pre>", "```\n[x for y in f(z, key=1)]\n```"),
        ("Mine\n\n[quote author=Bob]Words\n\nof Bob[/quote]\n\nMine", "Mine\n\n> Words\n>\n> of Bob\n\nMine"),
        ("[blockquote]Theirs[/blockquote]", "> Theirs"),
        ("So [quote] is a word, and [[quote]] too.", "So [quote] is a word, and [quote] too."),
        ("Say $latex e = mc^2&bg=ffffff$ now", "Say $e = mc^2$ now"),
        ("A claim.[footnote]With <em>doubt</em>.[/footnote] More.", "A claim. More.\n\n[^1]: With *doubt*."),
    ],
)  # fmt: skip
def test_shortcodes_are_resolved_and_brackets_stay(content: str, expected: str) -> None:
    assert to_markdown(to_html(content)) == expected


@pytest.mark.parametrize("piece", ["[a]", "[caption]", "[a ", "[/a]", "<pre>", "[[", "\n \n"])
def test_no_text_takes_long(piece: str) -> None:
    started = time.perf_counter()
    to_html(piece * 50_000)
    assert time.perf_counter() - started < 10
