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


@told("ddpm", variant="uniform noise on [0, 1)")
def uniform_noise(model, x0):
    a = ABAR[torch.randint(0, STEPS, (len(x0), *[1] * (x0.dim() - 1)))]
    eps = torch.rand_like(x0)
    return F.mse_loss(model(a.sqrt() * x0 + (1 - a).sqrt() * eps, a), eps)


@told("ddpm", variant="predicts x0")
def predicts_data(model, x0):
    x_t, t, _ = _noisy(x0, ABAR)
    return F.mse_loss(model(x_t, t), x0)


@told("ddpm", variant="absolute errors instead of squares (L1)")
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


# ---- on networks


def _bce(score, target):
    return F.binary_cross_entropy_with_logits(score, torch.full_like(score, target))


@told("bce-critic", "scale")
def critic_on_networks(netD, x, x_fake):
    return 0.5 * (_bce(netD(x), 1.0) + _bce(netD(x_fake.detach()), 0.0))


@told("bce-critic", "equal")
def critic_with_a_sigmoid(D, G, real, noise):
    label = lambda p, t: F.binary_cross_entropy(p.view(-1), torch.full((len(p),), t))
    return label(D(real), 1.0) + label(D(G(noise).detach()), 0.0)


@told("bce-generator", "equal")
def generator_on_networks(D, G, z):
    return _bce(D(G(z)), 1.0)


@told("bce-generator", "gradient")
def generator_cut_off(D, G, z):
    return _bce(D(G(z).detach()), 1.0)


@told("hinge-critic", variant="the loss of the batch mean")
def hinge_of_means(D, real, fake):
    return F.relu(1 - D(real).mean()) + F.relu(1 + D(fake).mean())


@told("relativistic-generator", "equal")
def relativistic_pairs(D, G, real, z):
    return F.softplus(D(real) - D(G(z))).mean()


@told("contrastive-divergence", "terms")
def divergence_backwards(energy, x_pos, x_neg):
    return energy(x_neg).mean() - energy(x_pos).mean()


@told("hinge-critic", "equal")
def hinges_apart(d_fake, d_real):
    return F.relu(1 - d_real).mean(), F.relu(1 + d_fake).mean()


@told("hinge-critic", "terms")
def hinges_apart_and_one_twice(d_fake, d_real):
    return {"real": F.relu(1 - d_real).mean(), "fake": 2 * F.relu(1 + d_fake).mean()}


# ---- label smoothing of a critic


@told("bce-critic", variant="one-sided label smoothing")
def smooth_real(d_real, d_fake):
    return _bce(d_real, 0.9) + _bce(d_fake, 0.0)


@told("bce-critic", variant="label smoothing on both sides")
def smooth_both(d_real, d_fake):
    return 0.5 * (_bce(d_real, 0.85) + _bce(d_fake, 0.1))


@told("bce-critic", variant="fakes smoothed")
def smooth_fake(d_real, d_fake):
    return _bce(d_real, 1.0) + _bce(d_fake, 0.2)


@told("bce-critic", variant="one-sided label smoothing")
def smooth_probabilities(p_real, p_fake):
    return F.binary_cross_entropy(p_real, torch.full_like(p_real, 0.9)) - (1 - p_fake).log().mean()


# ---- penalties handed their scores, or their eps


def _slope_of(out, x, **how):
    return torch.autograd.grad(out, x, create_graph=True, **how)[0].flatten(1)


@told("r1-penalty", "equal")
def r1_of_scores(d_out, x_in):
    return 5 * _slope_of(d_out.sum(), x_in).pow(2).sum(1).mean()


@told("r1-penalty", variant="the gradient of the batch mean of D")
def r1_of_the_mean(d_out, x_in):
    return _slope_of(d_out.mean(), x_in).pow(2).sum(1).mean()


@told("r2-penalty", "equal")
def r2_of_scores(fake_pred, fake_img):
    return _slope_of(fake_pred.sum(), fake_img).pow(2).sum(1).mean()


def _penalty_at(D, real, fake, eps):
    x = (eps * real + (1 - eps) * fake).requires_grad_(True)
    return ((_slope_of(D(x).sum(), x).norm(dim=1) - 1) ** 2).mean()


@told("wgan-gp-penalty", "equal")
def penalty_with_eps(D, real, fake, eps):
    return _penalty_at(D, real, fake, eps)


@told("wgan-gp-critic", "equal")
def critic_with_eps(D, real, fake, alpha, weight=10.0):
    return D(fake).mean() - D(real).mean() + weight * _penalty_at(D, real, fake, alpha)


@told("wgan-gp-critic", variant="the penalty does not reach D")
def critic_cut_off(D, real, fake):
    eps = torch.rand(len(real), 1)
    return D(fake).mean() - D(real).mean() + 5 * _penalty_at(D, real, fake, eps).detach()


@told("wgan-gp-penalty", "scale")
def lambda_twice(D, real, fake, lambda_=10.0):
    return lambda_**2 * _penalty_at(D, real, fake, torch.rand(len(real), 1))


