"""Which argument of the person's function is which role of the formula: by --args, else by name, else by order."""

import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

import torch

from ..errors import UserError, nearest
from .arguments import FAKE, REAL
from .claim import Argument, Claim, Form, Option

Role = Argument | Option
ROWS = Option("rows", REAL | FAKE | {"self"}, 0.0, ())
EXTRAS = {"device": "device", "dev": "device", "batchsize": "rows", "bs": "rows", "bsz": "rows"}


@dataclass(frozen=True)
class Plan:
    """One reading of the function: its parameters with their roles, in order."""

    form: Form
    roles: Mapping[str, str]  # parameter -> role
    how: Mapping[str, str]  # parameter -> "given", "by name", "by order"
    options: Mapping[str, float] = field(default_factory=dict)  # option -> its value, where the function takes it
    extras: Mapping[str, str] = field(default_factory=dict)  # parameters every program has: "device", "rows"
    positional: tuple[str, ...] = ()  # the first parameters, up to one that stays at its default
    keyword: tuple[str, ...] = ()  # what follows it
    total: bool = False  # of several results their sum is the loss, rather than the first

    def says(self) -> list[str]:
        """The matching in words."""
        return [f"{name} is {role.rstrip('_')} ({self.how[name]})" for name, role in self.roles.items()]

    def call(self, fn: Callable[..., Any], inputs: Mapping[str, Any], rows: int) -> Any:
        """fn with these inputs, by role."""
        known = dict(inputs) | dict(self.options)
        everywhere = {"device": torch.device("cpu"), "rows": rows}
        values = {name: known[role] for name, role in self.roles.items()}
        values |= {name: everywhere[what] for name, what in self.extras.items()}
        return fn(*(values[name] for name in self.positional), **{name: values[name] for name in self.keyword})

    @property
    def named(self) -> int:
        """How many parameters were matched by more than their order."""
        return sum(how != "by order" for how in self.how.values())


def parameters(fn: Callable[..., Any]) -> list[inspect.Parameter]:
    """The parameters of a function, or of a module's forward. Raises UserError where Python cannot tell."""
    called = fn.forward if isinstance(fn, torch.nn.Module) else fn
    try:
        found = inspect.signature(called).parameters.values()
    except (TypeError, ValueError) as error:
        raise UserError(
            f"The arguments of {fn!r} cannot be read ({error}); wrap it in a def with named arguments."
        ) from error
    return [p for p in found if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]


def plans(fn: Callable[..., Any], claim: Claim, given: Mapping[str, str]) -> list[Plan]:
    """Every form of the claim that the function can be read as, likeliest first. Raises UserError where none fits.

    A name that tells an argument of one form is not taken for a number of another by its place alone.
    """
    found = parameters(fn)
    roles = {r.role for form in claim.forms for r in _all_roles(form)}
    options = {option.role for form in claim.forms for option in form.options}
    given = {f"{role}_" if f"{role}_" in roles else role: name for role, name in given.items()}  # lambda is lambda_
    _known(claim, roles, found, given)
    every = [plan for form in claim.forms if (plan := _plan(form, found, given)) is not None]
    if not every:
        takes = "; or ".join(
            ", ".join(f"{a.role} ({a.says})" for a in form.arguments if a.passed) for form in claim.forms
        )
        needs = [p.name for p in found if p.default is p.empty]
        if not found:
            raise UserError(
                f"The function names no arguments (*args?). Write them out, such as "
                f"def loss({', '.join(a.role for a in claim.forms[0].arguments)}): ..."
            )
        raise UserError(
            f"The function takes ({', '.join(p.name for p in found)}), {len(needs)} without a default; "
            f"'{claim.name}' is a function of {takes}. Say which is which with "
            f"--args {claim.forms[0].arguments[0].role}=YOUR_NAME, and give what is left over a default."
        )
    told = {name for plan in every for name, how in plan.how.items() if how != "by order"}
    guessed = [{n for n, role in p.roles.items() if role in options and p.how[n] == "by order"} for p in every]
    likely = [plan for plan, numbers in zip(every, guessed, strict=True) if not numbers & told]
    return sorted(likely or every, key=lambda plan: -plan.named)


def _all_roles(form: Form) -> tuple[Role, ...]:
    return (*(a for a in form.arguments if a.passed), *form.options)


