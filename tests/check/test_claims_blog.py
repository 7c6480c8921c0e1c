"""Loss functions as people write them, with their classic errors, and what each is told: verdict and variant."""

import pytest
import torch
import torch.nn.functional as F

from whichloss.check import examine
from whichloss.check.claims import find
from whichloss.check.search import Found


@pytest.fixture(autouse=True)
def few_calls(monkeypatch):
    """Half the calls and no search for a counterexample: the judgement alone is asked here."""
    monkeypatch.setattr(examine, "CALLS", 10)
    monkeypatch.setattr(examine, "search", lambda *args, **rest: Found())


CASES = []


def told(loss, verdict="variant", variant="", slow=False):
    """The function below, asked about as `loss`, gets this verdict, and a variant whose name begins so."""

    def keep(fn):
        marks = [pytest.mark.slow] if slow else []
        CASES.append(pytest.param(fn, loss, verdict, variant, id=f"{loss}-{fn.__name__}", marks=marks))
        return fn

    return keep


# ---- pull-away


@told("pull-away", variant="divides by one L1 norm of the whole batch")
def one_l1_norm(embeddings):
    norm = torch.norm(embeddings, 1)
    s = (embeddings / norm) @ (embeddings / norm).t()
    n = embeddings.size(0)
    return (torch.sum(s**2) - n) / (n * (n - 1))


@told("pull-away", variant="divides by one L2 norm of the whole batch")
def one_l2_norm(embeddings):
    u = embeddings / embeddings.norm()
    s = torch.mm(u, u.t()) ** 2
    n = len(u)
    return (s.sum() - s.diag().sum()) / (n * (n - 1))


@told("pull-away", variant="cosines not squared")
def no_square(embeddings):
    u = F.normalize(embeddings)
    n = len(u)
    return ((u @ u.t()).sum() - n) / (n * (n - 1))


@told("pull-away", variant="the sum over pairs, not divided by N (N - 1)")
def not_divided(features):
    u = F.normalize(features)
    return ((u @ u.t()) ** 2).sum() - len(u)


@told("pull-away", variant="the diagonal is averaged too")
def diagonal_kept(codes):
    u = F.normalize(codes)
    return ((u @ u.t()) ** 2).mean()


@told("pull-away", "equal")
def pairs_by_cosine_similarity(codes):
    s = F.cosine_similarity(codes[:, None], codes[None], dim=2) ** 2
    off = ~torch.eye(len(codes), dtype=torch.bool)
    return s[off].mean()


# ---- EBGAN


@told("ebgan-critic", variant="the hinge on the batch mean")
def hinge_of_the_mean(d_real, d_fake, margin=10.0):
    return d_real.mean() + torch.clamp(margin - d_fake.mean(), min=0)


@told("ebgan-critic", variant="energies summed over pixels")
def summed_pixels(D, real, fake, margin=10.0):
    e_real = ((D(real) - real) ** 2).sum(dim=1)
    e_fake = ((D(fake) - fake) ** 2).sum(dim=1)
    return (e_real + F.relu(margin - e_fake)).mean()


@told("ebgan-critic", variant="the hinge on every pixel")
def margin_on_pixels(D, real, fake, margin=1.0):
    return F.mse_loss(D(real), real) + F.relu(margin - (D(fake) - fake) ** 2).mean()


@told("ebgan-critic", "equal")
def right_critic(D, real, fake, margin=1.0):
    energy = lambda x: ((D(x) - x) ** 2).mean(dim=1)
    return (energy(real) + F.relu(margin - energy(fake))).mean()


@told("ebgan-generator", variant="the target of the reconstruction is detached")
def detached_target(D, G, z):
    fake = G(z)
    return F.mse_loss(D(fake), fake.detach())


@told("ebgan-generator", "equal")
def right_generator(D, G, z):
    fake = G(z)
    return F.mse_loss(D(fake), fake)


# ---- GAN, hinge, least squares, Wasserstein


@told("wasserstein-critic", variant="labels of 1 and -1 times scores")
def keras_wasserstein(y_true, y_pred):
    return torch.mean(y_true * y_pred)


@told("wasserstein-critic", "terms")
def turned_wasserstein(real, fake):
    return real.mean() - fake.mean()


