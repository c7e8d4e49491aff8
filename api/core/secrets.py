"""Passwords as people choose them: the rules of contracts/rules/passwords.py with this hub's lists and lengths."""

from collections.abc import Iterable

from api.core.visits import Visit
from contracts.errors import Invalid
from contracts.rules.passwords import normalised, problem_of
from infra.passwords import common_passwords


def accept_password(visit: Visit, password: str, *, known: Iterable[str], alone: bool) -> str:
    """The password, normalised. `known` is what others know of the person; `alone`: there is no second factor.

    Raises: Invalid.
    """
    options = visit.deps.options
    minimum = options.password_min_alone if alone else options.password_min
    plain = normalised(password)
    problem = problem_of(plain, minimum=minimum, common=common_passwords(), known=known)
    if problem is not None:
        raise Invalid(f"The password {problem.message}.", problems=(problem,))
    return plain
