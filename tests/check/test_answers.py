"""What the answer says of functions that are equal, nearly equal, wrong in a known way, or just different."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import autograd

from whichloss.check.claims import find
from whichloss.errors import UserError
from whichloss.losses.contrastive import cosine_bce


def critic(real, fake):
    return F.softplus(-real).mean() + F.softplus(fake).mean()


# -- equal, and up to what


@pytest.mark.parametrize(
    "reduce, says",
    [
        (lambda x: x, "equal in value and gradient"),
        (torch.mean, "equal in value and gradient"),
        (torch.sum, "equal in value and gradient (summed over the batch)"),
    ],
)
def test_every_reduction_is_equal(ask, reduce, says):
    answer = ask(lambda real, fake: reduce(F.softplus(-real) + F.softplus(fake)), "bce-critic")
    assert (answer.verdict, answer.says) == ("equal", says)


def test_a_factor_is_named(ask):
    answer = ask(lambda real, fake: 2 * critic(real, fake), "bce-critic")
    assert answer.verdict == "scale" and answer.factor == pytest.approx(2)
    assert answer.says == "equal up to a factor: 2 times the formula" and answer.code == 0
    assert "same optimum" in answer.why


def test_a_constant_is_named(ask):
    answer = ask(lambda real, fake: critic(real, fake) - 3, "bce-critic")
    assert answer.verdict == "constant" and answer.constant == pytest.approx(-3) and answer
    assert "the formula -3" in answer.says


def test_a_sum_over_columns_where_the_formula_means_is_named(ask):
    answer = ask(lambda D, G, z: (D(G(z)) - G(z)).pow(2).sum(dim=1).mean(), "ebgan-generator")
    assert answer.verdict == "scale"
    assert "summed over columns where the formula takes their mean" in answer.says
    assert "number of columns" in answer.why


def test_a_mean_over_pixels_where_the_formula_sums_is_named(ask):
    def r1(D, real):
        x = real.detach().requires_grad_(True)
        return autograd.grad(D(x).sum(), x, create_graph=True)[0].pow(2).mean()

    answer = ask(r1, "r1-penalty")
    assert answer.verdict == "scale" and "averaged over columns where the formula sums them" in answer.says


def test_a_sum_over_the_batch_divided_once_too_often_depends_on_the_batch(ask):
    answer = ask(lambda real, fake: critic(real, fake) / len(real), "bce-critic")
    assert answer.verdict == "scale" and "divided by the number of rows once more" in answer.says
    assert "shrinks as the batch grows" in answer.why


def test_arguments_are_matched_by_name_in_any_order(ask):
    answer = ask(lambda d_fake, d_real: critic(d_real, d_fake), "bce-critic")
    assert answer.verdict == "equal"
    assert "d_fake is fake (by name)" in answer.arguments


def test_arguments_without_telling_names_are_given(ask):
    fn = lambda p, q: critic(q, p)
    assert ask(fn, "bce-critic").variant == "real and fake swapped"
    answer = ask(fn, "bce-critic", real="q", fake="p")
    assert answer.verdict == "equal" and "q is real (given)" in answer.arguments


def test_a_parameter_left_at_its_default_keeps_it(ask):
    def loss(logits, y, weight=None, label_smoothing=0.1):
        assert weight is None
        return F.cross_entropy(logits, y, weight=weight, label_smoothing=label_smoothing)

    answer = ask(loss, "cross-entropy")
    assert answer.says == "equal in value and gradient, with smoothing = 0.1"


def test_a_number_hidden_in_the_code_is_found(ask):
    answer = ask(lambda real, fake: real.mean() + F.relu(7.5 - fake).mean(), "ebgan-critic")
    assert answer.verdict == "equal" and answer.options == {"margin": 7.5}


def test_scores_as_a_column_and_a_second_result_are_read(ask):
    def loss(real, fake):
        assert real.shape[1] == 1
        return critic(real, fake), {"d": real.mean()}

    answer = ask(loss, "bce-critic")
    assert answer and "it returns 2 things; the first was compared" in answer.notes


def test_a_naive_log_is_equal_and_warned_of(ask):
    answer = ask(lambda real, fake: -(real.sigmoid().log() + (1 - fake.sigmoid()).log()).mean(), "bce-critic")
    assert answer.verdict == "equal"
    assert any(note.startswith("at logits of 40 it gives inf where the formula gives 40") for note in answer.notes)


def test_a_root_at_zero_is_equal_and_warned_of(ask):
    def penalty(D, real, fake):
        eps = torch.rand(len(real), 1)
        x = (eps * real + (1 - eps) * fake).requires_grad_(True)
        slope = autograd.grad(D(x).sum(), x, create_graph=True)[0].pow(2).sum(dim=1).sqrt()
        return ((slope - 1) ** 2).mean()

    answer = ask(penalty, "wgan-gp-penalty")
    assert answer.verdict == "equal", answer
    assert any("gradient through D is not finite" in note for note in answer.notes)


# -- different


def test_a_difference_is_shrunk_and_shows_values_gradients_and_the_term(ask):
    answer = ask(lambda real, fake: F.softplus(-0.8 * real).mean() + F.softplus(fake).mean(), "bce-critic")
    assert answer.verdict == "different" and answer.code == 4
    assert answer.term == "-log sigma(D(x))"
    seen = answer.counterexample
    assert seen is not None and seen.inputs == {"real": "[0]", "fake": "[0]"}
    assert (seen.yours, seen.formula) == ("1.386", "1.386")
    (gradient,) = seen.gradients
    assert (gradient.role, gradient.yours, gradient.formula) == ("real", "[-0.4]", "[-0.5]")
    text = str(answer)
    for words in ("at         real = [0], fake = [0]", "value      yours 1.386", "gradient   through real"):
        assert words in text


def test_a_rare_difference_is_found_by_the_search(ask):
    """Only three zeros in a row, which no random number ever gives."""

    def odd(fake):
        return F.softplus(-fake).mean() + (fake == 0).all()

    answer = ask(odd, "bce-generator")
    assert answer.verdict == "different"
    assert answer.counterexample is not None and answer.counterexample.inputs == {"fake": "[0]"}


def test_a_difference_far_from_zero_is_shrunk_to_its_edge(ask):
    answer = ask(lambda fake: F.softplus(-fake.clamp(max=1.25)).mean(), "bce-generator")
    assert answer.verdict == "different"
    assert answer.counterexample is not None and answer.counterexample.inputs == {"fake": "[1.5]"}


def test_the_sign_turned_round(ask):
    answer = ask(lambda real, fake: real.mean() - fake.mean(), "wasserstein-critic")
    assert answer.verdict == "terms" and answer.says == "the formula with its sign turned round"
    assert "opposite" in answer.why and "minus" in answer.fix


def test_a_missing_and_a_heavy_term(ask):
    missing = ask(lambda real, fake: F.softplus(fake).mean() + 0 * real.sum(), "bce-critic")
    assert "the term -log sigma(D(x)) is missing" in missing.says and missing.term == "-log sigma(D(x))"
    heavy = ask(lambda real, fake: F.softplus(-real).mean() + 3 * F.softplus(fake).mean(), "bce-critic")
    assert "-log(1 - sigma(D(G(z)))) weighs 3" in heavy.says and heavy.verdict == "terms"


def test_a_generator_that_learns_to_be_caught(ask):
    answer = ask(lambda fake: F.softplus(fake).mean(), "bce-generator")
    assert answer.variant == "the sign of fake is turned round"


@pytest.mark.parametrize(
    "name, fn, variant",
    [
        (
            "hinge-critic",
            lambda real, fake: F.relu(1 - real.mean()) + F.relu(1 + fake.mean()),
            "the loss of the batch mean",
        ),
        ("bce-generator", lambda fake: F.softplus(-fake.sigmoid()).mean(), "a sigmoid too many"),
        ("bce-generator", lambda fake: torch.log(1 - fake.sigmoid()).mean(), "the saturating (minimax) generator loss"),
        ("ebgan-critic", lambda real, fake: real.mean() + F.relu(10 - fake.mean()), "the hinge on the batch mean"),
    ],
)
def test_variants_of_scores_are_named(ask, name, fn, variant):
    answer = ask(fn, name)
    assert (answer.verdict, answer.variant, bool(answer)) == ("variant", variant, False)
    assert answer.why and answer.fix


def test_the_keras_form_of_the_wasserstein_loss(ask):
    answer = ask(lambda y_true, y_pred: (y_true * y_pred).mean(), "wasserstein-critic")
    assert "labels of 1 and -1 times scores (the Keras form of the Wasserstein loss)" in answer.says
    assert not answer and "-1 for real rows and 1 for fakes" in answer.fix


# -- gradients that are not the slope of the value


@pytest.mark.parametrize("cut", [lambda x: x.detach(), lambda x: x.data, lambda x: x.clone().detach()])
def test_a_hidden_detach_is_named(ask, cut):
    answer = ask(lambda real, fake: fake.mean() - cut(real).mean(), "wasserstein-critic")
    assert answer.variant == "real is detached"
    assert answer.checks["gradient = finite differences"] == "its gradient through real is not the slope of its value"


def test_no_grad_around_it_all(ask):
    @torch.no_grad()
    def loss(fake):
        return F.softplus(-fake).mean()

    answer = ask(loss, "bce-generator")
    assert answer.variant == "fake is detached"
    assert any("does not depend on its inputs for autograd" in note for note in answer.notes)


class Halved(autograd.Function):
    """softplus(-x) with half its slope."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return F.softplus(-x)

    @staticmethod
    def backward(ctx, slope):
        (x,) = ctx.saved_tensors
        return -0.5 * slope * torch.sigmoid(-x)