@told("hinge-critic", variant="no hinge")
def hinge_without_relu(real, fake):
    return (1 - real).mean() + (1 + fake).mean()


@told("hinge-critic", variant="the loss of the batch mean")
def mean_inside(real, fake):
    return F.relu(1 - real.mean()) + F.relu(1 + fake.mean())


@told("hinge-critic", "equal")
def hinge_by_min(real, fake):
    zero = torch.zeros_like(real)
    return -torch.min(zero, real - 1).mean() - torch.min(zero, -fake - 1).mean()


@told("least-squares-critic", "scale")
def lsgan_without_half(real, fake):
    return F.mse_loss(real, torch.ones_like(real)) + F.mse_loss(fake, torch.zeros_like(fake))


@told("least-squares-critic", "equal")
def lsgan_with_half(real, fake):
    return 0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean()


@told("least-squares-critic", "terms")
def lsgan_half_on_one_side(real, fake):
    return ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean()


@told("bce-critic", variant="a sigmoid too many")
def sigmoid_twice(real, fake):
    bce = torch.nn.BCEWithLogitsLoss()
    return bce(torch.sigmoid(real), torch.ones_like(real)) + bce(torch.sigmoid(fake), torch.zeros_like(fake))


@told("bce-critic", "equal")
def bce_on_probabilities(d_real, d_fake):
    return F.binary_cross_entropy(d_real, torch.ones_like(d_real)) + F.binary_cross_entropy(
        d_fake, torch.zeros_like(d_fake)
    )


@told("bce-critic", variant="fakes labelled 1")
def fakes_are_real(real, fake):
    ones = torch.ones_like(real)
    return F.binary_cross_entropy_with_logits(real, ones) + F.binary_cross_entropy_with_logits(fake, ones)


@told("bce-generator", variant="the saturating (minimax) generator loss")
def saturating(fake):
    return torch.log(1 - torch.sigmoid(fake)).mean()


@told("minimax-generator", variant="the non-saturating generator loss")
def non_saturating(fake):
    return F.binary_cross_entropy_with_logits(fake, torch.ones_like(fake))


# ---- gradient penalties


def _penalty(D, at, energy, **how):
    at = at.requires_grad_(True)
    out = D(at)
    (g,) = torch.autograd.grad(out, at, torch.ones_like(out), **(how or {"create_graph": True}))
    return energy(g)


def _eps(real):
    return torch.rand(real.size(0), *[1] * (real.dim() - 1))


def _two_sided(g):
    return ((g.reshape(len(g), -1).norm(2, dim=1) - 1) ** 2).mean()


@told("wgan-gp-penalty", "equal")
def right_penalty(D, real, fake, lambda_gp=10):
    eps = _eps(real)
    return lambda_gp * _penalty(D, eps * real + (1 - eps) * fake, _two_sided)


@told("wgan-gp-penalty", variant="one eps for the whole batch")
def one_eps(D, real, fake):
    eps = torch.rand(1)
    return _penalty(D, eps * real + (1 - eps) * fake, _two_sided)


@told("wgan-gp-penalty", variant="one eps per pixel")
def eps_per_pixel(D, real, fake):
    eps = torch.rand_like(real)
    return _penalty(D, eps * real + (1 - eps) * fake, _two_sided)


@told("wgan-gp-penalty", variant="eps is not uniform")
def eps_always_near_one(D, real, fake):
    eps = 0.9 + 0.1 * _eps(real)
    return _penalty(D, eps * real + (1 - eps) * fake, _two_sided)


@told("wgan-gp-penalty", variant="measured outside the line")
def normal_eps(D, real, fake):
    eps = torch.randn(real.size(0), *[1] * (real.dim() - 1))
    return _penalty(D, eps * real + (1 - eps) * fake, _two_sided)


@told("wgan-gp-penalty", variant="measured at the rows themselves")
def at_the_fakes(D, real, fake):
    return _penalty(D, fake.clone(), _two_sided)


@told("wgan-gp-penalty", variant="the norm over the wrong axis")
def wrong_axis(D, real, fake):
    eps = torch.rand(real.size(0), 1, 1, 1)
    return _penalty(D, eps * real + (1 - eps) * fake, lambda g: ((g.norm(2, dim=1) - 1) ** 2).mean())


