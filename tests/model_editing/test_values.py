"""Values optimized together from a cached stream are those of a plain loop, request by request."""

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from equipoise.errors import RecipeError
from equipoise.inference.language_model import LanguageModel
from equipoise.model_editing import edit_rows
from equipoise.model_editing.context_templates import Prefixes, memit_prefixes, rome_prefixes
from equipoise.model_editing.requests import EditRequest, requests_of_prompts
from equipoise.model_editing.values import Values, ValueSettings, optimize_values
from equipoise.models.anatomy import block, mlp_output
from equipoise.models.tokenization import Marked, encode
from equipoise.records import Prompt
from equipoise.testing import CAUSAL_FAMILIES, tiny_model

PREFIXES = ("", "It rained. ")
#: Short, as a byte is a token, and the windows of some families are small.
PROMPTS = [
    Prompt(id=job, text=f"The {job} sat as", groups={"profession": job})
    for job in ("nurse", "pilot", "clerk")
]
SETTINGS = ValueSettings(steps=4, clamp=1.0, stop=0.0)


def ids_of(model: LanguageModel, text: str) -> list[int]:
    (tokens,) = encode(model.tokenizer, [Marked(text, 0, 0)], specials=False)
    assert model.start_token_id is not None
    return [model.start_token_id, *tokens.ids]


class PlainLoop:
    """One request, the whole model over every text in every step; bytes are tokens."""

    def __init__(self, model: LanguageModel, request: EditRequest, module: nn.Module) -> None:
        self.model, self.request, self.module = model, request, module
        self.delta: Tensor | None = None
        self.place, self.seen = 0, torch.empty(0)

    def hook(self, _: nn.Module, __: object, output: Any) -> Any:
        states = output if isinstance(output, Tensor) else output[0]
        flat = states.reshape(-1, states.shape[-1])
        self.seen = flat[self.place].detach()
        if self.delta is None:
            return output
        row = (torch.arange(len(flat)) == self.place).float()[:, None]
        changed = (flat + row * self.delta).view(states.shape)
        return changed if isinstance(output, Tensor) else (changed, *output[1:])

    def logprobs(self, text: str, place: int) -> Tensor:
        self.place = place
        logits: Tensor = self.model.module(
            input_ids=torch.tensor([ids_of(self.model, text)])
        ).logits
        return logits[0].log_softmax(-1)

    def target_logprob(self, prefix: str, target: str) -> Tensor:
        text = prefix + self.request.prompt + target
        answer = torch.tensor(ids_of(self.model, text)[-len(target) :])
        rows = self.logprobs(text, len(prefix) + self.request.end)[-len(target) - 1 : -1]
        return rows.gather(-1, answer[:, None]).sum()

    def target_loss(self) -> Tensor:
        losses = []
        for prefix in PREFIXES:
            nats = [self.target_logprob(prefix, target) for target in self.request.targets]
            single = -nats[0] / len(self.request.targets[0])
            losses.append(single if len(nats) == 1 else (nats[0] - nats[1]).square())
        return torch.stack(losses).mean()

    def rest(self) -> Tensor:
        """What follows the prompt; the first byte of both words is the same, and so is its mass."""
        return self.logprobs(self.request.prompt, self.request.end)[-1]

    def held(self) -> Tensor:
        # a byte is a token, behind the start token
        return self.logprobs(self.request.prompt[: self.request.end], self.request.end)[-1]

    def run(self, s: ValueSettings) -> tuple[Tensor, float]:
        handle = self.module.register_forward_hook(self.hook)
        rest, held = self.rest().detach(), self.held().detach()
        value = self.seen
        self.delta = torch.zeros_like(value, requires_grad=True)
        optimizer = torch.optim.Adam([self.delta], lr=s.learning_rate)
        for step in range(s.steps):
            now = self.held()
            loss = self.target_loss() + s.kl * (now.exp() * (now - held)).sum()
            loss = loss + s.weight_decay * (self.delta.norm() if step else 0.0) / value.norm() ** 2
            if len(self.request.targets) == 2:
                loss = loss + (rest.exp() * (rest - self.rest())).sum()
            if step < s.steps - 1:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                with torch.no_grad():
                    self.delta *= (s.clamp * value.norm() / self.delta.norm()).clamp(max=1.0)
        handle.remove()
        return self.delta.detach(), float(loss.detach())


