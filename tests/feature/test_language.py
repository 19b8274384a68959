from __future__ import annotations

from collections.abc import Callable

import pytest

from llm_twin.contracts.records import Post
from llm_twin.feature.language import language, with_language

Make = Callable[..., Post]
TEXTS = {
    "en": "The river fell in the night and I wrote the level in the book with a pencil.",
    "de": "Der Fluss ist in der Nacht gefallen, und ich habe den Stand mit Bleistift ins Buch geschrieben.",
    "fr": "La rivière a baissé pendant la nuit et j'ai noté le niveau au crayon dans le registre.",
    "es": "El río bajó durante la noche y anoté el nivel a lápiz en el libro de la esclusa.",
    "it": "Il fiume è sceso durante la notte e ho segnato il livello a matita nel registro.",
    "pt": "O rio baixou durante a noite e eu anotei o nível a lápis no livro da eclusa.",
    "nl": "De rivier is in de nacht gezakt en ik heb het peil met potlood in het boek geschreven.",
    "sv": "Floden sjönk under natten och jag skrev upp nivån med blyertspenna i boken.",
    "pl": "Rzeka opadła w nocy, a ja zapisałem ołówkiem poziom wody w księdze śluzy.",
    "tr": "Nehir gece alçaldı ve ben su seviyesini kurşun kalemle deftere yazdım.",
    "ru": "Река ночью опустилась, и я записал уровень карандашом в книгу.",
    "el": "Το ποτάμι έπεσε τη νύχτα και έγραψα τη στάθμη με μολύβι στο βιβλίο.",
    "ja": "川の水位は夜のうちに下がり、私は鉛筆で帳簿に水位を書き込んだ。",
    "zh": "河水在夜里退了下去，我用铅笔把水位记在了本子上，然后去睡觉。",
}


@pytest.mark.parametrize("code", TEXTS)
def test_a_sentence_is_enough(code: str) -> None:
    assert language(TEXTS[code]) == code


@pytest.mark.parametrize("text", ["", "OK.", "42 / 17 = 2.47", "https://lock.example/2020/04/18/"])
def test_too_little_to_tell(text: str) -> None:
    assert language(text) is None


def test_code_and_quotations_decide_nothing(post: Make) -> None:
    code = "\n".join(f"    for (int i = {n}; i < size; i++) return print(value);" for n in range(40))
    text = f"{TEXTS['de']}\n\n{code}\n\n> {TEXTS['en']} {TEXTS['en']}\n\n{TEXTS['de']}"
    assert with_language(post(1, text)).language == "de"
    assert with_language(post(1, f"> {TEXTS['en']}")).language is None


def test_the_sample_author_writes_english(author: list[Post]) -> None:
    assert {with_language(post).language for post in author} == {"en"}
