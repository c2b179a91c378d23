"""A command that knows in which order its options were given."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

_ORDER = "prosam.order"


class OrderedCommand(TyperCommand):
    """A command whose options belong to the ones before them, as --mask to its --reference."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in typer; keeps the names of the options as they came, each as often as it came."""
        if args:  # none at all may ask for help
            *_, order = self.make_parser(ctx).parse_args(args=list(args))
            ctx.meta[_ORDER] = [str(parameter.name) for parameter in order]
        return super().parse_args(ctx, args)


def options_in_order(context: typer.Context) -> list[str]:
    """The names of the options of an OrderedCommand as they came."""
    return context.meta.get(_ORDER, [])
