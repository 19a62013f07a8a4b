"""Hook of MkDocs: files of the repository that a page links to become pages of the site.

Pages under docs/ link to sources, tests and SECURITY.md by plain relative paths, which work wherever the repository
is read as files. A site holds only docs/; so every file outside of it that a page links to is added below
`repository/`: Markdown as a page (whose own links are followed too), source text highlighted with numbered lines, a
folder as a list of its files, anything else as it is. The links are then turned to where these pages are. A link to
nothing stays as it was, and `mkdocs build --strict` refuses it. Long names in tables may be broken at their joints.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Callable
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from pygments.lexers import find_lexer_class_for_filename

ADDED = "repository"  # the folder of the site that holds what lies outside docs/
LINK = re.compile(r"(?<=\]\()([^)\s#:]+)(#[^)\s]*)?(?=[)\s])")
FENCE = re.compile(r"^( *)(```+|~~~+).*?^ *\2`*~*\s*$", re.MULTILINE | re.DOTALL)
CELL = re.compile(r"<td[^>]*>.*?</td>", re.DOTALL)
CODE = re.compile(r"(?<=<code>).*?(?=</code>)", re.DOTALL)
JOINT = re.compile(r"(?<=\w)/(?=\w)|:=(?=\w)")
# Sources would crowd the pages out of the search, and need the whole width.
UNLISTED = "---\nsearch:\n  exclude: true\nhide:\n  - navigation\n  - toc\n---\n\n"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the linked files, and what those link to in turn."""
    root, pending = _root(config), list(files.documentation_pages())
    while pending:
        page = pending.pop()
        folder = posixpath.dirname(_path_in_repository(page.src_uri))
        for target in _links(page.content_string, folder):
            if _find(files, target) is None and not target.startswith("docs/") and (root / target).exists():
                added = _file_of(root, target, config)
                files.append(added)
                if added.is_documentation_page():
                    pending.append(added)
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Turn links to files outside docs/, and those of added pages, to where the files are in the site."""
    uri = page.file.src_uri
    folder = posixpath.dirname(_path_in_repository(uri))

    def turn(match: re.Match[str]) -> str:
        target = posixpath.normpath(posixpath.join(folder, match[1]))
        there = _find(files, target)
        if there is None:
            return match[0]
        return posixpath.relpath(there.src_uri, posixpath.dirname(uri) or ".") + (match[2] or "")

    return _outside_fences(markdown, lambda text: LINK.sub(turn, text))


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let long names in the cells of tables be broken where they have joints, and nowhere else."""
    return CELL.sub(lambda cell: CODE.sub(lambda code: JOINT.sub(r"\g<0><wbr>", code[0]), cell[0]), html)


def _root(config: MkDocsConfig) -> Path:
    return Path(config.docs_dir).parent


def _path_in_repository(uri: str) -> str:
    """Return the path that a page of the site was made from, relative to the repository."""
    if uri.startswith(f"{ADDED}/"):
        return uri.removeprefix(f"{ADDED}/").removesuffix(".md")
    return f"docs/{uri}"


def _find(files: Files, target: str) -> File | None:
    """Return what the site has for a path of the repository: the file itself, or the page made of it."""
    if target.startswith("docs/"):
        return files.get_file_from_path(target.removeprefix("docs/"))
    return files.get_file_from_path(f"{ADDED}/{target}.md") or files.get_file_from_path(f"{ADDED}/{target}")


def _links(markdown: str, folder: str) -> list[str]:
    """Return the local targets of a page in `folder`, relative to the repository."""
    links = LINK.finditer(FENCE.sub("", markdown))
    targets = [posixpath.normpath(posixpath.join(folder, match[1])) for match in links]
    return [target for target in targets if not target.startswith("..")]


def _outside_fences(markdown: str, change: Callable[[str], str]) -> str:
    """Apply `change` to what is no fenced block of code."""
    parts, at = [], 0
    for fence in FENCE.finditer(markdown):
        parts += [change(markdown[at : fence.start()]), fence[0]]
        at = fence.end()
    return "".join([*parts, change(markdown[at:])])


def _file_of(root: Path, target: str, config: MkDocsConfig) -> File:
    """Make a page of a file or folder, or hand the file on when it is no text."""
    path, uri = root / target, f"{ADDED}/{target}.md"
    if path.is_dir():
        names = sorted(name + "/" * (path / name).is_dir() for name in os.listdir(path) if name[0] not in "._")
        content = UNLISTED + f"# {target}/\n\n" + "".join(f"- `{name}`\n" for name in names)
        return File.generated(config, uri, content=content)
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return File.generated(config, uri.removesuffix(".md"), abs_src_path=str(path))
    return File.generated(config, uri, content=text if path.suffix == ".md" else _source_page(target, text))


def _source_page(target: str, text: str) -> str:
    """Return a page that shows a source file with numbered lines."""
    lexer = find_lexer_class_for_filename(posixpath.basename(target))
    shell = text.startswith("#!") and "sh" in text.partition("\n")[0]
    language = "bash" if shell else lexer.aliases[0] if lexer is not None else "text"
    fence = "`" * (3 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f'{UNLISTED}# {target}\n\n{fence}{language} linenums="1"\n{text.rstrip()}\n{fence}\n'
