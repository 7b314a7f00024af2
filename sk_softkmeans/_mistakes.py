"""What the user of the command can mend, and how it is said."""

from importlib import import_module

# An error is a line.
_LISTED = 20


class CommandError(Exception):
    """A mistake of the user: printed in one line, without a traceback."""


def require(module, subject=""):
    """Return a module that the package itself does not need, but the subject does."""
    try:
        return import_module(module)
    except ImportError as error:
        library = module.partition(".")[0]
        raise CommandError(
            f"{subject} needs {library}, which is not installed: "
            f'pip install "sk-softkmeans[cli]"'.lstrip()
        ) from error


def listed(names):
    """Return names in quotes, the first ones if there are many."""
    names = [repr(str(name)) for name in names]
    more = [f"... ({len(names)} in all)"] if len(names) > _LISTED else []
    return ", ".join(names[:_LISTED] + more)


def printable(text):
    """Return a text with escapes for what would move a terminal's cursor, or worse."""
    return "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in text
    )
