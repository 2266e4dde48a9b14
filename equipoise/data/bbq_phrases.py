r"""The words by which a model's written answer to a BBQ question is read.

All but those of the first part are for text without regard to case in which the names of answers
are replaced by tokens ("@0", and "@x" of the answer "unknown").
"""

import re
from typing import Final

# What is around an answer.

#: Quotes and what Markdown and LaTeX dress words with; and what a token or letter is marked with.
DRESS: Final = str.maketrans({"’": "'", "‘": "'"} | dict.fromkeys('“”"*_`$@«»'))
COMMAND: Final = re.compile(r"\\(?:boxed|text\w*|math\w*)\s*\{([^{}]*)\}")
#: What base models go on to write: another question, with another answer.
NEXT_QUESTION: Final = re.compile(
    r"(?<=\S)\s*\n\s*(?:q|question|context|human|user)\s*\d*:.*", re.DOTALL | re.IGNORECASE
)
HEADING: Final = re.compile(r"((?:answer|response|assistant)(?: is)?\s*:)\s*\n\s*", re.IGNORECASE)
#: What a line begins with before its answer; the "A:" repeats the prompt and is no letter.
ECHO: Final = re.compile(
    r"^(?:[-#>•\s]+|\d+[.)]\s*|(?:a|answer|assistant|response)\s*:\s*)+(?=\S)", re.IGNORECASE
)
#: An answer that is called so, in group 1.
STATEMENT: Final = re.compile(
    r"(?:^\W*|[.!?;]\s+|\b(?:so|thus|therefore|hence|then)\b,?\s*)(?:(?:the|my)\s+)?"
    r"(?:(?:final|correct|best|right)\s+)*(?:answer|option|choice)(?: to the question)?\s*"
    r"(?:is\b\s*:?|would be\b|:)\s*(\S.*)",
    re.IGNORECASE,
)

# How a line is cut.

#: A question that the same line goes on to answer.
QUESTION: Final = re.compile(r"[^.?!]*\?\s*(?=[\w@«])")
SENTENCE: Final = re.compile(r"[.!?;]+(?:\s+|$)")
#: A negation does not reach beyond it.
CLAUSE: Final = re.compile(r"\s*(?:[()\[\]—–]|,(?! or\b)|\s-+\s|\b(?:but|however|yet)\b)\s*")
REASON: Final = re.compile(
    r"^(?:because|since|as|while|given|(?:even )?though|although)\b[^,]*,|"
    r"\b(?:because|since|given that|due to|(?:even )?though|although)\b.*|"
    r",\s*(?:as|for|given|considering)\b(?! well).*"
)

# What keeps a letter or a name from being an answer.

#: Affirms, though it has the word of a negation.
EMPHASIS: Final = re.compile(
    r"\b(?:none other than|more than likely|no (?:doubt|question)|without (?:a )?doubt|not only)\b"
)
#: Denies what follows in the clause, or leaves it open.
DENIES: Final = re.compile(
    r"n't\b|\b(?:not?|never|nor|neither|none|nobody|cannot|without|unlike|except|besides|"
    r"apart from|instead of|than|rules? out|excludes?|doubts?|whether|if|unlikely|hardly)\b"
)
#: "The person who was not there is": denies nothing of the name that follows.
DESCRIBED: Final = re.compile(
    r"^(?:so )?(?:the )?(?:\w+ )?(?:person|one|individual|man|woman|friend)\b.*"
    r"\b(?:is|was|would be)(?: (?:the|an?|most|\w+ly))*\s*$"
)
#: After a letter, and after a name: "the elm was not tall" may answer a question.
LETTER_DENIED: Final = re.compile(
    r"\W*(?:is|was|can|does)(?:n?'t|not| not)\b|\W*is (?:wrong|incorrect|false)\b"
)
NAME_DENIED: Final = re.compile(
    r" (?:is|was)(?:n't| not) (?:it|him|her|them|correct|right|(?:the )?(?:right |correct )?"
    r"(?:answer|one|person|choice|option))\b|,? is (?:wrong|incorrect|false)\b"
)
#: "The elm or the oak" affirms neither.
ALTERNATIVES: Final = re.compile(r"(?:@\w, )*@\w(?:,? or (?:\w+ )?@\w)+")
#: After a name, that of a possessor; "'s the" is a verb.
POSSESSIVE: Final = re.compile(r"'s?\s+(?!(?:the|an?|not)\b)[\w@]")

