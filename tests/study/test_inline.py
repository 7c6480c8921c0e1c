"""Partial evaluation: what is known is decided, what is not stays, and the numbers are the package's own."""

import ast
import dataclasses
from types import SimpleNamespace

import pytest
import torch

from whichloss.errors import UserError
from whichloss.nets import builder
from whichloss.objectives import available, find
from whichloss.objectives.base import Adam, Nets, RMSprop, Update
from whichloss.study.inline import inline
from whichloss.task import Batch, Task

HEAD = """
from dataclasses import dataclass
from functools import partial
import torch
from whichloss.objectives.base import Adam, Generative, Update
from whichloss.losses import diffusion as q
import whichloss.losses.diffusion as w
from whichloss.losses.diffusion import squared_error as error_of
"""
BODY = """
@dataclass(frozen=True)
class Mine(Generative):
    '''A doc.'''
    lr: float = 0.5
    mode: str = "a"
    extra: bool = False
    def networks(self, task, build): return {}
    def updates(self): return [Update(("G",), self.loss, Adam(self.lr))]
    def loss(self, nets, batch, rng):
        return EXPRESSION
    def sample(self, nets, shape, rng): return self.helper(shape)
    def helper(self, shape): return torch.zeros(shape)
    def watch(self, nets, batch, rng): return self.only_watched()
    def only_watched(self): return {}
"""


class Draws:
    """Draws in the order asked, whatever the name."""

    def __getitem__(self, name):
        return self

    def normal(self, name, shape):
        return torch.randn(shape)

    def uniform(self, name, shape):
        return torch.rand(shape)

    def integers(self, name, shape, top):
        return torch.randint(top, shape)


@pytest.fixture
def mine(tmp_path):
    """mine(helpers, expression) is the text of an objective whose loss is that expression, and what it computes."""

    def make(helpers, expression, **fields):
        path = tmp_path / "mine.py"
        path.write_text(HEAD + helpers + BODY.replace("EXPRESSION", expression))
        kind = find(str(path))
        built = execute(kind, fields)
        batch = SimpleNamespace(x=torch.arange(6.0).reshape(3, 2))
        theirs = built.made.loss(None, batch, Draws())
        ours = kind(**fields).loss(None, batch, Draws())
        assert torch.equal(torch.as_tensor(theirs), torch.as_tensor(ours))
        return built.text

    return make


def execute(kind, fields):
    """The inlined class, built alone."""
    values = dataclasses.asdict(kind(**fields))
    lines, definitions = inline(kind, values)
    text = "\n".join([*sorted(lines), *definitions])
    assert "whichloss" not in text
    scope = {"Adam": Adam, "RMSprop": RMSprop, "Update": Update}
    exec(compile(text, "inlined", "exec"), scope)
    return SimpleNamespace(text=text, made=scope[kind.__name__]())


def names(text):
    return {n.name for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef)}


PICK = """
def pick(mode, x):
    if mode == "a": return low(x)
    return high(x)
def low(x): return x.sum() - 1
def high(x): return x.sum() + 1
"""


def test_a_known_string_decides_a_branch(mine):
    text = mine(PICK, "pick(self.mode, batch.x)")
    assert names(text) >= {"low"} and not names(text) & {"high", "pick"}
    assert "mode" not in text  # neither field nor argument
    text = mine(PICK, "pick(self.mode, batch.x)", mode="b")
    assert "high" in names(text) and "low" not in names(text)


def test_calls_that_disagree_leave_the_branch(mine):
    text = mine(PICK, "pick(self.mode, batch.x) + pick('b', batch.x)")
    assert names(text) >= {"pick", "low", "high"}


def test_a_function_used_as_a_value_is_not_specialised(mine):
    text = mine(PICK, "pick('a', batch.x) + partial(pick, 'b')(batch.x)")
    assert names(text) >= {"pick", "low", "high"}


def test_a_variable_with_the_name_of_a_function_is_another_thing(mine):
    helpers = """
def first(a, b): return a.sum()
def twice(first, x): return first(x, 2 * x)
"""
    mine(helpers, "first(batch.x, 0) + twice(lambda a, b: b.max(), batch.x)")


