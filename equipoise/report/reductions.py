"""How much of what fine-tuning added was taken away again, in words."""

from collections.abc import Iterator

from equipoise.number_text import group_name
from equipoise.records import Estimate
from equipoise.report.provenance import setting_names, setting_of
from equipoise.study.study import Chapter


def reduction_sentences(chapter: Chapter) -> Iterator[str]:
    """A sentence per benchmark: its first metric overall, and by the groups of the first key.

    "crows_pairs score: 31 % [12, 55] of what finetune added is gone (direction stereo: 40 % …)".
    """
    names = setting_names(reduced.base for reduced in chapter.reductions)
    for reduced in chapter.reductions:
        if not reduced.estimates:
            continue
        overall = reduced.estimates[0]
        name, metric = names[setting_of(reduced.base)], overall.metric
        subject = name if name == metric else f"{name} {metric}"
        if overall.reason is not None:
            yield f"{subject}: no share of what {chapter.against} added is given; {overall.reason}"
            continue
        keys = [tuple(each.group) for each in reduced.estimates if each.group]
        groups = [
            f"{group_name(each.group)} {_say(each)}"
            for each in reduced.estimates
            if each.metric == metric and keys and tuple(each.group) == keys[0]
            if each.reason is None
        ]
        listed = f" ({', '.join(groups[:_MOST])})" if groups else ""
        yield (
            f"{subject}: {_say(overall)} of what {chapter.against} added is gone{listed}; 100 % is "
            "the model as it is"
        )


_MOST = 4  # groups in a sentence


def _say(share: Estimate) -> str:
    value, low, high = (f"{number:.0f}" for number in (share.value, share.low, share.high))
    return f"{value} % [{low}, {high}]"
