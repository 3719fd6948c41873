"""The commands of `veil`, each imported when it is called or listed: all of them together take a second."""

from collections.abc import Mapping
from importlib import import_module

import typer
from typer.core import TyperCommand, TyperGroup

_COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "redact": ("redact", "redact", "EPILOG"),
    "audit": ("audit", "audit", "EPILOG"),
    "verify": ("disclose.verify", "verify", "VERIFY_EPILOG"),
    "run": ("sites", "run", "EPILOG"),
    "tail": ("tail", "tail", "EPILOG"),
    "compliance": ("compliance", "compliance", "EPILOG"),
    "watch": ("watch", "watch", "EPILOG"),
    "topics": ("topics", "topics", "EPILOG"),
    "plan": ("planning", "plan", "PLAN_EPILOG"),
    "simulate": ("planning", "simulate", "SIMULATE_EPILOG"),
    "service": ("service", "service", "EPILOG"),
}
"""Command → module of this package, its function, its epilog."""
_GROUPS: Mapping[str, str] = {
    "review": "review",
    "disclose": "disclose",
    "audit-log": "audit_log",
    "accounts": "accounts",
    "policy": "policies",
    "models": "models",
    "logo": "logo",
    "keys": "keys",
    "vault": "vault",
    "insight": "insight",
}
"""Group of commands → module of this package that has it as `app`."""


class Commands(TyperGroup):
    """The commands above, before those that are registered as usual."""

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override] # noqa: ARG002
        """All names, in the order in which help shows them."""
        return list(dict.fromkeys([*_COMMANDS, *_GROUPS, *self.commands]))

    def get_command(self, ctx: typer.Context, cmd_name: str) -> TyperCommand | TyperGroup | None:  # type: ignore[override]
        """The command of this name; None if there is none: then all are there, for a similar name to be proposed."""
        names = self.list_commands(ctx)
        for name in [cmd_name] if cmd_name in names else names:
            if name not in self.commands:
                self.commands[name] = _loaded(name)
        return super().get_command(ctx, cmd_name)  # type: ignore[return-value]


def _loaded(name: str) -> TyperCommand | TyperGroup:
    holder = typer.Typer(rich_markup_mode="rich", pretty_exceptions_enable=False, add_completion=False)
    if name in _GROUPS:
        holder.add_typer(import_module(f"services.cli.{_GROUPS[name]}").app, name=name)
    else:
        where, function, epilog = _COMMANDS[name]
        module = import_module(f"services.cli.{where}")
        holder.command(name, epilog=getattr(module, epilog))(getattr(module, function))
    holder.callback()(lambda: None)
    group = typer.main.get_command(holder)
    return group.commands[name]  # type: ignore[attr-defined, no-any-return]
