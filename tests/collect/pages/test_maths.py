"""Rendered formulas come back as the TeX that their author wrote."""

from __future__ import annotations

import pytest
from lxml import html

from llm_twin.collect.pages.maths import restore

KATEX = (
    '<span class="katex"><span class="katex-mathml"><math{}><semantics><mrow><mi>x</mi></mrow>'
    '<annotation encoding="application/x-tex">x_1 * y</annotation></semantics></math></span>'
    '<span class="katex-html" aria-hidden="true"><span>x1y</span></span></span>'
)


@pytest.mark.parametrize(
    ("rendered", "written"),
    [
        (KATEX.format(""), "Let $x_1 * y$ be."),
        (KATEX.format(' display="block"'), "Let $$x_1 * y$$ be."),
        (
            '<span class="MathJax_Preview">x</span><script type="math/tex">a &lt; b</script>',
            "Let $a &lt; b$ be.",
        ),
        ('<script type="math/tex; mode=display">\\sum_i</script>', "Let $$\\sum_i$$ be."),
        ('<math alttext="e^x"><mi>e</mi></math>', "Let $e^x$ be."),
        ('<img class="latex" alt="n^2" src="l.php">', "Let $n^2$ be."),
        ('<img class="photo" alt="A cat">', "Let  be."),
        ("<math><mi>n</mi></math>", "Let n be."),
        ("<script>var a;</script>", "Let var a; be."),
        ("\\(x_1\\)", "Let \\(x_1\\) be."),
    ],
)
def test_a_formula_is_its_source(rendered: str, written: str) -> None:
    root = html.document_fromstring(f"<body><div>Let {rendered} be.</div></body>")
    restore(root)
    assert root.text_content() == written
