"""AdamW (Loshchilov and Hutter 2019) without torch's compiler, which torch's own optimisers import."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor, nn

_BETA1, _BETA2, _EPS = 0.9, 0.999, 1e-8  # torch's defaults


class SteppingOptimizer(Protocol):
    """What a training needs of an optimiser; torch's optimisers have it too."""

    param_groups: list[dict[str, Any]]

    def zero_grad(self) -> None:
        """Forget all gradients."""

    def step(self) -> Any:
        """Change the parameters."""

    def state_dict(self) -> dict[str, Any]:
        """What is needed to go on later."""
        ...

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state."""


class EagerAdamW:
    """AdamW on a CPU: the operations of `torch.optim.AdamW` in their order, so that all bits are equal.

    A state of one is a state of the other.

    Attributes:
        param_groups: one group, with `lr`, which may be changed between steps.
    """

    def __init__(self, params: Iterable[nn.Parameter], *, lr: float, weight_decay: float):
        """Begin without moments.

        Args:
            params: the parameters to optimise.
            lr: learning rate.
            weight_decay: of all parameters, decoupled from the gradient.
        """
        self._params = list(params)
        self._moments: dict[int, dict[str, Tensor]] = {}  # number of the parameter -> step and moments
        # the further keys are those of a state of torch's, and say what this class computes
        self.param_groups: list[dict[str, Any]] = [
            {"lr": lr, "betas": (_BETA1, _BETA2), "eps": _EPS, "weight_decay": weight_decay, "amsgrad": False}
            | {"maximize": False, "foreach": None, "capturable": False, "differentiable": False, "fused": None}
            | {"decoupled_weight_decay": True}
        ]

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for param in self._params:
            param.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Change each parameter that has a gradient."""
        lr, decay = self.param_groups[0]["lr"], self.param_groups[0]["weight_decay"]
        for number, param in enumerate(self._params):
            if param.grad is None:
                continue
            moments = self._moments.get(number) or self._begun(number, param)
            mean, square = moments["exp_avg"], moments["exp_avg_sq"]
            moments["step"] += 1
            step = moments["step"].item()
            if decay:
                param.mul_(1 - lr * decay)
            mean.lerp_(param.grad, 1 - _BETA1)
            square.mul_(_BETA2).addcmul_(param.grad, param.grad, value=1 - _BETA2)
            size = lr / (1 - _BETA1**step)
            denominator = (square.sqrt() / (1 - _BETA2**step) ** 0.5).add_(_EPS)
            param.addcdiv_(mean, denominator, value=-size)

    def state_dict(self) -> dict[str, Any]:
        """The state, in the form of torch's."""
        group = self.param_groups[0] | {"params": list(range(len(self._params)))}
        return {"state": {number: dict(moments) for number, moments in self._moments.items()}, "param_groups": [group]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state of this class or of torch's.

        Raises:
            ValueError: the state is of other parameters.
        """
        (group,) = state_dict["param_groups"]
        if len(group["params"]) != len(self._params):
            raise ValueError(f"the state is of {len(group['params'])} parameters, not of {len(self._params)}")
        self.param_groups[0] |= {name: value for name, value in group.items() if name != "params"}
        self._moments = {
            int(number): {name: value.clone() for name, value in moments.items()}
            for number, moments in state_dict["state"].items()
        }

    def _begun(self, number: int, param: Tensor) -> dict[str, Tensor]:
        zeros = torch.zeros_like(param, memory_format=torch.preserve_format)
        self._moments[number] = {"step": torch.tensor(0.0), "exp_avg": zeros, "exp_avg_sq": zeros.clone()}
        return self._moments[number]


def adamw(params: Iterable[nn.Parameter], *, lr: float, weight_decay: float) -> SteppingOptimizer:
    """AdamW for parameters on one device: on a GPU torch's own, which steps all parameters with a few kernels."""
    params = list(params)
    if all(param.device.type == "cpu" for param in params):
        return EagerAdamW(params, lr=lr, weight_decay=weight_decay)
    return torch.optim.AdamW(params, lr=lr, weight_decay=weight_decay)
