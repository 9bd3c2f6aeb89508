"""The whole run on a small zoo, and what it writes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import bench_judgement, results_file
from benchmarks.bench_judgement import Answer, Asked, answer, main, options, store
from benchmarks.cases import Crowd
from benchmarks.judgement.baselines import FIRST_JUDGE
from benchmarks.results_file import Figure, page, write
from benchmarks.zoo import build
from hub_lineage.judge import Judgement, judge, shipped

WANTED = {  # ids that every zoo with both regimes gives
    "judge.nearest_cosine",
    "judge.parent_first",
    "judge.first_three",
    "judge.parent_first_full",
    "judge.parent_first_dates",
    "judge.parent_said",
    "judge.false_parent",
    "judge.unrelated_claimed",
    "judge.direction",
    "judge.kinship_f1",
    "judge.ece",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("judged"), size="tiny-grown", seed=17)


def full(crowd: Crowd) -> Judgement:
    return judge(crowd.family)


@pytest.fixture(scope="module")
def found(folder: Path) -> Answer:
    asked = Asked([folder], "train", full=full, without_kind={"mlp": shipped()}, without_regime={"deep": shipped()}, timed=False)
    return answer(asked)


def test_every_row_is_there_or_said_to_be_missing(found: Answer) -> None:
    rows = {row.id: row for row in found.figures}
    assert rows.keys() >= WANTED | {"judge.parent_first_new_architecture", "judge.ece.without_deep"}
    assert len(rows) == len(found.figures)
    assert any(why.startswith("judge.tree_edges") for why in found.missing)
    assert any(why.startswith("judge.trace_seconds") for why in found.missing)
    for row in found.figures:
        assert row.value >= 0
        assert row.interval is None or row.interval[0] <= row.value <= row.interval[1] or "ece" in row.id
    assert rows["judge.parent_first_full"].value == rows["judge.parent_first"].value, "the same judge on the same cases"


def test_a_second_zoo_adds_its_cases(folder: Path, found: Answer, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.symlink_to(folder)
    both = answer(Asked([folder, copy], "train", timed=False))
    one = {row.id: row for row in found.figures}
    two = {row.id: row for row in both.figures}
    for name in ("judge.parent_first", "judge.kinship_f1", "judge.direction"):
        assert two[name].value == pytest.approx(one[name].value)
        assert "copy" in two[name].note


def test_results_are_written_with_the_table_and_the_diagram(
    found: Answer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, place in (("RESULTS", tmp_path), ("PAGE", tmp_path / "RESULTS.md")):
        monkeypatch.setattr(results_file, name, place)
    monkeypatch.setattr(bench_judgement, "CONFUSIONS", tmp_path / "table.csv")
    monkeypatch.setattr(bench_judgement, "DIAGRAM", tmp_path / "diagram.svg")
    store(found)
    rows = json.loads((tmp_path / "judgement.json").read_text())
    assert [row["id"] for row in rows] == [row.id for row in found.figures]
    assert (tmp_path / "table.csv").read_text() == found.confusions
    assert (tmp_path / "diagram.svg").read_text().startswith("<svg")
    assert "| judge.parent_first |" in (tmp_path / "RESULTS.md").read_text()


def test_another_judge_or_split_writes_nothing(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(results_file.RESULTS.iterdir()), results_file.PAGE.read_bytes()
    copy = shutil.copytree(folder, tmp_path / "zoo")
    truth = json.loads((copy / "truth.json").read_text())
    (copy / "truth.json").write_text(json.dumps([{**row, "split": "test"} for row in truth]))
    assert main(["--zoo", str(copy), "--judge", str(FIRST_JUDGE)]) == 0
    assert (sorted(results_file.RESULTS.iterdir()), results_file.PAGE.read_bytes()) == before
    out, err = capsys.readouterr()
    assert "judge.parent_first " in out
    assert "Left out: judge.parent_first_full" in err
    with pytest.raises(SystemExit, match="no model of the validation split"):
        answer(Asked([copy], "validation"))


def test_the_command_line_names_judges() -> None:
    asked = options(["--zoo", "a", "b", "--left-out", f"vit={FIRST_JUDGE}", "--left-out-regime", f"hub={FIRST_JUDGE}"])
    assert [str(zoo) for zoo in asked.zoos] == ["a", "b"]
    assert asked.without_kind["vit"].cut == asked.without_regime["hub"].cut
    assert options(["--full", "tests.judgement.test_bench:full"]).full is full
    with pytest.raises(SystemExit):
        options(["--left-out", "vit"])


def test_a_row_with_an_interval_shows_it_and_one_without_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, place in (("RESULTS", tmp_path), ("PAGE", tmp_path / "RESULTS.md")):
        monkeypatch.setattr(results_file, name, place)
    write("some", "make some", [Figure("a", 0.5, "share", interval=(0.25, 0.75)), Figure("b", 1.0, "share")])
    rows = json.loads((tmp_path / "some.json").read_text())
    assert rows[0]["interval"] == [0.25, 0.75]
    assert "interval" not in rows[1]
    assert "| a | 0.5 share (0.25 to 0.75) |" in page()
    assert "| b | 1 share |" in page()
