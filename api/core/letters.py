"""What the hub writes to people, in their language: texts as data, written in the caller's transaction, sent later."""

from enum import StrEnum
from typing import Final, Literal, NamedTuple

from api.core.visits import Visit
from infra.ids import new_id
from infra.mail.sealing import seal_text
from infra.postgres import mails
from infra.postgres.database import Tx
from infra.postgres.mails import MailRow

Locale = Literal["en", "th"]


class Letter(StrEnum):
    """Every occasion."""

    VERIFY = "verify"
    TAKEN = "taken"
    RESET = "reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - names an occasion
    EMAIL_CHANGING = "email_changing"
    INVITATION = "invitation"


class Words(NamedTuple):
    """Subject and body in one language; names in braces are filled in."""

    subject: str
    body: str


LETTERS: Final[dict[Letter, dict[Locale, Words]]] = {
    Letter.VERIFY: {
        "en": Words(
            "Your code for Smart AI Hub: {code}",
            "{code} is your code for Smart AI Hub. It works once, within 15 minutes.\n\n"
            "You did not ask for it? Then do nothing, and give it to nobody.\n",
        ),
        "th": Words(
            "รหัส Smart AI Hub ของคุณ: {code}",
            "{code} คือรหัส Smart AI Hub ของคุณ ใช้ได้ครั้งเดียวภายใน 15 นาที\n\nหากคุณไม่ได้ขอรหัสนี้ โปรดเพิกเฉย และอย่าให้รหัสกับผู้อื่น\n",
        ),
    },
    Letter.TAKEN: {
        "en": Words(
            "You have an account at Smart AI Hub already",
            "Somebody, perhaps you, wanted to use this address for an account at Smart AI Hub. It has one already: log "
            "in, or ask for a new password at {url}.\n\nIt was not you? Then do nothing: nothing was changed.\n",
        ),
        "th": Words(
            "คุณมีบัญชี Smart AI Hub อยู่แล้ว",
            "มีผู้ต้องการใช้อีเมลนี้สมัคร Smart AI Hub "
            "ซึ่งมีบัญชีอยู่แล้ว โปรดเข้าสู่ระบบหรือขอรหัสผ่านใหม่ที่ {url}\n\n"
            "หากไม่ใช่คุณ โปรดเพิกเฉย ไม่มีสิ่งใดถูกเปลี่ยนแปลง\n",
        ),
    },
    Letter.RESET: {
        "en": Words(
            "A new password for Smart AI Hub",
            "To choose a new password, send this token with it to POST {url}/v1/auth/password/reset. It works once, "
            "within an hour:\n\n{token}\n\nYou did not ask for it? Then do nothing: your password stays.\n",
        ),
        "th": Words(
            "รหัสผ่านใหม่สำหรับ Smart AI Hub",
            "หากต้องการตั้งรหัสผ่านใหม่ โปรดส่งโทเค็นนี้ไปที่ POST {url}/v1/auth/password/reset "
            "ใช้ได้ครั้งเดียวภายใน 1 ชั่วโมง:\n\n{token}\n\n"
            "หากคุณไม่ได้ขอ โปรดเพิกเฉย รหัสผ่านเดิมยังใช้ได้\n",
        ),
    },
    Letter.PASSWORD_CHANGED: {
        "en": Words(
            "Your password was changed",
            "The password of your account at Smart AI Hub was changed, and other sessions were ended.\n\n"
            "It was not you? Ask for a new password at once: {url}\n",
        ),
        "th": Words(
            "รหัสผ่านของคุณถูกเปลี่ยนแล้ว",
            "รหัสผ่านบัญชี Smart AI Hub ของคุณถูกเปลี่ยน และเซสชันอื่นถูกยกเลิกแล้ว\n\nหากไม่ใช่คุณ โปรดขอรหัสผ่านใหม่ทันที: {url}\n",
        ),
    },
    Letter.EMAIL_CHANGING: {
        "en": Words(
            "Your address at Smart AI Hub is about to change",
            "Somebody who is logged in to your account at Smart AI Hub gave it another e-mail address.\n\n"
            "It was not you? Change your password at once: {url}\n",
        ),
        "th": Words(
            "อีเมลของคุณใน Smart AI Hub กำลังจะเปลี่ยน",
            "ผู้ที่เข้าสู่ระบบด้วยบัญชี Smart AI Hub ของคุณขอเปลี่ยนอีเมล\n\nหากไม่ใช่คุณ โปรดเปลี่ยนรหัสผ่านทันที: {url}\n",
        ),
    },
    Letter.INVITATION: {
        "en": Words(
            "You are invited to {organization} at Smart AI Hub",
            "To join {organization}, log in with this address (or register it first), and send this token to POST "
            "{url}/v1/invitations/accept. It works once, within 7 days:\n\n{token}\n\n"
            "You do not know them? Then do nothing.\n",
        ),
        "th": Words(
            "คุณได้รับเชิญเข้าร่วม {organization} ใน Smart AI Hub",
            "หากต้องการเข้าร่วม {organization} โปรดเข้าสู่ระบบด้วยอีเมลนี้ (หรือสมัครก่อน) "
            "แล้วส่งโทเค็นนี้ไปที่ POST {url}/v1/invitations/accept "
            "ใช้ได้ครั้งเดียวภายใน 7 วัน:\n\n{token}\n\nหากคุณไม่รู้จักผู้เชิญ โปรดเพิกเฉย\n",
        ),
    },
}


async def write(tx: Tx, visit: Visit, letter: Letter, *, to: str, locale: str, **values: str) -> None:
    """A mail that goes out when `tx` has committed; `values` fill in the text, and are sealed with it until then."""
    texts = LETTERS[letter]
    words = texts["th"] if locale == "th" else texts["en"]
    mail_id, values = new_id("mail"), {"url": visit.deps.options.public_url, **values}
    subject, body = words.subject.format(**values), words.body.format(**values)
    sealed = seal_text(visit.deps.sealer, mail_id, subject, body)
    await mails.save_mail(tx, MailRow(mail_id, to, letter.value, sealed, visit.now, visit.now))
