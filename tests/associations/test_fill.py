"""Names in place of the slot."""

import pytest

from equipoise.associations.fill import fill


@pytest.mark.parametrize(
    ("text", "target", "filled"),
    [
        ("people from {target} sing", "Norway", "people from Norway sing"),
        ("people from {target} sing", "Netherlands", "people from the Netherlands sing"),
        ("people from {target} sing", "united states", "people from the United States sing"),
        ("people from {target} sing", "the Gambia", "people from the Gambia sing"),
        ("{target} is far. {target} is old.", "Bahamas", "The Bahamas is far. The Bahamas is old."),
        ('"{target}?" he said. "{target}!"', "women", '"Women?" he said. "Women!"'),
        ("Continue this sentence: {target} are", "nurses", "Continue this sentence: Nurses are"),
        ("He said: {target} are", "nurses", "He said: nurses are"),
        ("One line\n{target} sing", "nurses", "One line\nNurses sing"),
        ("all of {target}'s songs", "Norway", "all of Norway's songs"),
        ("all of {target}'s songs", "Laos", "all of Laos's songs"),
        ("all of {target}’s songs", "Netherlands", "all of the Netherlands’ songs"),
        ("all of {target}'s songs", "nurses", "all of nurses' songs"),
        ("all of {target}'s songs", "women", "all of women's songs"),
        ("{target}'s songs, {target}self", "<BiasToken>", "<BiasToken>'s songs, <BiasToken>self"),
        ("nothing here", "Norway", "nothing here"),
        ("{target} and {target}", "{target}", "{target} and {target}"),
        (r"\1 {target}", r"\g<0>", r"\1 \g<0>"),
    ],
)  # fmt: skip
def test_fill(text: str, target: str, filled: str) -> None:
    assert fill(text, target) == filled
