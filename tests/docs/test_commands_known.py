"""Somebody tests every command of the documents: it is run, or a table says why not; names that are told exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command_parsing import NotAccepted, parse_lsm
from command_ways import Way, commands_by, lsm_words, way_of
from document_commands import ROOT, Block, Command, commands, commands_of_block, inline_commands
from not_run_here import NOT_RUN, why_not_run

from lsm_core.cli.main import main

HERE = Path(__file__).parent
ROS2_VERBS = {
    "topic": {"list", "echo", "hz", "info", "bw", "delay", "pub", "type"},
    "service": {"list", "call", "type", "info"},
    "node": {"list", "info"},
    "param": {"list", "get", "set", "describe", "dump", "load"},
    "lifecycle": {"get", "set", "list", "nodes"},
    "interface": {"show", "list"},
    "launch": set[str](),
    "run": set[str](),
    "doctor": set[str](),
}


def test_somebody_tests_every_command() -> None:
    forgotten = [f"{c.where}: {c.text}" for c in commands() if way_of(c) is None]
    assert not forgotten, "no test runs these; let one (command_ways.py), or say why not (not_run_here.py)"


def test_every_way_has_its_test_file() -> None:
    assert [way for way in Way if not (HERE / way.value).is_file() or not commands_by(way)] == []


def test_most_commands_are_run() -> None:
    lines = [c for c in commands() if not c.inline]
    run = [c for c in lines if way_of(c) is not Way.TABLE]
    assert len(commands()) > 350 and len(run) > 0.6 * len(lines)


@pytest.mark.parametrize("entry", NOT_RUN, ids=lambda entry: entry.pattern)
def test_the_table_of_what_is_not_run_has_no_stale_entry(entry: object) -> None:
    assert any(why_not_run(command) is entry for command in commands())


def test_the_tests_named_in_the_table_exist() -> None:
    named = [path for entry in NOT_RUN for path in re.findall(r"tests/[\w/.]+", entry.reason)]
    assert len(named) >= 8 and [path for path in named if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("command", commands_by(Way.NAMED), ids=lambda command: f"{command.where} {command.text}")
def test_what_running_text_names_exists(command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    words = lsm_words(command)
    if words is None:
        assert command.words[1] in ROS2_VERBS
        verbs = ROS2_VERBS[command.words[1]] or {"lsm_perception"}
        assert not command.words[2:] or command.words[2] in verbs
    elif all(re.fullmatch(r"[a-z0-9][a-z0-9-]*", word) for word in words):
        assert main([*words, "--help"]) == 0 and "Usage: lsm" in capsys.readouterr().out
    else:
        parse_lsm(words, complete=False)


def test_commands_of_a_block_are_found_with_line_and_comment() -> None:
    text = "# a comment\n./run demo   # all\n\nlsm query a.jpg \\\n  \"x # y\" -o 'a b' && lsm --version | tee x\n"
    found = commands_of_block(Block("page.md", 10, "bash", text))
    assert [(c.line, c.text, c.comment) for c in found] == [
        (11, "./run demo", "all"),
        (13, "lsm query a.jpg \"x # y\" -o 'a b'", ""),
        (13, "lsm --version", ""),
        (13, "tee x", ""),
    ]
    assert found[1].words[-1] == "a b"
    assert not commands_of_block(Block("page.md", 1, "python", "lsm --version"))


def test_commands_in_running_text_and_tables_are_found() -> None:
    text = "Type `lsm query A\nB` or `./run`.\n\n| `lsm bench x --device cpu\\|cuda` |\n\n```\n`lsm eval z`\n```\n"
    found = inline_commands(text, "page.md")
    assert [(c.line, c.text) for c in found] == [(1, "lsm query A B"), (4, "lsm bench x --device cpu|cuda")]


@pytest.mark.parametrize(
    "words", ["frobnicate", "query --colour red", "render a --frames none", "bench nothing", "eval rooms --limit x"]
)
def test_what_the_parser_refuses_is_an_error(words: str) -> None:
    with pytest.raises(NotAccepted):
        parse_lsm(words.split(), complete=False)
