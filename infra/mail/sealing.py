"""A mail's text carries codes and links: until it is sent it is kept sealed."""

import base64

from infra.crypto import Sealer


def seal_text(sealer: Sealer, mail_id: str, subject: str, body: str) -> str:
    """What is stored of subject (one line) and body."""
    return base64.b64encode(sealer.seal(f"{subject}\n{body}".encode(), _purpose(mail_id))).decode()


def open_text(sealer: Sealer, mail_id: str, sealed: str) -> tuple[str, str]:
    """Subject and body; both empty once the mail was sent. Raises: ConfigError."""
    if not sealed:
        return "", ""
    subject, _, body = sealer.open(base64.b64decode(sealed), _purpose(mail_id)).decode().partition("\n")
    return subject, body


def _purpose(mail_id: str) -> str:
    return f"mails/{mail_id}"