@pytest.mark.thorough
@pytest.mark.parametrize("family", CAUSAL_FAMILIES)
@pytest.mark.parametrize("words", [(" he",), (" he", " she")])
def test_values_are_those_of_a_plain_loop(family: str, words: tuple[str, ...]) -> None:
    model = tiny_model(family, context=64)
    requests = requests_of_prompts(PROMPTS[::2], words)
    module = block(model.module, 0) if len(words) == 2 else mlp_output(model.module, 0)
    values = optimize_values(model, requests, PREFIXES, block=0, module=module, settings=SETTINGS)
    for number, request in enumerate(requests):
        delta, loss = PlainLoop(model, request, module).run(SETTINGS)
        torch.testing.assert_close(values.delta[number], delta, rtol=2e-3, atol=2e-3)
        assert values.losses[number] == pytest.approx(loss, rel=1e-3)
    assert values.steps == (4, 4)


@pytest.mark.thorough
def test_a_request_is_alone_and_stops_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("llama", context=64)
    requests = requests_of_prompts(PROMPTS, (" he",))
    module = mlp_output(model.module, 0)

    def run(chosen: list[EditRequest], stop: float) -> Values:
        settings = ValueSettings(steps=5, clamp=9.0, stop=stop)
        return optimize_values(model, chosen, ("",), block=0, module=module, settings=settings)

    whole = run(requests, 0.0)
    between = sorted(whole.losses)[1]
    stopped = run(requests, between + 0.05)
    assert len(set(stopped.steps)) > 1, stopped.steps
    monkeypatch.setattr(edit_rows, "_LOGITS", 1)  # a row a forward pass
    for number, request in enumerate(requests):
        alone = run([request], between + 0.05)
        assert alone.steps[0] == stopped.steps[number]
        torch.testing.assert_close(alone.delta[0], stopped.delta[number], rtol=1e-3, atol=1e-4)


def test_without_a_cache_values_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model("gpt2", blocks=3, context=64)
    requests = requests_of_prompts(PROMPTS, (" he", " she"))
    deltas = []
    for shares in (True, False):
        monkeypatch.setattr(edit_rows, "cache_is_exact", lambda _, shares=shares: shares)
        values = optimize_values(
            model, requests, PREFIXES, block=1, module=block(model.module, 1), settings=SETTINGS
        )
        deltas.append(values.delta)
    torch.testing.assert_close(*deltas, rtol=1e-3, atol=1e-4)
    assert float(deltas[0].abs().min(-1).values.max()) > 0


def test_prefixes_begin_with_none_and_repeat_by_seed() -> None:
    model = tiny_model("llama", context=64)
    rome, memit = rome_prefixes(model, each=2, seed=0), memit_prefixes(model, seed=0)
    assert rome[0] == memit[0] == ""
    assert len(rome) <= 5
    assert all(prefix.endswith(". ") for prefix in (*rome[1:], *memit[1:]))
    assert [prefix.split()[0][:3] for prefix in memit[1:]] == ["The", "The", "Bec", "I", "You"] or (
        len(memit) == 6
    )
    assert rome_prefixes(model, each=2, seed=0) == rome
    assert rome_prefixes(model, each=2, seed=1) != rome


def test_a_request_that_is_too_long_is_refused() -> None:
    prefixes: Prefixes = ("", "x" * 80 + ". ")
    requests = requests_of_prompts(PROMPTS, (" he",))
    model = tiny_model("llama", context=64)
    with pytest.raises(RecipeError, match=r"fit the context of 64 tokens .* got \d+"):
        optimize_values(
            model,
            requests,
            prefixes,
            block=0,
            module=mlp_output(model.module, 0),
            settings=SETTINGS,
        )
