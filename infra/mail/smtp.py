"""SMTP, by aiosmtplib: one connection for several mails, every step with a deadline."""

import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr
from typing import Final, Literal, NamedTuple

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException

from contracts.errors import MailUnavailable

TIMEOUT_S: Final = 10.0
_GONE: Final = 421
"""The server closes the connection: it is away, and the mail is not to blame (RFC 5321, section 3.8)."""


class Refused(Exception):
    """The server takes this mail not, or not now; `code` is its reply code (RFC 5321), without its words: they may hold
    the address."""

    def __init__(self, code: int) -> None:
        super().__init__(f"SMTP {code}")
        self.code = code


@dataclass(frozen=True, slots=True)
class SmtpOptions:
    """Where mail goes out. `tls`: from the start, after STARTTLS, or (loopback only, please) none."""

    host: str
    port: int = 587
    sender: str = "Smart AI Hub <no-reply@localhost>"
    username: str | None = None
    password: str | None = None
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str | None = None


class Mail(NamedTuple):
    """What goes out. `id` makes its Message-ID: sent twice after a crash it is still one."""

    id: str
    recipient: str
    subject: str
    body: str
    date: str


class Connection:
    """An open connection to the mail server."""

    def __init__(self, client: SMTP, options: SmtpOptions) -> None:
        self._client = client
        self._options = options

    async def send(self, mail: Mail) -> None:
        """Returns when the server has taken it. Raises: Refused, MailUnavailable."""
        message = as_message(mail, self._options.sender)
        try:
            await self._client.send_message(message)
        except SMTPRecipientsRefused as error:
            raise Refused(error.recipients[0].code) from None
        except SMTPResponseException as error:
            if error.code == _GONE:
                raise MailUnavailable("The mail server closes the connection.") from None
            raise Refused(error.code) from None
        except (SMTPException, OSError) as error:
            raise MailUnavailable(f"The mail server does not answer ({type(error).__name__}).") from None


@asynccontextmanager
async def connected(options: SmtpOptions) -> AsyncIterator[Connection]:
    """A connection for a few mails. Raises: MailUnavailable."""
    client = SMTP(
        hostname=options.host,
        port=options.port,
        username=options.username,
        password=options.password,
        use_tls=options.tls == "tls",
        start_tls=options.tls == "starttls",
        tls_context=None if options.tls == "none" else ssl.create_default_context(cafile=options.ca_file),
        timeout=TIMEOUT_S,
    )
    try:
        await client.connect()
    except (SMTPException, OSError) as error:
        raise MailUnavailable(f"The mail server does not answer ({type(error).__name__}).") from None
    try:
        yield Connection(client, options)
        with contextlib.suppress(SMTPException, OSError):  # what was taken is taken
            await client.quit()
    finally:
        client.close()


def as_message(mail: Mail, sender: str) -> EmailMessage:
    """The mail in its outer form (RFC 5322); machine-made, so nobody's auto-reply answers it (RFC 3834)."""
    message = EmailMessage()
    domain = parseaddr(sender)[1].rpartition("@")[2] or "localhost"
    message["From"], message["To"], message["Subject"] = sender, mail.recipient, mail.subject
    message["Message-ID"], message["Date"] = f"<{mail.id}@{domain}>", mail.date
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(mail.body, charset="utf-8")
    return message
