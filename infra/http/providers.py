"""Who people may log in with: OpenID Connect issuers and GitHub, by configuration."""

from collections.abc import Mapping
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

PRESETS: Final[Mapping[str, Mapping[str, Any]]] = {
    "google": {"issuer": "https://accounts.google.com", "label": "Google"},
    "github": {
        "kind": "github",
        "issuer": "https://github.com",
        "label": "GitHub",
        "scopes": ("read:user", "user:email"),
        "api_url": "https://api.github.com",
    },
}
"""What is known of a provider by its name; client id and secret are the installation's."""
LOOPBACK: Final = frozenset(("localhost", "127.0.0.1", "::1"))


class Provider(BaseModel):
    """One provider. `issuer` names its accounts for ever; GitHub knows no OpenID Connect, its API says who somebody is.

    Only https, but for an issuer on this machine (development, tests).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr
    kind: Literal["oidc", "github"] = "oidc"
    label: str = ""
    scopes: tuple[str, ...] = ("openid", "email", "profile")
    api_url: str = ""

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if not is_secure(self.issuer) or self.issuer.endswith("/.well-known/openid-configuration"):
            raise ValueError("the issuer must be an https:// address, without /.well-known/...")
        return self


def with_presets(given: Any) -> Any:
    """The configured providers, completed by what is known of their names."""
    if not isinstance(given, dict):
        return given
    return {name: {**PRESETS.get(name, {}), **one} if isinstance(one, dict) else one for name, one in given.items()}


def is_secure(url: str) -> bool:
    """Whether it is https, or on this machine."""
    parts = urlsplit(url)
    return bool(parts.hostname) and (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK))
