"""ClickHouse's HTTP interface on chDB, enough of it that clickhouse-connect's network path works unchanged.

For tests only: roles that run as processes of their own share one engine through it.
`python -m tests.support.clickhouse_http --path DIR --port 0` prints `listening on http://127.0.0.1:PORT`.
Spoken: /ping, queries and commands (GET, POST, multipart form), `param_*`, settings, `database`, formats, inserts with
their data behind the statement, chunked and compressed bodies, compressed answers, errors with their code.
"""

import argparse
import base64
import contextlib
import gzip
import json
import os
import queue
import re
import signal
import tempfile
import threading
import uuid
from collections import defaultdict
from collections.abc import Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import chdb
import lz4.frame
from backports import zstd

_OF_THE_TRANSPORT = {
    "query", "database", "user", "password", "quota_key", "query_id", "session_id", "session_timeout", "session_check",
    "wait_end_of_query", "buffer_size", "compress", "decompress", "enable_http_compression", "default_format", "role",
    "client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
    "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
_FORMAT = re.compile(rb"\bFORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
_INSERT = re.compile(rb"\s*(INSERT\s+INTO\s[^\n]*?)\s+FORMAT\s+(\w+)[ \t]*(?:\n|$)", re.IGNORECASE)
_STATUS = {60: 404, 81: 404, 46: 404, 47: 404, 62: 400, 36: 400, 43: 400, 42: 400, 516: 403, 202: 503, 159: 408}
_PACK = {"lz4": lz4.frame.compress, "zstd": zstd.compress, "gzip": gzip.compress}
_UNPACK = {"lz4": lz4.frame.decompress, "zstd": zstd.decompress, "gzip": gzip.decompress}


class Engine:
    """Handles on the one chDB of this process, kept by database and settings."""

    def __init__(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self._path = str(path.resolve())
        self._keep: Any = chdb.connect(self._path)
        self._free: dict[tuple[Any, ...], queue.SimpleQueue[Any]] = defaultdict(queue.SimpleQueue)

    @contextlib.contextmanager
    def handle(self, database: str, settings: dict[str, str]) -> Iterator[Any]:
        """A handle with this database and these settings, for one request."""
        free = self._free[database, *sorted(settings.items())]
        try:
            found = free.get_nowait()
        except queue.Empty:
            found = self._open(database, settings)
        yield found
        free.put(found)

    def _open(self, database: str, settings: dict[str, str]) -> Any:
        handle: Any = chdb.connect(self._path)
        for name, value in settings.items():
            handle.query(f"SET {name} = {_quoted(value)}", "TabSeparated")
        if database:
            handle.query(f"USE `{database}`", "TabSeparated")
        return handle


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    engine: Engine
    credentials: str | None = None

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        url = urlsplit(self.path)
        body = self._body()
        if url.path.rstrip("/") == "/ping":
            self._answer(200, b"Ok.\n", {})
            return
        params = dict(parse_qsl(url.query, keep_blank_values=True))
        try:
            self._authenticate()
            if self.headers.get("Content-Type", "").startswith("multipart/form-data"):
                params, body = params | _form(self.headers["Content-Type"], body), b""
            statement = b"\n".join(part for part in (params.get("query", "").encode(), body) if part)
            answer, headers = self._run(statement, params)
        except RuntimeError as error:
            self._refuse(str(error))
            return
        self._answer(200, *self._packed(answer, headers, params))

    def _authenticate(self) -> None:
        given = self.headers.get("Authorization", "")
        wanted = f"Basic {base64.b64encode((self.credentials or '').encode()).decode()}"
        if self.credentials is not None and given != wanted:
            raise RuntimeError("Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)")

    def _run(self, statement: bytes, params: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        bound = {name[6:]: value for name, value in params.items() if name.startswith("param_")}
        settings = {
            name: value
            for name, value in params.items()
            if name not in _OF_THE_TRANSPORT and not name.startswith("param_")
        }
        with self.engine.handle(params.get("database", ""), settings) as handle:
            insert = _INSERT.match(statement)
            if insert:
                return b"", _summary(_insert(handle, insert, statement), written=True)
            known = _FORMAT.search(statement)
            if known:
                result = handle.query(statement.decode(), known[1].decode(), params=bound)
                return result.bytes() or b"", _summary(result) | {"X-ClickHouse-Format": known[1].decode()}
            result = handle.query(statement.decode(), "TabSeparatedWithNames", params=bound)
            names, _, rows = (result.bytes() or b"").partition(b"\n")
            return rows, _summary(result) | ({"X-ClickHouse-Format": "TabSeparated"} if names else {})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = b"".join(self._chunks())
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        encoding = self.headers.get("Content-Encoding")
        return _UNPACK[encoding](body) if encoding else body

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().split(b";")[0], 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _packed(self, answer: bytes, headers: dict[str, str], params: dict[str, str]) -> tuple[bytes, dict[str, str]]:
        accepted = [word.strip() for word in self.headers.get("Accept-Encoding", "").split(",")]
        encoding = next((word for word in accepted if word in _PACK), None)
        if encoding and answer and params.get("enable_http_compression") == "1":
            return _PACK[encoding](answer), headers | {"Content-Encoding": encoding}
        return answer, headers

    def _refuse(self, message: str) -> None:
        found = re.search(r"Code: (\d+)", message)
        code = int(found[1]) if found else 1002
        text = message[found.start() :] if found else message
        self._answer(_STATUS.get(code, 500), text.encode(), {"X-ClickHouse-Exception-Code": str(code)})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        every = {
            "Content-Length": str(len(body)),
            "X-ClickHouse-Query-Id": str(uuid.uuid4()),
            "X-ClickHouse-Timezone": "UTC",
            **headers,
        }
        for name, value in every.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


def _insert(handle: Any, insert: re.Match[bytes], statement: bytes) -> Any:
    """Inserts what stands behind the statement, through a file: chDB takes no data beside its SQL."""
    into, name = insert[1].decode(), insert[2].decode()
    if name.lower() == "values":
        return handle.query(statement.decode(), "TabSeparated")
    with tempfile.NamedTemporaryFile(suffix=".data") as file:
        file.write(statement[insert.end() :])
        file.flush()
        return handle.query(f"{into} FROM INFILE {_quoted(file.name)} FORMAT {name}", "TabSeparated")


def _summary(result: Any, *, written: bool = False) -> dict[str, str]:
    kind = "written" if written else "read"
    counts = {f"{kind}_rows": str(result.rows_read()), f"{kind}_bytes": str(result.bytes_read())}
    return {"X-ClickHouse-Summary": json.dumps(counts)}


def _form(content_type: str, body: bytes) -> dict[str, str]:
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    found = {}
    for part in parts:
        raw = part.get_payload(decode=True)  # type: ignore[union-attr]
        found[str(part.get_param("name", header="content-disposition"))] = raw.decode()  # type: ignore[union-attr]
    return found


def _quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


class Server(ThreadingHTTPServer):
    """Serves until it is told to stop."""

    daemon_threads = True
    request_queue_size = 128


def serve(path: Path, port: int, credentials: str | None = None) -> Server:
    """A server on the engine at `path`; `credentials` are `user:password`, None: anyone."""
    handler = type("BoundHandler", (Handler,), {"engine": Engine(path), "credentials": credentials})
    return Server(("127.0.0.1", port), handler)


def main() -> None:
    """Runs until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--path", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--credentials")
    arguments = parser.parse_args()
    server = serve(arguments.path, arguments.port, arguments.credentials)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"listening on http://127.0.0.1:{server.server_address[1]}", flush=True)
    server.serve_forever(poll_interval=0.1)
    os._exit(0)


if __name__ == "__main__":
    main()