# Letters: marked as "«b»" where brackets say that they are.

ENCLOSED: Final = re.compile(r"(?<![\w'])[(\[]?([a-c])[)\]]")
#: "a" before another word than these is an article.
LETTER: Final = re.compile(
    r"«([a-c])»|(?<![\w'«-])(?:([bc])|(a)(?!\s+(?!(?:is|isn't|was|or|and|nor|because|since|as|"
    r"would|seems)\b)[\w@]))(?![\w'»-])"
)
#: Before a letter, after it, and after it where it begins a clause: it is sure to be a letter.
LETTER_FOLLOWS: Final = re.compile(
    r"\b(?:answers?|options?|choices?|letter|choose|chose|pick|select|with|say|guess|think|believe|"
    r"is|was|be|are|it's|that's|both|either|so|thus|therefore|hence|definitely|probably|likely|"
    r"perhaps|maybe|clearly|surely|rather|yes)[\s:=]*$"
)
LETTER_PRECEDES: Final = re.compile(
    r"\s(?:is|was|would be|seems)\b(?: \w+){0,3} (?:correct|right|true|answer|choice|option|best)\b"
)
LETTER_BEGINS: Final = re.compile(r"\W*$|[.:]|\s*(?:because|since|as|or|and)\b")

# "Unknown" in other words.

#: "The grandson could not say" answers with the grandson.
_OF_NOBODY = (
    r"(?<!@\d )(?<!@\d is )(?<!@\d was )(?<!\bhe )(?<!\bshe )(?<!\bthey )"
    r"(?<!\bwho )(?<!\bwho is )(?<!\bwho was )"
)
_ADVERBS = r"(?:(?:\w+ly|be|yet|quite|even|just|for|made|in any way) )*"
_MATTER = r"(?:info\w*|contexts?|evidence|details?|data|clues?|indications?|mention|proof)\b"
_CANNOT = (
    r"(?:can(?:'t|not| not)|could(?:n't| not)|(?:un|not )able to|(?:im|not )possible to|"
    rf"(?:hard|difficult|tough) to|no way (?:to|of)) {_ADVERBS}"
    r"(?:determin|tell|say|said|know|decid|answer|sure|certain|conclu|identif|infer|establish|judg|"
    r"choos|pick|deduc|assum|ascertain)"
)
_SAYS_NOT = (
    rf"(?:(?:do|does|did)(?:n't| not)|fails? to|never) {_ADVERBS}(?:know|say|mention|specif|"
    r"provide|state|tell|indicate|reveal|give|identify|clarify|make (?:it )?clear|explain)"
)
_IS_NOT = (
    rf"(?:not|n't|never) {_ADVERBS}(?:known|clear|specified|stated|mentioned|given|provided|"
    r"sufficient|answerable|determin(?:ed|able)|indicated|identified|explicit|evident|obvious|"
    r"apparent|revealed|said|in the (?:text|context|passage))\b"
)
_TOO_LITTLE = (
    r"(?:insufficient|no|lack(?:s|ing)?|little|needs? more|(?:not|n't) (?:(?:have|give|offer|"
    rf"contain|include) )?(?:any|enough|sufficient)) (?:of )?(?:\w+ ){{0,2}}?{_MATTER}|"
    rf"(?:^|\b(?:not|n't) )enough {_MATTER}|(?:not|n't) enough$|\bmore {_MATTER} (?:is|would be)\b|"
    r"says? nothing|nothing (?:in|says|about)\b"
)
_WORDS = (
    r"\b(?:unknown|undetermin\w+|unclear|unspecified|unstated|unknowable|unanswerable|ambiguous|"
    r"inconclusive|indetermina\w+|neither|none of (?:them|these|the (?:above|two))|no idea|"
    r"no answer|who knows|idk)\b|could(?: \w+)? be (?:either|any)\b|"
    r"either(?: of (?:them|the two))? (?:could|is possible)\b|"
    r"^(?:it (?:is|was) )?(?:nobody|no one|none)\b"
)
#: That nobody can know.
UNKNOWN: Final = re.compile(
    rf"(?<!not )(?<!n't )(?<!never )(?:{_OF_NOBODY}(?:{_CANNOT}|{_SAYS_NOT}|"
    rf"(?:not|n't) (?:\w+ly )?(?:sure|certain)\b|\b(?:unsure|uncertain)\b)|"
    rf"{_IS_NOT}|{_TOO_LITTLE}|{_WORDS}|@x)"
)
