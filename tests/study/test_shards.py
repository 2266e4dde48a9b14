"""Shards of an unfinished measurement: read only when they are whole and of this size."""

import json
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from equipoise.errors import PlaceError
from equipoise.files.atomic import sha256
from equipoise.records import Outcome
from equipoise.study.results import write_outcomes
from equipoise.study.store import Store, StoredShards

OUTCOMES = (
    Outcome(example="a", values={"x": 0.5, "y": math.inf}, groups={"kind": "é"}, text="wrote"),
    Outcome(example="b", values={"x": -0.0}),
)


@pytest.fixture
def shards(tmp_path: Path) -> StoredShards:
    result = StoredShards(store=Store.open(tmp_path / "run"), key="measure-1", size=2)
    result.write(3, OUTCOMES)
    return result


def files(shards: StoredShards) -> tuple[Path, Path]:
    """The Parquet file and its seal."""
    seal, parquet = sorted(shards.store.part(shards.key).iterdir())
    assert (seal.suffix, parquet.suffix) == (".json", ".parquet")
    return parquet, seal


def reseal(shards: StoredShards) -> None:
    """Make the seal fit the Parquet file, whatever that is."""
    parquet, seal = files(shards)
    sealed = json.loads(seal.read_text())
    seal.write_text(json.dumps({**sealed, "sha256": sha256(parquet)}))


def test_shard_round_trip(shards: StoredShards) -> None:
    assert shards.read(3) == OUTCOMES
    assert shards.read(0) is None
    other = StoredShards(store=shards.store, key="measure-2", size=2)
    assert other.read(3) is None


def test_shard_is_overwritten(shards: StoredShards) -> None:
    shards.write(3, OUTCOMES[:1])
    assert shards.read(3) == OUTCOMES[:1]


@pytest.mark.parametrize("size", [1, 3, 500])
def test_a_shard_of_another_size_is_not_read(shards: StoredShards, size: int) -> None:
    assert StoredShards(store=shards.store, key=shards.key, size=size).read(3) is None


@pytest.mark.parametrize(
    "harm",
    [
        lambda _, seal: seal.unlink(),
        lambda _, seal: seal.write_text('{"sha256": "'),
        lambda _, seal: seal.write_text("[]"),
        lambda _, seal: seal.write_text("{}"),
        lambda _, seal: seal.write_bytes(b"\xff"),
        lambda parquet, _: parquet.unlink(),
        lambda parquet, _: parquet.write_bytes(parquet.read_bytes()[:-1]),
        lambda parquet, _: parquet.write_bytes(b""),
    ],
)
def test_damaged_shard_is_ignored(
    shards: StoredShards, harm: Callable[[Path, Path], object]
) -> None:
    harm(*files(shards))
    assert shards.read(3) is None
    shards.write(3, OUTCOMES)
    assert shards.read(3) == OUTCOMES


def test_sealed_file_that_is_no_parquet_is_ignored(shards: StoredShards) -> None:
    parquet, _ = files(shards)
    parquet.write_bytes(b"PAR1")
    reseal(shards)
    assert shards.read(3) is None


def test_whole_outcomes_that_are_not_the_sealed_ones_are_not_read(shards: StoredShards) -> None:
    parquet, _ = files(shards)
    write_outcomes(parquet, OUTCOMES[:1])
    assert shards.read(3) is None
    reseal(shards)
    assert shards.read(3) == OUTCOMES[:1]


def test_a_shard_without_a_seal_is_what_a_kill_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shards = StoredShards(store=Store.open(tmp_path / "run"), key="measure-1", size=2)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("equipoise.study.store.write_file", killed)
    with pytest.raises(KeyboardInterrupt):
        shards.write(0, OUTCOMES)
    assert [item.name for item in shards.store.part(shards.key).iterdir()] == [
        "outcomes-000000.parquet"
    ]
    assert shards.read(0) is None


def test_full_disk_is_an_error(shards: StoredShards, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("equipoise.study.store.write_outcomes", full)
    with pytest.raises(PlaceError, match="needs room on its disk"):
        shards.write(4, OUTCOMES)
    assert shards.read(3) == OUTCOMES
