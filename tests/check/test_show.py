"""Three functions as people wrote them, each wrong or weak in its own way, and their corrected twins."""

import pytest
import torch
import torch.nn.functional as F


def pull_away_of_one_norm(embeddings):
    """Divides by one L1 norm of the whole batch."""
    normalised = embeddings / torch.norm(embeddings, 1)
    similarity = normalised @ normalised.T
    batch = len(embeddings)
    return ((similarity**2).sum() - batch) / (batch * (batch - 1))


def pull_away_without_square(embeddings):
    """The same, and the cosines are not squared."""
    normalised = embeddings / torch.norm(embeddings, 1)
    batch = len(embeddings)
    return ((normalised @ normalised.T).sum() - batch) / (batch * (batch - 1))


def pull_away(embeddings):
    """The paper's."""
    normalised = embeddings / torch.norm(embeddings, dim=1, keepdim=True)
    batch = len(embeddings)
    return (((normalised @ normalised.T) ** 2).sum() - batch) / (batch * (batch - 1))


def generator_loss_detached(D, G, z):
    """Its target is cut off."""
    fake = G(z)
    return F.mse_loss(D(fake), fake.detach())


def generator_loss(D, G, z):
    """The energy of the fakes."""
    fake = G(z)
    return F.mse_loss(D(fake), fake)


def contrastive(a, b, target):
    """Raw cosines as logits."""
    return F.binary_cross_entropy_with_logits(F.cosine_similarity(a, b), target)


def contrastive_scaled(a, b, target):
    """Cosines times a scale."""
    return F.binary_cross_entropy_with_logits(20 * F.cosine_similarity(a, b), target)


@pytest.mark.parametrize("fn", [pull_away_of_one_norm, pull_away_without_square])
def test_one_l1_norm_of_the_batch_is_named(ask, fn):
    answer = ask(fn, "pull-away")
    text = str(answer)
    assert answer.verdict == "variant" and not answer
    assert "divides by one L1 norm of the whole batch" in answer.variant
    assert "each row's L2 norm" in answer.variant
    assert "does nothing" in answer.why and "normalize(codes, dim=1)" in answer.fix
    assert "codes = [[1, 0], [1, 0]]" in text and "formula 1" in text  # two equal codes: the formula says 1
    assert ("not squared" in answer.variant) == (fn is pull_away_without_square)
    assert answer.checks["the length of the rows of codes"] != "holds"


def test_a_detached_target_is_named(ask):
    answer = ask(generator_loss_detached, "ebgan-generator")
    assert answer.variant == "the target of the reconstruction is detached"
    assert ".detach()" in answer.fix
    seen = answer.counterexample
    assert seen is not None and seen.yours == seen.formula  # the same value
    assert seen.gradients[0].role == "G" and seen.gradients[0].yours != seen.gradients[0].formula
    assert "through G is not the slope of its value" in answer.checks["gradient = finite differences"]


def test_raw_cosines_are_correct_as_code_and_bounded_as_a_loss(ask):
    answer = ask(contrastive, "cosine-bce")
    assert answer.verdict == "equal" and answer.options["scale"] == 1
    (note,) = answer.notes
    assert "the lowest loss that can be reached is 0.3133" in note and "log(1 + 1/e)" in note
    assert "[.269, .731]" in note and "scale" in note


@pytest.mark.parametrize(
    "fn, name", [(pull_away, "pull-away"), (generator_loss, "ebgan-generator"), (contrastive_scaled, "cosine-bce")]
)
def test_the_corrected_twins_pass(ask, fn, name):
    answer = ask(fn, name)
    assert answer.verdict == "equal" and answer, answer
    assert set(answer.checks.values()) == {"holds"}
    assert "0.3133" not in str(answer)
