"""Parameters that no optimiser holds or no loss reaches; gradients, steps and units out of proportion."""

import pytest

from whichloss.doctor.loops import examine
from whichloss.doctor.trace import Loss

from .case import Case, found
from .traces import classifier, contrastive, flat, gan, having

SLOW = {"trace: steps": 50}
GROWN, JUMP = {"net: weights": [5.0, 150.0]}, {"net: update": [1.5, *flat(0.01)]}
DEAD, SATURATED = {"loss: dead units": 0.9}, {"loss: saturated units": 0.9}
STUCK = {"net: still": ("a", "b"), "net: update": flat(0)}

CASES = [
    Case("units_alike", "contract: units alike", classifier, "net: alike", ("a", "b"), ("a",)),
    Case("cut", "contract: graph cut", classifier, "net: without", ("a",), ()),
    Case("cut", "contract: graph cut", classifier, "trace: looks", [0, 1], [0], {"net: without": ("a",)}),
    Case("cut", "contract: graph cut", classifier, "trace: losses", {"loss": Loss("loss")}, {},
         {"net: without": ("a",)}),
    Case("unlisted", "contract: layers not listed", classifier, "net: unlisted", ("a[0].weight",), ()),
    Case("parameters_of_nobody", "contract: parameters of nobody", classifier, "net: unowned", ("a",), ()),
    Case("parameters_of_nobody", "contract: parameters of nobody", classifier, "loss: reaches", {"net"}, {"other"},
         {"net: unowned": ("a",)}),
    Case("parameters_of_nobody", "contract: parameters of nobody", gan, "judge: update", [1e-3], [],
         {"judge: unowned": ("a",)}),  # while the maker moves
    Case("parameters_of_nobody", "contract: parameters of nobody", gan, "maker: update", [], [1e-3],
         {"judge: unowned": ("a",), "judge: update": []}),  # nothing moves at all
    Case("parameters_of_nobody", "contract: parameters of nobody", gan, "maker: unowned", ("a",), ()),
    Case("parameters_of_nobody", "contract: parameters of nobody", gan, "judge's loss: reaches", {"judge"},
         {"judge", "maker"}, {"maker: unowned": ("a", "b"), "maker: update": []}),  # its own loss moves the judge alone
    Case("parameters_of_nobody", "contract: parameters of nobody", gan, "maker's loss: reaches", {"judge", "maker"},
         {"judge"}, {"maker: unowned": ("a", "b"), "maker: update": []}),
    Case("no_step", "contract: no step", classifier, "trace: steps", 0, 1),
    Case("no_step", "contract: no step", classifier, "loss: values", [1, 1, 1], [1, 1], {"trace: steps": 0}),
    Case("no_step", "contract: no step", classifier, "loss: reaches", {"net"}, set(), {"trace: steps": 0}),
    Case("no_step", "contract: no step", classifier, "net: fact moved", 0.0, 1.0, {"trace: steps": 0}),
    Case("no_step", "contract: no step", gan, "judge: fact moved", 0.0, 1.0,
         {"trace: steps": 0, "maker: fact moved": 0.0}),
    Case("no_step", "contract: does not move", classifier, "trace: steps", 2, 1, STUCK),
    Case("no_step", "contract: does not move", classifier, "net: still", ("a",), (), STUCK),
    Case("no_step", "contract: does not move", classifier, "net: without", ("a",), ("a", "b"), STUCK),
    Case("no_step", "contract: does not move", classifier, "net: update", flat(0), [*flat(0), 1e-9], STUCK),
    Case("never_cleared", "contract: gradient never cleared", classifier, "loss: stale", {"net"}, set()),
    Case("never_cleared", "contract: gradient never cleared", classifier, "loss: moves", {"net"}, {"other"},
         {"loss: stale": {"net"}}),
    Case("non_finite", "non-finite", classifier, "trace: bad", "the loss became infinite", ""),
    Case("inputs", "contract: input without content", classifier, "net: input sd", 0.0, 1e-9,
         window=1.0, also={"scale of the data"}),
    Case("inputs", "contract: input without content", classifier, "net: input sd", 4e-6, 4.1e-6,
         {"net: input mean": -4.0}, window=1.0, also={"scale of the data"}),  # what rounding leaves
    Case("inputs", "scale of the data", classifier, "net: input sd", 0.02, 0.0201, outcome="poor", window=1.0),
    Case("inputs", "scale of the data", classifier, "net: input sd", 8.0, 7.99, outcome="poor", window=1.0),
    Case("inputs", "scale of the data", classifier, "net: input mean", 8.01, 8.0, outcome="poor", window=1.0),
    Case("inputs", "scale of the data", classifier, "net: input mean", -8.01, -8.0, outcome="poor", window=1.0),
    Case("inputs", "scale of the data", classifier, "net: input mean", 4.01, 4.0, {"net: input sd": 0.1},
         outcome="poor", window=1.0),
    Case("inputs", "scale of the data", classifier, "net: input mean", 16.01, 16.0, {"net: input sd": 2.0},
         outcome="poor", window=1.0),
    Case("exploding", "learning rate too high", classifier, "net: update", 0.0501, 0.05, outcome="poor"),
    Case("exploding", "learning rate too high", gan, "judge: update", 0.0501, 0.05, outcome="poor"),
    Case("exploding", "learning rate too high", classifier, "net: weights", [0.101, 5, 1], [0.1, 5, 1],
         outcome="poor"),  # weights that start near 0 grow in any case
    Case("exploding", "learning rate too high", classifier, "net: weights", [5, 101, 9], [5, 100, 9], outcome="poor"),
    Case("exploding", "learning rate too high", classifier, "net: weights", [5, 101, 9], [], outcome="poor"),
    Case("exploding", "learning rate too high", classifier, "net: update", [*flat(0, 4), 1.01, *flat(0)],
         [*flat(0, 4), 1.0, *flat(0)], GROWN, outcome="good"),  # a jump at the start is one whatever follows
    Case("exploding", "learning rate too high", classifier, "net: update", [*flat(0, 4), 1.01, *flat(0)],
         [*flat(0, 5), 1.01, *flat(0)], GROWN, outcome="good"),
    Case("exploding", "learning rate too high", classifier, "net: weights", [0.11, 9], [0.1, 9], JUMP, outcome="good"),
    Case("too_slow", "learning rate too low", classifier, "net: update", 1.99e-4, 2e-4, SLOW, outcome="poor"),
    Case("too_slow", "learning rate too low", classifier, "net: update", 1e-9, 0.0, SLOW, outcome="poor"),
    Case("too_slow", "learning rate too low", classifier, "net: gradient", [*flat(1, 3), *flat(0.011, 17)],
         [*flat(1, 3), *flat(0.009, 17)], SLOW | {"net: update": 1e-4}, outcome="poor"),
    Case("too_slow", "learning rate too low", classifier, "trace: steps", 199, 201, {"net: update": 1e-4},
         outcome="poor"),
    Case("vanishing", "vanishing gradient", classifier, "net: first gradient", 1e-3, 1.01e-3, outcome="poor", window=1),
    Case("vanishing", "vanishing gradient", classifier, "net: last gradient", 301, 299, outcome="poor", window=1),
    Case("vanishing", "vanishing gradient", classifier, "net: last gradient", 1e-9, 0, {"net: first gradient": 0.0},
         outcome="poor", window=1),
    Case("dead", "dead units", classifier, "loss: dead units", 0.701, 0.7, outcome="poor", window=1),
    Case("dead", "dead units", classifier, "loss: moves", {"net"}, set(), DEAD, outcome="poor"),
    Case("saturated", "saturated units", classifier, "loss: saturated units", 0.601, 0.6, outcome="poor", window=1),
    Case("saturated", "saturated units", classifier, "loss: moves", {"net"}, set(), SATURATED, outcome="poor"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_finding_starts_at_its_threshold(case):
    case.check()


def test_long_lists_of_parameters_are_cut_short():
    many = tuple("abcdef")
    trace = having(classifier(), {"net: unowned": many, "net: without": many, "net: alike": many})
    for finding in examine(trace):
        assert "a, b, c" in finding.says and "c, d" not in finding.says


@pytest.mark.parametrize("rule, changes", [("dead", DEAD), ("saturated", SATURATED)])
def test_units_count_where_any_network_that_the_loss_moves_came_out_poorly(rule, changes):
    trace = having(contrastive(), changes)
    assert found(rule, trace) == {}
    trace.losses["unlearnt"] = Loss("unlearnt", values=flat(1), moves={"other"})
    assert len(found(rule, trace)) == 1
