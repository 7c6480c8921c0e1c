"""Free vectors in the place of networks: what a loss can reach at all."""

import math
from dataclasses import dataclass

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits, normalize

from whichloss.objectives import find
from whichloss.objectives.dual import DualEncoder
from whichloss.objectives.siamese import Siamese
from whichloss.study.free import ENOUGH, neighboured, reach, retrieved, told

N = 48
PAIRS, CLASSES = torch.arange(N), torch.arange(N) % 6


@dataclass(frozen=True)
class RawCosines(DualEncoder):
    """Is this pair alike? The cosine itself is the logit, of all N^2 pairs."""

    def loss(self, nets, batch, rng):
        a, b = (normalize(z, dim=1) for z in self.embedded(nets, batch, rng))
        return binary_cross_entropy_with_logits(a @ b.T, torch.eye(len(a)))

    def collapsed(self, rows):
        return None


@dataclass(frozen=True)
class Together(DualEncoder):
    """|z - z'|^2 of pairs, and nothing that keeps others apart."""

    def loss(self, nets, batch, rng):
        a, b = (normalize(z, dim=1) for z in self.embedded(nets, batch, rng))
        return (a - b).square().sum(1).mean()

    def collapsed(self, rows):
        return 0.0


@dataclass(frozen=True)
class Own(Siamese):
    """A network of its own, not made by `build`."""

    def networks(self, task, build):
        return {"F": torch.nn.Linear(task.dim, self.size)}

    def loss(self, nets, batch, rng):
        return nets.F(batch.x).square().mean() * batch.y.mean()

    def collapsed(self, rows):
        return 0.0


@dataclass(frozen=True)
class Odd(Own):
    """A loss that asks for more numbers a row than there are."""

    def networks(self, task, build):
        return {"F": build("F", task.dim, self.size)}

    def loss(self, nets, batch, rng):
        return nets.F(batch.x).mean() * batch.x[:, 3].mean()


@pytest.mark.parametrize("name", ["clip", "siglip", "triplet-align", "regress"])
def test_what_aligns_pairs_can(name):
    found = reach(find(name)(), PAIRS, name)
    assert found.reached == 1 and found.things == N and found.chance == pytest.approx(1 / N)
    assert found.findings("align") == () and found.loss < 0.05 * (found.collapse or 1)


@pytest.mark.parametrize("name", ["supcon", "triplet", "cosine-bce", "pair-contrastive"])
def test_what_embeds_by_labels_can(name):
    found = reach(find(name)(), CLASSES, name)
    assert found.reached >= ENOUGH and found.chance == pytest.approx(1 / 6) and found.findings("embed") == ()


@pytest.mark.parametrize("name", ["simclr", "vicreg", "barlow-twins"])
def test_what_learns_from_views_is_left_out_and_says_why(name):
    found = reach(find(name)(), CLASSES, name)
    assert "views" in found.left_out and found.steps == 0 and found.findings("embed") == ()


GIVEN = torch.stack([torch.arange(N), (torch.arange(N) + 1) % N, (torch.arange(N) % 6 > 2).long()], dim=1)  # a ring


@pytest.mark.parametrize("name", ["cosine-bce", "pair-contrastive"])
def test_what_embeds_given_pairs_can(name):
    found = reach(find(name)(), GIVEN, name)
    assert found.reached >= ENOUGH and found.things == N and found.given and found.chance == 0.5
    assert found.findings("embed") == ()


def test_given_pairs_that_no_cosines_can_tell_are_said_to_be_so():
    clash = torch.cat(
        [GIVEN, GIVEN * torch.tensor([1, 1, 0]), GIVEN * torch.tensor([1, 1, 0]) + torch.tensor([0, 0, 1])]
    )
    found = reach(find("cosine-bce")(), clash)
    (finding,) = found.findings("embed")
    assert found.reached < ENOUGH and f"on the very pairs of {N} things" in finding.says
    assert "a triplet needs" in reach(find("triplet")(), GIVEN).left_out


def test_pairs_are_told_by_their_order():
    z = torch.stack([torch.tensor([[1.0, 0]] * 4), torch.tensor([[1.0, 0], [1, 1], [1, 2], [0, 1]])])
    assert told(z, torch.tensor([1, 0, 1, 0]))[0] == pytest.approx(0.75)
    assert told(z * torch.nan, torch.tensor([1, 0, 1, 0])) == (0, 0.5)


def test_raw_cosines_as_logits_have_collapse_as_their_optimum():
    found = reach(RawCosines(), PAIRS, "raw")
    least = (math.log1p(math.e) + (N - 1) * math.log1p(1 / math.e)) / N  # every cosine is -1
    assert found.loss == pytest.approx(least, abs=2e-3) and found.reached < 0.2
    (finding,) = found.findings("align")
    assert finding.level == "fault" and finding.objective == "raw" and finding.evidence["loss"] == found.loss
    assert finding.says.startswith("Cannot succeed: even free vectors") and f"of {N} pairs" in finding.says


@pytest.mark.parametrize(
    ("objective", "alike", "goal"),
    [(Together(), PAIRS, "align"), (find("triplet-align")(margin=0.0), PAIRS, "align"),
     (find("pair-contrastive")(margin=0.0), CLASSES, "embed")],
)  # fmt: skip
def test_where_collapse_is_as_good_nothing_keeps_things_apart(objective, alike, goal):
    found = reach(objective, alike)
    assert found.collapse == pytest.approx(0, abs=1e-5)
    assert found.findings(goal) and found.findings(goal)[0].level == "fault"


def test_equal_vectors_cost_what_the_collapse_constant_says():
    assert reach(find("clip")(), PAIRS).collapse == pytest.approx(math.log(N), rel=1e-4)
    assert reach(find("triplet-align")(margin=0.5), PAIRS).collapse == pytest.approx(0.5, rel=1e-4)


def test_the_same_twice():
    assert reach(find("siglip")(), PAIRS) == reach(find("siglip")(), PAIRS)


def test_what_cannot_be_tried_is_said():
    assert "`build`" in reach(Own(), CLASSES).left_out
    assert "raised IndexError" in reach(Odd(), CLASSES).left_out
    assert "no two classes" in reach(find("supcon")(), torch.zeros(0, dtype=torch.int64)).left_out


def test_collapsed_and_infinite_vectors_find_nothing_but_by_chance():
    ones = torch.ones(N, 3)
    assert retrieved(torch.stack([ones, ones]), PAIRS) == (pytest.approx(1 / N), pytest.approx(1 / N))
    assert neighboured(ones, CLASSES) == (pytest.approx((N / 6 - 1) / (N - 1)), pytest.approx(1 / 6))
    assert neighboured(ones * torch.nan, CLASSES)[0] == retrieved(torch.stack([ones, ones]) / 0, PAIRS)[0] == 0
    uneven = torch.tensor([0] * 9 + [1, 1])
    apart = torch.eye(11, 3)
    apart[:] = torch.tensor([1.0, 0, 0])
    assert neighboured(apart, uneven)[0] == pytest.approx((8 / 10 + 1 / 10) / 2)  # each class counts the same