def test_switches_and_constants_decide_too(mine):
    helpers = """
def part(x, *, extra, scale=None):
    eta = 1.0 if extra else 0.0
    if eta == 0 or scale is not None: return x.mean()
    return deep(x)
def deep(x): return x.max()
"""
    assert "deep" not in mine(helpers, "part(batch.x, extra=self.extra)")
    assert "deep" in mine(helpers, "part(batch.x, extra=self.extra)", extra=True)


@pytest.mark.parametrize(
    "expression",
    [
        "(batch.x[:0].tolist() or 0) + (batch.x[0, 0] or 2.0)",  # a constant at the end is a value, not a test
        "(1.0 * (batch.x > 2)).mean()",  # a change of type
        "loop(batch.x)",
        "kept(batch.x)",
    ],
)
def test_what_looks_decided_but_is_not(mine, expression):
    mine(
        """
def loop(x):
    total = 0.0
    for row in x:
        total = total + row.sum()
    return total
def kept(x):
    y = x.clone()
    size = y.sum()
    return y.mul_(2) / size
""",
        expression,
    )


def test_modules_by_any_name_resolve(mine):
    text = mine("", "q.noised(batch.x, batch.x, 0.5).sum() + w.snr(0.25) + error_of(batch.x, 0 * batch.x).sum()")
    assert {"noised", "root", "snr", "squared_error"} <= names(text)
    assert "error_of" not in text


def test_unreached_methods_go_and_other_classes_stay_whole(mine):
    helpers = """
@dataclass
class Box:
    x: object
    def __add__(self, other): return self.x.sum() + other
"""
    text = mine(helpers, "Box(batch.x) + 1")
    assert {"helper", "__add__"} <= names(text)
    assert not names(text) & {"watch", "only_watched"}


def test_guards_docs_and_annotations_go(mine):
    helpers = """
def checked(x: torch.Tensor) -> torch.Tensor:
    "Words."
    watch_out(x)
    if x.ndim != 2:
        raise ValueError("no")
    return x.sum()
def watch_out(x):
    if x.isnan().any(): raise ValueError("nan")
"""
    text = mine(helpers, "checked(batch.x)")
    assert not any(word in text for word in ("raise", "Words", "Tensor", "watch_out", "A doc"))


def test_two_things_of_one_name_are_refused(mine):
    with pytest.raises(UserError, match=r"two things named 'snr'"):
        mine("def snr(a): return a\n", "snr(1.0) + w.error_weight('eps', 0.5, 0.5)")
    with pytest.raises(UserError, match=r"variable 'snr'"):
        mine("def ratio(a):\n    snr = q.snr(a)\n    return snr\n", "ratio(0.5)")


CHOICES = [
    {"predict": predict, "weight": weight, "variance": variance, "schedule": schedule, "sampler": sampler}
    for predict, weight, variance, schedule, sampler in [
        ("x0", "eps", "small", "cosine", "ancestral"),
        ("mean", "x0", "large", "linear", "ddim"),
        ("v", "v", "learned", "cosine", "ancestral"),
    ]
]


@pytest.mark.parametrize(
    ("name", "fields"), [(name, {}) for name in available("generate")] + [("ddpm", choice) for choice in CHOICES]
)
def test_losses_and_samples_are_the_packages_own(name, fields):
    """The same networks, the same draws: the same numbers, to the last bit."""
    torch.manual_seed(0)
    kind, x = find(name), torch.randn(32, 3)
    ours, theirs = kind(**fields), execute(kind, fields).made
    modules = ours.networks(Task("generate", 3, 32), builder(8))
    assert {r: str(m) for r, m in theirs.networks(Task("generate", 3, 32), builder(8)).items()} == {
        r: str(m) for r, m in modules.items()
    }
    nets = Nets(modules)
    found = []
    for objective in (ours, theirs):
        torch.manual_seed(1)
        memory = objective.memory(Batch(x), Draws()) if hasattr(objective, "memory") else {}
        if hasattr(objective, "refresh"):
            memory = memory | objective.refresh(nets, Batch(x, memory), Draws())
        losses = [update.loss(nets, Batch(x, memory), Draws()) for update in objective.updates()]
        with torch.no_grad():
            found.append([*losses, objective.sample(nets, (5, 3), Draws())])
    for a, b in zip(*found, strict=True):  # untrained, DDIM on a predicted mean overflows, in both alike
        torch.testing.assert_close(a, b, rtol=0, atol=0, equal_nan=True)
    assert all(loss.isfinite() for loss in losses)