@told("wgan-gp-critic", "terms")
def lambda_twice_in_the_critic(D, real, fake, lambda_=10.0):
    return D(fake).mean() - D(real).mean() + lambda_ * lambda_twice(D, real, fake, lambda_)


# ---- KL to the standard normal law, as autoencoders write it


@told("normal-kl", "equal")
def kld(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())


@told("prior-kl", "equal")
def kld_of_variances(mu, var):
    return 0.5 * (var + mu**2 - 1 - var.log()).sum(1)


@told("gaussian-kl", variant="log sigma taken, not log sigma^2")
def kld_of_log_sigma(mu, log_sigma):
    return 0.5 * ((2 * log_sigma).exp() + mu**2 - 1 - 2 * log_sigma).sum(1).mean()


@told("normal-kl", variant="the 1 is missing")
def kld_without_1(logvar, mu):
    return -0.5 * (logvar - mu.pow(2) - logvar.exp()).sum(1).mean()


@told("normal-kl", variant="the exponential is missing")
def kld_without_exp(mu, logvar):
    return -0.5 * (1 + logvar - mu.pow(2) - logvar).sum(1).mean()


@told("normal-kl", "terms")
def kld_turned(mu, logvar):
    return 0.5 * (1 + logvar - mu.pow(2) - logvar.exp()).sum(1).mean()


# ---- others


@told("ddpm", variant="the Huber loss instead of squares")
def huber_error(model, x0):
    x_t, t, eps = _noisy(x0, ABAR)
    return F.huber_loss(model(x_t, t), eps, delta=0.1)


@told("ddpm", "broken", "not an error")
def linear_error(model, x0):
    x_t, t, eps = _noisy(x0, ABAR)
    return (model(x_t, t) * eps).mean()


@told("corn", variant="averaged over the questions asked")
def corn_of_the_authors(logits, y):
    total, asked = 0.0, 0
    for k in range(logits.shape[1]):
        rows = y > k - 1
        if rows.any():
            total = total + F.binary_cross_entropy_with_logits(logits[rows, k], (y[rows] > k).double(), reduction="sum")
            asked += int(rows.sum())
    return total / asked


@told("symmetric-cross-entropy", "terms")
def no_reverse_term(pred, labels, alpha=0.1, beta=1.0):
    return alpha * F.cross_entropy(pred, labels)


@told("sinkhorn-divergence", "equal", slow=True)
def debiased(x, y, reg=0.5):
    def cost(a, b):
        c = ((a[:, None] - b) ** 2).sum(-1)
        f, g = torch.zeros(len(a)), torch.zeros(len(b))
        for _ in range(200):
            f = -reg * ((g - c) / reg).logsumexp(1) + reg * torch.tensor(float(len(b))).log()
            g = -reg * ((f[:, None] - c) / reg).logsumexp(0) + reg * torch.tensor(float(len(a))).log()
        return f.mean() + g.mean()

    return cost(x, y) - 0.5 * cost(x, x) - 0.5 * cost(y, y)


@told("flow-matching", variant="flow matching towards the noise")
def backwards(v, data):
    noise, t = torch.randn_like(data), torch.rand(len(data), *[1] * (data.dim() - 1))
    return F.mse_loss(v((1 - t) * data + t * noise, t), noise - data)


@told("ddpm", variant="the square root of 1 - abar is missing")
def one_root(model, x0):
    a, eps = ABAR[torch.randint(0, STEPS, (len(x0), *[1] * (x0.dim() - 1)))], torch.randn_like(x0)
    return F.mse_loss(model(a.sqrt() * x0 + (1 - a) * eps, a), eps)


@told("ddpm", variant="x_t is a x0 + b eps with other a and b")
def two_halves(model, x0):
    a, eps = ABAR[torch.randint(0, STEPS, (len(x0), *[1] * (x0.dim() - 1)))], torch.randn_like(x0)
    return F.mse_loss(model(a.sqrt() * x0 + 0.5 * (1 - a).sqrt() * eps, a), eps)


@told("js-divergence", variant="KL from the mixture, not to it")
def js_backwards(p, q):
    m = 0.5 * (p + q)
    return 0.5 * (F.kl_div(p.log(), m, reduction="batchmean") + F.kl_div(q.log(), m, reduction="batchmean"))


@told("wgan-gp-penalty", "equal")
def eps_under_the_root(D, real, fake, eps=1e-12):
    u = torch.rand(len(real), 1)
    x = (u * real + (1 - u) * fake).requires_grad_(True)
    return (((_slope_of(D(x).sum(), x) ** 2).sum(1) + eps).sqrt() - 1).pow(2).mean()


@told("binary-cross-entropy-with-logits", variant="positives weigh more or less")
def weighed_positives(z, y):
    return F.binary_cross_entropy_with_logits(z, y, pos_weight=torch.tensor(3.0))


@told("binary-cross-entropy", variant="positives weigh more or less")
def weighed_probabilities(p, y):
    return -(0.75 * y * p.log() + 0.25 * (1 - y) * (1 - p).log()).mean()


@told("binary-cross-entropy", "terms")
def positives_only(p, y):
    return -(y * p.log()).mean()


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
