"""A real WordPress of the system's packages, installed for the run, with the themes that come with it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from blogs import dialects
from blogs.real import BASE, CannotBuild, Real, command, needed, write
from blogs.texts import ABOUT, AUTHOR, BLURB, TITLE, Text

HOME = Path("/usr/share/wordpress")  # where Debian's package puts it
THEMES = Path("/var/lib/wordpress/wp-content/themes")
SCRIPT = Path(__file__).parent / "layouts" / "wordpress.php"
PORT = 8321
MOST_PAGES = 400
START_S = 30

_CONFIG = """<?php
define('DB_NAME', 'blog'); define('DB_USER', 'root'); define('DB_PASSWORD', '');
define('DB_HOST', 'localhost:SOCKET'); define('DB_CHARSET', 'utf8mb4'); define('DB_COLLATE', '');
define('WP_HOME', 'https://gauge.example'); define('WP_SITEURL', 'https://gauge.example');
define('WP_HTTP_BLOCK_EXTERNAL', true); define('DISABLE_WP_CRON', true); define('WP_DEBUG', false);
foreach (['AUTH_KEY','SECURE_AUTH_KEY','LOGGED_IN_KEY','NONCE_KEY','AUTH_SALT','SECURE_AUTH_SALT',
  'LOGGED_IN_SALT','NONCE_SALT'] as $key) { define($key, 'benchmark'); }
$table_prefix = 'wp_'; $_SERVER['HTTPS'] = 'on'; $_SERVER['HTTP_HOST'] = 'gauge.example';
if (!defined('ABSPATH')) { define('ABSPATH', __DIR__ . '/'); }
require_once ABSPATH . 'wp-settings.php';
"""
_ROUTER = """<?php
$file = __DIR__ . parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
if (is_file($file) && !str_ends_with($file, '.php')) { return false; }
$_SERVER['SCRIPT_NAME'] = '/index.php';
require __DIR__ . '/index.php';
"""


def wordpress(theme: str, texts: Sequence[Text], work: Path, cache: Path) -> Path:
    """A blog of a theme, copied page by page into a folder; whole bodies in its feed, or summaries."""
    php, server = needed("php"), needed("mariadbd")
    if not (THEMES / theme).is_dir():
        raise CannotBuild(f"the theme {theme} is not installed")
    site = work / "wordpress"
    shutil.copytree(HOME, site, symlinks=False, ignore_dangling_symlinks=True)
    shutil.rmtree(site / "wp-content", ignore_errors=True)
    shutil.copytree(THEMES / theme, site / "wp-content" / "themes" / theme)
    with _database(server, work) as socket:
        write(site / "wp-config.php", _CONFIG.replace("SOCKET", str(socket)))
        write(site / "router.php", _ROUTER)
        write(work / "posts.json", json.dumps(_posts(theme, texts)))
        command([php, str(SCRIPT), str(site), theme, str(work / "posts.json")], work)
        with _running([php, "-S", f"127.0.0.1:{PORT}", "-t", str(site), str(site / "router.php")], work):
            _mirror(work / "mirror")
    return work / "mirror"


def _posts(theme: str, texts: Sequence[Text]) -> dict[str, object]:
    rows = [
        {
            "title": t.title,
            "slug": t.slug,
            "day": str(t.day),
            "tags": list(t.tags),
            "html": dialects.wordpress(t.html, t.slug),
            "comments": [{"name": c.name, "date": str(c.date), "text": c.text} for c in t.comments],
        }
        for t in texts
    ]
    summaries = theme == "twentytwentytwo"
    common = {"title": TITLE, "blurb": BLURB, "author": AUTHOR, "about": ABOUT}
    return {**common, "summaries": summaries, "posts": rows}


@contextmanager
def _database(server: str, work: Path) -> Iterator[Path]:
    """A database of its own in a folder, reached by a socket; it ends with the block."""
    data, socket = work / "database", Path("/tmp") / f"blogs-{PORT}.sock"
    command(
        [
            "mariadb-install-db",
            f"--datadir={data}",
            "--user=root",
            "--auth-root-authentication-method=normal",
        ],
        work,
    )
    options = [f"--datadir={data}", f"--socket={socket}", "--user=root", "--skip-networking"]
    with _running([server, "--no-defaults", *options, "--skip-grant-tables"], work):
        for _ in range(START_S * 4):
            if socket.exists():
                break
            time.sleep(0.25)
        command(["mariadb", f"--socket={socket}", "-e", "CREATE DATABASE blog CHARACTER SET utf8mb4"], work)
        yield socket


@contextmanager
def _running(arguments: Sequence[str], work: Path) -> Iterator[None]:
    """A program that runs for as long as the block."""
    with (work / f"{Path(arguments[0]).name}.log").open("wb") as log:
        process = subprocess.Popen(arguments, cwd=work, stdout=log, stderr=log)
        try:
            yield
        finally:
            process.terminate()
            process.wait(timeout=START_S)


def _mirror(out: Path) -> None:
    """Copy what the front page, the feed and the sitemap lead to."""
    waiting, seen = ["/", "/feed/", "/wp-sitemap.xml"], set()
    while waiting and len(seen) < MOST_PAGES:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        body = _asked(path)
        if not body:
            continue
        write(out / (path.lstrip("/") + ("index.html" if path.endswith("/") else "")), body)
        links = re.findall(rf"(?:href=[\"']|<loc>){BASE}(/[^\"'#<]*)", body)
        waiting += [p for link in links if "?" not in link and _is_page(p := urlsplit(link).path)]


def _is_page(path: str) -> bool:
    return not path.startswith(("/wp-content", "/wp-includes", "/wp-json", "/wp-admin")) and (
        path.endswith(("/", ".xml"))
    )


def _asked(path: str) -> str:
    for _ in range(START_S * 4):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{PORT}{path}", timeout=START_S) as answer:
                return str(answer.read().decode("utf-8"))
        except urllib.error.HTTPError:
            return ""
        except OSError:  # not listening yet
            time.sleep(0.25)
    raise CannotBuild("php did not answer")


ENGINES = tuple(
    Real(f"wordpress-{theme}", lambda t: f"/{t.day:%Y/%m}/{t.slug}/", partial(wordpress, theme))
    for theme in ("twentytwentyone", "twentytwentytwo", "twentytwentythree")
)
