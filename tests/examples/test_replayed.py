"""Each example from its command line, in its quick form: its numbers meet the closed forms, its picture is whole."""

import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytestmark = pytest.mark.slow
NAMES = ("wgan_clipping_1d", "bce_gan_against_wgan_gp_1d", "distances_as_two_laws_part")
Play = Callable[[str], tuple[dict[str, Any], str, Any]]


@pytest.mark.parametrize("name", NAMES)
def test_picture_is_self_contained(play: Play, name: str) -> None:
    numbers, printed, folder = play(name)
    picture = (folder / f"{name}.svg").read_text(encoding="utf-8")
    assert ET.fromstring(picture).tag.endswith("svg") and "NaN" not in picture
    assert not [part for part in ("<script", "<image", "xlink:href", "@import", "url(http") if part in picture]
    assert numbers["seeds"] == 4 and " ± " in printed


def test_all_oracles_hold(play: Play) -> None:
    numbers, printed, _ = play("bce_gan_against_wgan_gp_1d")
    found = numbers["oracles"]
    assert {o["name"] for o in found} == {f"O{k}" for k in range(1, 13)} - {"O8"}
    assert not [o for o in found if not o["holds"]]
    for o in found:
        seen = np.array(o["measured"])
        near = seen.max() <= o["truth"] if o["bound"] else abs(seen.mean() - o["truth"]) <= o["slack"] + 1e-5
        assert len(seen) == 4 and near, o
    assert "no BEGAN is shipped" in printed


def test_pull_on_a_sample_is_one_for_wgan_gp_and_half_at_the_start_of_a_bce_gan(play: Play) -> None:
    runs = play("bce_gan_against_wgan_gp_1d")[0]["runs"]
    bce, wgan = (runs[f"two normals, standardised/{name}"]["curves"] for name in ("gan", "wgan-gp"))
    assert np.allclose(wgan["gradient at x / slope"], 1, atol=1e-5)
    assert np.allclose(wgan["gradient at x"], wgan["slope"], rtol=1e-5)
    pull = np.array(bce["gradient at x / slope"])
    assert (pull > 0).all() and (pull < 1).all() and np.allclose(pull[0], 0.5, atol=0.1)  # sigma(-D), D ~ 0 at first


def test_clipped_critics_obey_the_bound_and_the_generator_travels(play: Play) -> None:
    numbers = play("wgan_clipping_1d")[0]
    linear = numbers["linear critic"]
    assert np.mean(linear["measured"]) == pytest.approx(linear["expected"], abs=0.01)
    for clip, found in numbers["clips"].items():
        curves = {name: np.array(curve) for name, curve in found["curves"].items()}
        bound = found["slope bound"]
        assert bound == pytest.approx(float(clip) ** 3 * 32**2)
        assert max(found["steepest seen"]) <= bound and curves["slope"].max() <= bound
        # a critic of slope at most K gains at most K W1, up to the noise of one batch against other rows
        first = -curves["L_D"][0]
        assert (np.abs(first) <= bound * (curves["W1"][0] + 0.5)).all()
        assert (curves["W1"][0] > 3).all() and (curves["W1"][-1] < 2).all()


def test_distances_follow_their_closed_forms(play: Play) -> None:
    numbers = play("distances_as_two_laws_part")[0]
    gaps = np.array(numbers["distances"])
    for law in ("normals", "uniforms"):
        exact, seen = numbers["closed"][law], {k: np.array(v) for k, v in numbers["measured"][law].items()}
        assert np.allclose(exact["W1"], gaps)
        assert np.allclose(seen["W1 of samples"].mean(1), gaps, atol=0.05)
        assert np.allclose(seen["W1"].mean(1), gaps, atol=0.25)
        assert (seen["dW1"][1:].mean(1) > 0.6).all()  # the critic pulls at every distance, towards the law that stays
        assert (seen["JS"] < np.log(2) + 0.01).all()  # a critic that is not the best one sees less
        assert exact["JS"][-1] == pytest.approx(np.log(2), abs=5e-3)
        assert seen["dJS"][-1].mean() < 0.15
    assert numbers["closed"]["uniforms"]["KL"][1:] == ["inf"] * (len(gaps) - 1)
    assert numbers["closed"]["uniforms"]["dJS"][-1] == 0


def test_the_tool_is_asked_and_its_verdict_told(capsys: pytest.CaptureFixture[str]) -> None:
    from bce_gan_against_wgan_gp_1d import ask

    verdict = ask(2, 1e8)
    assert verdict["kind"] in ("better", "practically equivalent", "undecided")
    assert verdict["recommended"] in ("gan", "wgan-gp")
    assert f"Verdict: {verdict['kind']}." in capsys.readouterr().out
