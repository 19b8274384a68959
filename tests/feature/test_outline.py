from __future__ import annotations

from llm_twin.contracts.prose import blocks
from llm_twin.feature.notes import copied_run
from llm_twin.feature.outline import outline

GATE = (
    "I didn't open the upper gate before breakfast, because Captain Yarrow had sixteen boxes of walnuts "
    "aboard the barge and the stiff paddles were full of frost."
)
FLOAT = (
    "The float in the stilling well had stopped again, so I climbed down with a lamp and freed the rusty "
    "chain from its sprocket, which took until noon."
)


def test_headings_are_the_points_where_there_are_two() -> None:
    text = f"{GATE}\n\n## The `gate`\n\n{GATE}\n\nThe float\n---------\n\n{FLOAT}"
    assert outline(text, blocks(text)) == ["The `gate`", "The float"]


def test_without_headings_each_paragraph_gives_its_name_and_key_phrases() -> None:
    text = f"{GATE}\n\nSo.\n\n{FLOAT}"
    points = outline(text, blocks(text))
    assert len(points) == 2
    assert points[0].startswith("Captain Yarrow, ")
    assert points[1] == "rusty chain, sprocket"
    assert not copied_run("\n".join(points), text, 6)
    assert all(2 <= len(point.split(", ")) <= 3 for point in points)


def test_a_single_heading_stands_among_the_key_phrases() -> None:
    text = f"{GATE}\n\n## The float\n\n{FLOAT}"
    points = outline(text, blocks(text))
    assert points[1] == "The float"
    assert len(points) == 3


def test_less_than_two_points_are_no_outline() -> None:
    assert outline(GATE, blocks(GATE)) == []
    assert outline("", []) == []
    text = f"{GATE}\n\nint x[10] = {{0}}; y += x[3] * 0x7f; (void)*p++; a[1] = b[2] ^ c[3]; {'&& || ' * 20}"
    assert outline(text, blocks(text)) == []
