"""The page that ends a custom GPT's log-in: a code to copy, in English and Thai, without inline code."""

from html import escape
from typing import Final

from starlette.responses import Response

from api.core.login_schemas import SecondFactor

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
}

_CODE: Final = """
<p lang="en">You are logged in. Copy this code and paste it into the chat. It works once, within 10 minutes.</p>
<p lang="th">เข้าสู่ระบบสำเร็จแล้ว คัดลอกรหัสนี้แล้ววางในแชต รหัสใช้ได้ครั้งเดียวภายใน 10 นาที</p>
<output id="code">{code}</output>
<button id="copy" type="button"><span lang="en">Copy code</span> · <span lang="th">คัดลอกรหัส</span></button>
<p id="copied" role="status" hidden><span lang="en">Copied</span> · <span lang="th">คัดลอกแล้ว</span></p>
<p class="soft" lang="en">Give this code to nobody else. You did not ask for it? Close this page.</p>
<p class="soft" lang="th">อย่าให้รหัสนี้แก่ผู้อื่น หากคุณไม่ได้เป็นผู้ขอรหัส โปรดปิดหน้านี้</p>
"""
_SECOND_STEP: Final = """
<section id="second" data-challenge="{challenge}" data-session="{session}" data-base="{base}">
{ways}
<p id="wrong" role="alert" hidden>
<span lang="en">That was not accepted. Try again.</span> · <span lang="th">ไม่ผ่านการยืนยัน โปรดลองอีกครั้ง</span></p>
</section>
<section id="done" hidden>{done}</section>
"""
_PASSKEY: Final = """
<button id="passkey" type="button"><span lang="en">Use a passkey</span> · <span lang="th">ใช้พาสคีย์</span></button>
"""
_TYPED: Final = """
<p lang="en">Enter the code of your authenticator app, or a recovery code.</p>
<p lang="th">กรอกรหัสจากแอปยืนยันตัวตน หรือรหัสกู้คืน</p>
<input id="factor" autocomplete="one-time-code" inputmode="text" maxlength="32" aria-label="Code · รหัส">
<button id="prove" type="button"><span lang="en">Continue</span> · <span lang="th">ดำเนินการต่อ</span></button>
"""
_WAYS: Final = {"passkey": _PASSKEY, "totp": _TYPED, "recovery_code": _TYPED}
_PROBLEM: Final = """
<p lang="en">{problem}</p>
<p lang="th">เข้าสู่ระบบไม่สำเร็จ โปรดกลับไปที่แชตแล้วเริ่มใหม่อีกครั้ง</p>
"""


def code_page(base: str, code: str) -> Response:
    """The code."""
    return _page(base, "Logged in · เข้าสู่ระบบแล้ว", _CODE.format(code=escape(code)))


def second_step_page(base: str, wanted: SecondFactor, session: str | None) -> Response:
    """Asks for the second factor in the ways that the person has, then shows the code."""
    ways = dict.fromkeys(_WAYS[method] for method in sorted(wanted.methods))  # a passkey first; what is typed, once
    body = _SECOND_STEP.format(
        challenge=escape(wanted.challenge),
        session=escape(session or ""),
        base=escape(base),
        ways="".join(ways),
        done=_CODE.format(code=""),
    )
    return _page(base, "One more step · อีกหนึ่งขั้นตอน", body)


def problem_page(base: str, problem: str, status: int) -> Response:
    """What went wrong."""
    title = "Not logged in · เข้าสู่ระบบไม่สำเร็จ"
    return _page(base, title, _PROBLEM.format(problem=escape(problem)), status)


def _page(base: str, title: str, body: str, status: int = 200) -> Response:
    """`base` leads to `/v1/auth/`."""
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="robots" content="noindex">'
        f'<title>{title}</title><link rel="stylesheet" href="{base}assets/verified.css">'
        f'<script src="{base}assets/verified.js" defer></script></head>'
        f"<body><main><h1>Smart AI Hub</h1><h2>{title}</h2>{body}</main></body></html>"
    )
    return Response(text, status, _HEADERS, "text/html")