def test_a_wrong_backward_is_found(ask):
    answer = ask(lambda fake: Halved.apply(fake).mean(), "bce-generator")
    assert answer.verdict == "gradient"
    assert "the value is the formula's, the gradient through fake is not" in answer.says
    assert "a backward of its own is wrong" in answer.why
    assert answer.counterexample is not None and answer.counterexample.gradients[0].yours == "[-0.25]"


# -- what the loss must not change under


def coupled(real, fake):
    return critic((real - real.mean()) / (real.std() + 1), fake)


def placed(real, fake):
    weight = torch.linspace(0.5, 1.5, len(real)).reshape(-1, *[1] * (real.ndim - 1))
    return (weight * F.softplus(-real) + F.softplus(fake)).mean()


def rooted(real, fake):
    return critic(real, fake) * len(real) ** 0.5


@pytest.mark.parametrize(
    "fn, broken, why",
    [
        (coupled, "each row by itself", "depends on the other rows"),
        (placed, "the order of the rows", "their place in the batch"),
        (rooted, "the size of the batch", "wrong number of rows"),
    ],
)
def test_a_broken_invariance_says_what_is_inside(ask, fn, broken, why):
    answer = ask(fn, "bce-critic")
    assert answer.verdict == "different"
    assert answer.checks[broken].startswith("off by")
    assert why in answer.why and f"{broken}: off by" in " ".join(str(answer).split())


