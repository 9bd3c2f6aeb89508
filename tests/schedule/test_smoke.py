"""The meeting with the real Hub, rehearsed on loopback: right, wrong and lost answers, and no network."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.smoke_hub import CASES, NO_PARENT, NOT_RUN, Case, main
from hub_lineage.errors import AccessDenied, NotFound, NoWeights
from hub_lineage.hub import parse_reference
from hub_lineage.testing import LoopbackHub
from tests.card.cases import case, put_all

ROOT = Path(__file__).parents[2]
NOWHERE = "http://127.0.0.1:9"


def known(server: LoopbackHub) -> list[Case]:
    """Cases of which the answers are known on the loopback Hub."""
    child = case().folder.replace("__", "/")
    server.add_repo("bad/gated", files={"model.safetensors": b"x"}, gated="manual")
    server.add_repo("bad/keras", files={"model.h5": b"HDF"})
    return [
        Case("a parent", child, case().among, parents=(case().parent,)),
        Case("no parent", child, ("plain/outfits-mlp",), NO_PARENT),
        Case("gated", "bad/gated", (child,), error=AccessDenied),
        Case("Keras", "bad/keras", (child,), error=NoWeights),
        Case("nothing", "bad/nothing", (child,), error=NotFound),
    ]


@pytest.fixture
def server(loopback_hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> LoopbackHub:
    put_all(loopback_hub)
    monkeypatch.setenv("HF_ENDPOINT", loopback_hub.url)
    return loopback_hub


def test_right_answers_pass_with_their_cost(server: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    cases = known(server)
    status = main(cases)
    out = capsys.readouterr().out
    assert status == 0, out
    assert out.count("right  ") == len(cases)
    assert len(re.findall(r"[1-9]\d* requests, [\d,]+ bytes, \d+\.\d s", out)) == len(cases)
    assert f"{len(cases)} of {len(cases)} right, 0 not answered" in out


@pytest.mark.parametrize(
    "changes",
    [
        {"kinds": ("independent",)},
        {"parents": ("some/other",)},
        {"error": NoWeights},
    ],
)
def test_a_wrong_answer_fails(server: LoopbackHub, capsys: pytest.CaptureFixture[str], changes: dict[str, object]) -> None:
    first = known(server)[0]
    told = {"kinds": first.kinds, "parents": first.parents, "error": None, **changes}
    wrong = Case(first.about, first.child, first.among, **told)  # type: ignore[arg-type] # of all three types
    assert main([wrong]) == 1
    out = capsys.readouterr().out
    assert "WRONG" in out
    assert "0 of 1 right" in out


def test_another_error_than_the_known_one_fails(server: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    known(server)
    assert main([Case("gated", "bad/gated", (case().parent,), error=NotFound)]) == 1
    assert "Gated" in capsys.readouterr().out


def test_an_answer_that_the_network_lost_is_no_pass(server: LoopbackHub, capsys: pytest.CaptureFixture[str]) -> None:
    server.fault("status", status=418, path="bad/lost")
    assert main([Case("lost", "bad/lost", (case().parent,), error=NotFound)]) == 1
    assert "0 of 1 right, 1 not answered" in capsys.readouterr().out


def test_without_a_network_it_says_that_it_was_not_run() -> None:
    words = [sys.executable, "-m", "benchmarks.smoke_hub"]
    environment = {**os.environ, "HF_ENDPOINT": NOWHERE}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (0, NOT_RUN.format(NOWHERE) + "\n", "")


def test_the_table_is_sound() -> None:
    assert len(CASES) >= 12
    assert len({one.child for one in CASES}) == len(CASES)
    for one in CASES:
        assert all(parse_reference(name).local is False for name in (one.child, *one.among))
        assert one.error or one.kinds
        assert bool(one.parents) == (one.error is None and not set(one.kinds) <= {*NO_PARENT})