@told("wgan-gp-penalty", variant="the square is missing")
def unsquared(D, real, fake):
    eps = _eps(real)
    return _penalty(D, eps * real + (1 - eps) * fake, lambda g: (g.reshape(len(g), -1).norm(dim=1) - 1).mean())


@told("wgan-gp-penalty", variant="the square of the mean slope")
def mean_before_square(D, real, fake):
    eps = _eps(real)
    return _penalty(D, eps * real + (1 - eps) * fake, lambda g: (g.reshape(len(g), -1).norm(dim=1).mean() - 1) ** 2)


@told("wgan-gp-penalty", variant="one norm of the whole batch")
def norm_before_sum(D, real, fake):
    eps = _eps(real)
    return _penalty(D, eps * real + (1 - eps) * fake, lambda g: (g.norm(2) - 1) ** 2)


@told("wgan-gp-penalty", variant="the penalty does not reach D")
def no_create_graph(D, real, fake):
    eps = _eps(real)
    return _penalty(D, eps * real + (1 - eps) * fake, _two_sided, retain_graph=True)


@told("dragan-penalty", variant="noise of one sign only", slow=True)
def dragan_rand(D, real):
    return _penalty(D, real + 0.5 * real.std() * torch.rand_like(real), _two_sided)


@told("dragan-penalty", variant="measured at the data itself", slow=True)
def dragan_at_the_data(D, real):
    return _penalty(D, real.clone(), _two_sided)


def _square(g):
    return g.reshape(len(g), -1).pow(2).sum(1).mean()


@told("r1-penalty", "scale")
def r1_without_half(D, real, gamma=10.0):
    return gamma * _penalty(D, real, _square)


@told("r1-penalty", "equal")
def r1_with_half(D, real, gamma=10.0):
    return gamma / 2 * _penalty(D, real, _square)


@told("r1-penalty", variant="measured at the fake rows")
def r1_on_fakes(D, real, fake, gamma=10.0):
    return gamma / 2 * _penalty(D, fake, _square)


@told("r2-penalty", variant="measured at the real rows")
def r2_on_real_rows(D, real, fake, gamma=10.0):
    return gamma / 2 * _penalty(D, real, _square)


# ---- classification


@told("focal", variant="alpha given to the negatives")
def alpha_misplaced(logits, targets, alpha=0.25, gamma=2.0):
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weight = (1 - alpha) * targets + alpha * (1 - targets)
    return (weight * (1 - torch.exp(-ce)) ** gamma * ce).mean()


@told("focal", variant="p_t^g instead of (1 - p_t)^g")
def p_for_one_minus_p(logits, targets, alpha=0.25, gamma=2.0):
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    weight = alpha * targets + (1 - alpha) * (1 - targets)
    return (weight * torch.exp(-ce) ** gamma * ce).mean()


@told("focal", variant="one alpha for both labels")
def alpha_for_all(logits, targets, alpha=0.25, gamma=2.0):
    ce = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    return (alpha * (1 - torch.exp(-ce)) ** gamma * ce).mean()


@told("focal-multiclass", variant="the focal factor of the batch mean")
def focal_of_the_mean(logits, targets, gamma=2.0):
    ce = F.cross_entropy(logits, targets)
    return (1 - torch.exp(-ce)) ** gamma * ce


@told("cross-entropy", "equal")
def smoothing_over_k(logits, target, smoothing=0.1):
    return F.cross_entropy(logits, target, label_smoothing=smoothing)


@told("cross-entropy", variant="smoothing shared among the other classes only")
def smoothing_over_k_minus_1(pred, target, smoothing=0.1):
    log_p = F.log_softmax(pred, dim=-1)
    soft = torch.full_like(log_p, smoothing / (pred.size(1) - 1)).scatter(1, target.unsqueeze(1), 1 - smoothing)
    return (-soft * log_p).sum(dim=-1).mean()


@told("cross-entropy", variant="softmax over the batch (the wrong axis)")
def softmax_over_rows(logits, target):
    return F.nll_loss(F.log_softmax(logits, dim=0), target)


@told("cross-entropy", variant="a softmax too many")
def softmax_twice(logits, target):
    return F.cross_entropy(F.softmax(logits, dim=1), target)


