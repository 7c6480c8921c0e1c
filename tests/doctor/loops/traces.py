"""Hand-made traces of healthy loops of every kind, and what makes each of them come out poorly."""

from dataclasses import fields

import numpy as np

from whichloss.doctor.trace import Game, Loss, Network, Trace

LOOKS = 20
FIELDS = {f.name for kind in (Network, Loss, Game, Trace) for f in fields(kind)}


def flat(value, looks=LOOKS):
    """A curve that stays where it is."""
    return [float(value)] * looks


def ramp(start, end):
    """A curve that goes straight from one value to another."""
    return np.linspace(start, end, LOOKS).tolist()


def swing(middle, by):
    """A curve that goes up and down."""
    return [middle + by * np.sin(2.0 * k) for k in range(LOOKS)]


def normal(n=128, columns=2, seed=0):
    """Rows of independent normal numbers."""
    return np.random.default_rng(seed).normal(size=(n, columns)).astype(np.float32)


def having(trace, changes):
    """A trace after changes of the form "whose: what": a field, "fact ...", or a curve (a number makes it flat)."""
    owners = trace.networks | trace.losses | {"game": game for game in trace.games.values()} | {"trace": trace}
    for key, value in changes.items():
        whose, what = key.split(": ")
        if what.startswith("fact "):
            owners[whose].facts[what.removeprefix("fact ")] = value
        elif what in FIELDS:
            setattr(owners[whose], what, value)
        else:
            owners[whose].curves[what] = value if isinstance(value, list) else flat(value)
    return trace


def is_curve(key):
    """Does a change of this name set a curve?"""
    what = key.split(": ")[1]
    return what not in FIELDS and not what.startswith("fact ")


def _trace(losses, *networks, game=None):
    trace = Trace("toy", 200, [10 * k for k in range(LOOKS)], {n: _network(n) for n in networks}, losses)
    if game is not None:
        trace.games[game.maker, game.judge] = game
    return trace


def _network(name):
    curves = {
        "update": flat(2e-3), "weights": ramp(5, 6), "at the clip": flat(1e-3), "gradient": swing(1, 0.3),
        "first gradient": flat(0.3), "last gradient": flat(1.0), "input sd": flat(1.0), "input mean": flat(0.0),
        "spread of outputs": flat(0.8),
    }  # fmt: skip
    return Network(name, 1000, curves=curves, facts={"parametrised": 0.0, "ends in tanh": 0.0})


def _loss(*networks, site="loss", curves=None, facts=None, **fields):
    own = set(networks)
    usual = {"dead units": flat(0.1), "saturated units": flat(0.1)}
    return Loss(site, "loss.backward()", ramp(1.4, 0.3), own, set(own),
                curves=usual | (curves or {}), facts={"norms off": 0.0} | (facts or {}), **fields)  # fmt: skip


def classifier():
    """Four classes in batches of 64, the largest 30 %; 120 rows in tight groups of six, each group of one class."""
    curves = {
        "range of logits": flat(8.0), "largest share": ramp(0.3, 0.9), "accuracy": ramp(0.3, 0.95),
        "cross-entropy": ramp(1.4, 0.3), "classes predicted": flat(3.9), "largest class": flat(0.3),
    }  # fmt: skip
    facts = {"classes": 4, "rows": 64, "twice": 0.0, "axis": -1, "pairs": 0.0, "weight": 1.0, "labelled looks": 12.0}
    rows, labels = grouped([[k % 4] * 6 for k in range(20)])
    return _trace({"loss": _loss("net", curves=curves, facts=facts, rows=rows, labels=labels)}, "net")


def grouped(groups):
    """Rows and labels: each group's rows are one another's nearest."""
    middles = normal(len(groups), 3, seed=5) * 100
    near = normal(sum(map(len, groups)), 3, seed=6)
    return np.repeat(middles, [len(g) for g in groups], axis=0) + near * 0.01, np.concatenate(groups)


def _game(maker, judge, **curves):
    usual = {
        "real score": swing(1, 0.3), "made score": swing(-1, 0.3), "told apart": flat(0.7), "right": flat(0.7),
        "certain": flat(0.0), "slope at real": flat(0.5), "slope at made": flat(0.5), "attached": flat(0.0),
        "shared": flat(0.0), "rows pulled": flat(0.9), "size of pull on maker": flat(0.1),
        "slope passed to maker": swing(0.1, 0.02),
    }  # fmt: skip
    given = {name.replace("_", " "): curve for name, curve in curves.items()}
    first = normal(64, seed=3) * 0.3
    return Game(maker, judge, usual | given, real=normal(seed=1), made=normal(seed=2), first_made=first)


def _played(judge=None, **curves):
    losses = {
        "judge's loss": _loss("judge", site="judge's loss", **(judge or {})),
        "maker's loss": _loss("maker", "judge", site="maker's loss"),
    }
    losses["maker's loss"].moves = {"maker"}
    return _trace(losses, "maker", "judge", game=_game("maker", "judge", **curves))


def gan():
    """A judge with a cross-entropy: its pulls are weak where it is right."""
    scores = {
        "least score": flat(-4.0), "most score": flat(4.0), "binary accuracy": flat(0.7), "share of ones": flat(0.5),
        "mean score": flat(0.0), "spread of scores": flat(1.0),
    }  # fmt: skip
    judge = {"curves": scores, "facts": {"logits": 1.0}}
    return _played(judge, pull_real=swing(-0.4, 0.1), pull_made=swing(0.4, 0.1), pull_of_maker=swing(-0.6, 0.1))


