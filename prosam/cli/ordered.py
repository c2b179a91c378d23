"""A command that knows the order of its options."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperCommand

_ORDER = "prosam.order"


class OrderedCommand(TyperCommand):
    """A command whose options belong to the ones before them, such as --mask to its --reference."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As in typer; also records the names of the options in order, with repetitions."""
        if args:  # without arguments, typer may show the help
            *_, order = self.make_parser(ctx).parse_args(args=list(args))
            ctx.meta[_ORDER] = [str(parameter.name) for parameter in order]
        return super().parse_args(ctx, args)


def options_in_order(context: typer.Context) -> list[str]:
    """The names of an OrderedCommand's options in the order given."""
    return context.meta.get(_ORDER, [])
