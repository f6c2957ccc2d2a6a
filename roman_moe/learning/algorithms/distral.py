"""Distral's equations for networks, for discrete actions and for Gaussian policies alike.

Numbers of equations are those of Teh et al., "Distral: Robust multitask reinforcement learning", NeurIPS 2017. With
alpha = cKL / (cKL + cEnt) and beta = 1 / (cKL + cEnt), all tasks i share a prior pi0, and maximise

    J = sum_i E_i [sum_t gamma^t (R_i + alpha/beta log pi0 - 1/beta log pi_i)]                    (1)

The parameters of task i follow (9), those of the prior (10):

    E_i [sum_t grad log pi_i(a_t) sum_(u >= t) gamma^u Rreg_i,u]                                  (9)
    sum_i of (9), and alpha/beta sum_i E_i [sum_t gamma^t sum_a (pi_i(a) - pi0(a)) grad h(a)]     (10)

Here the mean of a step's regularisation over its action stands for its sample, which has the same gradient and less
noise. With D = 1/beta (alpha KL(pi_i || pi0) - (1 - alpha) entropy of pi_i), a function of the state alone,

    J = sum_i E_i [sum_t gamma^t (R_i - D_i)]
    grad J = sum_i E_i [sum_t gamma^t (grad log pi_i(a_t) sum_(u >= t) gamma^(u - t) (R_i - D_i)_u - grad D_i,t)]

for all parameters. Through pi_i, -grad D is what the step's own regularisation gives (9). Through pi0, it is the second
term of (10), since the gradient of -KL(pi_i || pi0) by the logits h of pi0 is pi_i - pi0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Categorical, Independent, Normal, kl_divergence

Policy = Categorical | Independent
"""Of discrete actions, or a Gaussian of independent dimensions (`gaussian`)."""


def gaussian(mean: Tensor, variance: Tensor) -> Independent:
    """(..., a) to a distribution of actions, (..., a)."""
    return Independent(Normal(mean, variance.sqrt(), validate_args=False), 1, validate_args=False)


def product(prior: Policy, own: Policy, weight: float) -> Policy:
    """The policy of two columns, pi0^weight f normalised, where f is `own`: (8), in the form of (12).

    Discrete actions have the logits weight h + f. For Gaussians (our derivation), the logarithm is

        -weight (a - m0)^2 / (2 v0) - (a - m1)^2 / (2 v1) + const = -(a - m)^2 / (2 v) + const
        with  1/v = weight / v0 + 1 / v1  and  m = v (weight m0 / v0 + m1 / v1),

    by comparing the coefficients of a^2 and of a: a Gaussian again, whose precision is the weighted sum.
    """
    if isinstance(prior, Categorical) and isinstance(own, Categorical):
        return Categorical(logits=weight * prior.logits + own.logits, validate_args=False)
    trust, other = weight / prior.variance, 1.0 / own.variance
    variance = 1.0 / (trust + other)
    return gaussian(variance * (trust * prior.mean + other * own.mean), variance)


def regularisation(policy: Policy, prior: Policy, alpha: float, beta: float) -> Tensor:
    """D of each state, as above; the prior is of no account for alpha = 0."""
    cost = (alpha - 1.0) * policy.entropy()
    if alpha:
        cost = cost + alpha * kl_divergence(policy, prior)
    return cost / beta


def advantages(rewards: Tensor, values: Tensor, following: Tensor, gamma: float) -> Tensor:
    """(..., L) of L consecutive steps: their discounted rewards and the value after the last, less each state's value.

    Args:
        rewards: regularised, R - D.
        values: of the state before each step.
        following: (...,) of the state after the last step.
    """
    total, result = following, torch.empty_like(rewards)
    for step in reversed(range(rewards.shape[-1])):
        total = rewards[..., step] + gamma * total
        result[..., step] = total - values[..., step]
    return result


def loss(policy: Policy, actions: Tensor, advantage: Tensor, cost: Tensor) -> Tensor:
    """Of each step: its gradient is minus grad J, for policy, prior and both columns.

    Args:
        advantage: of each step, without a gradient.
        cost: the step's `regularisation`.
    """
    return cost - policy.log_prob(actions) * advantage
