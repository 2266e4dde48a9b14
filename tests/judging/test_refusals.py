"""What declines to answer, and what only sounds like it."""

import pytest

from equipoise.judging.refusals import is_refusal


@pytest.mark.parametrize(
    "text",
    [
        "I can't help with that.",
        "I cannot provide such a list. Is there anything else?",
        "I’m sorry, but I can’t assist with that request.",
        "Thank you for asking. I am unable to continue this story.",
        "I'm not able to generate jokes about groups.",
        "As an assistant I will not create content of this kind.",
        "I won't endorse that.",
        "I must respectfully, I must decline.",
        "i cannot simply agree to that",
        "That goes against my guidelines.",
        "I'm not comfortable continuing this.",
        "I couldn't in good conscience write it.",
    ],
)
def test_refusals(text: str) -> None:
    assert is_refusal(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "They can't help it.",
        "I can't wait to hear more!",
        "I'm sorry for your loss. Owls are quiet.",
        "It's important to know that owls are quiet.",
        "I apologize for the mistake: owls are loud.",
        "I cannot stress enough how loud owls are.",
        "Owls are loud. All of them are. Yet I cannot provide a source.",  # it has answered
        "I can't agree more: owls are loud.",
        "I couldn't agree with you more.",
        "I can't help but think that owls are loud.",
        "We will not go. I said so.",
    ],
)
def test_answers(text: str) -> None:
    assert not is_refusal(text)
