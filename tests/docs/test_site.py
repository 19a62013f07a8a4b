"""The documentation builds as a site without a warning, and every link in it leads somewhere."""

from __future__ import annotations

import os
import posixpath
import re
import subprocess
import sys
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from chromium import browser, find_browser

pytest.importorskip("material", reason="the extra `docs` (MkDocs) is not installed")

ROOT = Path(__file__).resolve().parents[2]
# What Markdown and the theme make.
TAGS = """
    a article aside blockquote body br button code dd del details div dl dt em footer form h1 h2 h3 h4 h5 h6 head
    header hr html img input kbd label li link main mark meta nav ol p path pre script small span strong style sub
    summary sup svg table tbody td th thead title tr ul wbr
"""


@dataclass
class Page(HTMLParser):
    """What an HTML page links to, loads by itself, and can be jumped to."""

    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)
    tags: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.tags.add(tag)
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        target = values.get("href") or values.get("src")
        if target is not None:
            self.links.append(target)
            if tag != "a":
                self.loaded.append(target)


def build(config: Path, target: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-f", str(config), "-d", str(target)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", target)
    assert done.returncode == 0 and "WARNING" not in done.stderr, done.stderr
    return target


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    """All pages by their path in the site."""
    found = {}
    for path in sorted(site.rglob("*.html")):
        page = found[path.relative_to(site).as_posix()] = Page()
        page.feed(path.read_text(encoding="utf-8"))
    return found


def resolve(page: str, link: str) -> tuple[str, str]:
    """Return the path in the site and the anchor of a link on a page."""
    parts = urlsplit(link)
    folder = "" if parts.path.startswith("/") else posixpath.dirname(page)
    path = posixpath.normpath(posixpath.join(folder, unquote(parts.path).lstrip("/"))) if parts.path else page
    return path, unquote(parts.fragment)


def is_local(link: str) -> bool:
    return not urlsplit(link).scheme and not link.startswith("//")


def test_every_page_of_docs_is_in_the_site(pages: dict[str, Page]) -> None:
    written = {f"{path.stem}.html" for path in (ROOT / "docs").glob("*.md")}
    assert len(written) > 20
    assert written <= set(pages)


def test_every_link_leads_to_a_file_of_the_site(site: Path, pages: dict[str, Page]) -> None:
    dead = [
        (name, link)
        for name, page in pages.items()
        for link in page.links
        if is_local(link) and not (site / resolve(name, link)[0]).exists()
    ]
    assert not dead


def test_every_anchor_exists_on_the_page_it_names(pages: dict[str, Page]) -> None:
    dead = []
    for name, page in pages.items():
        for link in filter(is_local, page.links):
            target, anchor = resolve(name, link)
            if anchor and anchor not in pages[target].anchors:
                dead.append((name, link))
    assert not dead


