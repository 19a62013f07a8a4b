"""Commands and code of the documents: every line of shell blocks, every inline command, with page and line."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("bash", "sh", "console", "shell")
FENCE = re.compile(r"^( *)```+ *([\w+-]*)[^\n]*\n(.*?)^\1```+ *$", re.S | re.M)
SPAN = re.compile(r"(?<!`)`([^`]+)`(?!`)")
# What begins an inline command, or a line of a block without a language.
PROGRAM = re.compile(
    r"((\./run|lsm|ros2|colcon|pip3?|docker|torchrun|pytest|source|export|rosdep|git|npm|cd|\$)(?= )"
    r"|python3? (-m |t\w+/)|(source )?tools/[\w./]+\.(sh|py)\b|(sudo )?apt(-get)? (install|update) |\.ci/run$)"
)
HERE_DOCUMENT = re.compile(r"<<'?(\w+)'?$")
SEPARATORS = ("&&", "||", ";", "|")


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Attributes:
        page: path from the repository's root.
        line: of its first line of text, from 1.
        language: after the fence, "" without one.
        text: between the fences, not indented.
    """

    page: str
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"


@dataclass(frozen=True)
class Command:
    """One command as a reader would type it.

    Attributes:
        page: path from the repository's root.
        line: where it begins, from 1.
        text: without prompt and comment, continuation lines joined.
        comment: what stands behind it.
        inline: whether it stands in running text.
    """

    page: str
    line: int
    text: str
    comment: str = ""
    inline: bool = False

    @property
    def where(self) -> str:
        """Page and line."""
        return f"{self.page}:{self.line}"

    @property
    def words(self) -> list[str]:
        """The words as a shell would split them, without `VAR=value` in front."""
        words = split(self.text)
        while words and re.match(r"[A-Z_]+=", words[0]):
            del words[0]
        return words

    @property
    def name(self) -> str:
        """The command with one space between words, without `VAR=value` in front; `./run lsm` is `lsm`."""
        return re.sub(r"^([A-Z_]+=\S+ )*(\./run (?=lsm\b))?", "", " ".join(self.text.split()))


def split(text: str) -> list[str]:
    """Split one command into words, quotes removed; an apostrophe of a text is no quote."""
    try:
        return shlex.split(text)
    except ValueError:
        return text.split()


def pages() -> list[Path]:
    """Return the documents that tell readers what to type."""
    return [ROOT / "README.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").glob("*.md"))]


@cache
def blocks() -> tuple[Block, ...]:
    """Return all fenced blocks of all documents."""
    return tuple(block for page in pages() for block in blocks_of(page.read_text("utf-8"), name_of(page)))


@cache
def commands() -> tuple[Command, ...]:
    """Return all commands of all documents, in their order on each page."""
    found: list[Command] = []
    for page in pages():
        text, name = page.read_text("utf-8"), name_of(page)
        here = [command for block in blocks_of(text, name) for command in commands_of_block(block)]
        here += inline_commands(text, name)
        found += sorted(here, key=lambda command: command.line)
    return tuple(found)


def name_of(page: Path) -> str:
    """Return a page's path from the repository's root."""
    return page.relative_to(ROOT).as_posix()


def blocks_of(text: str, page: str) -> list[Block]:
    """Return the fenced blocks of a document."""
    out = []
    for match in FENCE.finditer(text):
        indent, language, body = match.groups()
        body = re.sub(f"^{indent}", "", body, flags=re.M)
        out.append(Block(page, text.count("\n", 0, match.start()) + 2, language, body))
    return out


def commands_of_block(block: Block) -> list[Command]:
    """Return the commands of a shell block; of one without a language, the lines that begin with a program."""
    if block.language not in (*SHELL, ""):
        return []
    out: list[Command] = []
    for number, line in joined_lines(block):
        if block.language == "" and not PROGRAM.match(line):
            continue
        if "\n" in line:
            out.append(Command(block.page, number, line))
            continue
        typed, comment = cut_comment(line.removeprefix("$ "))
        out += [Command(block.page, number, part, comment) for part in simple_commands(typed)]
    return out


def joined_lines(block: Block) -> list[tuple[int, str]]:
    """Return number and text of a block's lines: one with a backslash goes on in the next, `<<` up to its word."""
    out: list[tuple[int, str]] = []
    unfinished, end_of_input = False, ""
    for number, line in enumerate(block.text.splitlines(), block.line):
        text = line.strip()
        if end_of_input:
            begun, so_far = out[-1]
            out[-1] = (begun, f"{so_far}\n{line}")
            end_of_input = "" if text == end_of_input else end_of_input
            continue
        given = HERE_DOCUMENT.search(text)
        end_of_input = given.group(1) if given else ""
        if unfinished:
            begun, so_far = out[-1]
            out[-1] = (begun, so_far.removesuffix("\\").rstrip() + " " + text)
        elif text:
            out.append((number, text))
        unfinished = text.endswith("\\")
    return out


def cut_comment(line: str) -> tuple[str, str]:
    """Split a line into what a shell runs and the comment behind it."""
    quote = ""
    for index, letter in enumerate(line):
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "#" and (index == 0 or line[index - 1].isspace()):
            return line[:index].strip(), line[index + 1 :].strip()
    return line.strip(), ""


def simple_commands(line: str) -> list[str]:
    """Split a line at `&&`, `;` and pipes that stand outside quotes, and drop where output is sent."""
    parts: list[list[str]] = [[]]
    for word in re.findall(r"(?:[^\s'\"]|'[^']*'|\"[^\"]*\")+", line):
        if word in SEPARATORS:
            parts.append([])
        elif word.endswith(";") and word != ";":
            parts[-1].append(word[:-1])
            parts.append([])
        elif word != "&":
            parts[-1].append(word)
    return [" ".join(part) for part in parts if part]


def inline_commands(text: str, page: str) -> list[Command]:
    """Return the commands in running text and tables."""
    text = FENCE.sub(lambda match: "\n" * match.group(0).count("\n"), text)
    out = []
    for match in SPAN.finditer(text):
        span = " ".join(match.group(1).replace("\\|", "|").split()).removeprefix("$ ")
        if PROGRAM.match(span):
            line = text.count("\n", 0, match.start()) + 1
            out += [Command(page, line, part, inline=True) for part in simple_commands(span)]
    return out
