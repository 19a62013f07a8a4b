"""The SROS2 policy of this package's nodes: `python -m lsm_perception.sros2_policy [key:=value ...] [-o FILE]`.

Takes the arguments of bring-up, for a policy names topics as they are after remapping. What is not in it is denied.
`ros2 security create_permission KEYSTORE ENCLAVE FILE` turns the file into DDS permissions.

Source: the policy format 0.2.0 of github.com/ros2/sros2 (sros2/policy/schemas/policy.xsd), written from its schema.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from lsm_perception.bringup import parse_arguments
from lsm_perception.interface import Interface, interfaces
from lsm_perception.launch_argument import ArgumentError

VERSION = "0.2.0"
COMMAND = "python -m lsm_perception.sros2_policy"


def policy(values: Mapping[str, str]) -> Element:
    """Return the policy: one enclave for the perception node and its health check, one for the viewer.

    Args:
        values: all arguments of bring-up by name.
    """
    root = Element("policy", version=VERSION)
    enclaves = SubElement(root, "enclaves")
    node, viewer, probe = interfaces(values)
    for members in ((node, probe), (viewer,)):
        enclave = SubElement(enclaves, "enclave", path=members[0].full_name)
        profiles = SubElement(enclave, "profiles")
        for member in members:
            _add_profile(profiles, member)
    return root


def policy_text(words: Sequence[str]) -> str:
    """Return the policy for bring-up's `key:=value` words as the text of an XML file.

    Raises:
        ArgumentError: a word is unknown or has a value that is not allowed.
    """
    values, _ = parse_arguments(words)
    root = policy(values)
    ElementTree.indent(root)
    made_by = " ".join([COMMAND, *words]).replace("--", "- -")  # two dashes would end the comment
    body = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<!-- Made by: {made_by} (see SECURITY.md) -->\n{body}\n'


def _add_profile(profiles: Element, interface: Interface) -> None:
    profile = SubElement(profiles, "profile", ns=interface.namespace, node=interface.node)
    groups = (
        ("topics", "publish", "topic", interface.publishes),
        ("topics", "subscribe", "topic", interface.subscribes),
        ("services", "reply", "service", interface.serves),
        ("services", "request", "service", interface.requests),
    )
    for kind, right, item, names in groups:
        if names:
            group = SubElement(profile, kind, {right: "ALLOW"})
            for name in names:
                SubElement(group, item).text = name


def main(words: Sequence[str] | None = None) -> int:
    """Print the policy, or write it with `-o FILE`; 2 for bad arguments."""
    parser = argparse.ArgumentParser(prog="./run policy", description="Print the SROS2 policy of the nodes.")
    parser.add_argument("words", nargs="*", metavar="name:=value", help="arguments of bring-up")
    parser.add_argument("-o", dest="target", type=Path, metavar="FILE", help="write it here instead of printing it")
    given = parser.parse_intermixed_args(words)
    try:
        text = policy_text(given.words)
    except (ArgumentError, OSError) as error:
        print(f"sros2_policy: {error}", file=sys.stderr)
        return 2
    if given.target is None:
        print(text, end="")
    else:
        given.target.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