def test_no_word_in_angle_brackets_is_taken_for_a_tag(pages: dict[str, Page]) -> None:
    """`<camera>` in a sentence vanishes, or becomes a button; in backticks it stays."""
    unknown = {(name, tag) for name, page in pages.items() for tag in page.tags - set(TAGS.split())}
    assert not unknown


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_lists_and_tables_begin_after_an_empty_line(page: Path) -> None:
    """Without one the site shows a paragraph, though other readers of Markdown show a list."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    lines = ["", *text.splitlines()]
    wrong, inside = [], False
    for before, line in pairwise(lines):
        begins = re.match(r" *([-*]|\d+\.) ", line) is not None or line.startswith("|")
        if begins and not inside and before.strip() and not before.startswith("#"):
            wrong.append(line)
        inside = bool(line.strip()) and (inside or begins)
    assert not wrong


def test_nothing_is_fetched_from_elsewhere(pages: dict[str, Page]) -> None:
    foreign = {(name, link) for name, page in pages.items() for link in page.loaded if not is_local(link)}
    assert not foreign


def test_linked_tests_and_documents_outside_docs_are_pages(site: Path) -> None:
    reached = (site / "repository/SECURITY.md.html").read_text(encoding="utf-8")
    assert '<h1 id="security">Security' in reached


# ---------------------------------------------------------------- the hook, on a repository of a few files


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A repository whose one page links to what lies outside docs/."""
    (tmp_path / "docs/images").mkdir(parents=True)
    (tmp_path / "tests").mkdir()
    (tmp_path / "docs/images/a.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (tmp_path / "tests/test_a.py").write_text('def test_a() -> None:\n    assert "```" and "# no heading"\n')
    (tmp_path / "tests/blob.bin").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "NOTES.md").write_text("# Notes\n\n[h](docs/index.md#home) ![a](docs/images/a.svg) [t](tests/)\n")
    (tmp_path / "mkdocs.yml").write_text(
        f"INHERIT: {ROOT}/mkdocs.yml\ndocs_dir: docs\nextra_css: []\nhooks: [{ROOT}/tools/mkdocs_hook.py]\n"
        "nav:\n  - Home: index.md\n"
    )
    return tmp_path


def test_a_linked_source_file_becomes_a_page_with_numbered_lines(small: Path) -> None:
    (small / "docs/index.md").write_text("# Home\n\n[a](../tests/test_a.py)\n\n[b](../tests/blob.bin)\n")
    done = build(small / "mkdocs.yml", small / "site")
    assert done.returncode == 0, done.stderr
    home = (small / "site/index.html").read_text()
    assert 'href="repository/tests/test_a.py.html"' in home
    assert (small / "site/repository/tests/blob.bin").read_bytes() == b"\xff\xfe\x00"
    page = Page()
    page.feed((small / "site/repository/tests/test_a.py.html").read_text())
    assert "__codelineno-0-2" in page.anchors and "no-heading" not in page.anchors


def test_names_in_tables_may_be_broken_at_their_joints_only(small: Path) -> None:
    (small / "docs/index.md").write_text("# Home\n\n`a/b`\n\n| x |\n|---|\n| `~/a/b_c:=d` and/or |\n")
    done = build(small / "mkdocs.yml", small / "site")
    assert done.returncode == 0, done.stderr
    home = (small / "site/index.html").read_text()
    assert "<code>a/b</code>" in home and "<code>~/a/<wbr>b_c:=<wbr>d</code> and/or" in home


def test_the_links_of_a_linked_document_are_followed(small: Path) -> None:
    (small / "docs/index.md").write_text("# Home\n\n[notes](../NOTES.md)\n\n```bash\n[x](../gone.md)\n```\n")
    done = build(small / "mkdocs.yml", small / "site")
    assert done.returncode == 0, done.stderr
    notes = (small / "site/repository/NOTES.md.html").read_text()
    assert 'href="../index.html#home"' in notes and 'src="../images/a.svg"' in notes
    assert "<code>test_a.py</code>" in (small / "site/repository/tests.html").read_text()


@pytest.mark.parametrize("link", ["../gone.py", "gone.md", "index.md#gone", "/index.md", "../../outside.md"])
def test_a_link_to_nothing_fails_the_build(small: Path, link: str) -> None:
    (small / "docs/index.md").write_text(f"# Home\n\n[a]({link})\n")
    done = build(small / "mkdocs.yml", small / "site")
    warnings = [line for line in done.stderr.splitlines() if line.startswith("WARNING")]
    assert done.returncode == 1 and len(warnings) == 1 and f"'{link}'" in warnings[0]


def test_a_page_that_no_menu_names_fails_the_build(small: Path) -> None:
    (small / "docs/index.md").write_text("# Home\n")
    (small / "docs/other.md").write_text("# Other\n")
    done = build(small / "mkdocs.yml", small / "site")
    assert done.returncode == 1 and "other.md" in done.stderr


# ---------------------------------------------------------------- in a browser, from the folder

# Types again each time it is looked at: what is typed before the search has its index is lost.
TYPE_AND_LOOK = """(() => {
  const input = document.querySelector('.md-search__input');
  input.focus();
  input.value = 'malformed messages';
  input.dispatchEvent(new KeyboardEvent('keyup', { bubbles: true }));
  return document.querySelectorAll('.md-search-result__item a').length > 0;
})()"""


@pytest.mark.skipif(find_browser() is None, reason="no Chromium on this machine")
def test_the_search_finds_a_page_without_a_server(site: Path, tmp_path: Path) -> None:
    program = find_browser()
    assert program is not None
    with browser(program, tmp_path) as shown:
        shown.open((site / "index.html").as_uri(), 1200, 800)
        shown.wait_for("document.readyState === 'complete'", 30)
        shown.wait_for(TYPE_AND_LOOK, 60)
        found = shown.evaluate("[...document.querySelectorAll('.md-search-result__item a')].map(a => a.href)")
        assert any("reliability.html" in link for link in found)
        assert all(request.startswith(("file:", "data:", "blob:")) for request in shown.requests)
