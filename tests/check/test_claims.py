"""Every claim against the library's own loss, its variants planted and named, and variants against each other."""

import functools
import importlib
import inspect
import pkgutil
from dataclasses import replace

import pytest
import torch

from whichloss import losses
from whichloss.check import claims, examine
from whichloss.check.claims import every, find
from whichloss.check.draw import bank
from whichloss.check.search import Found
from whichloss.errors import UserError
from whichloss.losses import diffusion, penalties

CLAIMS = {claim.name: claim for claim in every()}
ARGUMENT = inspect.Parameter.POSITIONAL_OR_KEYWORD
# numbers at which no variant is the formula itself (a margin below all energies, smoothing 0, p = 1 have no variants)
TELLING = {"margin": 3.0, "smoothing": 0.1, "p": 2.0, "gamma": 1.5, "temperature": 0.2}
TWINS = (
    "wgan-gp-penalty",
    "wgan-gp-critic",
    "info-nce",
    "r1-penalty",
)  # of which the second form repeats the variants of the first
# of these the forms are those of another claim, or take seconds
SLOW_FAMILIES = (
    "one-sided-gradient-penalty",
    "dragan-penalty",
    "r2-penalty",
    "reconstruction-energy",
    "sinkhorn-divergence",
)


@pytest.fixture(autouse=True)
def few_calls(monkeypatch):
    """Half the calls and no search for a counterexample: the judgement alone is asked here."""
    monkeypatch.setattr(examine, "CALLS", 10)
    monkeypatch.setattr(examine, "search", lambda *args, **rest: Found())


def answered(fn, name, **args):
    return examine.examine(fn, find(name), args, function="f", file=None)


def loss(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(f"whichloss.losses.{module}"), name)


REDUCED = {"none": lambda v: v, "mean": torch.mean, "sum": torch.sum}


def reduced(fn, how):
    @functools.wraps(fn)
    def own(*values, **numbers):
        value = fn(*values, **numbers)
        return REDUCED[how](value[0] if isinstance(value, tuple) else value)

    return own


# ---- claims that draw inside, or whose library function takes something other than a number


def mmd(x, y, width=1.0):
    return loss("divergence.mmd")(x, y, (width,))


def _slope(D, x):
    x = x.requires_grad_(True)
    return torch.autograd.grad(D(x).sum(), x, create_graph=True)[0].flatten(1)


def wgan_gp_penalty(D, real, fake):
    at = penalties.interpolate(real, fake, torch.rand(len(real)))
    return loss("adversarial.slope_penalty")(_slope(D, at).norm(dim=1))


def one_sided(D, real, fake):
    at = penalties.interpolate(real, fake, torch.rand(len(real)))
    return penalties.one_sided_slope_penalty(_slope(D, at).norm(dim=1))


def wgan_gp_critic(D, real, fake):
    gap = loss("adversarial.wasserstein_critic")(D(real).flatten(), D(fake).flatten())
    return gap + 10 * wgan_gp_penalty(D, real, fake)


def dragan(D, real):
    at = penalties.perturb(real, torch.randn_like(real), torch.rand(len(real)))
    return loss("adversarial.slope_penalty")(_slope(D, at).norm(dim=1))


def r1(D, real):
    return loss("adversarial.zero_slope_penalty")(_slope(D, real))


def r2(D, fake):
    return loss("adversarial.zero_slope_penalty")(_slope(D, fake))


ABAR = torch.tensor(diffusion.linear_schedule(1000)[1:], dtype=torch.float64)


def _denoised(model, x0, target):
    abar, eps = ABAR[torch.randint(0, 1000, (len(x0), *[1] * (x0.ndim - 1)))], torch.randn_like(x0)
    asked = {"eps": eps, "x0": x0, "v": diffusion.velocity(x0, eps, abar)}[target]
    return diffusion.squared_error(model(diffusion.noised(x0, eps, abar), abar), asked)


def ddpm(model, x0):
    return _denoised(model, x0, "eps")


def v_prediction(model, x0):
    return _denoised(model, x0, "v")


def x0_prediction(model, x0):
    return _denoised(model, x0, "x0")


def flow(model, x1):
    x0, t = torch.randn_like(x1), torch.rand(len(x1), *[1] * (x1.ndim - 1))
    return diffusion.flow_matching(model(diffusion.path(x0, x1, t), t), x0, x1)