# -- gradient penalties


def penalty(shape="row", norm=lambda g: g.flatten(1).norm(dim=1), power=2, grad=None, graph=True, reduce=torch.mean):
    """A WGAN-GP penalty with one thing changed."""

    def drawn(real):
        ones = [1] * (real.ndim - 1)
        size = {"row": (len(real), *ones), "pixel": real.shape, "one": (1,), "outside": (len(real), *ones)}[shape]
        return torch.rand(size) + (2 if shape == "outside" else 0)

    def loss(D, real, fake):
        eps = drawn(real)
        x = (eps * real + (1 - eps) * fake).requires_grad_(True)
        out = (grad or torch.sum)(D(x))
        g = autograd.grad(out, x, create_graph=graph)[0]
        return reduce((norm(g) - 1) ** power)

    return loss


@pytest.mark.parametrize(
    "changed, variant",
    [
        ({"norm": lambda g: g.norm()}, "one norm of the whole batch"),
        ({"power": 1}, "the square is missing"),
        pytest.param(
            {"norm": lambda g: g.abs()},
            "the norm over the wrong axis (per entry, dim=1 of pictures)",
            marks=pytest.mark.slow,
        ),
        ({"shape": "pixel"}, "one eps per pixel (or column), not per sample"),
        ({"shape": "one"}, "one eps for the whole batch"),
        ({"shape": "outside"}, "measured outside the line between real and fake"),
        ({"graph": False}, "the penalty does not reach D (create_graph is missing)"),
        pytest.param({"grad": torch.mean}, "the gradient of the batch mean of D", marks=pytest.mark.slow),
    ],
)
def test_a_penalty_with_one_mistake_is_named(ask, changed, variant):
    answer = ask(penalty(**changed), "wgan-gp-penalty")
    assert (answer.verdict, answer.variant) == ("variant", variant), answer
    assert answer.why and answer.fix
    if variant == "one norm of the whole batch":
        assert answer.checks[UNIT].startswith("it gives 0.")


