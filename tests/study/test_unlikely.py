"""p-values of scores against held-out rows, and slopes along the user's columns."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.stats import norm

from whichloss.data import Encoder, read
from whichloss.errors import UserError
from whichloss.study.choice import Choice
from whichloss.study.unlikely import data_units, excesses, held_out, judged, p_values, slopes


def test_p_values_count_the_held_out_rows_at_least_as_unlike():
    held_out = np.array([3.0, 1.0, 2.0, 2.0])
    assert p_values(np.array([0.0, 2.0, 2.5, 9.0]), held_out).tolist() == [1.0, 0.8, 0.4, 0.2]


def test_rows_like_the_held_out_ones_are_called_unlikely_no_more_often_than_asked():
    rng, alarms = np.random.default_rng(0), []
    for _ in range(2000):
        scores = rng.standard_cauchy(100)
        alarms.append(p_values(scores[:1], scores[1:])[0] <= 0.1)
    assert np.mean(alarms) == pytest.approx(0.1, abs=0.02)


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    n = 300
    return read(
        {
            "size": 10 + 5 * rng.normal(size=n),
            "colour": rng.choice(["blue", "green", "red"], n, p=[0.2, 0.3, 0.5]),
            "sold": rng.random(n) < 0.3,
            "gap": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "same": np.ones(n),
        }
    )


def model(table, energy):
    """What `judged` needs of a model."""
    encoder = Encoder.fit(table.schema, table.values)

    def unlike(x, grad=False):
        with torch.set_grad_enabled(grad):
            return energy(x).double()

    def estimates(values, y=None):
        return unlike(torch.from_numpy(encoder.encode(values)))[:, None].numpy()

    run = SimpleNamespace(objective="made-up")
    made = SimpleNamespace(
        encoder=encoder, unlike=unlike, estimates=estimates, record={}, scores="energy", run=run, shape=None,
        choice=Choice(), encoded=lambda values, y: torch.from_numpy(encoder.encode(values)),
    )  # fmt: skip
    made.record["held out"] = held_out(made, table.values)
    return made


def test_slopes_are_what_moving_a_row_along_a_column_does(table):
    torch.manual_seed(0)
    weights = torch.randn(table.schema.dim)
    made = model(table, lambda x: x @ weights + 0.0 * x.sum(1) ** 2)
    x = torch.from_numpy(made.encoder.encode(table.values))
    found, energy = slopes(made, x), made.unlike(x).numpy()

    def changed(column, values):
        moved = table.values.copy()
        moved[:, table.schema.names.index(column)] = values
        return made.unlike(torch.from_numpy(made.encoder.encode(moved))).numpy() - energy

    sd = table.values[:, 0].std()
    assert found[:, 0] == pytest.approx(changed("size", table.values[:, 0] + sd), abs=1e-4)
    levels = np.stack([changed("colour", np.full(300, k)) for k in range(3)], axis=1)
    own = table.values[:, 1].astype(int)
    levels[np.arange(300), own] = np.inf
    assert found[:, 1] == pytest.approx(-levels.min(1), abs=1e-4)
    assert found[:, 2] == pytest.approx(-changed("sold", 1 - table.values[:, 2]), abs=1e-4)
    assert (found[:, 4] == 0).all()


def test_the_excess_of_a_column_is_what_its_best_value_would_save(table):
    """E = |z|^2 / 2 is a sum over columns: what a number costs is z^2 / 2, which its mean saves."""
    made = model(table, lambda x: x.square().sum(1) / 2)
    x = torch.from_numpy(made.encoder.encode(table.values))
    found, parts = excesses(made, x, made.unlike(x)), (x.double() ** 2 / 2).numpy()
    first, words = (b for b in made.encoder.blocks[:2])
    assert found[:, 0] == pytest.approx(parts[:, first.start], abs=1e-5)
    own = parts[:, words.start : words.start + words.width].sum(1)
    assert found[:, 1] == pytest.approx(own - own.min(), abs=1e-5)
    assert (found >= 0).all() and (found[:, 4] == 0).all()


def test_the_excess_names_the_column_that_is_far_off(table):
    """Where the slope does not: this energy is flat far away."""
    made = model(table, lambda x: torch.log1p(x.square().sum(1) ** 2))
    values = table.values[:5].copy()
    values[:, 0] += 50 * table.values[:, 0].std()
    x = torch.from_numpy(made.encoder.encode(values))
    found = excesses(made, x, made.unlike(x))
    assert (found.argmax(1) == 0).all()


def test_log_densities_are_in_units_of_the_data_where_all_columns_are_numbers():
    rows = np.random.default_rng(0).normal(size=(400, 2)) * [30.0, 0.2] + [5.0, 1.0]
    plain = read(rows)
    encoder = Encoder.fit(plain.schema, plain.values)
    one = norm.logpdf(encoder.encode(plain.values).astype(float)).sum(1) + data_units(encoder)
    truth = norm.logpdf(rows, rows.mean(0), rows.std(0)).sum(1)
    assert one == pytest.approx(truth, abs=1e-4)


def test_there_are_no_such_units_for_words(table):
    assert data_units(Encoder.fit(table.schema, table.values)) == 0.0


def test_every_row_gets_score_p_value_and_answer(table):
    made = model(table, lambda x: x.square().sum(1) / 2)
    found = judged(made, table, 0.1, explain=True)
    assert found.schema.names == (
        "energy", "p_value", "unlikely",
        "excess size", "excess colour", "excess sold", "excess gap", "excess same",
        "slope size", "slope colour", "slope sold", "slope gap", "slope same",
    )  # fmt: skip
    assert sum(found.column("unlikely")) == pytest.approx(30, abs=1)
    order = np.argsort(found.values[:, 0])
    assert (np.diff(found.values[order, 1]) <= 0).all()


@pytest.mark.parametrize("rate", [0.0, 0.003, 1.0, float("nan")])
def test_rates_that_cannot_be_told(table, rate):
    with pytest.raises(UserError, match=r"--false-alarms must lie between 1 / 301"):
        judged(model(table, lambda x: x.sum(1)), table, rate, explain=False)


def test_scores_that_are_no_numbers_are_not_compared(table):
    with pytest.raises(UserError, match="none that is finite"):
        judged(model(table, lambda x: x.sum(1) / 0), table, 0.05, explain=False)