def reconstruction(x, x_hat):
    return loss("ebgan.reconstruction_energy")(x, x_hat)


def generator_energy(D, G, z):
    fake = G(z)
    return loss("ebgan.reconstruction_energy")(fake, D(fake))


BY_HAND = {
    "mmd": mmd,
    "wgan-gp-critic": wgan_gp_critic,
    "dragan-penalty": dragan,
    "r2-penalty": r2,
    "ddpm": ddpm,
    "v-prediction": v_prediction,
    "x0-prediction": x0_prediction,
}
SECOND = {
    "wgan-gp-penalty": wgan_gp_penalty,
    "one-sided-gradient-penalty": one_sided,
    "r1-penalty": r1,
    "flow-matching": flow,
    "reconstruction-energy": reconstruction,
    "ebgan-generator": generator_energy,
}
OWN = [(name, BY_HAND[name]) for name in BY_HAND] + list(SECOND.items())
OWN += [(c.name, loss(path)) for c in every() if c.name not in BY_HAND for path in c.covers]


def _marked(name, values, ident):
    marks = [pytest.mark.slow] if name in SLOW_FAMILIES else []
    return pytest.param(*values, marks=marks, id=ident)


OWN_CASES = [_marked(n, (n, fn, how), f"{n}-{fn.__name__}-{how}") for n, fn in OWN for how in REDUCED]


@pytest.mark.parametrize(("name", "fn", "how"), OWN_CASES)
def test_the_librarys_own_loss_is_equal(name, fn, how):
    answer = answered(reduced(fn, how), name)
    assert answer.verdict == "equal", answer
    broken = {check: says for check, says in answer.checks.items() if says != "holds"}
    assert not broken


# ---- formula against library, in value and gradient: two pieces of code that share nothing


def _form_of(claim, fn):
    """The form whose roles are the function's own argument names, or the first with as many as it needs."""
    taken = inspect.signature(fn).parameters
    needed = [p for p in taken.values() if p.default is p.empty]
    named = [f for f in claim.forms if {r.role for r in (*f.arguments, *f.options[:1])} <= set(taken)]
    named += [f for f in claim.forms if {a.role for a in f.arguments} <= set(taken)]
    return (named or [f for f in claim.forms if len(f.arguments) == len(needed)])[0]


def _values_and_slopes(fn, form, inputs):
    """The sum over rows and its gradients."""
    learns = [a.role for a in form.arguments if a.learns and inputs[a.role].is_floating_point()]
    own = {k: v.clone().requires_grad_(k in learns) for k, v in inputs.items()}
    value = fn(own)
    value = value[0] if isinstance(value, tuple) else value
    value = value.sum() if form.any_columns or value.ndim < 2 else value.mean(dim=1).sum()
    leaves = [own[r] for r in learns]
    found = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True) if leaves else ()
    return value.detach(), dict(zip(learns, found, strict=True))


COVERED = [(c.name, path) for c in every() for path in c.covers if c.name not in BY_HAND]


@pytest.mark.parametrize(("name", "path"), COVERED, ids=lambda v: v)
def test_formula_and_library_agree(name, path):
    claim, fn = CLAIMS[name], loss(path)
    form, taken = _form_of(claim, fn), inspect.signature(fn).parameters
    numbers = {o.role: TELLING.get(o.role, o.default) for o in form.options}
    given = {k: v for k, v in numbers.items() if k in taken}
    if name == "r1-penalty":  # the library's has no gamma
        numbers = {"gamma": 1.0}

    def formula(inputs):
        weigh = lambda term: given.get(form.weights.get(term, ""), 1.0)
        return sum(weigh(text) * term(**inputs, **numbers) for text, term in form.terms.items())

    def library(inputs):
        named = set(inputs) <= set(taken)
        return fn(**inputs, **given) if named else fn(*inputs.values(), **given)

    near = 0.01 if name == "sinkhorn-divergence" else 1e-9  # the library promises 1 %
    symmetric_only = {a.role for a in form.arguments if not a.free}  # of a covariance
    for inputs in bank(form, 4):
        ours, slopes = _values_and_slopes(formula, form, inputs)
        theirs, own = _values_and_slopes(library, form, inputs)
        torch.testing.assert_close(ours, theirs, rtol=near, atol=near)
        for role in slopes:
            a, b = (s[role] + s[role].mT if role in symmetric_only else s[role] for s in (slopes, own))
            torch.testing.assert_close(a, b, rtol=near, atol=near)


