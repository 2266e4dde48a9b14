"""`equipoise rate`: results, CSV and Potato of files of texts, and what is refused."""

import json
from pathlib import Path

import pytest
from rating.making import BASE, TUNED, answer_all, save

from commands.conftest import Asked, Refused
from equipoise.rating import server
from equipoise.rating.store import RatingStore, open_store


@pytest.fixture
def texts(tmp_path: Path) -> list[Path]:
    return [save(tmp_path / f"{name}.jsonl", name) for name in (BASE, TUNED)]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[RatingStore]:
    """What would be served, in turn."""
    stores: list[RatingStore] = []
    monkeypatch.setattr(server, "serve", lambda store, **_: stores.append(store))
    return stores


@pytest.mark.thorough
def test_rate_results_csv_and_potato(
    ask: Asked, texts: list[Path], served: list[RatingStore], tmp_path: Path
) -> None:
    status, out, err = ask("rate", *texts, "--rater", "ann")
    assert (status, out) == (0, "")
    assert "ratings.sqlite" in err
    (store,) = served
    assert store.file == tmp_path / "ratings.sqlite"
    answer_all(store, "ann", {str(k): TUNED for k in range(9)})
    csv = tmp_path / "out.csv"
    status, out, _ = ask("rate", "--results", store.file, "--export", csv, "--groups")
    assert status == 0
    assert "untied prompts that prefer tuned" in out
    assert "group b" in out
    document = json.loads(ask("rate", "--results", store.file, "--json")[1])
    assert document["questions"][0]["preferred"]["wins"] == 9
    assert document["questions"][0]["kappa"]["value"] is None
    other = tmp_path / "other.sqlite"
    status, _, err = ask("rate", *texts, "--database", other, "--import", csv)
    assert status == 0
    assert "22 of them were new" in err
    assert open_store(other).ratings() == store.ratings()
    assert ask("rate", *texts, "--mode", "texts", "--potato", tmp_path / "potato")[0] == 0
    assert (tmp_path / "potato" / "task" / "config.yaml").is_file()
    assert len(served) == 1, "nothing is served beside --results and its like"


@pytest.mark.thorough
def test_texts_are_never_printed(ask: Asked, texts: list[Path], served: list[RatingStore]) -> None:
    ask("rate", *texts)
    answer_all(served[0], "ann", {})
    for arguments in ((), ("--results", served[0].file), ("--results", served[0].file, "--json")):
        _, out, err = ask("rate", *(() if arguments else texts), *arguments)
        assert "oak" not in out + err


@pytest.mark.thorough
def test_another_study_is_refused(
    ask: Asked, refused: Refused, texts: list[Path], served: list[RatingStore]
) -> None:
    assert ask("rate", *texts)[0] == 0
    save(texts[1], "changed")
    assert "name another file with --database" in refused("rate", *texts)
    assert "did you mean 'grades'" in refused("rate", *texts, "--mode", "grade")
    assert len(served) == 1


@pytest.mark.thorough
def test_no_option_is_left_unheeded(
    ask: Asked, refused: Refused, texts: list[Path], served: list[RatingStore]
) -> None:
    assert ask("rate", *texts)[0] == 0
    file = served[0].file
    for option in (("--mode", "grades"), ("--variant", "base"), ("--benchmark", "bold")):
        assert f"got {option[0]} beside" in refused("rate", "--database", file, *option)
    for beside in ([*texts], ["--database", file]):
        assert "beside --results" in refused("rate", *beside, "--results", file)
    missing = file.with_name("misspelt.sqlite")
    refused("rate", *texts, "--results", missing)
    assert not missing.exists()
    assert ask("rate", "--database", file)[0] == 0
    assert len(served) == 2


@pytest.mark.parametrize("arguments", [(), ("--results", "none.sqlite"), ("--export", "a.csv")])
def test_nothing_to_rate_is_refused(refused: Refused, arguments: tuple[str, ...]) -> None:
    refused("rate", *arguments)


@pytest.mark.thorough
def test_one_place_of_texts_is_refused(refused: Refused, texts: list[Path], tmp_path: Path) -> None:
    assert "got the texts of one" in refused("rate", texts[0])
    assert "study.json" in refused("rate", tmp_path)
    (tmp_path / "empty.jsonl").touch()
    assert "got none" in refused("rate", tmp_path / "empty.jsonl", texts[1])
