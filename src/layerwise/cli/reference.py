"""The command that writes the page of all commands, from what they say of themselves."""

from collections.abc import Iterator
from itertools import groupby
from typing import Any

import typer

OPENING = """# Commands

`layerwise COMMAND --help` says the same; `layerwise commands` writes this page. `-h` is short for `--help`, and
`layerwise --version` prints the version. Paths given to a command count from the working
folder, those in a study file from the folder of that file."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""

    @app.command(rich_help_panel="Look things up")
    def commands() -> None:
        """Print every command with its options, as Markdown (docs/commands.md)."""
        typer.echo(write_commands(app))


def write_commands(app: typer.Typer) -> str:
    """Write a section for each command, in the order and under the headings of the help."""
    found = list(listed(app))
    order = list(dict.fromkeys(panel for panel, _, _ in found))
    parts = [OPENING]
    for panel, some in groupby(sorted(found, key=lambda one: order.index(one[0])), key=lambda one: one[0]):
        parts += [f"## {panel}", *(_section(name, command) for _, name, command in some)]
    return "\n\n".join(parts)


def listed(app: typer.Typer) -> Iterator[tuple[str, str, Any]]:
    """List heading, name and command, of groups each command in them."""
    for name, command in typer.main.get_command(app).commands.items():  # type: ignore[attr-defined]
        within = getattr(command, "commands", {})
        if getattr(command, "invoke_without_command", False) or not within:
            yield _panel(command), name, command
        for inner, one in within.items():
            yield _panel(command), f"{name} {inner}", one


def _panel(command: Any) -> str:
    panel = command.rich_help_panel
    return panel if isinstance(panel, str) else "Others"


def _section(name: str, command: Any) -> str:
    shown = [one for one in command.params if not one.hidden and one.name != "help"]
    arguments = [_named(one) for one in shown if one.param_type_name == "argument"]
    usage = " ".join(["layerwise", name, *arguments, *(["[OPTIONS]"] if len(shown) > len(arguments) else [])])
    lines = [f"### {name}", "", _plain(command.help), "", "```text", usage, "```"]
    return "\n".join([*lines, *_table(shown)])


def _table(parameters: list[Any]) -> list[str]:
    rows = [f"| {_spelled(one)} | {_default(one)} | {_plain(one.help)} |" for one in parameters]
    return (
        ["", "| option | default | meaning |", "|---|---|---|", *(row.replace("  ", " ") for row in rows)]
        if rows
        else []
    )


def _spelled(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.name.upper()}`"
    return ", ".join(f"`{one}`" for one in (*parameter.opts, *parameter.secondary_opts))


def _named(argument: Any) -> str:
    name = argument.name.upper() + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def _default(parameter: Any) -> str:
    if parameter.required:
        return "must be given"
    if parameter.multiple:
        return "may be repeated"
    if parameter.default is None or parameter.default is False or callable(parameter.default):
        return ""
    return f"`{parameter.default}`"


def _plain(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")
