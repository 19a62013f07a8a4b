"""Configurations by name or file: a preset, or a YAML file that changes some of its values."""

from __future__ import annotations

import json
import types
from collections.abc import Mapping
from dataclasses import asdict, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import yaml

from lsm_core.errors import InputError

Config = TypeVar("Config")
PRESET_KEY = "preset"


def choose_config(choice: str, presets: Mapping[str, Config], default: str) -> Config:
    """Return a preset, or a preset changed by a YAML file.

    Args:
        choice: name of a preset, or path of a file that ends in .yaml or .yml. The file's key "preset" names what
            it changes (`default` without it); its other keys are fields of the configuration, nested as it is.
        presets: by name.
        default: see `choice`.

    Raises:
        InputError: no such preset or file, no YAML, an unknown key, or a value of another type.
    """
    if choice in presets:
        return presets[choice]
    path = Path(choice)
    if path.suffix not in (".yaml", ".yml"):
        raise InputError(
            f"There is no configuration '{choice}'.", f"Choose one of {', '.join(presets)}, or a .yaml file."
        )
    document = _read(path)
    name = document.pop(PRESET_KEY, default)
    if name not in presets:
        raise InputError(f"{path}: there is no preset '{name}'.", f"Choose one of: {', '.join(presets)}.")
    return changed(presets[name], document, str(path))


def config_text(config: object) -> str:
    """Return a configuration as a YAML file that `choose_config` reads: every key with its value."""
    assert is_dataclass(config) and not isinstance(config, type)
    plain = json.loads(json.dumps(asdict(config)))  # tuples as lists
    return yaml.safe_dump(plain, sort_keys=False, default_flow_style=None, width=100)


def changed(config: Config, values: Mapping[str, Any], where: str) -> Config:
    """Return a dataclass with some fields replaced by values as YAML gives them.

    Args:
        config: frozen dataclass; its fields may be dataclasses, which are changed likewise.
        values: by field name.
        where: begins the messages, grows with the keys.

    Raises:
        InputError: an unknown key, or a value of another type.
    """
    assert is_dataclass(config) and not isinstance(config, type)
    hints = get_type_hints(type(config))
    known = [f.name for f in fields(config)]
    new: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            raise InputError(f"{where}: there is no '{key}'.", f"Choose among: {', '.join(known)}.")
        place, present = f"{where}: {key}", getattr(config, key)
        if is_dataclass(present) and isinstance(value, Mapping):
            new[key] = changed(present, value, place)
        else:
            new[key] = _converted(value, hints[key], place)
    result: Config = replace(config, **new)
    return result


def _converted(value: Any, hint: Any, where: str) -> Any:
    """Return a YAML value as a field of a type takes it."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _converted(value, next(a for a in arguments if a is not type(None)), where)
    if origin is Literal:
        if value in arguments:
            return value
        raise InputError(f"{where} is {value!r}.", f"Choose one of: {', '.join(map(repr, arguments))}.")
    if origin is tuple and isinstance(value, list):
        kinds = [arguments[0]] * len(value) if arguments[-1] is ... else list(arguments)
        if len(kinds) != len(value):
            raise InputError(f"{where} has {len(value)} values, not {len(kinds)}.", "Give a list of that length.")
        return tuple(_converted(v, kind, where) for v, kind in zip(value, kinds, strict=True))
    if is_dataclass(hint) and isinstance(hint, type) and isinstance(value, Mapping):
        return _made(hint, value, where)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        return _number(value, where)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise InputError(f"{where} is {value!r}, which is no {getattr(hint, '__name__', hint)}.", "Change its type.")


def _made(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """Make a dataclass from scratch (the items of a list)."""
    hints, known = get_type_hints(kind), [f.name for f in fields(kind)]
    unknown = [key for key in values if key not in known]
    if unknown:
        raise InputError(f"{where}: there is no '{unknown[0]}'.", f"Choose among: {', '.join(known)}.")
    try:
        return kind(**{key: _converted(value, hints[key], f"{where}: {key}") for key, value in values.items()})
    except TypeError as error:
        raise InputError(f"{where} is incomplete: {error}.", f"Its keys: {', '.join(known)}.") from error


def _number(value: float | str, where: str) -> float:
    """Return a float; YAML reads 1e-4 (without a point) as text."""
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"{where} is {value!r}, which is no number.", "Write it like 0.0001 or 1.0e-4.") from error


def _read(path: Path) -> dict[str, Any]:
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"The configuration {path} cannot be read: {error}.", "Check the file.") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise InputError(f"{path} holds no mapping of keys to values.", "Write lines like  run: {steps: 100}.")
    return document
