"""What the user of the command can mend, and how it is said."""

from importlib import import_module


class CommandError(Exception):
    """A mistake of the user: printed in one line, without a traceback."""


def require(module, purpose):
    """Return a module that the package itself does not need."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise CommandError(
            f"{purpose} needs {library}, which is not installed: "
            f'pip install "sk-softkmeans[cli]"'
        ) from error


def listed(names):
    """Return names in quotes."""
    return ", ".join(map(repr, map(str, names)))
