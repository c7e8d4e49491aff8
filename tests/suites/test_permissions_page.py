"""The page of permissions says what the code does."""

from infra.ops.permissions import PAGE, page


def test_the_page_of_permissions_is_written_from_the_code() -> None:
    assert PAGE.read_text() == page(), "python -m infra.ops.permissions"
