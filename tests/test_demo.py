"""The demo, whole (slow), and the parts of it that can be tried in a moment."""

import math
from pathlib import Path

import pytest

from equipoise import demo
from equipoise.study.results import read_results


def test_a_fresh_folder_is_never_one_that_exists(tmp_path: Path) -> None:
    found = [demo.fresh_folder(tmp_path / "runs", "demo") for _ in range(3)]
    assert [one.name for one in found] == ["demo", "demo-2", "demo-3"]
    assert all(one.is_dir() for one in found)


@pytest.mark.slow
def test_the_demo_removes_the_planted_bias(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """AFGB falls to a fifth on unseen professions and templates; parity keeps mass and hints."""
    folder = demo.run(tmp_path, draws=200)
    out = capsys.readouterr().out
    assert "genbias afgb: " in out
    assert "reduced" in out
    assert (folder / "report.html").is_file()
    sides = {
        name: {one.benchmark: one for one in read_results(folder / name)}
        for name in ("before", "after-ce_both", "after-parity")
    }
    afgb = {n: side["genbias"].estimate("afgb").value for n, side in sides.items()}
    mass = {n: side["genbias"].estimate("mass").value for n, side in sides.items()}
    hints = {n: side["genhint"].estimate("ub").value for n, side in sides.items()}
    assert max(afgb["after-ce_both"], afgb["after-parity"]) < afgb["before"] / 4
    assert math.isclose(mass["after-parity"], mass["before"], abs_tol=0.05)
    assert mass["after-ce_both"] > mass["before"] + 0.1  # the paper's collateral damage
    assert hints["after-parity"] > 0.9 * hints["before"]
    assert hints["after-ce_both"] < 0.75 * hints["before"]
