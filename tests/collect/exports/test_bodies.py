from __future__ import annotations

import json
from html import escape

import pytest

from llm_twin.collect.exports.bodies import to_markdown


def attrs(**values: object) -> str:
    return escape(json.dumps(values))


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<p>a</p><div class="subscription-widget-wrap-editor"><p>Thanks!</p></div><p>b</p>', "a\n\nb"),
        ('<p>a</p><div class="captioned-button-wrap"><p>Share</p><p class="button-wrapper"><a>Go</a></p>'
         "</div>", "a"),
        ('<div class="digest-post-embed" data-attrs="x"></div><p>b</p>', "b"),
        ('<p>a</p><div class="embedded-post-wrap"><a>Their post</a></div>', "a"),
        ('<p>a</p><div class="tweet"><p>Their words</p></div>', "a"),
        ('<p>a</p><blockquote class="twitter-tweet"><p>Their words</p></blockquote>', "a"),
        ('<div class="captioned-image-container"><figure><a class="image-link"><img src="x"></a>'
         '<figcaption>Photo by someone</figcaption></figure></div><p>b</p>', "b"),
        ('<figure class="wp-block-embed"><div>https://twitter.com/a/status/1</div></figure><p>b</p>', "b"),
        ('<div class="pullquote"><p>My own words again</p></div><p>b</p>', "> My own words again\n\nb"),
        ('<pre class="wp-block-verse">Roses\n  red</pre><p>b</p>', "Roses  \nred\n\nb"),
        ("<hr><p>a</p><hr><p>b</p><hr><div class='button-wrapper'>Go</div>", "a\n\n---\n\nb"),
    ],
)  # fmt: skip
def test_what_the_author_did_not_write_goes(body: str, expected: str) -> None:
    assert to_markdown(body) == expected


def test_half_a_character_in_an_attribute_does_no_harm() -> None:
    name = attrs(name="Ann \ud83d")
    body = f'<p>Hi <span class="mention-wrap" data-attrs="{name}"></span></p>'
    assert to_markdown(body) == "Hi Ann \ufffd"


def test_a_table_in_a_figure_stays_with_its_caption() -> None:
    table = "<table><tr><th>a</th></tr><tr><td>1</td></tr></table>"
    body = f"<figure class='wp-block-table'>{table}<figcaption>Ages</figcaption></figure>"
    assert to_markdown(body) == "| a |\n| --- |\n| 1 |\n\nAges"


def test_code_is_not_judged_by_the_classes_of_its_highlighter() -> None:
    body = '<pre><code><span class="comment"># keep me</span>\n<span class="tweet">x</span></code></pre>'
    assert to_markdown(body) == "```\n# keep me\nx\n```"


def test_words_that_stand_in_attributes_come_in() -> None:
    mention = f'<p>I met <span class="mention-wrap" data-attrs="{attrs(name="Amelia")}"></span>.</p>'
    formula = f'<div class="latex-rendered" data-attrs="{attrs(persistentExpression="x^2")}"></div>'
    assert to_markdown(mention + formula) == "I met Amelia.\n\n$$x^2$$"
    assert to_markdown('<p>a</p><div class="latex-rendered" data-attrs="{broken"></div>') == "a"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('<p>So <script type="math/tex">a_1</script><span class="MathJax">a1</span> is</p>', "So $a_1$ is"),
        ('<p>So <img class="latex" alt="e=mc^2" src="x"> is</p>', "So $e=mc^2$ is"),
        ('<p>So <span class="katex"><span class="katex-mathml"><math><semantics><mi>x</mi>'
         '<annotation encoding="application/x-tex">x</annotation></semantics></math></span>'
         '<span class="katex-html">x</span></span> is</p>', "So $x$ is"),
    ],
)  # fmt: skip
def test_formulas_are_what_their_author_typed(body: str, expected: str) -> None:
    assert to_markdown(body) == expected


SUBSTACK = (
    '<p>High tax.<a class="footnote-anchor" id="footnote-anchor-1" href="#footnote-1">1</a> Although</p>'
    '<div class="footnote"><a id="footnote-1" href="#footnote-anchor-1" class="footnote-number">1</a>'
    '<div class="footnote-content"><p>It is <em>not</em>.</p></div></div>'
)
GHOST = (
    '<p>High tax.<sup class="footnote-ref"><a href="#fn1" id="fnref1">[1]</a></sup> Although</p>'
    '<hr class="footnotes-sep"><section class="footnotes"><ol><li id="fn1"><p>It is <em>not</em>. '
    '<a href="#fnref1" class="footnote-backref">↩︎</a></p></li></ol></section>'
)


@pytest.mark.parametrize("body", [SUBSTACK, GHOST])
def test_a_footnote_leaves_its_sentence_and_stays_as_a_note(body: str) -> None:
    assert to_markdown(body).replace("---\n\n", "") == "High tax. Although\n\n[^1]: It is *not*."


def test_links_that_are_no_footnotes_stay() -> None:
    body = (
        '<p>See <a href="#b">2</a>, x<sup>2</sup></p><h2 id="b">B</h2><p>t<sup><a href="#no">1</a></sup></p>'
    )
    assert to_markdown(body) == "See 2, x2\n\n## B\n\nt1"


def test_nothing_comes_of_nothing() -> None:
    assert to_markdown("") == to_markdown("<p class='button-wrapper'>Go</p>") == to_markdown("<hr>") == ""
