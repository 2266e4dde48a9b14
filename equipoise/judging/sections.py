"""The labelled sections of an answer to a debiasing prompt, and its final section. No torch.

An explanation that names the stereotype in order to reject it may be judged as the stereotype, so
a judge is given the whole text and, apart, the section that the prompt asked for at the end.
Source: BiasGym, Table 8 (labels); that the final section is judged apart is ours.
"""

import re
from typing import Final

EXPLANATION: Final = "Explanation"
CONTINUATION: Final = "Debiased Continuation"  # final after an explanation
ORIGINAL: Final = "Original Continuation"
REWRITING: Final = "Debiased Rewriting"  # final after an original continuation

#: Labels of the section that an answer ends with.
FINAL: Final = (CONTINUATION, REWRITING)


def _label(names: tuple[str, ...]) -> re.Pattern[str]:
    """A label before its colon, in any case and emphasis, or as a line of its own."""
    either = "|".join(name.replace(" ", r"[ \t]+") for name in names)
    return re.compile(
        rf"\b(?:{either})\b[ \t]*(?:[*_]*[ \t]*:[ \t]*[*_]*|[*_]*[ \t]*$)",
        re.IGNORECASE | re.MULTILINE,
    )


_FINAL = _label(FINAL)
_OTHER = _label((EXPLANATION, ORIGINAL))
#: What a model leaves that repeats the form it was shown instead of filling it in.
_PLACEHOLDER = re.compile(r"<[^<>]*>")


def final_section(text: str) -> tuple[str, bool]:
    """The section after the last final label, and whether there is a label with words behind it.

    It ends where another label follows. Without it the section is the whole text: a label that is
    missing, has nothing behind it or only the form's own placeholder is a failure of format, which
    whoever counts must count (for a prompt that asks for no label, all texts are without).
    """
    labels = list(_FINAL.finditer(text))
    if not labels:
        return text, False
    section = text[labels[-1].end() :]
    other = _OTHER.search(section)
    section = section[: other.start()] if other else section
    section = section.strip().rstrip("*_#").strip()
    if not re.search(r"\w", _PLACEHOLDER.sub("", section)):
        return text, False
    return section, True
