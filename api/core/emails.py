"""E-mail addresses: checked for form, compared in lower case."""

from typing import Annotated, Final

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, StringConstraints
from pydantic_core import PydanticCustomError

MAX_LENGTH: Final = 254


def _address(text: str) -> str:
    try:
        found = validate_email(text, check_deliverability=False, allow_smtputf8=False)
    except EmailNotValidError:
        raise PydanticCustomError("email", "is not an e-mail address") from None
    return (found.ascii_email or found.normalized).lower()


Email = Annotated[
    str,
    StringConstraints(strict=True, min_length=3, max_length=MAX_LENGTH),
    AfterValidator(_address),
    Field(json_schema_extra={"format": "email"}),
]
"""An address in lower case and ASCII, without a look at the DNS."""