# ---- every variant of every form


def planted(form, variant):
    """A function of the form's arguments that computes the variant; its numbers are arguments with defaults."""
    numbers = {o.role: TELLING.get(o.role, o.default) for o in form.options if o.tried}
    hidden = {o.role: o.default for o in variant.options}

    def fn(*values, **chosen):
        given = dict(zip([a.role for a in form.arguments], values, strict=True))
        _call(given)
        value = variant.formula(**given, **hidden, **chosen)
        return (value if variant.beside is None else variant.beside(**given) + 10 * value).mean()

    names = [inspect.Parameter(a.role, ARGUMENT) for a in form.arguments]
    options = [inspect.Parameter(k, inspect.Parameter.KEYWORD_ONLY, default=v) for k, v in numbers.items()]
    fn.__signature__ = inspect.Signature([*names, *options])

    def _call(given):
        """Where a person's function would call the critic."""
        if "D" not in given or not form.random:
            return
        shape = (len(given["real"]), *[1] * (given["real"].ndim - 1))
        if "fake" in given:
            eps = given.get("eps", torch.rand(shape))
            given["D"](eps * given["real"] + (1 - eps) * given["fake"])
        else:
            given["D"](given["real"] + torch.rand(shape) * torch.randn_like(given["real"]))

    return fn


def _cases():
    for claim in every():
        on_scores = any(a.logit for a in claim.forms[0].arguments)
        for i, form in enumerate(claim.forms):
            if form.reveal or any(not a.passed or (a.network and on_scores) for a in form.arguments):
                continue  # written out in test_claims_blog.py: what is drawn, not passed, or repeats a form on scores
            for j, variant in enumerate(form.variants):
                slow = claim.name in SLOW_FAMILIES or (claim.name in TWINS and i == 1)
                marks = [pytest.mark.slow] if slow else []
                yield pytest.param(claim, form, variant, marks=marks, id=f"{claim.name}-{i}-{j}-{variant.name}")


@pytest.mark.parametrize(("claim", "form", "variant"), list(_cases()))
def test_a_planted_variant_is_named(claim, form, variant):
    answer = answered(planted(form, variant), claim.name)
    assert (answer.verdict, answer.variant) == ("variant", variant.name), answer
    assert answer.why and answer.fix


def _pairs():
    for claim in every():
        for i, form in enumerate(claim.forms):
            if form.variants and not any(a.network for a in form.arguments):
                yield pytest.param(form, id=f"{claim.name}-{i}")


def leaves_of(form):
    return [a.role for a in form.arguments if a.learns]


def _curve(formula, form, inputs):
    """Means and gradients over several inputs as one vector."""
    numbers = {o.role: TELLING.get(o.role, o.default) for o in form.options if o.tried}
    parts = []
    for x in inputs:
        own = {
            k: v.clone().requires_grad_(v.is_floating_point()) if isinstance(v, torch.Tensor) else v
            for k, v in x.items()
        }
        value = formula(**own, **numbers)
        value = (value * torch.arange(1, 1 + value.numel())).mean() if not leaves_of(form) else value.mean()
        leaves = [own[role] for role in leaves_of(form)]
        learns = bool(leaves) and value.requires_grad
        slopes = torch.autograd.grad(value, leaves, allow_unused=True, materialize_grads=True) if learns else ()
        parts += [value.detach().reshape(1), *(s.flatten() for s in slopes)]
    return torch.cat(parts)


@pytest.mark.parametrize("form", list(_pairs()))
def test_variants_differ_from_each_other_and_from_the_formula(form):
    """By more than a positive factor: else an answer could name either."""
    inputs = bank(form, 6)
    curves = [("the formula", _curve(form.formula, form, inputs))]
    for variant in form.variants:
        curve = _curve(variant.formula, replace(form, options=(*form.options, *variant.options)), inputs)
        assert torch.isfinite(curve).all(), variant.name
        for name, other in curves:
            cosine = (curve @ other) / (curve.norm() * other.norm())
            assert cosine < 1 - 1e-9, f"{variant.name} is {name}"
        curves.append((variant.name, curve))


