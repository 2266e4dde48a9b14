"""Chat templates of several forms, own wording, on a tokenizer of bytes with their tokens."""

from dataclasses import dataclass, replace

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from equipoise.inference.language_model import LanguageModel
from equipoise.testing import tiny_model


@dataclass(frozen=True, kw_only=True)
class Form:
    """A template, and the special tokens of its tokenizer."""

    template: str | None
    bos: str | None = None
    eos: str | None = None
    unk: str | None = None
    pad: str = "<pad>"
    more: tuple[str, ...] = ()  # tokens without a role


_MARKED = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n"
)
CHATML = _MARKED + "{% endif %}"
FORMS = {
    "smollm": Form(
        template=CHATML, bos="<|im_start|>", eos="<|im_end|>", unk="<|endoftext|>", pad="<|im_end|>"
    ),
    "qwen": Form(template=CHATML, eos="<|im_end|>", pad="<|endoftext|>", more=("<|im_start|>",)),
    "dolphin": Form(template=CHATML, bos="<|im_start|>", eos="<|im_end|>", more=("</s>", "<s>")),
    "markers alone": Form(template=CHATML, bos="<|im_start|>", eos="<|im_end|>", pad="[PAD]"),
    "base": Form(template=CHATML, bos="<|im_start|>", eos="<|endoftext|>", more=("<|im_end|>",)),
    "llama2": Form(
        template=(
            "{% for m in messages %}{% if m['role'] == 'system' %}"
            "{% elif m['role'] == 'user' %}{{ bos_token }}[INST] "
            "{% if loop.index0 == 1 and messages[0]['role'] == 'system' %}"
            "<<SYS>>{{ messages[0]['content'] }}<</SYS>> {% endif %}{{ m['content'] }} [/INST]"
            "{% else %} {{ m['content'] }} {{ eos_token }}{% endif %}{% endfor %}"
        ),
        bos="<s>",
        eos="</s>",
    ),
    "llama3": Form(
        template=(
            "{{ bos_token }}{% for m in messages %}<|header|>{{ m['role'] }}<|/header|>\n\n"
            "{{ m['content'] | trim }}<|eot|>{% endfor %}"
            "{% if add_generation_prompt %}<|header|>assistant<|/header|>\n\n{% endif %}"
        ),
        bos="<|begin_of_text|>",
        eos="<|eot|>",
        more=("<|header|>", "<|/header|>"),
    ),
    "gemma": Form(
        template=(
            "{{ bos_token }}{% if messages[0]['role'] == 'system' %}"
            "{{ raise_exception('no system role') }}{% endif %}{% for m in messages %}<turn>"
            "{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n{{ m['content'] | trim }}"
            "</turn>\n{% endfor %}{% if add_generation_prompt %}<turn>model\n{% endif %}"
        ),
        bos="<bos>",
        eos="<eos>",
        more=("<turn>", "</turn>"),
    ),
    "vicuna": Form(  # writes no BOS and knows no invitation to answer
        template=(
            "{% for m in messages %}{{ m['role'] | upper }}: {{ m['content'] }}"
            "{{ ' ' if m['role'] == 'user' else eos_token }}{% endfor %}"
        ),
        bos="<s>",
        eos="</s>",
    ),
    "thinking": Form(
        template=_MARKED
        + "{% if enable_thinking is defined and enable_thinking is false %}<think>\n\n</think>\n\n"
        "{% endif %}{% endif %}",
        eos="<|im_end|>",
        pad="<|endoftext|>",
        more=("<|im_start|>",),
    ),
    "in parts": Form(
        template=(
            "{{ bos_token }}{% for m in messages %}{{ m['role'] }}: {% for part in m['content'] %}"
            "{% if part['type'] == 'text' %}{{ part['text'] }}{% endif %}{% endfor %}</t>\n"
            "{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
        ),
        bos="<s>",
        eos="</t>",
    ),
    "dated": Form(
        template="On {{ strftime_now('%d %b %Y') }}, {{ strftime_now('%Y-%m-%d') }}: " + CHATML,
        eos="<|im_end|>",
        pad="<|endoftext|>",
        more=("<|im_start|>",),
    ),
    "broken": Form(template="{{ raise_exception('out of order') }}", bos="<s>", eos="</s>"),
    "no grammar": Form(template="{% for m in %}", bos="<s>", eos="</s>"),
    "deaf": Form(template="{{ bos_token }}hello", bos="<s>", eos="</s>"),
    "none": Form(template=None, bos="<s>", eos="</s>"),
}


def chat_tokenizer(form: str) -> PreTrainedTokenizerFast:
    """A token a byte, and the special tokens of the form."""
    given = FORMS[form]
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    core = Tokenizer(models.BPE(vocab={letter: i for i, letter in enumerate(letters)}, merges=[]))
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    core.decoder = decoders.ByteLevel()
    tokens = [token for token in (given.bos, given.eos, given.unk, given.pad) if token]
    new = dict.fromkeys([*tokens, *given.more])
    core.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in new])
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token=given.bos,
        eos_token=given.eos,
        unk_token=given.unk,
        pad_token=given.pad,
        chat_template=given.template,
    )


def chat_model(form: str) -> LanguageModel:
    """A tiny model with that tokenizer."""
    tokenizer, model = chat_tokenizer(form), tiny_model("llama", context=512)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model.module.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    return replace(model, tokenizer=tokenizer)
