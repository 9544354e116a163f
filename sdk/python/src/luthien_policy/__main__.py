"""`python -m luthien_policy FILE`: serves the policy in a file."""

from __future__ import annotations

import argparse
import importlib.util
import logging
import os
import sys
from pathlib import Path
from types import ModuleType

from .policy import Definition, FunctionPolicy, Policy
from .server import serve


def main(arguments: list[str] | None = None) -> int:
    """Runs the command; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m luthien_policy", description="Serves a policy to the Luthien gateway.")
    parser.add_argument("file", type=Path, help="the Python file with the policy")
    parser.add_argument("--name", help="which one, where the file has several: the class's or the variable's name")
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--socket", type=Path, help="the path of a Unix socket to listen on")
    place.add_argument("--port", type=int, help="the TCP port to listen on; 0 takes a free one")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on (default %(default)s)")
    parser.add_argument("--secret-env", metavar="NAME", help="the environment variable with the secret that messages must bring")
    parser.add_argument("--max-concurrency", type=int, default=64, help="reviews at once (default %(default)s)")
    parser.add_argument("--until-stdin-ends", action="store_true", help="end when the standard input does, too")
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning", "error"])
    given = parser.parse_args(arguments)
    logging.basicConfig(level=given.log_level.upper(), format="%(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    secret = None
    if given.secret_env is not None:
        secret = os.environ.get(given.secret_env)
        if not secret:
            parser.error(f"the environment variable {given.secret_env} is not set")
    try:
        definition = find(load(given.file), given.name)
        serve(
            definition,
            unix=given.socket,
            host=given.host,
            port=given.port,
            secret=secret,
            max_concurrency=given.max_concurrency,
            until_stdin_ends=given.until_stdin_ends,
        )
    except (OSError, TypeError, ValueError, LookupError) as error:
        print(f"cannot serve {given.file}: {error}", file=sys.stderr)
        return 1
    return 0


def load(file: Path) -> ModuleType:
    """The module in a file. Its folder comes first in the search for other modules."""
    if not file.is_file():
        raise FileNotFoundError(f"there is no file {file}")
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise ValueError("it is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(file.absolute().parent))
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def find(module: ModuleType, name: str | None) -> Definition:
    """The policy of this name in a module, or its only one."""
    found: dict[str, Definition] = {}
    for key, value in vars(module).items():
        if isinstance(value, FunctionPolicy):
            found[key] = value
        elif isinstance(value, type) and issubclass(value, Policy) and value.__module__ == module.__name__:
            found[key] = value
    if name is not None:
        if name not in found:
            raise LookupError(f"it has no policy {name!r}; it has {', '.join(found) or 'none'}")
        return found[name]
    if len(found) != 1:
        raise LookupError(f"it has {len(found)} policies ({', '.join(found) or 'none'}); say which by --name")
    return next(iter(found.values()))


if __name__ == "__main__":
    sys.exit(main())
