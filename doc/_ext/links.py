"""A check of the finished pages: links and pictures within them exist."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """The places a page has, and those it refers to."""

    def __init__(self, path):
        super().__init__()
        self.places, self.links = set(), set()
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.places.add(attrs.get("id"))
        self.links.update(attrs[name] for name in ("href", "src") if attrs.get(name))


def find_dead(folder):
    """Return (page, link) for each link within a folder that leads nowhere."""
    folder, dead = Path(folder).resolve(), []
    # Those in _static are templates of the theme.
    paths = (path for path in folder.rglob("*.html") if "_static" not in path.parts)
    pages = {path: Page(path) for path in paths}
    for path, page in pages.items():
        for link in sorted(page.links):
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            name, place = unquote(parts.path), unquote(parts.fragment)
            target = (path.parent / name).resolve() if name else path
            places = pages[target].places if place and target in pages else {place}
            if not target.is_file() or place not in places:
                dead.append((path.relative_to(folder).as_posix(), link))
    return sorted(dead)


def check(app, error):
    """Fail a build whose pages have a link that leads nowhere."""
    from sphinx.errors import SphinxError

    if error is not None or app.builder.format != "html":
        return
    if dead := find_dead(app.outdir):
        lines = (f"{page}: {link}" for page, link in dead)
        raise SphinxError("Links that lead nowhere:\n" + "\n".join(lines))


def setup(app):
    """Check when everything has been written."""
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True}
