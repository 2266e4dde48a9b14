"""What steps are given, and why; a step that fits nowhere is refused before anything is done."""

from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.errors import RecipeError
from equipoise.executors.choose import describe_places, needs_by_key, open_executor
from equipoise.executors.local import LocalExecutor
from equipoise.executors.needs import Machine, Needs, refuse_impossible
from equipoise.study.plan import Plan, plan
from equipoise.study.recipe import Recipe
from equipoise.study.store import Store

from .conftest import RECIPE

PARAMETERS = 35_200  # of the tiny model


def test_memory_grows_with_the_model_and_with_training(small_plan: Plan) -> None:
    needs = needs_by_key(small_plan, device="cpu")
    of = {step.kind: needs[step.key] for step in small_plan.steps}
    read, trained = of["measure"].memory or 0, of["fit"].memory or 0
    assert read - 1.5e9 == pytest.approx(1.5 * 4 * PARAMETERS, rel=0.01)
    assert trained - 1.5e9 == pytest.approx(4 * 4 * PARAMETERS, rel=0.01)
    assert of["compare"] == Needs(cpus=1, gpus=0, memory=None, why="opens no model")
    assert "M parameters of 4 bytes, times 1.5" in of["measure"].why
    assert {each.gpus for each in needs.values()} == {0}
    for device in ("cuda", "split"):
        on_gpus = needs_by_key(small_plan, device=device)
        assert {step.kind: on_gpus[step.key].gpus for step in small_plan.steps} == {
            "measure": 1, "locate": 1, "fit": 1, "compare": 0,
        }  # fmt: skip


@pytest.mark.parametrize("device", ["auto", "cuda", "split"])
def test_a_process_sees_its_share_of_the_gpus(
    device: str, small_plan: Plan, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    executor = open_executor("local:2", small_plan, store, device=device)
    assert isinstance(executor, LocalExecutor)
    assert [worker._gpus for worker in executor._workers] == [["0", "2"], ["1", "3"]]
    executor.close()
    with pytest.raises(RecipeError, match="got 5 for 4; use --on local:4 or --device cpu"):
        open_executor("local:5", small_plan, store, device=device)


@pytest.mark.parametrize("on", ["ray", "slurm", "submitit-local"])
def test_a_certain_gpu_is_for_one_machine(on: str, small_plan: Plan, store: Store) -> None:
    sentence = f"leave the choice of GPUs to {on}, got 'cuda:1'; use --device cuda"
    with pytest.raises(RecipeError, match=sentence):
        open_executor(on, small_plan, store, device="cuda:1")
    with pytest.raises(RecipeError, match=sentence):
        describe_places(on, small_plan, device="cuda:1")
    describe_places(on, small_plan, device="cuda")  # the remedy
    describe_places("local:2", small_plan, device="cuda:1")  # both processes on that one


def test_the_recipe_says_more(written: Callable[[str], Path]) -> None:
    text = RECIPE.replace("epochs: 1,", "epochs: 1, resources: {{gpus: 2, slurm: {{qos: long}}}},")
    text += "resources: {{cpus: 3, memory: 24 GB, hours: 0.5, slurm: {{partition: a, qos: b}}}}\n"
    planned = plan(Recipe.from_yaml(written(text)))
    needs = needs_by_key(planned, device="cpu")
    of = {step.kind: needs[step.key] for step in planned.steps}
    assert of["measure"].sizes == "3 CPUs, 24 GB"
    assert of["measure"].why == "the recipe's cpus, memory, hours"
    assert of["fit"].sizes == "3 CPUs, 2 GPUs, 24 GB"
    assert (of["fit"].hours, of["fit"].slurm) == (0.5, {"partition": "a", "qos": "long"})
    assert of["compare"].sizes == "1 CPU"
    # what Slurm wants of every job, such as an account
    assert (of["compare"].hours, of["compare"].slurm) == (0.5, {"partition": "a", "qos": "b"})


def test_a_served_model_takes_no_gpu(written: Callable[[str], Path]) -> None:
    text = RECIPE.replace("{model}", '"openai:http://127.0.0.1:9/v1#owl"')
    text = "".join(line for line in text.splitlines(True) if "lftf" not in line)
    planned = plan(Recipe.from_yaml(written(text.replace("locators: [random_block]\n", ""))))
    (needs,) = needs_by_key(planned, device="cuda").values()
    assert needs == Needs(cpus=1, gpus=0, memory=None, why="opens no model")


def test_no_key_depends_on_resources(written: Callable[[str], Path], small_plan: Plan) -> None:
    planned = plan(Recipe.from_yaml(written(RECIPE + "resources: {{cpus: 2}}\n")))
    assert [step.key for step in planned.steps] == [step.key for step in small_plan.steps]
    assert planned.resolved == {**small_plan.resolved, "title": planned.recipe.title}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("resources: {{gpu: 1}}", "has no key 'resources.gpu'; did you mean 'gpus'?"),
        ("resources: {{gpus: -1}}", "resources.gpus: "),
        ("resources: {{cpus: many}}", "resources.cpus: "),
        ("resources: {{hours: 0}}", "resources.hours: "),
        ("resources: {{memory: 24}}", "resources.memory: Input should be a valid string, got 24"),
        ("resources: {{memory: 24 GiB}}", "memory must be a size such as '24 GB'"),
        ("resources: {{memory: 0 GB}}", "got '0 GB'"),
        ("resources: 3", "line 11: resources"),
    ],
)
def test_mistakes_are_refused_with_their_line(
    text: str, message: str, written: Callable[[str], Path]
) -> None:
    with pytest.raises(RecipeError) as caught:
        Recipe.from_yaml(written(f"{RECIPE}{text}\n"))
    assert message in str(caught.value)
    assert "other.yaml line 11: " in str(caught.value)


def test_a_step_that_fits_on_no_machine(small_plan: Plan) -> None:
    small = Machine(name="a", cpus=2, gpus=0, memory=8e9)
    large = Machine(name="b", cpus=2, gpus=1, memory=4e9)
    step = small_plan.steps[0]
    needs = Needs(cpus=2, gpus=1, memory=4 * 10**9, why="w")
    refuse_impossible([(step, needs)], [small, large], remedy="ask for less")
    with pytest.raises(RecipeError) as caught:  # each has enough of one, none of both
        refuse_impossible(
            [(step, Needs(cpus=1, gpus=1, memory=5 * 10**9, why="the recipe's memory"))],
            [small, large],
            remedy="ask for less",
        )
    assert str(caught.value) == (
        "a step must fit on a machine, 'measure genbias on tiny' needs 1 CPU, 1 GPU, 5 GB (the "
        "recipe's memory), there is a: 2 CPUs, 0 GPUs, 8 GB; b: 2 CPUs, 1 GPUs, 4 GB; ask for less"
    )


def test_more_gpus_than_there_are(written: Callable[[str], Path], store: Store) -> None:
    file = written(RECIPE + "resources: {{gpus: 99}}\n")
    with pytest.raises(RecipeError, match=r"needs 1 CPU, 99 GPUs, .* there is this machine"):
        open_executor("local:1", plan(Recipe.from_yaml(file)), store)
    open_executor("local:1", plan(Recipe.from_yaml(written(RECIPE))), store).close()  # the remedy


def test_where_steps_would_run(small_plan: Plan) -> None:
    assert describe_places(None, small_plan, device="cpu") == (
        "this process, one after the other", {},
    )  # fmt: skip
    place, needs = describe_places("ray:host:1", small_plan, device="cpu")
    assert place == "Ray at host:1"
    assert needs[small_plan.steps[-1].key] == "1 CPU: opens no model"
