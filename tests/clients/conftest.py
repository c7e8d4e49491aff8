"""The served API of the tests of `api`."""

from tests.api.conftest import api, world

__all__ = ["api", "world"]