def _known(claim: Claim, roles: set[str], found: list[inspect.Parameter], given: Mapping[str, str]) -> None:
    for role, name in given.items():
        if role not in roles:
            raise UserError(f"--args {role}={name}: '{claim.name}' has no argument '{role}'; {nearest(role, roles)}")
        if name not in {p.name for p in found} and not _is_number(name):
            raise UserError(
                f"--args {role}={name}: the function has no argument '{name}'; {nearest(name, [p.name for p in found])}"
            )


def _plan(form: Form, found: list[inspect.Parameter], given: Mapping[str, str]) -> Plan | None:
    everything = _all_roles(form)
    roles: dict[str, str] = {}
    how: dict[str, str] = {}
    here = {r.role for r in everything}
    for role, name in given.items():
        if role not in here:
            return None
        if not _is_number(name):
            roles[name], how[name] = role, "given"
    for name, role in _by_name(found, everything, roles).items():
        roles[name], how[name] = role, "by name"
    left = [a.role for a in form.arguments if a.passed and a.role not in roles.values()]
    extras = {
        p.name: kind for p in found if p.name not in roles and (kind := EXTRAS.get(p.name.lower().replace("_", "")))
    }
    open_ = [p for p in found if p.name not in roles and p.name not in extras]
    needed = [p for p in open_ if p.default is p.empty]
    spare = [p for p in open_ if p.default is not p.empty and not isinstance(p.default, int | float | str)]
    for p, role in zip(needed + spare, left, strict=False):
        roles[p.name], how[p.name] = role, "by order"
    left_options = [o.role for o in form.options if o.role not in roles.values()]
    for p, role in zip((p for p in needed if p.name not in roles), left_options, strict=False):
        roles[p.name], how[p.name] = role, "by order"
    networks = {a.role for a in form.arguments if a.network}
    if any(role in networks and how[name] == "by order" and _likeness(name, ROWS) for name, role in roles.items()):
        return None  # rows or scores are no network
    if len(left) > len(needed + spare) or any(p.name not in roles and p.name not in extras for p in needed):
        return None
    ordered = {p.name: roles[p.name] for p in found if p.name in roles}
    used = [p for p in found if p.name in roles or p.name in extras]
    first = [p for p, q in takewhile(lambda pair: pair[0] is pair[1], zip(used, found, strict=False))]
    positional = tuple(p.name for p in first if p.kind is not p.KEYWORD_ONLY)
    keyword = tuple(p.name for p in used if p.name not in positional)
    return Plan(form, ordered, how, _option_values(form, found, ordered, given), extras, positional, keyword)


def _option_values(
    form: Form, found: list[inspect.Parameter], roles: Mapping[str, str], given: Mapping[str, str]
) -> dict[str, float]:
    """The numbers that are known: passed by --args, the person's default, or ours where the function has none."""
    values = {}
    for option in form.options:
        said = given.get(option.role, "")
        if _is_number(said):
            values[option.role] = float(said)
        for p in found:
            if roles.get(p.name) == option.role and option.role not in values:
                own = isinstance(p.default, int | float) and not isinstance(p.default, bool)
                values[option.role] = float(p.default) if own else option.default
    return values


def _by_name(found: list[inspect.Parameter], roles: tuple[Role, ...], taken: Mapping[str, str]) -> dict[str, str]:
    """Pairs of parameter and role by shared words, best first; a tie is left to the order."""
    free = [r for r in roles if r.role not in taken.values()]
    pairs = ((p, r) for p in found if p.name not in taken for r in free if _may_be(p, r))
    marks = {(p.name, r.role): _likeness(p.name, r) for p, r in pairs}
    matched: dict[str, str] = {}
    while marks:
        (name, role), best = max(marks.items(), key=lambda item: item[1])
        if best == 0:
            break
        if sum(mark == best for (n, r), mark in marks.items() if n == name) > 1:  # this name says nothing here
            marks = {pair: mark for pair, mark in marks.items() if pair[0] != name}
            continue
        matched[name] = role
        marks = {(n, r): mark for (n, r), mark in marks.items() if n != name and r != role}
    return matched


def _may_be(p: inspect.Parameter, role: Role) -> bool:
    """A number by default is no tensor: eps=1e-8, n_projections=50."""
    return isinstance(role, Option) or not isinstance(p.default, int | float | str)


def _likeness(name: str, role: Role) -> float:
    if name == role.role:
        return 10
    tokens = re.findall(r"[A-Z]?[a-z]+|[A-Z]+|\d+", name)
    words = {t.lower() for t in tokens}
    whole = name.lower().replace("_", "") in role.words
    return 5 * whole + len(words & role.words) / max(len(words), 1)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
