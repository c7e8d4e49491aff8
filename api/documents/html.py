"""Pages of plain HTML under a policy that allows no inline code and no foreign host."""

from html import escape
from pathlib import Path
from typing import Final

from starlette.responses import Response

FOLDER: Final = Path(__file__).with_name("assets")
"""Files that the pages load; manifest.json has origin, licence and SHA-256 of those that are not ours."""
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}


def page(title: str, home: str, body: str, *, styles: tuple[str, ...], scripts: tuple[str, ...] = ()) -> Response:
    """A page. `home` leads from the page to `/v1/` (a relative address, so that it works behind any prefix);
    styles and scripts are names of assets."""
    assets = f"{home}docs/assets/"
    links = "".join(f'<link rel="stylesheet" href="{assets}{name}">' for name in styles)
    code = "".join(f'<script src="{assets}{name}" defer></script>' for name in scripts)
    text = (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<link rel="icon" href="{assets}icon.svg">'  # browsers ask for /favicon.ico otherwise
        f"<title>{escape(title)}</title>{links}{code}</head><body>{_bar(home)}{body}</body></html>"
    )
    return Response(text, headers=_HEADERS, media_type="text/html")


def _bar(home: str) -> str:
    pages = (
        (f"{home}docs", "API reference"),
        (f"{home}docs/events", "Events"),
        (f"{home}openapi.json", "OpenAPI"),
        (f"{home}asyncapi.json", "AsyncAPI"),
    )
    links = "".join(f'<a href="{address}">{name}</a>' for address, name in pages)
    return f'<header class="bar"><strong>Smart AI Hub</strong>{links}</header>'
