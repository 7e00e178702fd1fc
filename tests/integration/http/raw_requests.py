"""Requests whose bounds two readers could see differently: name → bytes, each followed by a whole second request.

`REFUSED`: answered 4xx (or not at all), and the connection ends: the second is never carried out. `TRUNCATED`: the body
ends in the middle, as far as the server sees. `PLAIN`: odd, but with one meaning; the second is a request like any.
"""

from __future__ import annotations

HEAD = b"POST {path} HTTP/1.1\r\nHost: localhost\r\n"
SECOND = b"GET /second HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"

REFUSED = {
    "length and chunks": HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nabcde",
    "a list of lengths": HEAD + b"Content-Length: 4, 4\r\n\r\nabcd",
    "a signed length": HEAD + b"Content-Length: +4\r\n\r\nabcd",
    "a negative length": HEAD + b"Content-Length: -1\r\n\r\nabcd",
    "a hexadecimal length": HEAD + b"Content-Length: 0x4\r\n\r\nabcd",
    "a length beyond 64 bits": HEAD + b"Content-Length: 99999999999999999999999\r\n\r\nabcd",
    "chunks that aren't last": HEAD + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "an unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "two codings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a space before the colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "a vertical tab in a coding": HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST {path} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded header": HEAD + b"X: 1\r\n Content-Length: 4\r\nContent-Length: 0\r\n\r\n",
    "a folded coding": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "a bare CR": HEAD + b"X: 1\rContent-Length: 5\r\n\r\n",
    "a NUL in a header": HEAD + b"X: a\0b\r\nContent-Length: 0\r\n\r\n",
    "a NUL in a name": HEAD + b"X\0: a\r\nContent-Length: 0\r\n\r\n",
    "a NUL in the path": b"GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a space in a name": HEAD + b"X Y: 1\r\n\r\n",
    "a header without a colon": HEAD + b"XY\r\n\r\n",
    "another protocol": b"GET / HTTP/9.9\r\nHost: localhost\r\n\r\n",
    "HTTP/2 unasked": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n",
    "a host with a path": b"GET / HTTP/1.1\r\nHost: a/b?x=\r\n\r\n",
    "a host of somebody else": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "an authority": b"CONNECT evil.example:80 HTTP/1.1\r\nHost: evil.example:80\r\n\r\n",
    "150 headers": HEAD + b"".join(b"X%d: 1\r\n" % n for n in range(150)) + b"\r\n",
    "a header of 1 MB": b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + b"a" * 1_000_000 + b"\r\n\r\n",
    "a header of 40 KB": b"GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer " + b"a" * 40_000 + b"\r\n\r\n",
    "a path of 40 KB": b"GET /" + b"a" * 40_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
}

TRUNCATED = {
    "a bare LF in a chunk extension": CHUNKED + b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "a signed chunk": CHUNKED + b"+5\r\nhello\r\n0\r\n\r\n",
    "a hexadecimal prefix of a chunk": CHUNKED + b"0x5\r\nhello\r\n0\r\n\r\n",
    "a negative chunk": CHUNKED + b"-1\r\nhello\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": CHUNKED + b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    "a bare LF after a chunk's size": CHUNKED + b"5\nhello\r\n0\r\n\r\n",
    "a chunk longer than it says": CHUNKED + b"5\r\nhelloX\r\n0\r\n\r\n",
    "a chunk without a size": CHUNKED + b"\r\nhello\r\n0\r\n\r\n",
    "a request among the trailers": CHUNKED + b"0\r\nGET /second HTTP/1.1\r\n\r\n",
}

SWALLOWED = {
    "a chunk of 16 EiB": CHUNKED + b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
}
"""The second is a part of the first's body, which never ends: refused when it is too large, or in time."""

PLAIN = {
    "an absolute URL": b"GET http://evil.example/first HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an asterisk": b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "an equal length twice": HEAD + b"Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    "a tab before a coding": HEAD + b"Transfer-Encoding:\tchunked\r\n\r\n0\r\n\r\n",
    "a chunk extension": CHUNKED + b"1;a=b\r\nx\r\n0\r\n\r\n",
    "bare LF as line ends": b"GET /first HTTP/1.1\nHost: localhost\n\n",
    "an upgrade nobody offers": b"GET /first HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\n"
    b"Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
}
