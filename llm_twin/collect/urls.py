"""Addresses: one spelling for asking, one for identity, and which addresses belong to a site.

`clean` is the spelling that is asked for; `canonical` is the identity of a page: http and https, www, a
trailing slash, index.html, tracking parameters and fragments make no twins. Percent-encoding follows
RFC 3986, section 6.2.2 (unreserved characters are not encoded, hex digits are upper case).
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import quote, quote_plus, unquote_plus, urljoin, urlsplit, urlunsplit

# What advertisers and senders of newsletters append; none of these chooses another page.
_TRACKING = frozenset(
    str.split(
        "fbclid gclid dclid gbraid wbraid msclkid yclid igshid mc_cid mc_eid mkt_tok _hsenc _hsmi vero_id "
        "ref_src oly_enc_id oly_anon_id s_cid spm _openstat twclid ttclid share_id"
    )
)
_TRACKING_PREFIXES = ("utm_", "pk_", "mtm_", "hsa_")
_INDEX = re.compile(r"/(?:index|default)\.(?:html?|xhtml|php|aspx?)$", re.IGNORECASE)
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_HALVES = re.compile("[\ud800-\udfff]")  # halves of characters, which JSON can hold and no address can
_BLANKS = re.compile(r"[\x00-\x20]+")
_REMEMBERED, _SHORT = 4096, 500  # addresses, characters: the pages of a site have most links in common
_PORTS = {"http": 80, "https": 443}
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# Files that hold no page: asking for them would only cost the author's server.
_NOT_PAGES = re.compile(
    r"\.(?:jpe?g|png|gif|webp|avif|svgz?|ico|bmp|tiff?|css|js|mjs|json|map|woff2?|ttf|otf|eot|mp[34]|m4[av]|og[agv]|"
    r"opus|flac|wav|webm|mkv|avi|mov|zip|gz|tgz|bz2|xz|7z|rar|zst|jar|exe|msi|dmg|deb|rpm|apk|iso|img|pdf|epub|mobi|"
    r"docx?|xlsx?|pptx?|odt|ods|odp|csv|tsv|xml|rss|atom|rdf|txt|md|asc|pgp|sig|tar|"
    r"c|h|cc|cpp|hpp|py|sh|el|lua|go|rs|java|pl|rb|m|lisp|sql|patch|diff|dot|gv|mak|ps|dat|bin|wasm|torrent)$",
    re.IGNORECASE,
)


def clean(url: str, base: str = "") -> str | None:
    """The address to ask for, absolute and without its fragment; None where it is no http(s) address.

    Args:
        url: as written in a page, a feed or by a person.
        base: the address that a relative `url` stands on.
    """
    url = _HALVES.sub("\ufffd", url)
    url = _BLANKS.sub("", url) if base else url.strip()
    if not url:
        return None
    try:
        whole = urljoin(base, url) if base else url
    except ValueError:  # brackets that hold no IPv6 address
        return None
    return _cleaned(whole) if len(whole) <= _SHORT else _cleaned.__wrapped__(whole)


@lru_cache(_REMEMBERED)
def _cleaned(url: str) -> str | None:
    try:
        split = urlsplit(url)
        port = split.port
        host = _host(split.hostname or "")
    except ValueError:  # a port that is no number, a broken IPv6 address, a label that is no host name
        return None
    scheme = split.scheme.lower()
    if scheme not in _PORTS or not host:
        return None
    netloc = host if port in (None, _PORTS[scheme]) else f"{host}:{port}"
    return urlunsplit((scheme, netloc, _without_dots(_encode(split.path)), _query(split.query), ""))


def canonical(url: str) -> str:
    """The identity of a page. Raises ValueError where `url` is no http(s) address."""
    cleaned = clean(url)
    if cleaned is None:
        raise ValueError(f"not an http or https address: {url!r}")
    split = urlsplit(cleaned)
    path = split.path
    while (shorter := _INDEX.sub("/", path).rstrip("/")) != path:
        path = shorter
    return urlunsplit(
        ("https", _bare(split.netloc), path or "/", "&".join(sorted(split.query.split("&"))), "")
    )


def same_site(url: str, other: str) -> bool:
    """Whether two cleaned addresses are of one host (www or not, http or https).

    A personal area of a shared host (`/~name/`) is a site of its own.
    """
    return site(url) == site(other)


def site(url: str) -> str:
    """The name of the site that a cleaned address belongs to, such as "example.org" or "example.org/~ann"."""
    split = urlsplit(url)
    area = split.path.split("/")[1] if split.path.startswith("/~") else ""
    return _bare(split.netloc) + (f"/{area}" if area else "")


def may_be_page(url: str) -> bool:
    """Whether the address can hold a page: no image, download, style sheet, source file or feed."""
    path = urlsplit(url).path.lower()
    return not _NOT_PAGES.search(path) and not re.search(r"/(?:feed|rss|atom)/?$", path)


def shape(url: str) -> str:
    """The form of an address's path, "/blog/N/N/S": runs of digits are N, other last segments S."""
    parts = [p for p in urlsplit(url).path.split("/") if p]
    kinds = ["N" if p.isdigit() else p for p in parts]
    if kinds and kinds[-1] != "N":
        kinds[-1] = "S"
    return "/" + "/".join(kinds)


def _host(host: str) -> str:
    host = host.rstrip(".").lower()
    if ":" in host:
        return f"[{host}]"
    if not host.isascii():
        host = host.encode("idna").decode("ascii").rstrip(".")
    if not re.fullmatch(r"[a-z0-9._-]*", host):
        raise ValueError(f"not a host name: {host!r}")
    return host


def _bare(netloc: str) -> str:
    return netloc.removeprefix("www.")


def _encode(text: str) -> str:
    encoded = quote(text, safe="%/:@!$&'()*+,;=~?", errors="replace")
    encoded = re.sub(r"%(?![0-9A-Fa-f]{2})", "%25", encoded)
    return _ESCAPE.sub(_normal_escape, encoded)


def _normal_escape(match: re.Match[str]) -> str:
    char = chr(int(match[1], 16))
    return char if char in _UNRESERVED else match[0].upper()


def _without_dots(path: str) -> str:
    kept: list[str] = []
    parts = path.split("/")[1:] or [""]
    for part in parts:
        if part == "..":
            del kept[-1:]
        elif part != ".":
            kept.append(part)
    if parts[-1] in (".", ".."):
        kept.append("")
    # Two slashes at the start would read as a host.
    return "/" + "/".join(kept).lstrip("/")


def _query(query: str) -> str:
    kept = []
    for part in filter(None, query.split("&")):
        name, equals, value = part.partition("=")
        name, value = unquote_plus(name, errors="replace"), unquote_plus(value, errors="replace")
        if name.lower() in _TRACKING or name.lower().startswith(_TRACKING_PREFIXES):
            continue
        # "?p" is not "?p=": some engines answer only to the one that they wrote.
        kept.append(f"{quote_plus(name)}={quote_plus(value)}" if equals else quote_plus(name))
    return "&".join(kept)
