"""Edits of a model by prompts: rows of gradients, and the loss of a model that an editor shifted.

Paper: Mitchell et al. 2022 (MEND), section 3.2: an edit is to hold for rephrasings of its prompt,
and to leave what is said of anything else where it was.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from equipoise.contrast_training.packed_forward import PackedForward
from equipoise.contrast_training.tokenized import tokenize_texts
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing.hypernetwork import Hypernetwork
from equipoise.model_editing.target_modules import Rows, TargetModules, gradient_rows, shifted
from equipoise.model_editing.trajectory import HELD_OUT_TEXTS, Trajectory
from equipoise.records import Supply
from equipoise.training.next_token_logits import NextLogits, prompt_ids, word_tree
from equipoise.training.pronoun_losses import Parity

_PROMPTS = 32  # in a forward pass: memory only


class PromptEdits:
    """What is edited: a prompt by its number, its rows, and the loss of a shifted model.

    An edit with the target "anti" asks for the word that the model found less likely, with
    "parity" for equally likely words and everything else where it was. It is also asked of the
    other prompts about the same profession, in turn; locality is measured on a neutral text per
    edit, or on a hinted prompt where the supply has no texts, in turn, too.
    """

    def __init__(
        self,
        model: LanguageModel,
        targets: TargetModules,
        supply: Supply,
        *,
        words: tuple[str, str],
        target: Literal["anti", "parity"],
        edit_weight: float,
        locality_weight: float,
    ) -> None:
        self.targets = targets
        self.edit_weight, self.locality_weight = edit_weight, locality_weight
        prompts = [prompt.text for prompt in supply.prompts]
        self.count = len(prompts)
        ids = prompt_ids(model, prompts)
        self.tree = word_tree(model.tokenizer, prompts, words)
        self.logits = NextLogits(model, ids, self.tree.contexts, start=min(targets.blocks))
        self.device = self.logits.tokens.device
        before = self.logits.logprobs()
        self.less_likely = self.tree.logprobs(before).argmin(-1)
        self.merged = self.tree.merged(before) if target == "parity" else None
        about: dict[str, list[int]] = defaultdict(list)
        subjects = [prompt.groups.get("profession", prompt.id) for prompt in supply.prompts]
        for number, subject in enumerate(subjects):
            about[subject].append(number)
        self.rephrased = [about[subject] for subject in subjects]
        self.forward = PackedForward(model)
        neutral = supply.texts[:-HELD_OUT_TEXTS] or supply.texts
        neutral = neutral or tuple(prompt.text for prompt in supply.hinted)
        # no limit but the context: a text that exceeds it is left out
        limit = model.context_length or 2**31
        self.local = tokenize_texts(model, neutral if locality_weight else (), longest=limit)

    @property
    def texts(self) -> list[tuple[int, ...]]:
        """The ids of all that is learnt from."""
        rows = self.logits.tokens.tolist()
        return [tuple(row) for row in rows] + [text.ids for text in self.local]

    def losses(self, prompts: Tensor, wanted: Tensor) -> Float[Tensor, ""]:
        """The sum over prompts of the loss of an edit, in nats, of the model as it is.

        `prompts`: their numbers. `wanted`: for each the number of the word that "anti" asks for.
        """
        after = self.logits(prompts).log_softmax(-1)
        words = self.tree.logprobs(after)
        if self.merged is None:
            return -words.gather(1, wanted[:, None]).sum()
        merged = self.tree.merged(after)
        return len(prompts) * Parity().loss(words, merged, self.merged[prompts])

    def rows(self, batch: Sequence[int]) -> Iterator[list[Rows]]:
        """Of each module its inputs and the loss's gradients at every token, part by part.

        Tokens that the loss does not depend on (gradient 0) are left out, as in the released code.
        """
        for prompts in torch.split(torch.tensor(batch, device=self.device), _PROMPTS):
            lengths = self.logits.lengths.view(self.count, -1)[prompts].flatten().tolist()
            places = (
                [row for row, length in enumerate(lengths) for _ in range(length)],
                [position for length in lengths for position in range(length)],
            )
            wanted = self.less_likely[prompts]
            loss = partial(self.losses, prompts, wanted)
            rows = gradient_rows(self.targets, loss, places)
            reached = [gradients.any(-1) for _, gradients in rows]
            yield [
                (keys[mask], gradients[mask])
                for (keys, gradients), mask in zip(rows, reached, strict=True)
            ]

    def loss_parts(
        self, shifts: Sequence[Tensor], batch: Sequence[int], step: int
    ) -> Iterator[Float[Tensor, ""]]:
        """The loss of an edit, in parts that add up to it.

        `edit_weight` times the mean edit loss, plus `locality_weight` times the mean over tokens
        of KL(before || after).
        """
        others = [self.rephrased[number][step % len(self.rephrased[number])] for number in batch]
        rephrased, edited = (
            torch.split(torch.tensor(numbers, device=self.device), _PROMPTS)
            for numbers in (others, batch)
        )
        for prompts, edits in zip(rephrased, edited, strict=True):
            with torch.enable_grad(), shifted(self.targets, shifts):
                loss = self.losses(prompts, self.less_likely[edits])
            yield self.edit_weight * loss / len(batch)
        if self.local:
            text = self.local[(batch[0] + step) % len(self.local)]
            with torch.no_grad():
                before = self.forward.read([text], [text.positions])
            with torch.enable_grad(), shifted(self.targets, shifts):
                after = self.forward.read([text], [text.positions])
                kept = self.forward.divergence(after, before.states, "forward").mean()
            yield self.locality_weight * kept

    @torch.no_grad()
    def apply(
        self, editor: Hypernetwork, trajectory: Trajectory, *, size: int, every: int, seed: int
    ) -> list[Tensor]:
        """The sum of the shifts of all edits, each of the model that the edits before it left.

        `size`: prompts of an edit, in an order drawn by the seed. `every`: prompts between two
        entries of the trajectory, which also has one at either end.
        """
        order = torch.randperm(self.count, generator=torch.Generator().manual_seed(seed))
        total = [torch.zeros(shape, device=self.device) for shape in self.targets.shapes]
        done = 0
        trajectory.look(done)
        for batch in torch.split(order, size):
            with shifted(self.targets, total):
                parts = list(self.rows(batch.tolist()))
            for part in parts:  # a shift is a sum over rows
                changes = [
                    editor.shift(index, *rows).to(self.device) for index, rows in enumerate(part)
                ]
                total = [shift + change for shift, change in zip(total, changes, strict=True)]
            before, done = done, done + len(batch)
            if done // every > before // every or done == self.count:
                with shifted(self.targets, total):
                    trajectory.look(done)
        return total
