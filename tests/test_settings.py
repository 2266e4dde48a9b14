"""name.option=value on the command line."""

import pytest

from equipoise.errors import RecipeError
from equipoise.settings import Settings, dashed


def test_values_are_json_or_the_text_itself() -> None:
    found = Settings.parse(
        [
            "genbias.split_by=both",
            "genbias.split_seed=3",
            "lftf.norms=false",
            'lftf.locator={"name": "random_block"}',
            "my/nurses.py:Nurses.names=[1, 2]",
            "facts.file=a=b",
        ]
    )
    assert found.of("genbias") == {"split_by": "both", "split_seed": 3}
    assert found.of("lftf") == {"norms": False, "locator": {"name": "random_block"}}
    assert found.of("my/nurses.py:Nurses") == {"names": [1, 2]}
    assert found.of("facts") == {"file": "a=b"}
    assert found.of("stereoset") == {}


@pytest.mark.parametrize("text", ["genbias", "genbias.x", "=3", ".x=3", "genbias.=3", "x=3"])
def test_what_is_no_option_is_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"set as name\.option=value, got"):
        Settings.parse([text])


def test_an_option_of_something_unused_is_told_the_nearest_name() -> None:
    settings = Settings.parse(["genbais.split_by=both"])
    with pytest.raises(RecipeError, match=r"--set genbais\.split_by .* did you mean 'genbias'\?"):
        settings.check_used(["genbias", "stereoset"])
    Settings.parse(["genbias.x=1"]).check_used(["genbias"])


def test_flags_may_have_underscores() -> None:
    assert dashed("--batch_size=a_b") == "--batch-size=a_b"
    assert [dashed(one) for one in ("--draws", "a_b", "-m")] == ["--draws", "a_b", "-m"]