def _wasserstein(**curves):
    return _played(pull_real=flat(-1.0), pull_made=flat(1.0), pull_of_maker=flat(-1.0), **curves)


def wgan():
    """A judge whose weights are clipped: its pulls are the same at all looks."""
    return having(_wasserstein(), {"judge: at the clip": 0.4})


def wgan_gp():
    """A judge with a gradient penalty."""
    return _wasserstein(penalty_slope=swing(1.0, 0.1))


def ebgan():
    """A judge that is an autoencoder, with a margin."""
    energies = {"energy_of_real": ramp(0.5, 0.1), "energy_of_noise_/_real": ramp(1, 20)}
    pulls = {"pull_real": swing(-0.4, 0.1), "pull_made": swing(0.4, 0.1), "pull_of_maker": swing(-0.6, 0.1)}
    return _played({"facts": {"target cut": 0.0}}, **energies, **pulls)


def energy():
    """An energy that falls at data (its loss pushes it down there), with chains that go down."""
    curves = {
        "chain reach": flat(0.5), "chain sd": flat(1.0), "follows": flat(-0.4), "step": flat(0.1),
        "slope in chains": flat(1.0), "pull real": flat(1.0), "pull made": flat(-1.0), "slope by backward": flat(0.0),
    }  # fmt: skip
    return _trace({"loss": _loss("energy")}, "energy", game=_game("chains", "energy", **curves))


def _scored(**fields):
    curves = {
        "least score": flat(-4.0), "most score": flat(4.0), "binary accuracy": ramp(0.5, 0.9),
        "share of ones": flat(0.5), "mean score": flat(0.0), "spread of scores": flat(1.0),
    }  # fmt: skip
    return _trace({"loss": _loss("net", curves=curves, facts={"logits": 1.0}, **fields)}, "net")


def noise_contrast():
    """A classifier of data against noise."""
    return _scored()


def judged_pairs():
    """A sigmoid loss of pairs of rows; alike ones are nearer."""
    apart = np.linspace(0, 2, 400)
    return _scored(judged=(apart, (apart < 1).astype(float)))


def denoiser():
    """A network that is given noised rows and their noise level, and predicts the noise."""
    curves = {"explained": ramp(0.1, 0.7), "change with level": flat(0.3), "input sd": flat(1.0)}
    facts = {"rebuilds": 0.0, "target cut": 0.0, "given away": 0.0}
    return _trace({"loss": _loss("net", curves=curves, facts=facts, denoised=noised())}, "net")


def noised(end=0.0, size=1.0, n=1000, columns=32):
    """Inputs, noise levels, noise, errors, whether late; end: the share of data's variance in the noisiest rows."""
    level = np.linspace(0, 1, n)
    keep = (1 - level * (1 - end))[:, None]
    data = np.sign(normal(n, columns, seed=7)) * size
    noise = normal(n, columns, seed=8)
    x, left = np.sqrt(keep) * data + np.sqrt(1 - keep) * noise, np.sqrt(keep) * noise
    return x, level, noise, 0.5 * left, np.arange(n) % 2 == 0


def contrastive():
    """Pairs of rows of two networks, found among the 64 of a batch."""
    curves = {
        "range of logits": flat(12.0), "largest share": ramp(0.05, 0.6), "accuracy": ramp(0.05, 0.85),
        "cross-entropy": ramp(4.1, 0.8), "classes predicted": flat(60.0), "largest class": flat(1 / 64),
        "spread of lengths": flat(0.0), "effective rank": ramp(8, 20), "mean cosine": flat(0.1), "doubles": flat(0.0),
    }  # fmt: skip
    facts = {"classes": 64, "rows": 64, "twice": 0.0, "axis": -1, "pairs": 1.0, "weight": 1.0, "directions": 32.0}
    trace = _trace({"loss": _loss("one", "other", curves=curves, facts=facts)}, "one", "other")
    one = normal(150, 3, seed=9)
    trace.pairs["one", "other"] = one, one + normal(150, 3, seed=10)
    return trace


def embedder():
    """One network and a loss of its embeddings that is nothing known."""
    return _trace({"loss": _loss("net")}, "net")


KINDS = (
    classifier, gan, wgan, wgan_gp, ebgan, energy, noise_contrast, judged_pairs, denoiser, contrastive, embedder,
)  # fmt: skip
WIDE = {"game: made": 2.2 * normal(seed=2)}  # samples that differ from data, yet are not all alike
POOR = {
    "classifier": {"loss: accuracy": 0.45}, "contrastive": {"loss: accuracy": 0.4},
    "noise_contrast": {"loss: binary accuracy": 0.55}, "judged_pairs": {"loss: binary accuracy": 0.55},
    "denoiser": {"loss: explained": 0.08}, "embedder": {"loss: values": flat(1.4)},
    "gan": WIDE, "wgan": WIDE, "wgan_gp": WIDE, "ebgan": WIDE, "energy": WIDE,
}  # fmt: skip  # skill well below 0.5, and yet above guessing


def poorly(kind):
    """A loop of this kind that came out poorly, and shows nothing else."""
    return having(kind(), POOR[kind.__name__])
