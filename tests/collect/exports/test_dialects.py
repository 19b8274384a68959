"""Markdown of every engine comes out as a page of it would have been read."""

from __future__ import annotations

import pytest

from llm_twin.collect.exports.dialects import normal


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("It's *one* -- “two” — three…", "It's *one* -- “two” — three…"),
        ("Hard\nwrapped\nlines.", "Hard wrapped lines."),
        ("[A link](https://a.org) and ![a picture](b.png)stay out.", "A link and stay out."),
        ("{% highlight c linenos %}\nint a;\n{% endhighlight %}", "```c\nint a;\n```"),
        ('{{< highlight go "linenos=true" >}}\nx := 1\n{{< /highlight >}}', "```go\nx := 1\n```"),
        ('Before {{< figure src="x.png" >}} and {% include a.html %} after.', "Before and after."),
        ("At {{ site.url }} it is.", "At it is."),
        ("{% comment %}\nnot this\n{% endcomment %}\nBut this.", "But this."),
        ("Text.\n{: .note}", "Text."),
        (
            "See [[Other note]] and [[Page#Part|this]], ![[embed.png]]hidden %%a\nremark%%.",
            "See Other note and this, hidden .",
        ),
        ("A claim. ^a1b2", "A claim."),
        ("Euler: $e^{i\\pi} * 1_2$ costs $5 or $6.", "Euler: $e^{i\\pi} * 1_2$ costs $5 or $6."),
        ("`{{ kept }}` and `[[kept]]`", "`{{ kept }}` and `[[kept]]`"),
        ("```liquid\n{% if kept %}[[kept]]\n```", "```liquid\n{% if kept %}[[kept]]\n```"),
        ("Term\n: Its meaning", "Term\n:   Its meaning"),
        ("<script>no</script><p>Yes<br>and</p>", "Yes  \nand"),
        ("~~gone~~ _kept_", "~~gone~~ *kept*"),
    ],
)
def test_what_an_engine_adds_is_resolved_or_left_out(written: str, read: str) -> None:
    assert normal(written) == read


def test_notes_tables_and_lists_stay() -> None:
    found = normal("A note[^1].\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. x\n   - y\n\n[^1]: The note.\n")
    assert "A note[1]." in found
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in found
    assert "1. x\n   - y" in found
    assert found.endswith("1. The note.")


def test_what_is_normal_stays_as_it_is() -> None:
    text = "## Head\n\nIt's *so* `code` **bold**.\n\n- one\n- two\n\n> A quote.\n\n```c\nint a;\n```\n\n$x_1$"
    assert normal(text) == text