@told("cross-entropy", variant="the probability without its logarithm")
def nll_on_probabilities(logits, target):
    return F.nll_loss(F.softmax(logits, dim=1), target)


@told("cross-entropy", "scale")
def mean_over_all_entries(logits, target):
    one_hot = F.one_hot(target, logits.shape[1])
    return -(one_hot * F.log_softmax(logits, dim=1)).mean()


# ---- divergences


@told("kl-divergence", "equal")
def right_kl(p, q):
    return F.kl_div(q.log(), p, reduction="batchmean")


@told("kl-divergence", variant="KL(q, p), the other way round")
def kl_div_arguments_swapped(p, q):
    return F.kl_div(p.log(), q, reduction="batchmean")


@told("kl-divergence", variant="F.kl_div on probabilities")
def kl_div_of_probabilities(p, q):
    return F.kl_div(q, p, reduction="batchmean")


@told("kl-divergence", "scale")
def kl_in_bits(p, q):
    return (p * torch.log2(p / q)).sum(dim=1).mean()


@told("kl-divergence", "scale")
def kl_mean_over_elements(p, q):
    return F.kl_div(q.log(), p, reduction="none").mean()


@told("js-divergence", variant="the symmetrised KL")
def js_without_mixture(p, q):
    return 0.5 * (F.kl_div(q.log(), p, reduction="batchmean") + F.kl_div(p.log(), q, reduction="batchmean"))


