"""A plug-in in a file of the user's own: found, its slips told in a sentence, its reads noticed."""

from pathlib import Path

import pytest
from tiny_folder import save_tiny

from equipoise import cli, plugins
from equipoise.api import build_supply
from equipoise.benchmarks.base import Benchmark
from equipoise.errors import RecipeError
from equipoise.measure import measure
from equipoise.plugin_files import noticing_reads
from equipoise.supply.base import Supplier
from equipoise.testing import FakeScorer

HEAD = """
from pathlib import Path
from equipoise.benchmarks.base import Benchmark
from equipoise.files.atomic import sha256
from equipoise.records import Continuation, DataUse, Metric, Outcome, Prompt, Supply
from equipoise.supply.base import Supplier
PLACE = Path(__file__).parent
"""
BENCHMARK = """
class Few(Benchmark):
    version = paper = "1"
    metrics = (Metric(name="x", of=lambda c: c["x"].mean(), unit="nats", source="t"),)
    def examples(self, split):
        text = (PLACE / "towns.txt").read_text()
        return [Prompt(id=word, text=word) for word in text.split()]
    def requests(self, example):
        return [Continuation(context=example.text, continuation=" x")]
    def outcome(self, example, responses):
        return Outcome(example=example.id, values={"x": responses[0].logprob})
"""
NAMED = """
    def files(self, split):
        file = PLACE / "towns.txt"
        return (DataUse(name=file.name, sha256=sha256(file), licence="own", verified=None),)
"""
SUPPLIER = """
WORDS = (PLACE / "towns.txt").read_text().split()
class Towns(Supplier):
    version = "1"
    def supply(self):
        return Supply(origin="towns", texts=tuple(WORDS))
    def files(self):
        return ()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "towns.txt").write_text("Leeds Porto")
    return tmp_path / "mine.py"


def test_the_only_class_of_a_file_needs_no_name(file: Path) -> None:
    file.write_text(HEAD + BENCHMARK)
    built = plugins.build(Benchmark, str(file))
    assert plugins.name_of(built) == f"{file}:Few"
    file.with_name("two.py").write_text(HEAD + BENCHMARK + BENCHMARK.replace("Few", "Many"))
    with pytest.raises(RecipeError, match=r"got \['Few', 'Many'\]; name it, as .*two.py:Few"):
        plugins.find(Benchmark, str(file.with_name("two.py")))
    with pytest.raises(RecipeError, match=r"got \[\]; name it, as .*mine.py:CLASS"):
        plugins.find(Supplier, str(file))


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("x = 1\ny = z\n", "NameError: name 'z' is not defined in line 2; fix"),
        ("\n\ndef f(:\n", "SyntaxError: invalid syntax in line 3; fix"),
    ],
)
def test_a_file_that_does_not_run_names_the_line(file: Path, code: str, says: str) -> None:
    file.write_text(code)
    with pytest.raises(RecipeError, match=says):
        plugins.find(Benchmark, str(file))


@pytest.mark.thorough
def test_a_slip_inside_a_plug_in_is_a_sentence_with_file_and_line(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code = HEAD + BENCHMARK.replace(".split()", ".splt()")
    file.write_text(code)
    line = next(number for number, text in enumerate(code.splitlines(), 1) if "splt()" in text)
    command = ["measure", str(save_tiny(file.parent / "tiny")), str(file)]
    assert cli.run(command) == 2
    said = capsys.readouterr().err.splitlines()[-1]
    assert f"plug-in file '{file}' must not fail, got AttributeError" in said
    assert f"in line {line} (examples); fix it there" in said
    monkeypatch.setenv("EQUIPOISE_TRACEBACK", "1")
    with pytest.raises(AttributeError):
        cli.run(command)


def measured_notes(file: Path) -> tuple[str, ...]:
    built = plugins.build(Benchmark, str(file))
    return measure(FakeScorer(nats=lambda *_: -1.0), built, draws=0, nulls=False).notes


def test_a_file_that_is_read_unsaid_is_noticed(file: Path) -> None:
    file.write_text(HEAD + BENCHMARK)
    (note,) = [note for note in measured_notes(file) if "do not name" in note]
    assert note.startswith(f"{file} reads towns.txt")
    said = file.with_name("said.py")
    said.write_text(HEAD + BENCHMARK + NAMED)
    assert not [note for note in measured_notes(said) if "do not name" in note]


def test_a_file_that_is_read_as_the_plug_in_is_loaded_counts(file: Path) -> None:
    file.write_text(HEAD + SUPPLIER)
    with pytest.warns(UserWarning, match=r"reads towns.txt, which its `files` do not name"):
        assert build_supply(plugins.build(Supplier, str(file))).texts == ("Leeds", "Porto")


def test_what_others_read_and_what_is_written_is_not_noticed(file: Path) -> None:
    with noticing_reads() as reads:
        file.with_name("towns.txt").read_text()  # a test is no plug-in
        plugins.build(Benchmark, "stereoset")
    assert not reads
    file.write_text(
        f"from pathlib import Path\nPath({str(file.with_name('new'))!r}).write_text('')"
    )
    with noticing_reads() as reads, pytest.raises(RecipeError):
        plugins.find(Benchmark, str(file))
    assert not reads
