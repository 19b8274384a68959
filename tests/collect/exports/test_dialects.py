"""Markdown of every engine comes out as a page of it would have been read."""

from __future__ import annotations

import time

import pytest

from llm_twin.collect.exports.dialects import normal, without_scripts


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("It's *one* -- “two” — three…", "It's *one* -- “two” — three…"),
        ("Hard\nwrapped\nlines.", "Hard wrapped lines."),
        ("[A link](https://a.org) and ![a picture](b.png)stay out.", "A link and stay out."),
        ("{% highlight c linenos %}\nint a;\n{% endhighlight %}", "```c\nint a;\n```"),
        ('{{< highlight go "linenos=true" >}}\nx := 1\n{{< /highlight >}}', "```go\nx := 1\n```"),
        ("{% codeblock A title lang:ruby %}\ndef a\n  1\nend\n{% endcodeblock %}",
         "```ruby\ndef a\n  1\nend\n```"),
        ("{% codeblock %}\nx\n{% endcodeblock %}", "```\nx\n```"),
        ("{% blockquote Douglas Adams, A book %}\nLast [[night]]\n\nagain.\n{% endblockquote %}\nMine.",
         "> Last night\n>\n> again.\n\nMine."),
        ('Before {{< quote author="X" >}}Theirs.{{< /quote >}} after.', "Before\n\n> Theirs.\n\nafter."),
        ("{{% pullquote %}}Again.{{% /pullquote %}}", "> Again."),
        ('{% pullquote %}\nMine, {" shown beside "} too.\n{% endpullquote %}', "Mine, shown beside too."),
        ('{{< quote src="x" />}}Mine.', "Mine."),
        ("Type `{% quote %}` and:\n\n    {% quote %}x{% endquote %}",
         "Type `{% quote %}` and:\n\n```\n{% quote %}x{% endquote %}\n```"),
        ('Before {{< figure src="x.png" >}} and {% include a.html %} after.', "Before and after."),
        ("At {{ site.url }} it is.", "At it is."),
        ("{% comment %}\nnot this\n{% endcomment %}\nBut this.", "But this."),
        ("Text.\n{: .note}", "Text."),
        (
            "See [[Other note]] and [[Page#Part|this]], ![[embed.png]]hidden %%a\nremark%%.",
            "See Other note and this, hidden .",
        ),
        ("Shown %%hidden%% so.\n\n%%\nnot\n\nthis\n%%\nBye.", "Shown so.\n\nBye."),
        ("100%% sure.\n\n50%% more.", "100%% sure.\n\n50%% more."),
        ("A claim. ^a1b2", "A claim."),
        ("[Me]({{ \"/about/\" | relative_url }}) ![a]({{ '/a.png' | absolute_url }})here.", "Me here."),
        ('[x](y){:target="_blank"} *z*{:.note}\n{: style="a, b"}', "x *z*"),
        ("Elixir's {:ok, value} and Python's {:.2f}.", "Elixir's {:ok, value} and Python's {:.2f}."),
        (
            "Code:\n\n    [[ -f x ]] && {{ y }} %% {:ok, v}\n\n"
            "- At [[home]]:\n\n    so [[here]]\n\n\t\t[[ -f y ]]",
            "Code:\n\n```\n[[ -f x ]] && {{ y }} %% {:ok, v}\n```\n\n"
            "- At home:\n\n  so here\n\n  ```\n    [[ -f y ]]\n  ```",
        ),
        ("1. In:\n\n    ~~~sh\n    [[ -f x ]]\n    ~~~", "1. In:\n\n   ```sh\n   [[ -f x ]]\n   ```"),
        ("Lines\r\n\r\n\t[[ -f x ]]\r\n\r\nof [[Windows]].", "Lines\n\n```\n[[ -f x ]]\n```\n\nof Windows."),
        ("Euler: $e^{i\\pi} * 1_2$ costs $5 or $6.", "Euler: $e^{i\\pi} * 1_2$ costs $5 or $6."),
        ("`{{ kept }}` and `[[kept]]`", "`{{ kept }}` and `[[kept]]`"),
        ("```liquid\n{% if kept %}[[kept]]\n```", "```liquid\n{% if kept %}[[kept]]\n```"),
        ("Term\n: Its meaning", "Term\n:   Its meaning"),
        ("<script>no</script><p>Yes<br>and</p>", "Yes  \nand"),
        ("~~gone~~ _kept_", "~~gone~~ *kept*"),
        (
            "Unclosed {% and {{< and [[ before [[one|it [1]]] and {% x %}that.",
            "Unclosed {% and {{< and [[ before it [1] and that.",
        ),
    ],
)  # fmt: skip
def test_what_an_engine_adds_is_resolved_or_left_out(written: str, read: str) -> None:
    assert normal(written) == read


def test_modules_and_comments_of_mdx_are_left_out() -> None:
    code = "```js\nx = 1\n\nimport a from 'b' {/* kept */}\n```"
    modules = "\nimport A from 'a'\nexport const b = {\n  c: 1,\n}\n\n"
    words = "import-export firms."
    mdx = f"{modules}Goods we\nimport.\n\n{words}\n\n{code}\n\n{{/* a\n\nb */}}Bye."
    assert normal(without_scripts(mdx)) == f"Goods we import.\n\n{words}\n\n{code}\n\nBye."


def test_notes_tables_and_lists_stay() -> None:
    found = normal("A note[^1].\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n1. x\n   - y\n\n[^1]: The note.\n")
    assert "A note[1]." in found
    assert "| a | b |\n| --- | --- |\n| 1 | 2 |" in found
    assert "1. x\n   - y" in found
    assert found.endswith("1. The note.")


def test_what_is_normal_stays_as_it_is() -> None:
    text = "## Head\n\nIt's *so* `code` **bold**.\n\n- one\n- two\n\n> A quote.\n\n```c\nint a;\n```\n\n$x_1$"
    assert normal(text) == text


def test_what_never_closes_costs_no_time() -> None:
    tags = ["{%", "{{<", "{{%", "{% comment %}", "{% highlight c %}", "{{< highlight c >}}", "{:.a", "{/*"]
    tags += ["{% codeblock lang:", "{% quote %}", "{{< quote ", "{% endquote %}", '{% pullquote %}{"']
    started = time.perf_counter()
    for text in [*tags, "[", "[[", "![[", "%%", "`"]:
        normal(without_scripts(text * (40_000 // len(text))))
    assert time.perf_counter() - started < 15, "a single one of them took half a minute"


def test_brackets_that_no_prose_has_are_text() -> None:
    started = time.perf_counter()
    assert normal("[" * 40_000) == "[" * 40_000
    assert normal("![a](b)[c](d) " * 2_000) == ("![a](b)[c](d) " * 2_000).strip()
    assert normal("[c](d) " * 500 + "\n\n```\n" + "[" * 9_000 + "\n```").startswith("c c c")
    assert time.perf_counter() - started < 5