UNIT = "a critic of slope 1 costs nothing, at any batch size"


@pytest.mark.parametrize("reduce, says", [(torch.mean, ""), (torch.sum, " (summed over the batch)")])
def test_the_paper_s_penalty_is_equal_and_costs_a_unit_slope_nothing(ask, reduce, says):
    answer = ask(penalty(reduce=reduce), "wgan-gp-penalty")
    assert answer.says == f"equal in value and gradient{says}, with lambda = 1"
    assert answer.checks[UNIT] == "holds"


def test_pictures_along_the_channel_axis(ask):
    def loss(D, real, fake):
        assert real.ndim == 4
        return penalty(norm=lambda g: g.norm(dim=1))(D, real, fake)

    assert ask(loss, "wgan-gp-penalty").variant.startswith("the norm over the wrong axis")


def test_the_weight_of_a_penalty_is_the_person_s(ask):
    fn = lambda D, real, fake, lam=5: lam * penalty()(D, real, fake)
    answer = ask(fn, "wgan-gp-penalty", **{"lambda": "lam"})
    assert answer.says == "equal in value and gradient, with lambda = 5"
    assert "lam is lambda (given)" in answer.arguments


# -- what the person's function raises is an answer, never a failure of the check


def test_an_error_in_one_layout_only_is_passed_over(ask):
    def own(a, b, target):
        return (
            cosine_bce(a, b, target).mean() + a.pow(4).mean()
        )  # refuses a target (B, 1) with this package's own error

    assert ask(own, "cosine-bce").verdict == "different"


def test_an_error_at_another_batch_is_said_beside_the_property(ask):
    def loss(fake):
        if len(fake) > 5:
            raise ValueError("at most five rows")
        return F.softplus(-fake).mean()

    answer = ask(loss, "bce-generator")
    assert answer.checks["the size of the batch"] == "it raises ValueError: at most five rows"


def test_an_error_at_large_scores_is_a_note(ask):
    def loss(fake):
        assert fake.abs().max() < 100, "too large"
        return F.softplus(-fake).mean()

    answer = ask(loss, "bce-generator")
    assert answer.verdict == "equal" and "at logits of 100 it raises AssertionError: too large" in answer.notes


# -- large logits, floors, reductions, numbers


def clamped_cross_entropy(logits, y):
    return -torch.log(torch.softmax(logits, 1).clamp(1e-8))[torch.arange(len(y)), y].mean()


def clamped_bce(z, y):
    p = torch.sigmoid(z).clamp(1e-7, 1 - 1e-7)
    return -(y * p.log() + (1 - y) * (1 - p).log()).mean()


def clamped_asymmetric(x, y, gamma_neg=4, gamma_pos=1, clip=0.05, eps=1e-8):
    p = torch.sigmoid(x)
    q = (1 - p + clip).clamp(max=1)
    logs = y * p.clamp(min=eps).log() + (1 - y) * q.clamp(min=eps).log()
    return -(logs * (1 - p * y - q * (1 - y)) ** (gamma_pos * y + gamma_neg * (1 - y))).sum()


@pytest.mark.parametrize(
    "fn, name",
    [
        (clamped_cross_entropy, "cross-entropy"),
        (clamped_bce, "binary-cross-entropy-with-logits"),
        (clamped_asymmetric, "asymmetric"),
    ],
)
def test_a_dead_gradient_at_large_logits_is_said(ask, fn, name):
    answer = ask(fn, name)
    assert answer.verdict == "equal", answer
    (note,) = [note for note in answer.notes if note.startswith("at logits of ")]
    assert "20 it gives" in note and "loses digits" in note and "its gradient through z is dead" in note