# ---- names


def test_names_are_unique():
    names = [claims._plain(n) for claim in every() for n in (claim.name, *claim.aliases)]
    doubled = {n for n in names if names.count(n) > 1}
    assert not doubled


@pytest.mark.parametrize(
    ("asked", "name"),
    [
        ("WGAN-GP", "wgan-gp-penalty"),
        ("wgan_gp_penalty", "wgan-gp-penalty"),
        ("InfoNCELoss", "info-nce"),
        ("CrossEntropyLoss", "cross-entropy"),
        ("BCEWithLogitsLoss", "binary-cross-entropy-with-logits"),
        ("focal_loss", "focal"),
        ("LSGAN-generator", "least-squares-generator"),
        ("generalized cross entropy", "generalised-cross-entropy"),
        (" Pull-Away Term ", "pull-away"),
        ("KLDivLoss", "kl-divergence"),
    ],
)
def test_a_loss_is_found_however_it_is_spelled(asked, name):
    assert find(asked).name == name


def test_an_unknown_name_suggests_the_nearest():
    with pytest.raises(UserError, match="did you mean 'pull-away'"):
        find("pul-awy")


# ---- coverage: every public loss has a claim, or is here with the reason

NOT_LOSSES = {
    "a helper: a transform of probabilities, logits or weights": (
        "classification odds logit sigmoid softmax example_weights",
        "long_tail prior_shift",
        "ordinal corn_probabilities",
    ),
    "a place where a penalty is measured": ("penalties interpolate perturb",),
    "a constant, not a function of tensors": (
        "contrastive cosine_bce_least siglip_bias",
        "levels collapse_of_barlow_twins collapse_of_cosine_bce collapse_of_decoupled_info_nce collapse_of_info_nce",
        "levels collapse_of_nt_xent collapse_of_pair_contrastive collapse_of_siglip collapse_of_sup_con",
        "levels collapse_of_triplet collapse_of_vicreg floor_of_info_nce floor_of_nt_xent floor_of_siglip",
        "levels floor_of_sup_con least_of_info_nce least_of_sup_con",
    ),
    "a bound put on a learnt number after a step": ("contrastive clip_log_scale",),
    "the terms of vicreg and of barlow_twins": ("redundancy vicreg_parts barlow_parts",),
    "the other side of earth_movers, not minimised by anybody": ("transport dual",),
    "checks of arguments and levels that sinkhorn shares": (
        "transport need_sets need_real mass need_power uniform_levels",
    ),
    "a schedule, a conversion or a path of diffusion": (
        "diffusion linear_schedule cosine_schedule root noised velocity x0_from_eps x0_from_v x0_from_mean eps_from_x0",
        "diffusion score_from_eps snr posterior_weights posterior target to_x0 error_weight learned_variance marginal",
        "diffusion path spread_times",
    ),
    "log Z alone, a term of importance_likelihood": ("energy log_partition",),
    "a reference model, fitted to data": (
        "denoisers gaussian_denoiser kernel_denoiser reference_denoisers loss_between",
    ),
}


def excused():
    for lines in NOT_LOSSES.values():
        for line in lines:
            module, *names = line.split()
            yield from (f"{module}.{name}" for name in names)


def test_every_public_loss_has_a_claim():
    public = set()
    for info in pkgutil.iter_modules(losses.__path__):
        if info.name.startswith("_") or info.ispkg:
            continue
        module = importlib.import_module(f"whichloss.losses.{info.name}")
        public |= {
            f"{info.name}.{name}"
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        }
    covered = {path for claim in every() for path in claim.covers}
    assert not covered - public, "a claim covers what does not exist"
    assert not public - covered - set(excused()), "a loss without a claim"
    assert not covered & set(excused())


@pytest.mark.parametrize("claim", every(), ids=lambda c: c.name)
def test_a_claim_is_complete(claim):
    assert claim.says and claim.card and claim.forms
    for form in claim.forms:
        roles = [a.role for a in form.arguments]
        assert len(set(roles)) == len(roles)
        assert set(form.weights) <= set(form.terms)
        for variant in form.variants:
            assert variant.name and variant.why and variant.fix