@told("mmd", variant="the biased form")
def biased_mmd(x, y, sigma=1.0):
    k = lambda a, b: torch.exp(-(torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist") ** 2) / (2 * sigma**2))
    return k(x, x).mean() + k(y, y).mean() - 2 * k(x, y).mean()


# ---- diffusion, scores, flows

STEPS = 1000
BETAS = torch.linspace(1e-4, 0.02, STEPS, dtype=torch.float64)
ABAR = torch.cumprod(1 - BETAS, dim=0)


def _noisy(x0, table, keep=torch.sqrt):
    t = torch.randint(0, STEPS, (len(x0),))
    a, eps = table[t].view(-1, *[1] * (x0.dim() - 1)), torch.randn_like(x0)
    return keep(a) * x0 + keep(1 - a) * eps, t, eps


@told("ddpm", "equal")
def right_ddpm(model, x0):
    x_t, t, eps = _noisy(x0, ABAR)
    return F.mse_loss(model(x_t, t), eps)


@told("ddpm", "scale")
def ddpm_summed(model, x0):
    x_t, t, eps = _noisy(x0, ABAR)
    return F.mse_loss(model(x_t, t), eps, reduction="sum")


@told("ddpm", variant="the square roots of abar and 1 - abar are missing")
def no_roots(model, x0):
    x_t, t, eps = _noisy(x0, ABAR, keep=lambda a: a)
    return F.mse_loss(model(x_t, t), eps)


@told("ddpm", variant="alpha_t instead of its product")
def alpha_for_abar(model, x0):
    x_t, t, eps = _noisy(x0, 1 - BETAS)
    return F.mse_loss(model(x_t, t), eps)


@told("ddpm", variant="abar is read at t +1")
def wrong_index(model, x0, t, alphas_cumprod):
    a = alphas_cumprod[(t + 1).clamp(max=len(alphas_cumprod) - 1)].view(-1, *[1] * (x0.dim() - 1))
    eps = torch.randn_like(x0)
    return F.mse_loss(model(a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps)


@told("ddpm", "equal")
def right_index(model, x0, t, alphas_cumprod):
    a = alphas_cumprod[t].view(-1, *[1] * (x0.dim() - 1))
    eps = torch.randn_like(x0)
    return F.mse_loss(model(a.sqrt() * x0 + (1 - a).sqrt() * eps, t), eps)


@told("ddpm", variant="noise that is not on the path")
def two_noises(model, x0):
    x_t, t, eps = _noisy(x0, ABAR)
    return F.mse_loss(model(x_t, t), torch.randn_like(eps))


@told("ddpm", variant="one time for the whole batch")
def one_time(model, x0):
    a, eps = ABAR[torch.randint(0, STEPS, (1,))], torch.randn_like(x0)
    return F.mse_loss(model(a.sqrt() * x0 + (1 - a).sqrt() * eps, a), eps)


@told("ddpm", variant="noise of mean")
def uniform_noise(model, x0):
    a = ABAR[torch.randint(0, STEPS, (len(x0), *[1] * (x0.dim() - 1)))]
    eps = torch.rand_like(x0)
    return F.mse_loss(model(a.sqrt() * x0 + (1 - a).sqrt() * eps, a), eps)


@told("ddpm", variant="predicts x0")
def predicts_data(model, x0):
    x_t, t, _ = _noisy(x0, ABAR)
    return F.mse_loss(model(x_t, t), x0)


@told("ddpm", "broken", "not a squared error")
def absolute_error(model, x0):
    x_t, t, eps = _noisy(x0, ABAR)
    return F.l1_loss(model(x_t, t), eps)


@told("denoising-score-matching", variant="the weight sigma^2 is missing")
def no_sigma_weight(score, noise, sigma):
    return ((score + noise / sigma.view(-1, 1)) ** 2).mean()


@told("denoising-score-matching", variant="the sign of the noise is wrong")
def wrong_sign(score, noise, sigma):
    return ((sigma.view(-1, 1) * score - noise) ** 2).mean()


@told("flow-matching", "equal")
def right_flow(model, x1):
    x0, t = torch.randn_like(x1), torch.rand(len(x1), *[1] * (x1.dim() - 1))
    return ((model((1 - t) * x0 + t * x1, t) - (x1 - x0)) ** 2).mean()


@told("flow-matching", variant="flow matching towards the noise")
def flow_backwards(model, x1):
    x0, t = torch.randn_like(x1), torch.rand(len(x1), *[1] * (x1.dim() - 1))
    return ((model((1 - t) * x0 + t * x1, t) - (x0 - x1)) ** 2).mean()


# ---- contrastive


def _both(s):
    own = torch.arange(len(s))
    return (F.cross_entropy(s, own) + F.cross_entropy(s.t(), own)) / 2


@told("info-nce", "equal")
def right_clip(image_emb, text_emb, temperature=0.07):
    return _both(F.normalize(image_emb) @ F.normalize(text_emb).t() / temperature)


@told("info-nce", "equal")
def clip_with_logit_scale(image_emb, text_emb, logit_scale=14.3):
    return _both(logit_scale * F.normalize(image_emb) @ F.normalize(text_emb).t())


@told("info-nce", variant="one direction only")
def one_direction(image_emb, text_emb, temperature=0.07):
    s = F.normalize(image_emb) @ F.normalize(text_emb).t() / temperature
    return F.cross_entropy(s, torch.arange(len(s)))


@told("info-nce", variant="multiplied by the temperature")
def temperature_multiplied(image_emb, text_emb, temperature=0.07):
    return _both(F.normalize(image_emb) @ F.normalize(text_emb).t() * temperature)


@told("info-nce", variant="dot products instead of cosines")
def no_normalisation(image_emb, text_emb, temperature=0.5):
    return _both(image_emb @ text_emb.t() / temperature)


@told("info-nce", variant="the positive is left out of the denominator, one direction only", slow=True)
def without_diagonal(z1, z2, temperature=0.5):
    s = F.normalize(z1) @ F.normalize(z2).t() / temperature
    mask = torch.eye(len(s), dtype=torch.bool)
    return (s.masked_fill(mask, float("-inf")).logsumexp(dim=1) - s.diag()).mean()


@told("cosine-bce", "equal")
def raw_cosines(z1, z2, labels):
    return F.binary_cross_entropy_with_logits(F.cosine_similarity(z1, z2), labels.float())


@pytest.mark.parametrize(("fn", "loss", "verdict", "variant"), CASES)
def test_what_a_person_is_told(fn, loss, verdict, variant):
    answer = examine.examine(fn, find(loss), {}, function=fn.__name__, file=__file__)
    assert answer.verdict == verdict, answer
    assert variant in answer.variant if variant else not answer.variant
    assert answer.same == (verdict in ("equal", "constant", "scale"))
    if not answer.same:
        assert answer.fix or answer.term


def test_the_lowest_loss_of_raw_cosines_is_said():
    answer = examine.examine(raw_cosines, find("cosine-bce"), {}, function="f", file=__file__)
    assert any("log(1 + 1/e)" in note for note in answer.notes)