@pytest.mark.parametrize("reduce", [torch.sum, torch.mean, lambda x: x, lambda x: x.sum(1), lambda x: x.sum(1).mean()])
def test_a_loss_of_several_labels_is_equal_under_every_reduction(ask, reduce):
    from whichloss.losses.multi_label import asymmetric

    assert ask(lambda z, target: reduce(asymmetric(z, target)), "asymmetric").verdict == "equal"


@pytest.mark.parametrize(("clamp", "said"), [(1e-4, True), (math.exp(-4), False)])
def test_another_floor_of_symmetric_cross_entropy_is_said(ask, clamp, said):
    def sce(pred, labels, alpha=0.1, beta=1.0):
        target = F.one_hot(labels, pred.shape[1]).double().clamp(min=clamp)
        reverse = -(pred.softmax(1) * target.log()).sum(1).mean()
        return alpha * F.cross_entropy(pred, labels) + beta * reverse

    answer = ask(sce, "symmetric-cross-entropy")
    assert answer.verdict == "equal", answer
    assert any(note.startswith("the floor differs: ") and "-9.21" in note for note in answer.notes) == said


def test_numbers_of_a_variant_and_numbers_left_out_are_said(ask):
    bce = F.binary_cross_entropy_with_logits
    smooth = ask(lambda real, fake: bce(real, torch.full_like(real, 0.9)) + F.softplus(fake).mean(), "bce-critic")
    assert "target of real rows = 0.9" in smooth.says
    plain = ask(lambda z, y: (bce(z, y, reduction="none") * (torch.sigmoid(z) - y) ** 2).mean(), "focal")
    assert plain.says == "equal in value and gradient, without alpha"


def test_a_weight_that_is_not_the_one_passed_is_said(ask):
    def penalty(D, real, fake, lambda_=10.0):
        eps = torch.rand(len(real), 1)
        x = (eps * real + (1 - eps) * fake).requires_grad_(True)
        return lambda_**2 * ((autograd.grad(D(x).sum(), x, create_graph=True)[0].norm(dim=1) - 1) ** 2).mean()

    answer = ask(penalty, "wgan-gp-penalty")
    assert answer.says == "equal up to a factor: 10 times the formula, with lambda = 100"


def test_a_gradient_of_zero_is_no_false_alarm(ask):
    answer = ask(lambda mu, logvar: (50 + mu**2 + 0 * logvar).sum(), "normal-kl")
    assert answer.checks["gradient = finite differences"] == "holds"


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("zzz", "the families are adversarial, "),
        ("quantile-loss", "the families are adversarial, "),
        ("adversarial-bce", "did you mean 'bce-critic' or 'bce-generator'"),
        ("hinge-loss-gan", "did you mean 'hinge-critic' or 'hinge-generator'?"),
        ("focl", "did you mean 'focal'?"),
    ],
)
def test_an_unknown_loss_gets_one_line(name, says):
    with pytest.raises(UserError) as refused:
        find(name)
    assert says in str(refused.value) and len(str(refused.value)) < 300


def test_what_is_no_network_is_not_taken_for_one(ask):
    with pytest.raises(UserError, match="give what is left over a default"):
        ask(lambda real, fake: -fake.mean(), "hinge-generator")
    assert ask(lambda h, x: -h(x).mean(), "hinge-generator").verdict == "equal"


def test_a_number_by_default_is_no_tensor(ask):
    with pytest.raises(UserError, match=r"directions \(unit directions"):
        ask(lambda x, y, n_projections=50: (x - y).mean(), "sliced-wasserstein")


@pytest.mark.parametrize(
    ("weights", "says", "fix"),
    [
        ((1, 0), "the term -log(1 - sigma(D(G(z)))) is missing", "Add the term."),
        ((1, -1), "-log(1 - sigma(D(G(z)))) has its sign turned round", "Turn that sign."),
        ((1, 3), "-log(1 - sigma(D(G(z)))) weighs 3", "Give every term the weight of the formula."),
    ],
)
def test_a_term_that_is_off_is_named_with_its_fix(ask, weights, says, fix):
    a, b = weights
    answer = ask(lambda real, fake: (a * F.softplus(-real) + b * F.softplus(fake)).mean(), "bce-critic")
    assert (answer.says, answer.fix) == (f"the formula with other weights: {says}", fix)
    assert answer.term == "-log(1 - sigma(D(G(z))))"
