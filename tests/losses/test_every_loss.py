"""Every public loss stands in the table of benchmarks/losses.py and is right to its formula in 60 digits."""

import inspect
import pkgutil
from importlib import import_module

import pytest
import torch
from losses import ALL, OTHERWISE, errors, gradients_agree

import whichloss.losses

NO_LOSSES = {  # helpers, weights, schedules, conversions and reference models, by module
    "classification": {"example_weights", "logit", "odds", "sigmoid", "softmax"},
    "contrastive": {"clip_log_scale", "cosine_bce_least", "siglip_bias"},
    "denoisers": {"gaussian_denoiser", "kernel_denoiser", "loss_between", "reference_denoisers"},
    "diffusion": {
        "cosine_schedule", "eps_from_x0", "error_weight", "learned_variance", "linear_schedule", "marginal", "noised",
        "path", "posterior", "posterior_weights", "root", "score_from_eps", "snr", "spread_times", "target", "to_x0",
        "velocity", "x0_from_eps", "x0_from_mean", "x0_from_v",
    },
    "energy": {"log_partition"},
    "levels": {
        "collapse_of_barlow_twins", "collapse_of_cosine_bce", "collapse_of_decoupled_info_nce", "collapse_of_info_nce",
        "collapse_of_nt_xent", "collapse_of_pair_contrastive", "collapse_of_siglip", "collapse_of_sup_con",
        "collapse_of_triplet", "collapse_of_vicreg", "floor_of_info_nce", "floor_of_nt_xent", "floor_of_siglip",
        "floor_of_sup_con", "least_of_info_nce", "least_of_sup_con",
    },
    "long_tail": {"class_balanced_weights", "prior_shift"},
    "ordinal": {"corn_probabilities"},
    "penalties": {"interpolate", "perturb"},
}  # fmt: skip


def public():
    """module.name of every public function of whichloss.losses."""
    for module in pkgutil.iter_modules(whichloss.losses.__path__):
        if module.name.startswith("_"):
            continue
        made = import_module(f"whichloss.losses.{module.name}")
        for name, value in vars(made).items():
            if inspect.isfunction(value) and value.__module__ == made.__name__ and not name.startswith("_"):
                yield f"{module.name}.{name}"


def test_every_loss_is_in_the_table_or_tested_otherwise():
    rows = {f"{row.family}.{row.name}" for row in ALL}
    helpers = {f"{module}.{name}" for module, names in NO_LOSSES.items() for name in names}
    assert set(public()) == rows | OTHERWISE | helpers
    assert not rows & OTHERWISE and not rows & helpers


@pytest.mark.parametrize("row", ALL, ids=lambda row: row.name)
def test_a_loss_is_its_formula_and_its_gradient_the_formula_s(row):
    assert max(errors(row, torch.float32, 2)) < 3e-6
    assert max(errors(row, torch.float64, 2)) < 1e-10
    assert gradients_agree(row)
